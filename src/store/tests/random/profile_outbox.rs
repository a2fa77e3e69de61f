//! The profiles (`profile.rs`) of sequences in which queues send messages, and are fed, and of topics and breakers.

use super::choice::Kind::*;
use super::profile::Profile;

/// Messages are staged, committed, carried late and more than once; their jobs end, and are forgotten at once.
pub(crate) const OUTBOX: Profile = Profile(&[
    (12, Outbox),
    (16, Carry),
    (3, Advance),
    (3, Remove),
    (2, Pass),
    (1, Back),
    (2, Trim),
]);

/// Logs are fed, and their jobs are removed.
pub(crate) const FED: Profile = Profile(&[(12, Feed), (3, Advance), (3, Remove), (2, Pass)]);

/// Events are published, and queues are fed with them.
pub(crate) const TOPICS: Profile = Profile(&[(20, Topic), (4, Pass), (1, Back), (1, Delete)]);

/// Calls fail, and go well.
pub(crate) const BREAKERS: Profile = Profile(&[(20, Breaker), (8, Pass), (1, Back), (1, Delete)]);
