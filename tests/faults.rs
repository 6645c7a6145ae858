//! What happens when a NATS server, its streams or the wire to it fail.
//!
//! Here is only what the tests are made of; they are in the folder, by what fails.

#![cfg(feature = "nats")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail like tests"
)]

#[path = "faults/access.rs"]
mod access;
#[path = "faults/cluster.rs"]
mod cluster;
#[path = "faults/leaving.rs"]
mod leaving;
#[path = "faults/listing.rs"]
mod listing;
#[path = "faults/losses.rs"]
mod losses;
#[path = "faults/outages.rs"]
mod outages;
#[path = "faults/picture.rs"]
mod picture;
#[path = "faults/setup.rs"]
mod setup;
#[path = "faults/sign_in.rs"]
mod sign_in;
#[path = "faults/strangers.rs"]
mod strangers;
#[path = "support/nats.rs"]
mod support;
#[path = "faults/words.rs"]
mod words;
