//! Profiles (`profile.rs`) of sequences in which jobs are sagas.

use super::choice::Kind::*;
use super::profile::Profile;

/// Sagas do steps, fail, are cancelled, undone, and go.
pub(crate) const SAGAS: Profile = Profile(&[
    (6, Enqueue),
    (14, Advance),
    (16, Saga),
    (4, Suspend),
    (8, Cancel),
    (4, Judge),
    (2, Remove),
    (2, Replay),
    (6, Pass),
]);

/// Their workers die, and it was asked for their end.
pub(crate) const SAGAS_ASKED: Profile = Profile(&[
    (4, Enqueue),
    (8, Advance),
    (14, Saga),
    (12, Cancel),
    (8, Judge),
    (6, Pass),
]);

/// Their workers die.
pub(crate) const SAGAS_STALLED: Profile = Profile(&[
    (4, Enqueue),
    (8, Advance),
    (10, Saga),
    (8, Outlive),
    (4, Cancel),
]);
