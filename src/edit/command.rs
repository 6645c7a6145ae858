//! A write as the command of the `nats` CLI that would do the same.

use crate::kv::BucketName;
use crate::kv::backend::Write;

use super::excerpt::Excerpt;
use super::secrets::Masking;

/// The command, quoted for a shell, with the secrets in it marked. Where the CLI can't do quite the
/// same, a comment behind it says so.
pub fn equivalent(bucket: &BucketName, write: &Write, _masking: &Masking) -> Excerpt {
    Excerpt::open(format!("nats kv update {bucket} {}", write.key))
}
