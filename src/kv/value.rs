//! Typed values on top of a [`Store`]: read, written, deleted and watched as the types of a
//! service. No retries are made here; see [`AtomicMap`](super::AtomicMap) for those.
//!
//! A type takes part by its codec: [`ByteDeserialize`] lets it be read, [`ByteSerialize`] lets it
//! be written, and `#[derive(JsonByteDes, JsonByteSer)]` gives both as JSON. Where it is written
//! to is its own affair: [`StaticKeyIndexedValue`] for the one key of a configuration,
//! [`KeyedValue`] for a key that depends on the value.

mod codec;
mod error;
#[cfg(test)]
mod tests;
mod watch;

use super::backend::Write;
use super::{CreateError, Entry, Key, Revision, Store};

pub use self::codec::{
    ByteDeserialize, ByteSerialize, DecodeError, EncodeError, json_from_bytes, json_to_bytes,
};
pub use self::error::{KvReadError, KvWriteError};
pub use self::watch::{ValueEntry, ValueWatch};

/// The calls of a typed value. Every type has them; which of them can be called depends on what
/// else the type can do:
///
/// | the type has | it can be |
/// |---|---|
/// | [`ByteDeserialize`] | read and watched |
/// | [`ByteSerialize`] and a key ([`StaticKeyIndexedValue`] or [`KeyedValue`]) | written |
/// | [`ByteSerialize`] alone | written [`under`](Self::under) a key that is named then, and deleted |
///
/// It is known by two more names, [`KeyValueRead`] and [`KeyValueWrite`], for code that does only
/// the one; all three are the same trait, so that any of them, or several, can be imported. A
/// function that is generic over values asks for the codec: `T: ByteDeserialize`.
///
/// Reads go to the copy that decides writes. A delete marker reads as no value.
///
/// ```
/// use kvscope::kv::KeyValue;
/// # use kvscope::kv::{KeyedValue, Store};
/// # use kvscope::{JsonByteDes, JsonByteSer};
/// # use serde::{Deserialize, Serialize};
/// #
/// # #[derive(Serialize, Deserialize, JsonByteDes, JsonByteSer)]
/// # struct MyDynamicValue {
/// #     id: u32,
/// # }
/// # impl KeyedValue for MyDynamicValue {
/// #     fn own_key(&self) -> String {
/// #         format!("dynamic.{}", self.id)
/// #     }
/// # }
/// # async fn example(store: Store) -> Result<(), Box<dyn std::error::Error>> {
/// # let key = "dynamic.7";
///
/// // Read a value with dynamic key
/// let value = MyDynamicValue::read_from(&store, key).await?;
///
/// # let my_value = value.unwrap_or(MyDynamicValue { id: 7 });
/// // Write a value
/// my_value.write_to_anyway(&store).await?;
///
/// # let revision = MyDynamicValue::read_from_atomically(&store, key).await?.revision;
/// // Atomic write with version check
/// my_value.write_to_atomically(&store, revision).await?;
///
/// // Delete a value
/// MyDynamicValue::delete_anyway(&store, key).await?;
/// # Ok(())
/// # }
/// ```
pub trait KeyValue: Sized {
    /// The value of a key; `None` if it has none.
    ///
    /// # Errors
    /// [`KvReadError::Decode`] when there is a value, and it is not of this type.
    fn read_from(
        store: &Store,
        key: impl AsRef<str> + Send,
    ) -> impl Future<Output = Result<Option<Self>, KvReadError>> + Send
    where
        Self: ByteDeserialize,
    {
        async move {
            let entry = store.get(key).await?;
            entry
                .and_then(|entry| decode(&entry).transpose())
                .transpose()
        }
    }

    /// The value of a key with the revision to expect when it is written back: to
    /// [`write_to_atomically`](Self::write_to_atomically) it is right in every case, also for a key
    /// that has no value, or none any more.
    ///
    /// # Errors
    /// As [`read_from`](Self::read_from).
    fn read_from_atomically(
        store: &Store,
        key: impl AsRef<str> + Send,
    ) -> impl Future<Output = Result<Versioned<Self>, KvReadError>> + Send
    where
        Self: ByteDeserialize,
    {
        async move {
            match store.get(key).await? {
                Some(entry) => Ok(Versioned {
                    value: decode(&entry)?,
                    revision: entry.revision,
                }),
                None => Ok(Versioned {
                    value: None,
                    revision: Revision::ABSENT,
                }),
            }
        }
    }

    /// The value that a key had at one revision; `None` if the store keeps no such revision of
    /// this key, or the key was gone at it.
    ///
    /// # Errors
    /// As [`read_from`](Self::read_from).
    fn read_revision_from(
        store: &Store,
        key: impl AsRef<str> + Send,
        revision: impl Into<Revision>,
    ) -> impl Future<Output = Result<Option<Self>, KvReadError>> + Send
    where
        Self: ByteDeserialize,
    {
        let revision = revision.into();
        async move {
            let entry = store.get_revision(key, revision).await?;
            entry
                .and_then(|entry| decode(&entry).transpose())
                .transpose()
        }
    }

    /// Watches a key, or all keys of a pattern with the wildcards `*` and `>`: what is there now,
    /// and then every change. See [`ValueWatch`].
    ///
    /// ```
    /// # use kvscope::kv::Store;
    /// # use kvscope::JsonByteDes;
    /// # #[derive(serde::Deserialize, JsonByteDes)]
    /// # struct MyValue {}
    /// # async fn example(store: Store, key: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// use kvscope::kv::KeyValueRead;
    ///
    /// let watch = MyValue::watch(&store, key).await?;
    /// while let Some(entry) = watch.next().await {
    ///     // Handle updated value
    /// }
    /// # Ok(())
    /// # }
    /// ```
    fn watch(
        store: &Store,
        keys: impl AsRef<str> + Send,
    ) -> impl Future<Output = Result<ValueWatch<Self>, KvReadError>> + Send
    where
        Self: ByteDeserialize,
    {
        async move { ValueWatch::begin(store, keys.as_ref()).await }
    }

    /// Writes the value to its own key, whatever is there.
    ///
    /// # Errors
    /// Anything but [`KvWriteError::Conflict`].
    fn write_to_anyway(
        &self,
        store: &Store,
    ) -> impl Future<Output = Result<Revision, KvWriteError>> + Send
    where
        Self: ByteSerialize + KeyedValue,
    {
        let write = encode(self);
        async move { Ok(store.write(write?).await?) }
    }

    /// Writes the value to its own key if the key is at that revision.
    ///
    /// # Errors
    /// [`KvWriteError::Conflict`] when it is at another one.
    fn write_to_atomically(
        &self,
        store: &Store,
        revision: impl Into<Revision>,
    ) -> impl Future<Output = Result<Revision, KvWriteError>> + Send
    where
        Self: ByteSerialize + KeyedValue,
    {
        let write = encode(self).map(|write| write.expecting(revision.into()));
        async move { Ok(store.write(write?).await?) }
    }

    /// Writes the value to its own key if the key has none.
    ///
    /// # Errors
    /// [`KvWriteError::Conflict`] with [`Revision::ABSENT`] expected when it has one.
    fn create_write(
        &self,
        store: &Store,
    ) -> impl Future<Output = Result<Revision, KvWriteError>> + Send
    where
        Self: ByteSerialize + KeyedValue,
    {
        let bytes = self.to_bytes();
        let key = self.own_key();
        async move {
            let key = Key::new(key)?;
            let bytes = bytes.map_err(|source| KvWriteError::encode(&key, source))?;
            match store.create(&key, bytes, None).await {
                Ok(revision) => Ok(revision),
                Err(CreateError::Exists { key, current }) => Err(KvWriteError::Conflict {
                    key,
                    expected: Revision::ABSENT,
                    current: Some(current),
                }),
                Err(CreateError::Write(error)) => Err(error.into()),
            }
        }
    }

    /// This value, to be written under a key that it does not know itself.
    fn under(&self, key: impl Into<String>) -> Keyed<'_, Self> {
        Keyed {
            key: key.into(),
            value: self,
        }
    }

    /// Deletes a key, whatever is there, and keeps its history.
    ///
    /// # Errors
    /// Anything but [`KvWriteError::Conflict`] and [`KvWriteError::Encode`].
    fn delete_anyway(
        store: &Store,
        key: impl AsRef<str> + Send,
    ) -> impl Future<Output = Result<Revision, KvWriteError>> + Send
    where
        Self: ByteSerialize,
    {
        async move { Ok(store.delete(key, None).await?) }
    }

    /// Deletes a key if it is at that revision, and keeps its history.
    ///
    /// # Errors
    /// [`KvWriteError::Conflict`] when it is at another one.
    fn delete_atomically(
        store: &Store,
        key: impl AsRef<str> + Send,
        revision: impl Into<Revision>,
    ) -> impl Future<Output = Result<Revision, KvWriteError>> + Send
    where
        Self: ByteSerialize,
    {
        let revision = revision.into();
        async move { Ok(store.delete(key, Some(revision)).await?) }
    }

    /// Deletes a key and its history, whatever is there.
    ///
    /// # Errors
    /// As [`delete_anyway`](Self::delete_anyway).
    fn purge_anyway(
        store: &Store,
        key: impl AsRef<str> + Send,
    ) -> impl Future<Output = Result<Revision, KvWriteError>> + Send
    where
        Self: ByteSerialize,
    {
        async move { Ok(store.purge(key, None).await?) }
    }

    /// Deletes a key and its history if it is at that revision.
    ///
    /// # Errors
    /// As [`delete_atomically`](Self::delete_atomically).
    fn purge_atomically(
        store: &Store,
        key: impl AsRef<str> + Send,
        revision: impl Into<Revision>,
    ) -> impl Future<Output = Result<Revision, KvWriteError>> + Send
    where
        Self: ByteSerialize,
    {
        let revision = revision.into();
        async move { Ok(store.purge(key, Some(revision)).await?) }
    }
}

impl<T> KeyValue for T {}

#[doc(inline)]
pub use KeyValue as KeyValueRead;
#[doc(inline)]
pub use KeyValue as KeyValueWrite;

/// A value that always has the same key, such as a configuration.
///
/// ```
/// use kvscope::kv::{KeyValue, StaticKeyIndexedValue};
/// # use kvscope::kv::Store;
/// # use kvscope::{JsonByteDes, JsonByteSer};
///
/// // Define a type with a static key
/// # #[derive(serde::Serialize, serde::Deserialize, JsonByteDes, JsonByteSer)]
/// struct MyConfig {
///     // your fields here
/// }
///
/// impl StaticKeyIndexedValue for MyConfig {
///     fn key() -> String {
///         "app.config".to_string()
///     }
/// }
///
/// # async fn example(store: Store) -> Result<(), Box<dyn std::error::Error>> {
/// # let revision = 7;
/// # let my_config = MyConfig {};
/// // Now you can use the KV operations
/// let value = MyConfig::read_from(&store, MyConfig::key()).await?;
///
/// // Write a value
/// my_config.write_to_anyway(&store).await?;
///
/// // Atomic write with version check
/// my_config.write_to_atomically(&store, revision).await?;
///
/// // Delete a value
/// MyConfig::delete_anyway(&store, MyConfig::key()).await?;
/// # Ok(())
/// # }
/// ```
pub trait StaticKeyIndexedValue {
    /// The key.
    fn key() -> String;
}

/// A value that knows which key it belongs to: where it is written.
///
/// A [`StaticKeyIndexedValue`] is one. For a value whose key is known elsewhere there is
/// [`KeyValue::under`].
pub trait KeyedValue {
    /// The key of this value.
    fn own_key(&self) -> String;
}

impl<T: StaticKeyIndexedValue> KeyedValue for T {
    fn own_key(&self) -> String {
        T::key()
    }
}

/// A value together with the key under which to write it. Made by [`KeyValue::under`].
#[derive(Debug, Clone)]
pub struct Keyed<'a, T> {
    key: String,
    value: &'a T,
}

impl<T> KeyedValue for Keyed<'_, T> {
    fn own_key(&self) -> String {
        self.key.clone()
    }
}

impl<T: ByteSerialize> ByteSerialize for Keyed<'_, T> {
    fn to_bytes(&self) -> Result<Vec<u8>, EncodeError> {
        self.value.to_bytes()
    }
}

/// What a key holds, and the revision to expect when it is written back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The value; `None` if the key has none.
    pub value: Option<T>,
    /// The revision of the key's newest entry, a marker included; [`Revision::ABSENT`] if it has
    /// no entry.
    pub revision: Revision,
}

/// The value of an entry; `None` for a marker.
pub(super) fn decode<T: ByteDeserialize>(entry: &Entry) -> Result<Option<T>, KvReadError> {
    let Some(bytes) = entry.live_value() else {
        return Ok(None);
    };
    match T::from_bytes(bytes) {
        Ok(value) => Ok(Some(value)),
        Err(source) => Err(KvReadError::Decode {
            key: entry.key.clone(),
            revision: entry.revision,
            source,
        }),
    }
}

fn encode<T: ByteSerialize + KeyedValue>(value: &T) -> Result<Write, KvWriteError> {
    let key = Key::new(value.own_key())?;
    match value.to_bytes() {
        Ok(bytes) => Ok(Write::put(key, bytes)),
        Err(source) => Err(KvWriteError::encode(&key, source)),
    }
}
