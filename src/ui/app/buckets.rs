//! Whole buckets: between the list, the dialogs and the worker.

use super::{App, Screen, context};
use crate::kv::backend::Capabilities;
use crate::kv::{BucketName, Error};
use crate::ui::command::Command;
use crate::ui::context::Context;
use crate::ui::message::RequestId;
use crate::ui::overlays::Overlay;
use crate::ui::overlays::bucket::{BucketDone, Dialog, Outcome, removed};

impl App {
    /// Opens the dialog that a command asks for: on the bucket that it names, else on the one that
    /// is in sight.
    pub(super) fn open_bucket_dialog(&mut self, command: Command, name: Option<&str>) {
        let Some(place) = &self.place else {
            context!(self).warn("not connected yet");
            return;
        };
        let capabilities: Capabilities = place.capabilities;
        let bucket = match name.map(BucketName::new).transpose() {
            Ok(named) => named.or_else(|| self.bucket_in_sight()),
            Err(error) => return context!(self).warn(error.to_string()),
        };
        let mut ctx = context!(self);
        let writes = !matches!(command, Command::AboutBucket | Command::Compact);
        if writes && capabilities.read_only {
            ctx.warn("this connection is read-only");
            return;
        }
        let dialog = match (command, bucket) {
            (Command::NewBucket, _) => Dialog::new_bucket(&capabilities),
            (_, None) => {
                let verb = command.spec().map_or("", |spec| spec.name);
                ctx.warn(format!("no bucket is selected; name it: {verb} NAME"));
                return;
            }
            (Command::EditBucket, Some(bucket)) => Dialog::edit(bucket, &capabilities, &mut ctx),
            (Command::DeleteBucket, Some(bucket)) => Dialog::delete(bucket, &mut ctx),
            (Command::Compact, Some(bucket)) => Dialog::compact(bucket, &capabilities, &mut ctx),
            (_, Some(bucket)) => {
                let mut infos = self.browse.bucket_infos().iter();
                let keys = infos.find(|info| info.config.name == bucket);
                let keys = keys.map(|info| info.keys);
                Dialog::about(bucket, keys, &capabilities, &mut ctx)
            }
        };
        self.overlays.push(Overlay::Bucket(Box::new(dialog)));
    }

    /// The bucket that somebody means who names none.
    fn bucket_in_sight(&self) -> Option<BucketName> {
        match self.screen {
            Screen::Browse => self.browse.bucket_in_sight(),
            Screen::Locks | Screen::Activity | Screen::Server | Screen::Connect => None,
        }
    }

    /// A key did something to a dialog.
    pub(super) fn bucket_dialog_did(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Open => {}
            Outcome::Closed => {
                self.overlays.pop();
            }
            Outcome::Edit(bucket) => {
                let Some(place) = &self.place else {
                    return;
                };
                let capabilities = place.capabilities;
                self.overlays.pop();
                let mut ctx = context!(self);
                let dialog = Dialog::edit(bucket, &capabilities, &mut ctx);
                self.overlays.push(Overlay::Bucket(Box::new(dialog)));
            }
        }
    }

    /// The worker answers. Where the dialog is closed by now, the last line tells.
    pub(super) fn bucket_task_ended(&mut self, id: RequestId, answer: Result<BucketDone, Error>) {
        let mut is_awaited = false;
        self.overlays.retain_mut(|overlay| {
            let Overlay::Bucket(dialog) = overlay else {
                return true;
            };
            is_awaited |= dialog.answer(id, &answer);
            !dialog.is_over()
        });
        let mut ctx = context!(self);
        match answer {
            Err(error) if !is_awaited => ctx.warn(error.to_string()),
            Err(_)
            | Ok(BucketDone::Info(_) | BucketDone::Survey(_) | BucketDone::Compacting(_)) => {}
            Ok(BucketDone::Made(info)) => {
                let name = info.config.name.clone();
                ctx.tell(format!("made the bucket {name}"));
                self.browse.ask_for_buckets(&mut ctx);
                self.open_bucket(&name);
            }
            Ok(BucketDone::Changed(info)) => {
                ctx.tell(format!("changed the bucket {}", info.config.name));
                self.browse.ask_for_buckets(&mut ctx);
            }
            Ok(BucketDone::Deleted(name)) => {
                ctx.tell(format!("deleted the bucket {name}"));
                self.browse.deleted(&name);
                self.browse.ask_for_buckets(&mut ctx);
            }
            Ok(BucketDone::Compacted(name, done)) => {
                if !is_awaited {
                    ctx.tell(format!("{name}: {}", removed(&done)));
                }
                self.browse.ask_for_buckets(&mut ctx);
                // Watches are not told of it.
                if self.browse.open_bucket() == Some(&name) {
                    self.browse.reload(&mut ctx);
                    self.feeds.open(&name, &mut ctx);
                }
            }
        }
    }
}
