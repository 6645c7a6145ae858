//! Credentials that the tool `nsc` keeps: asked for, as the nats CLI does.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::config::ConfigError;
use crate::kv::nats::Secret;

/// What `nsc` knows of a user.
#[derive(Debug)]
pub(super) struct Profile {
    /// The file with the user's credentials.
    pub(super) creds: PathBuf,
    /// The operator's servers, separated by commas.
    pub(super) servers: Option<Secret>,
}

#[derive(Deserialize)]
struct Answer {
    user_creds: PathBuf,
    #[serde(default)]
    operator: Operator,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Operator {
    service: Vec<String>,
}

/// Asks `nsc` for the user that a context names, such as `nsc://operator/account/user`. It blocks
/// for as long as that takes.
pub(super) fn profile(context: &str, user: &str) -> Result<Profile, ConfigError> {
    let failed = |reason: String| ConfigError::Nsc {
        context: context.to_owned(),
        user: user.to_owned(),
        reason,
    };
    let output = Command::new("nsc")
        .args(["generate", "profile", user])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(format!("`nsc` can't be run: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().find(|line| !line.trim().is_empty());
        return Err(failed(said.unwrap_or("`nsc` failed").trim().to_owned()));
    }
    // Its answer holds no secret, but it is not repeated either.
    let answer: Answer = serde_json::from_slice(&output.stdout)
        .map_err(|_| failed("its answer makes no sense".to_owned()))?;
    let servers = answer.operator.service.join(",");
    Ok(Profile {
        creds: answer.user_creds,
        servers: (!servers.is_empty()).then(|| Secret::new(servers)),
    })
}
