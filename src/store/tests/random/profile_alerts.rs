//! The profile (`profile.rs`) of sequences in which alerts are judged and acknowledged.

use super::choice::Kind::*;
use super::profile::Profile;

/// Rounds begin and end, and jobs tell of it.
pub(crate) const ALERTS: Profile = Profile(&[
    (12, Alert),
    (3, Pass),
    (2, Back),
    (2, Enqueue),
    (3, Advance),
]);
