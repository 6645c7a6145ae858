//! Why connecting failed, in words that say what to look at. None of them holds a secret.

use std::error::Error as StdError;
use std::path::PathBuf;

use async_nats::{ConnectError, ConnectErrorKind, rustls};

use crate::kv::Error;
use crate::kv::nats::options::Tls;

/// A failed attempt to connect, as an error that tells the cases apart.
pub(super) fn explain(place: &str, tls: &Tls, error: &ConnectError) -> Error {
    let place = place.to_owned();
    let reason = in_words(innermost(error));
    let says = |words: &str| reason.to_lowercase().contains(words);
    if let Some(fault) = tls_fault(error) {
        let reason = fault.map_or_else(|| files_words(reason, tls), |fault| tls_words(fault, tls));
        return Error::Tls { place, reason };
    }
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation => Error::Unauthorized { place, reason },
        ConnectErrorKind::Authentication => Error::Unauthorized {
            place,
            reason: "the key can't be used to sign in".to_owned(),
        },
        _ if says("authorization") || says("authentication") => {
            Error::Unauthorized { place, reason }
        }
        ConnectErrorKind::TimedOut => Error::Unreachable {
            place,
            reason: "no answer in time".to_owned(),
        },
        _ => Error::Unreachable { place, reason },
    }
}

/// The last error in the chain: the one that says what happened.
fn innermost(error: &ConnectError) -> String {
    let mut deepest: &dyn StdError = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    let text = deepest.to_string();
    text.strip_prefix("nats: ").unwrap_or(&text).to_owned()
}

/// What a system or a server says, in words that say what to look at.
fn in_words(reason: String) -> String {
    let says = |words: &str| reason.to_lowercase().contains(words);
    if says("failed to lookup") || says("name or service not known") || says("no such host") {
        return format!("its name leads to no address ({reason})");
    }
    if says("connection refused") {
        return format!("nothing listens there ({reason})");
    }
    if says("maximum") && says("exceeded") {
        return format!("a limit of the server or the account: {reason}");
    }
    reason
}

/// What is wrong with the files for TLS, of which the library says little.
fn files_words(reason: String, tls: &Tls) -> String {
    match (&tls.cert, &tls.key) {
        (Some(cert), Some(key)) if reason.contains("could not add certificate or key") => format!(
            "the key ({}) is not that of our certificate ({}), or is no key that can be used",
            key.display(),
            cert.display()
        ),
        _ => reason,
    }
}

/// What is wrong with TLS, if that is what failed.
#[expect(
    clippy::option_option,
    reason = "that it is about TLS, and what exactly, are two answers"
)]
fn tls_fault(error: &ConnectError) -> Option<Option<&rustls::Error>> {
    let mut next = error.source();
    while let Some(error) = next {
        let inside_io = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(fault) = inside_io.or_else(|| error.downcast_ref::<rustls::Error>()) {
            return Some(Some(fault));
        }
        next = error.source();
    }
    (error.kind() == ConnectErrorKind::Tls).then_some(None)
}

/// Which certificate is at fault, and why.
fn tls_words(fault: &rustls::Error, tls: &Tls) -> String {
    use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error as Fault};
    let file = |path: &Option<PathBuf>| {
        path.as_ref()
            .map(|path| format!(" ({})", path.display()))
            .unwrap_or_default()
    };
    match fault {
        Fault::InvalidCertificate(why) => {
            let why = match why {
                Certificate::UnknownIssuer => {
                    let trusted = match &tls.ca {
                        Some(ca) => format!("none of the authorities in {}", ca.display()),
                        None => "no authority that this system trusts".to_owned(),
                    };
                    format!("{trusted} vouches for it")
                }
                Certificate::Expired | Certificate::ExpiredContext { .. } => {
                    "it has expired".to_owned()
                }
                Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                    "it is not valid yet; is a clock wrong?".to_owned()
                }
                Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                    format!("it is made out to another name ({why})")
                }
                Certificate::Revoked => "it was revoked".to_owned(),
                other => other.to_string(),
            };
            format!("the server's certificate: {why}")
        }
        Fault::AlertReceived(alert) => match alert {
            Alert::CertificateRequired => {
                "the server wants a certificate of ours, and none was given".to_owned()
            }
            Alert::BadCertificate
            | Alert::UnknownCA
            | Alert::CertificateUnknown
            | Alert::UnsupportedCertificate
            | Alert::CertificateExpired
            | Alert::CertificateRevoked => match &tls.cert {
                None => "the server wants a certificate of ours, and none was given".to_owned(),
                Some(_) => format!(
                    "the server refused our certificate{}: {alert:?}",
                    file(&tls.cert)
                ),
            },
            other => format!("the server broke it off: {other:?}"),
        },
        Fault::InvalidMessage(_) => {
            "what answers there does not speak TLS, or not at this moment".to_owned()
        }
        Fault::InconsistentKeys(_) => format!(
            "the key{} is not that of our certificate{}",
            file(&tls.key),
            file(&tls.cert)
        ),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_system_says_is_put_into_words() {
        for (says, words) in [
            ("Connection refused (os error 111)", "nothing listens there"),
            (
                "failed to lookup address information: x",
                "leads to no address",
            ),
            ("maximum connections exceeded", "a limit of the server"),
            ("something else", "something else"),
        ] {
            assert!(in_words(says.to_owned()).contains(words), "{says}");
        }
    }
}
