//! How this program is called to come to a place: for commands that people are shown to copy. They
//! hold no secret, so that credentials from flags have to be given again.

use crate::config::Settings;
use crate::kv::shell::word;

use super::options::named_servers;
use super::{Place, joined, without_credentials};

impl Place {
    /// How `kvscope` is called to come here, wherever that is typed.
    pub fn command(&self) -> String {
        match self {
            Self::Local(place) => {
                called_with([("--local", Some(place.path.display().to_string()))])
            }
            Self::Nats(place) => {
                let context = place.context.as_ref().map(|context| context.name.clone());
                let server = match context {
                    Some(_) => None,
                    None => Some(joined(self.addresses(), ",")),
                };
                called_with([
                    ("--context", context),
                    ("-s", server),
                    ("--js-domain", place.options.jetstream_domain.clone()),
                    (
                        "--js-api-prefix",
                        place.options.jetstream_api_prefix.clone(),
                    ),
                ])
            }
        }
    }
}

impl Settings {
    /// How `kvscope` is called to come to the place that these settings of flags name: without flags
    /// where they name none. Reads no context.
    pub fn command(&self) -> String {
        let addresses = |list| joined(named_servers(list).map(without_credentials), ",");
        let command = called_with([
            (
                "--local",
                self.local.as_ref().map(|path| path.display().to_string()),
            ),
            ("--context", self.context.clone()),
            ("-s", self.server.as_ref().map(addresses)),
            ("--js-domain", self.js_domain.clone()),
            ("--js-api-prefix", self.js_api_prefix.clone()),
        ]);
        if self.no_context {
            format!("{command} --no-context")
        } else {
            command
        }
    }
}

/// A call of this program with those flags that say something.
fn called_with<const N: usize>(flags: [(&str, Option<String>); N]) -> String {
    let flags = flags.into_iter();
    let flags = flags.filter_map(|(flag, what)| Some(format!(" {flag} {}", word(&what?))));
    std::iter::once("kvscope".to_owned()).chain(flags).collect()
}
