//! Profiles (`profile.rs`) of sequences in which jobs die, and dead letters are capped.

use super::choice::Kind::*;
use super::profile::Profile;

/// Some of them halt their order.
pub(crate) const DEAD_CAPPED: Profile = Profile(&[
    (10, Enqueue),
    (20, Advance),
    (10, Configure),
    (10, Trim),
    (8, Pass),
]);
