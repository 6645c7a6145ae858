//! The grammar of the commands on locks.

use std::ffi::OsString;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};

use super::duration;

/// The commands on locks.
#[derive(Debug, Subcommand)]
pub enum LockCommand {
    /// List the locks, those at fault first
    #[command(visible_alias = "list", after_help = LOOK)]
    Ls(LockLsArgs),
    /// Show a lock: its queue, its clocks, and its past
    #[command(after_help = LOOK)]
    Show(LockShowArgs),
    /// Run a command under a lock
    Run(LockRunArgs),
    /// Take a lock from a session that others wait for
    Break(LockBreakArgs),
    /// Runs a command and ends all of it when its parent ends: the inner half of `run`
    #[command(hide = true)]
    Supervise(LockSuperviseArgs),
    /// Becomes a command that ends with its parent: the innermost part of `run`
    #[command(hide = true)]
    Exec(LockExecArgs),
}

const LOOK: &str = "\
A session is dead when its record says so, when its record is not there while its locks are, or when
its process ran on this machine and is gone. It is suspect when it has not beaten for longer than
its lease allows. At a single look that is judged by the store's clock: by what others have written
to the bucket since, or else by this machine's time of day. With --for it is judged by this
machine's own clock: watch for longer than 9/8 of the lease (17 s with the usual one of 15 s) to be
sure. Nothing is ever done to a lock because of what is shown.

Times held and waited count from the write that granted or queued, by the store's clock. Where the
bucket does not keep that write any more, a holder's time is a lower bound, and a waiter's is the
one that it wrote down by its own clock.

Deadlocks are looked for through all buckets, whichever are listed.";

/// Which locks to list.
#[derive(Debug, Args)]
pub struct LockLsArgs {
    /// Only those of this bucket
    pub bucket: Option<String>,
    /// How to look.
    #[command(flatten)]
    pub look: LookArgs,
}

/// Which lock to show.
#[derive(Debug, Args)]
pub struct LockShowArgs {
    /// The bucket
    pub bucket: String,
    /// What is locked
    pub resource: String,
    /// How to look.
    #[command(flatten)]
    pub look: LookArgs,
}

/// How to look at locks.
#[derive(Debug, Args)]
pub struct LookArgs {
    /// Watch for this time, such as 20s, and judge silent sessions by our own clock
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub watch: Option<Duration>,
    /// Leave out locks of services on the shizuku crate, which can be at any key: spares a list of
    /// all keys
    #[arg(long)]
    pub no_shizuku: bool,
}

const RUN: &str = "\
CMD finds in its environment: KVSCOPE_FENCE, the fencing token, higher than that of everybody who
held the lock before: give it along with every write, and let what you guard refuse a lower one.
KVSCOPE_LOCK_BUCKET, KVSCOPE_LOCK_RESOURCE and KVSCOPE_LOCK_SESSION say whose lock it is.

Standard input, output and error are CMD's own. HUP, INT, QUIT, TERM, USR1 and USR2 are passed on to
it; a key such as Ctrl-C reaches it by itself, and is not sent twice. A signal while the lock is
waited for gives up the place in the queue.

When the lease is lost, CMD and everything that it has started get TERM and, if they are still there
after 5 s or a sixth of the lease, whichever is shorter, KILL. Only then is the lock let go. On Linux
a small process between kvscope and CMD does the same when kvscope itself is killed (-9), or is
stopped (SIGSTOP) for so long that the lease runs out; nobody else is let in before the lease has run
out. What can't be stopped so: programs of other users (sudo, setuid), what CMD has others start
(systemd, docker, cron, ssh), processes that multiply faster than they are killed, and CMD's own
children should both kvscope and that process be killed at once. Only the fence helps against those.
What CMD leaves running when it ends by itself goes on, without the lock.

The exit code is CMD's own, or 128 + N if a signal N ended it; 126 if CMD can't be run, 127 if it is
not there; 5 if the lock was not granted within --wait, or was lost before CMD ended. Where the lock
can't be let go afterwards, the reason is told, and the code is CMD's all the same.";

const BREAK: &str = "\
The session is killed, so that it can't renew its lease; after a quarantine of 9/8 of the lease, in
which every guard that it gave out runs out, it is taken out of this lock and of all others of the
bucket. Should this command be stopped meanwhile, whoever waits for the lock finishes it.

With --force there is no quarantine: the session's process may take its guard for valid for 7/8 of
the lease still, so two may hold. The resource's name is asked for at the terminal; a script gives
it in --yes-resource.

A lock is broken only if it is as it was when it was looked at, or with --revision, as `lock show`
showed it; else the exit code is 4, and what is there now is told.

With --reset the lock is one of a service on the shizuku crate, which knows no sessions: its record
is set to nobody inside and nobody waiting.";

/// What to run, and under which lock.
#[derive(Debug, Args)]
#[command(after_help = RUN, override_usage = "kvscope lock run [OPTIONS] BUCKET RESOURCE -- CMD [ARG]...")]
pub struct LockRunArgs {
    /// Share the lock with other readers; else CMD holds it alone
    #[arg(long)]
    pub read: bool,
    /// Give up when it is not granted in this time, such as 30s; 0s: when it is not free
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub wait: Option<Duration>,
    /// What people see as the one who holds it; the command's name if not given
    #[arg(long, value_name = "TEXT")]
    pub label: Option<String>,
    /// After how long without a sign of life others may take the lock away
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "15s")]
    pub lease: Duration,
    /// The bucket that keeps the lock
    pub bucket: String,
    /// What is locked
    pub resource: String,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// The inner half of `lock run`.
#[derive(Debug, Args)]
pub struct LockSuperviseArgs {
    /// The process that the command must not outlive.
    #[arg(long)]
    pub parent: i32,
    /// The number of the open file of that process by which it tells what to do.
    #[arg(long)]
    pub orders: i32,
    /// The lease of the lock.
    #[arg(long, value_parser = duration)]
    pub lease: Duration,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}

/// The innermost part of `lock run`.
#[derive(Debug, Args)]
pub struct LockExecArgs {
    /// The process that this one must not outlive.
    #[arg(long)]
    pub parent: i32,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}

/// Which lock to break, and how.
#[derive(Debug, Args)]
#[command(after_help = BREAK)]
#[command(group = ArgGroup::new("what").args(["session", "reset"]).required(true))]
pub struct LockBreakArgs {
    /// The bucket that keeps the lock
    pub bucket: String,
    /// What is locked; with --reset, the key of the record
    pub resource: String,
    /// The session to break, as `lock show` names it
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// Reset the lock of a service on the shizuku crate
    #[arg(long)]
    pub reset: bool,
    /// Only if the lock is at this revision
    #[arg(long, value_name = "N")]
    pub revision: Option<u64>,
    /// Evict at once, without a quarantine: two may hold for a while
    #[arg(long, conflicts_with = "reset")]
    pub force: bool,
    /// The resource's name once more, in place of typing it
    #[arg(long, value_name = "NAME", requires = "force")]
    pub yes_resource: Option<String>,
    /// Don't ask first
    #[arg(short, long, conflicts_with = "force")]
    pub yes: bool,
}
