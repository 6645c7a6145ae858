//! Notices as plain messages of the server: nothing of them is kept.
//!
//! They go by subjects of their own. Who may not use those is told so once, as of any other refusal;
//! from then on nothing is sent in vain.

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::bucket::NatsBucket;
use crate::kv::backend::BucketBackend as _;
use crate::kv::{Error, Notices};

/// What the subjects of notices begin with.
pub(super) const SUBJECTS: &str = "kvscope.notice.";

impl NatsBucket {
    fn notice_subject(&self, name: &str) -> String {
        format!("{SUBJECTS}{}.{name}", self.name())
    }

    pub(super) async fn listen_to(&self, name: &str) -> Result<Option<Notices>, Error> {
        let subject = self.notice_subject(name);
        let subscribed = self.session.client.subscribe(subject).await;
        let subscription = subscribed.map_err(|error| Error::Refused {
            what: "listening for notices".to_owned(),
            code: 0,
            message: error.to_string(),
        })?;
        let notices = subscription.map(|message| message.payload);
        Ok(Some(Notices::new(notices)))
    }

    pub(super) async fn tell(&self, name: &str, notice: Bytes) {
        let link = &self.session.link;
        let is_up = link.state().borrow().up;
        if !is_up || link.refuses_notices() || notice.len() > self.session.client.max_payload() {
            return;
        }
        let subject = self.notice_subject(name);
        if let Err(error) = self.session.client.publish(subject, notice).await {
            tracing::debug!(%error, "a notice was not sent");
        }
    }
}
