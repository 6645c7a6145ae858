//! What an update is given: the time, and a way to ask for things.

use super::message::{Effect, Millis, RequestId, WatchId};

/// The numbers of requests and watches.
#[derive(Debug, Default)]
pub struct Ids {
    last: u64,
}

impl Ids {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

/// What a part of the console is given to handle a message with.
#[derive(Debug)]
pub struct Context<'a> {
    /// The time of the message. Nothing in an update reads a clock.
    pub now: Millis,
    ids: &'a mut Ids,
    effects: &'a mut Vec<Effect>,
    notice: &'a mut Option<Notice>,
}

impl<'a> Context<'a> {
    /// The context of one message.
    pub fn new(
        now: Millis,
        ids: &'a mut Ids,
        effects: &'a mut Vec<Effect>,
        notice: &'a mut Option<Notice>,
    ) -> Self {
        Self {
            now,
            ids,
            effects,
            notice,
        }
    }

    /// Asks for something that has no answer.
    pub fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Asks for something, and tells by which number the answer will come.
    pub fn request(&mut self, effect: impl FnOnce(RequestId) -> Effect) -> RequestId {
        let id = RequestId(self.ids.next());
        self.effects.push(effect(id));
        id
    }

    /// Begins a watch.
    pub fn watch(&mut self, effect: impl FnOnce(WatchId) -> Effect) -> WatchId {
        let id = WatchId(self.ids.next());
        self.effects.push(effect(id));
        id
    }

    /// Tells the user something in the last line, until the next key or for some seconds.
    pub fn tell(&mut self, text: impl Into<String>) {
        *self.notice = Some(Notice {
            text: text.into(),
            fault: false,
            until: self.now + Notice::LASTS,
        });
    }

    /// The same, if nothing else is being told: an answer to the user is not written over by news.
    pub fn mention(&mut self, text: impl Into<String>) {
        if self.notice.is_none() {
            self.tell(text);
        }
    }

    /// Tells the user of something that went wrong, for as long.
    pub fn warn(&mut self, text: impl Into<String>) {
        *self.notice = Some(Notice {
            text: text.into(),
            fault: true,
            until: self.now + Notice::LASTS,
        });
    }
}

/// A line for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What to say.
    pub text: String,
    /// Whether something went wrong.
    pub fault: bool,
    /// When it goes away by itself.
    pub until: Millis,
}

impl Notice {
    /// How long a notice stays.
    const LASTS: Millis = 8_000;
}

/// Copies a text, and says so.
pub fn copy(text: String, what: &str, ctx: &mut Context<'_>) {
    let length = text.len();
    ctx.effect(Effect::Copy(text));
    ctx.tell(format!(
        "sent {what} to the terminal's clipboard, {length} bytes"
    ));
}
