//! Profiles (`profile.rs`) of sequences in which handlers say something: lines of a log, and replies.

use super::choice::Kind::*;
use super::profile::Profile;

/// Handlers write into the logs of their jobs, which fail, end and go.
pub(crate) const LOGS: Profile = Profile(&[
    (6, Enqueue),
    (16, Advance),
    (14, Log),
    (6, ReadLog),
    (3, Recover),
    (3, Remove),
    (2, Replay),
    (2, Trim),
    (5, Pass),
]);

/// Handlers send replies, which callers read; their jobs fail, end and go.
pub(crate) const REPLIES: Profile = Profile(&[
    (6, Enqueue),
    (16, Advance),
    (16, Reply),
    (12, ReadReplies),
    (3, Recover),
    (3, Remove),
    (2, Replay),
    (1, Configure),
    (2, Trim),
    (5, Pass),
]);
