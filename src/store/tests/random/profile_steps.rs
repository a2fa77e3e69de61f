//! Profiles (`profile.rs`) of sequences in which jobs have durable steps.

use super::choice::Kind::*;
use super::profile::Profile;

/// Steps are stored, jobs are put aside and told, end, and go.
pub(crate) const STEPS: Profile = Profile(&[
    (6, Enqueue),
    (14, Advance),
    (14, Step),
    (10, Suspend),
    (14, Signal),
    (2, Remove),
    (2, Replay),
    (2, Cancel),
    (2, Trim),
    (6, Pass),
]);

/// The same, and the jobs have groups and orders.
pub(crate) const STEPS_GATED: Profile = Profile(&[
    (10, Enqueue),
    (18, Advance),
    (8, Step),
    (16, Suspend),
    (10, Signal),
    (4, Pass),
]);

/// Jobs that were put aside are changed, then told; some have groups and orders.
pub(crate) const STEPS_EDITED: Profile = Profile(&[
    (3, Enqueue),
    (10, Advance),
    (3, Step),
    (30, Suspend),
    (40, Edit),
    (8, Signal),
    (2, Pass),
]);

/// Jobs that have steps meet duplicates.
pub(crate) const STEPS_UNIQUE: Profile = Profile(&[
    (10, EnqueueUnique),
    (6, EnqueueLatest),
    (14, Advance),
    (10, Step),
    (14, Suspend),
    (8, Signal),
    (4, Pass),
]);

/// Jobs that were put aside lose their lists.
pub(crate) const STEPS_LOST: Profile = Profile(&[
    (8, Enqueue),
    (14, Advance),
    (8, Step),
    (14, Suspend),
    (8, LoseList),
]);

/// Jobs add children while they run, wait for them, and have others beside.
pub(crate) const SPAWN: Profile = Profile(&[
    (8, Enqueue),
    (18, Advance),
    (16, SpawnChildren),
    (14, EndChild),
    (6, Suspend),
    (4, Signal),
    (5, Replay),
    (4, Remove),
    (2, Cancel),
    (6, Pass),
]);

/// The same, and children that have died are replayed.
pub(crate) const SPAWN_REPLAYED: Profile = Profile(&[
    (6, Enqueue),
    (22, Advance),
    (12, SpawnChildren),
    (16, EndChild),
    (14, Replay),
    (3, Trim),
    (4, Pass),
]);
