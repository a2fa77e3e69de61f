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

/// Jobs with children send replies, end and are cancelled, replayed and read.
pub(crate) const REPLIES_OF_PARENTS: Profile = Profile(&[
    (8, Enqueue),
    (16, Advance),
    (10, SpawnChildren),
    (10, EndChild),
    (14, Reply),
    (4, ReadReplies),
    (4, Remove),
    (4, Cancel),
    (4, Replay),
    (4, Pass),
]);
