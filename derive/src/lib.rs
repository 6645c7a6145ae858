//! Derive macros for kvscope's typed values: how a type becomes the bytes in a store, and back.
//!
//! Nothing is generated but an implementation of a trait of `kvscope::kv`; the work is done there.

use proc_macro::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, WherePredicate, parse_macro_input, parse_quote};

/// Reads the type from JSON: implements `kvscope::kv::ByteDeserialize` through
/// `serde::Deserialize`, which the type has to have too. The type must own its data.
#[proc_macro_derive(JsonByteDes)]
pub fn json_byte_des(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    if let Some(lifetime) = input.generics.lifetimes().next() {
        let message = "JsonByteDes is for types that own their data; a value that is read from a \
                       store has nothing to borrow from";
        return refuse(lifetime, message);
    }
    implement(
        &input,
        parse_quote!(Self: ::kvscope::kv::__serde::de::DeserializeOwned),
        &quote!(::kvscope::kv::ByteDeserialize),
        &quote! {
            fn from_bytes(
                bytes: &[u8],
            ) -> ::core::result::Result<Self, ::kvscope::kv::DecodeError> {
                ::kvscope::kv::json_from_bytes(bytes)
            }
        },
    )
}

/// Writes the type as JSON: implements `kvscope::kv::ByteSerialize` through `serde::Serialize`,
/// which the type has to have too.
#[proc_macro_derive(JsonByteSer)]
pub fn json_byte_ser(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    implement(
        &input,
        parse_quote!(Self: ::kvscope::kv::__serde::Serialize),
        &quote!(::kvscope::kv::ByteSerialize),
        &quote! {
            fn to_bytes(
                &self,
            ) -> ::core::result::Result<::std::vec::Vec<u8>, ::kvscope::kv::EncodeError> {
                ::kvscope::kv::json_to_bytes(self)
            }
        },
    )
}

/// The implementation of a trait, for every choice of the type's parameters for which serde can
/// do its part. For a type without parameters the condition is checked where it stands, so that
/// a missing serde derive is an error at the type's name.
fn implement(
    input: &DeriveInput,
    condition: WherePredicate,
    implemented: &proc_macro2::TokenStream,
    body: &proc_macro2::TokenStream,
) -> TokenStream {
    let name = &input.ident;
    if let Data::Union(data) = &input.data {
        return refuse(data.union_token, "a union can't be written as JSON");
    }
    let mut generics = input.generics.clone();
    generics.make_where_clause().predicates.push(condition);
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #impl_generics #implemented for #name #type_generics #where_clause {
            #body
        }
    }
    .into()
}

fn refuse(at: impl quote::ToTokens, message: &str) -> TokenStream {
    Error::new_spanned(at, message).into_compile_error().into()
}
