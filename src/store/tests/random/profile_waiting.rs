//! Profiles (`profile.rs`) of sequences in which jobs wait for others: for their unique key, for their gate.

use super::choice::Kind::*;
use super::profile::Profile;

/// Jobs wait for the end of the one that has their unique key, and runs.
pub(crate) const LATEST: Profile = Profile(&[
    (14, EnqueueLatest),
    (18, Advance),
    (3, Judge),
    (3, Remove),
    (3, Cancel),
    (2, Replay),
    (6, Pass),
]);

/// The same, and they are changed meanwhile.
pub(crate) const LATEST_EDITED: Profile =
    Profile(&[(10, EnqueueLatest), (12, Advance), (12, Edit), (4, Pass)]);

/// The same, and lists are lost.
pub(crate) const LATEST_LOST: Profile = Profile(&[
    (10, EnqueueLatest),
    (12, Advance),
    (12, LoseList),
    (3, Pass),
]);

/// Somebody asks which job has a key.
pub(crate) const KEYS_ASKED: Profile = Profile(&[
    (10, EnqueueUnique),
    (12, Advance),
    (12, AskForKey),
    (6, Pass),
]);

/// Jobs with groups and orders are changed before they run.
pub(crate) const GATES_EDITED: Profile = Profile(&[
    (12, Enqueue),
    (12, Advance),
    (14, Edit),
    (3, Promote),
    (6, Pass),
]);
