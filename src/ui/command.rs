//! The one command table: every command with its name, its words and the places where it works.
//!
//! Keys (`assets/keymap.toml`), help, footer, palette and `docs/keys.md` all derive from it. What
//! a command *does* is with the screen or overlay that takes it.

mod reference;

pub use self::reference::reference;

/// Something that the user can ask for, by a key or by its name in the palette.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// Leave the program.
    Quit,
    /// Suspend to the shell.
    Suspend,
    /// Show the keys.
    Help,
    /// Open the palette.
    Palette,
    /// Close what is on top, or go back.
    Back,
    /// Go to the next screen.
    NextScreen,
    /// Go to the previous screen.
    PreviousScreen,
    /// Go to Browse.
    Browse,
    /// Go to Locks.
    Locks,
    /// Go to Activity.
    Activity,
    /// Go to Server.
    Server,
    /// Choose another place.
    Connect,
    /// Read everything again.
    Refresh,
    /// Hold the picture still, or let it run.
    Pause,
    /// Filter the rows, or find in the value.
    Filter,
    /// Find a text in what is edited.
    Find,
    /// Show a difference by path or by line.
    Turn,
    /// Show keys whose value a query matches.
    Where,
    /// Show masked secrets, or mask them.
    Reveal,
    /// Go to a context.
    Context,
    /// Set something for this session.
    Set,
    /// Be shown round.
    Tour,
    /// Change the colours.
    Theme,
    /// Draw the whole screen again.
    Redraw,
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// To the left: fold, or go back.
    Left,
    /// To the right: unfold, or go on.
    Right,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// Half a page up.
    HalfPageUp,
    /// Half a page down.
    HalfPageDown,
    /// To the first row.
    Top,
    /// To the last row.
    Bottom,
    /// Open what is selected.
    Open,
    /// Make a bucket.
    NewBucket,
    /// Change a bucket's settings.
    EditBucket,
    /// Delete a bucket.
    DeleteBucket,
    /// Show how full a bucket is, and who keeps it.
    AboutBucket,
    /// Remove what deleted keys have left behind.
    Compact,
    /// Open a bucket by its name.
    Bucket,
    /// Select a key by its name.
    Key,
    /// Show keys as a tree, or as a list.
    Tree,
    /// Sort by the next column.
    Sort,
    /// Turn the order around.
    Reverse,
    /// Show deleted keys too, or hide them.
    Deleted,
    /// Open everything under this.
    ExpandAll,
    /// Close everything.
    CollapseAll,
    /// Copy the value.
    CopyValue,
    /// Copy the key's name.
    CopyKey,
    /// Show the value in the next form.
    View,
    /// Wrap long lines, or don't.
    Wrap,
    /// To the next match.
    NextMatch,
    /// To the previous match.
    PreviousMatch,
    /// From a key to its lock, or back.
    Lock,
    /// Break a hold or a wait.
    Break,
    /// Show the locks that somebody waits for.
    Waiters,
    /// Show the locks that somebody holds.
    Held,
    /// Show what the process of the selected one holds and waits for.
    Process,
    /// Show what the process of a session holds and waits for.
    Session,
    /// Write all locks to a file.
    Snapshot,
    /// Empty the feed.
    Clear,
    /// Try again.
    Retry,
    /// Edit a value.
    Edit,
    /// Edit a value in the user's own editor.
    Outside,
    /// Make a key.
    NewKey,
    /// Delete or purge keys.
    Delete,
    /// Mark a key or a revision, or take its mark away.
    Mark,
    /// Mark every key that is shown, or take all marks away.
    MarkAll,
    /// Undo one's own last write.
    UndoWrite,
    /// Show the revisions of a key.
    History,
    /// Show what differs between two revisions.
    Diff,
    /// Go back to a revision.
    Revert,
    /// Look at what would be saved, and save it.
    Save,
    /// Lay a JSON text out anew.
    Format,
    /// Undo a change of the text.
    Undo,
    /// Do what was undone.
    Redo,
    /// Select the whole text.
    SelectAll,
    /// Copy what is selected.
    CopySelection,
    /// Cut what is selected.
    Cut,
    /// Insert what was copied or cut.
    Paste,
    /// Take mine.
    ChooseMine,
    /// Take theirs.
    ChooseTheirs,
}

/// Where a command works, and so where its keys are bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Everywhere.
    Global,
    /// Wherever there are rows to move over.
    Rows,
    /// In the list of buckets.
    Buckets,
    /// In the list of keys.
    Keys,
    /// In the value.
    Entry,
    /// On the Locks screen.
    Locks,
    /// On the Activity screen.
    Activity,
    /// Where a place is chosen.
    Connect,
    /// In the editor. Nothing else is in reach there: letters are text.
    Editor,
    /// In the history of a key.
    History,
    /// In a revision.
    Look,
    /// In what differs between two.
    Compared,
    /// Where two changes are joined.
    Conflict,
}

impl Scope {
    /// Every scope, in the order of help.
    pub const ALL: [Self; 13] = [
        Self::Global,
        Self::Rows,
        Self::Buckets,
        Self::Keys,
        Self::Entry,
        Self::Locks,
        Self::Activity,
        Self::Connect,
        Self::Editor,
        Self::History,
        Self::Look,
        Self::Compared,
        Self::Conflict,
    ];

    /// Its name in a keymap file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Rows => "rows",
            Self::Buckets => "buckets",
            Self::Keys => "keys",
            Self::Entry => "entry",
            Self::Locks => "locks",
            Self::Activity => "activity",
            Self::Connect => "connect",
            Self::Editor => "editor",
            Self::History => "history",
            Self::Look => "look",
            Self::Compared => "compared",
            Self::Conflict => "conflict",
        }
    }

    /// Its title in help.
    pub fn title(self) -> &'static str {
        match self {
            Self::Global => "Everywhere",
            Self::Rows => "Moving",
            Self::Buckets => "Buckets",
            Self::Keys => "Keys",
            Self::Entry => "Value",
            Self::Locks => "Locks",
            Self::Activity => "Activity",
            Self::Connect => "Choosing a place",
            Self::Editor => "Editing",
            Self::History => "History",
            Self::Look => "A revision",
            Self::Compared => "What differs",
            Self::Conflict => "Joining two changes",
        }
    }
}

/// What a command takes after its name in the palette.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument {
    /// Nothing.
    None,
    /// Words that may be left out: what to show for them.
    Optional(&'static str),
    /// Words that it can't do without: what to show for them.
    Needed(&'static str),
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// The command.
    pub command: Command,
    /// Its name, in the palette and in a keymap file.
    pub name: &'static str,
    /// A word or two for the footer; empty if it never stands there.
    pub hint: &'static str,
    /// One sentence for help.
    pub doc: &'static str,
    /// Where it works.
    pub scopes: &'static [Scope],
    /// What it takes in the palette.
    pub argument: Argument,
    /// Whether the palette has it on every screen, wherever its key works.
    pub reachable: bool,
}

const fn row(
    command: Command,
    name: &'static str,
    hint: &'static str,
    doc: &'static str,
    scopes: &'static [Scope],
) -> Spec {
    Spec {
        command,
        name,
        hint,
        doc,
        scopes,
        argument: Argument::None,
        reachable: false,
    }
}

/// The same, in the palette of every screen.
const fn reachable(spec: Spec) -> Spec {
    Spec {
        reachable: true,
        ..spec
    }
}

const fn taking(argument: Argument, spec: Spec) -> Spec {
    Spec { argument, ..spec }
}

/// The table. Its order is that of help, of the footer and of the palette.
#[rustfmt::skip]
pub const COMMANDS: &[Spec] = {
    use Argument::{Needed, Optional};
    use Command as C;
    use Scope::{Activity, Buckets, Compared, Conflict, Connect, Editor, Entry, Global, History, Keys, Locks, Look, Rows};
    &[
        row(C::Open, "open", "open", "Open what is selected; in a value, fold or unfold", &[Buckets, Keys, Entry, Locks, Activity, Connect, History, Look]),
        row(C::Save, "save", "save…", "Look at what changes, and save it on the revision that was opened", &[Editor, Conflict]),
        row(C::ChooseMine, "mine", "mine", "Take mine at this path", &[Conflict]),
        row(C::ChooseTheirs, "theirs", "theirs", "Take theirs at this path", &[Conflict]),
        row(C::Edit, "edit", "edit", "Edit the value; where two changes are joined, the text at this path", &[Keys, Entry, Activity, Conflict]),
        row(C::Outside, "edit-outside", "", "Edit the value in $VISUAL or $EDITOR", &[Keys, Entry, Editor]),
        row(C::History, "history", "history", "Show every revision that is kept of the key", &[Keys, Entry, Activity]),
        row(C::Diff, "diff", "diff", "Show what the newest revision changed; in a history, what differs between two", &[Keys, Entry, History]),
        row(C::Revert, "revert", "revert…", "Go back to the value of this revision; asks first", &[History]),
        row(C::NewKey, "new", "new", "Make a new key", &[Keys]),
        row(C::Delete, "delete", "delete…", "Delete or purge the key, or the marked keys; asks first", &[Keys, Entry]),
        row(C::Mark, "mark", "mark", "Mark the key or revision, or take its mark away", &[Keys, History]),
        row(C::MarkAll, "mark-all", "", "Mark every key that passes the filter, or take all marks away", &[Keys]),
        row(C::UndoWrite, "undo-write", "", "Undo your own last write, if nobody wrote since; asks first", &[Keys, Entry]),
        row(C::Format, "format", "format", "Lay the JSON out anew", &[Editor]),
        row(C::Undo, "undo", "undo", "Undo the last change of the text", &[Editor]),
        row(C::Redo, "redo", "", "Do again what was undone", &[Editor]),
        row(C::SelectAll, "select-all", "", "Select the whole text; Shift and an arrow selects by hand", &[Editor]),
        row(C::CopySelection, "copy", "", "Copy what is selected", &[Editor]),
        row(C::Cut, "cut", "", "Cut what is selected", &[Editor]),
        row(C::Paste, "paste", "", "Insert what was copied or cut", &[Editor]),
        reachable(row(C::NewBucket, "new-bucket", "new", "Make a bucket", &[Buckets])),
        reachable(taking(Optional("NAME"), row(C::EditBucket, "edit-bucket", "edit", "Change the settings of the selected bucket, or of the one that is named", &[Buckets]))),
        reachable(taking(Optional("NAME"), row(C::AboutBucket, "about-bucket", "about", "Show how full the selected bucket is, and who keeps it", &[Buckets]))),
        reachable(taking(Optional("NAME"), row(C::Compact, "compact", "compact…", "Remove what deleted keys have left behind in the selected bucket; counts first, then asks", &[Buckets]))),
        reachable(taking(Optional("NAME"), row(C::DeleteBucket, "delete-bucket", "delete…", "Delete the selected bucket; asks for its name", &[Buckets]))),
        row(C::Break, "break", "break…", "Break the hold or the wait of the selected one, or reset a shizuku lock; asks first", &[Locks]),
        row(C::Retry, "retry", "retry", "Try to connect again", &[Connect]),
        row(C::Tree, "tree", "tree/list", "Show keys as a tree on dots, or as a list", &[Keys]),
        row(C::Sort, "sort", "sort", "Sort by the next column", &[Keys, Locks]),
        row(C::Reverse, "reverse", "", "Turn the order around", &[Keys, Locks]),
        row(C::Deleted, "deleted", "deleted", "Show deleted keys too, or hide them", &[Keys]),
        row(C::View, "view", "json/text/hex", "Show the value as JSON, as text or as bytes", &[Entry, Look]),
        row(C::Turn, "turn", "by path/line", "Show what differs by path, or by line side by side", &[Compared]),
        row(C::Wrap, "wrap", "wrap", "Wrap long lines, or don't", &[Entry, Look]),
        row(C::ExpandAll, "expand", "", "Open everything", &[Keys, Entry, Look]),
        row(C::CollapseAll, "collapse", "", "Close everything", &[Keys, Entry, Look]),
        row(C::NextMatch, "next", "", "To the next match", &[Entry, Editor]),
        row(C::PreviousMatch, "previous", "", "To the match before", &[Entry, Editor]),
        row(C::Process, "process", "process", "Show everything that the process of the selected one holds and waits for", &[Locks]),
        row(C::Lock, "lock", "lock/key", "Go from a key to the lock that is kept there, and back", &[Keys, Entry, Locks, Activity]),
        row(C::Clear, "clear", "clear", "Empty the feed", &[Activity]),
        taking(Optional("TEXT"), row(C::Filter, "filter", "filter", "Show rows that contain a text (! before it: that don't); in a value, find it", &[Buckets, Keys, Entry, Locks, Activity])),
        row(C::Find, "find", "find", "Find a text in what is edited", &[Editor]),
        row(C::CopyValue, "copy-value", "copy", "Copy the value", &[Keys, Entry]),
        row(C::CopyKey, "copy-key", "", "Copy the key's name", &[Keys, Entry, Locks, Activity, History]),
        row(C::Reveal, "reveal", "reveal", "Show masked secrets, or mask them again", &[Keys, Entry, Editor, Look, Compared, Conflict]),
        taking(Optional("QUERY"), row(C::Where, "where", "", "Show keys for whose value a query in the language of jq gives something true (.replicas > 3); without one, all again", &[])),
        taking(Needed("NAME"), row(C::Bucket, "bucket", "", "Open a bucket by its name", &[])),
        taking(Needed("NAME"), row(C::Key, "key", "", "Select a key by its name", &[])),
        taking(Needed("ID"), row(C::Session, "session", "", "Show everything that the process of a session holds and waits for", &[])),
        taking(Optional("FILE"), row(C::Snapshot, "snapshot", "", "Write all locks with their verdicts and their past to a file to open later, and as JSON beside it", &[])),
        row(C::Waiters, "waiters", "", "Show the locks that somebody waits for", &[]),
        row(C::Held, "held", "", "Show the locks that somebody holds", &[]),
        row(C::Pause, "pause", "pause", "Hold the picture still, or let it run again", &[Global]),
        row(C::Refresh, "refresh", "", "Read everything again", &[Global]),
        row(C::Browse, "browse", "", "Go to Browse: buckets, keys and values", &[Global]),
        taking(Optional("WHICH"), row(C::Locks, "locks", "", "Go to Locks: who holds, who waits, and why (stuck: those at fault)", &[Global])),
        row(C::Activity, "activity", "", "Go to Activity: the feed of changes", &[Global]),
        row(C::Server, "server", "", "Go to Server: where we are connected", &[Global]),
        row(C::NextScreen, "next-screen", "", "Go to the next screen", &[Global]),
        row(C::PreviousScreen, "previous-screen", "", "Go to the screen before", &[Global]),
        row(C::Connect, "connect", "", "Go to another server, context or file", &[Global]),
        taking(Optional("NAME"), row(C::Context, "ctx", "", "Go to a context of the nats CLI; without a name, choose", &[])),
        taking(Needed("NAME VALUE"), row(C::Set, "set", "", "Set something for this session: theme, mask, tree, deleted, read-only", &[])),
        row(C::Tour, "tour", "", "Be shown round, as in the demo", &[]),
        taking(Optional("NAME"), row(C::Theme, "theme", "", "Change the colours: dark, light, contrast or plain", &[])),
        row(C::Palette, "palette", "command", "Type a command's name", &[Global]),
        row(C::Help, "help", "help", "Show the keys", &[Global, Editor, Conflict]),
        row(C::Back, "back", "", "Close what is on top, or go back", &[Global, Editor, Conflict]),
        row(C::Redraw, "redraw", "", "Draw the whole screen again", &[Global, Editor, Conflict]),
        row(C::Suspend, "suspend", "", "Suspend to the shell; `fg` comes back", &[Global, Editor, Conflict]),
        row(C::Quit, "quit", "quit", "Leave", &[Global, Editor, Conflict]),
        row(C::Up, "up", "", "One row up", &[Rows]),
        row(C::Down, "down", "", "One row down", &[Rows]),
        row(C::Left, "left", "", "To the left: close, or the pane before", &[Rows]),
        row(C::Right, "right", "", "To the right: open, or the next pane", &[Rows]),
        row(C::HalfPageUp, "half-page-up", "", "Half a page up", &[Rows]),
        row(C::HalfPageDown, "half-page-down", "", "Half a page down", &[Rows]),
        row(C::PageUp, "page-up", "", "A page up", &[Rows]),
        row(C::PageDown, "page-down", "", "A page down", &[Rows]),
        row(C::Top, "top", "", "To the first row", &[Rows]),
        row(C::Bottom, "bottom", "", "To the last row", &[Rows]),
    ]
};

impl Command {
    /// Its row of the table. Every command has one; a test holds it to that.
    pub fn spec(self) -> Option<&'static Spec> {
        COMMANDS.iter().find(|spec| spec.command == self)
    }

    /// Whether other words than those that are known can stand behind it: a bucket that can't be
    /// listed is opened by its name all the same.
    pub fn takes_other_words(self) -> bool {
        matches!(
            self,
            Self::Bucket
                | Self::EditBucket
                | Self::AboutBucket
                | Self::Compact
                | Self::DeleteBucket
                | Self::Set
                | Self::Context
        )
    }

    /// The command of that name.
    pub fn named(name: &str) -> Option<Self> {
        COMMANDS
            .iter()
            .find(|spec| spec.name == name)
            .map(|spec| spec.command)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_plain() {
        let mut names = HashSet::new();
        for spec in COMMANDS {
            assert!(names.insert(spec.name), "{} twice", spec.name);
            assert!(
                spec.name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'-')
            );
            assert!(
                !spec.doc.is_empty() && !spec.doc.ends_with('.'),
                "{}",
                spec.name
            );
            assert_eq!(Command::named(spec.name), Some(spec.command));
            assert!(spec.command.spec().is_some());
        }
        let commands: HashSet<_> = COMMANDS.iter().map(|spec| spec.command).collect();
        assert_eq!(
            commands.len(),
            COMMANDS.len(),
            "a command stands in the table twice"
        );
    }
}
