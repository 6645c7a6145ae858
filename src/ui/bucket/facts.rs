//! What is known of a bucket beside its settings, in words: usage, copies, inflows.

use crate::kv::backend::{BucketInfo, Follower};
use crate::ui::text::figures;

/// How many columns a bar takes.
pub const BAR: usize = 20;

const NO_LEADER: &str = "NONE: it can't be written to";
const NEVER_HEARD_OF: &str = "NEVER HEARD OF";
const OFFLINE: &str = "OFFLINE";
const BEHIND: &str = "NOT UP TO DATE";

/// A limit in bytes, with how much of it is used where that is known.
pub fn limit(limit: Option<u64>, used: Option<u64>) -> String {
    match (limit, used) {
        (None, _) => "none".to_owned(),
        (Some(limit), None) => figures::size(limit),
        (Some(limit), Some(used)) => {
            format!(
                "{} {}",
                figures::size(limit),
                figures::bar(used, limit, BAR)
            )
        }
    }
}

/// The nodes that keep a bucket and the buckets that its entries come from, a line each.
pub fn copies(info: &BucketInfo) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(copies) = &info.copies {
        let cluster = copies.cluster.clone();
        lines.extend(cluster.map(|cluster| ("cluster", cluster)));
        let leader = copies.leader.clone();
        let leader = leader.unwrap_or_else(|| NO_LEADER.to_owned());
        lines.push(("leader", leader));
        lines.extend(
            copies
                .followers
                .iter()
                .map(|node| ("follower", follower(node))),
        );
    }
    for inflow in &info.inflows {
        let lag = match inflow.lag {
            0 => "up to date".to_owned(),
            lag => format!("{} entries behind", figures::count(lag)),
        };
        let heard = match inflow.last_heard {
            Some(time) => format!("heard of {} ago", figures::age(time)),
            None => NEVER_HEARD_OF.to_owned(),
        };
        lines.push(("comes from", format!("{}: {lag}, {heard}", inflow.name)));
    }
    lines
}

/// Whether a line of [`copies`] tells of something that is wrong.
pub fn is_fault(words: &str) -> bool {
    [NO_LEADER, NEVER_HEARD_OF, OFFLINE, BEHIND]
        .iter()
        .any(|fault| words.contains(fault))
}

fn follower(node: &Follower) -> String {
    let state = match (node.is_offline, node.is_current) {
        (true, _) => OFFLINE.to_owned(),
        (false, true) if node.lag == 0 => "up to date".to_owned(),
        (false, true) => format!("{} behind", figures::count(node.lag)),
        (false, false) => format!("{BEHIND}, {} behind", figures::count(node.lag)),
    };
    let heard = match node.last_heard {
        Some(age) => format!("heard of {} ago", figures::age(age)),
        None => "not heard of by the present leader".to_owned(),
    };
    format!("{}: {state}, {heard}", node.name)
}
