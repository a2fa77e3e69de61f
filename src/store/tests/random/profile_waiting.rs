//! Profiles (`profile.rs`) of sequences in which jobs wait for others: for their unique key, for their gate, for
//! what the limits of the queue allow.

use super::choice::Kind::*;
use super::profile::Profile;

/// A job with a unique key runs, and jobs with the same key wait for its end.
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

/// Jobs wait for their children, which end in every way.
pub(crate) const FLOWS: Profile = Profile(&[
    (14, EnqueueFlow),
    (20, Advance),
    (4, Replay),
    (4, Remove),
    (3, Cancel),
    (6, Pass),
]);

/// The same, and the flows have jobs for when something has become of their children.
pub(crate) const FLOWS_CALLING: Profile = Profile(&[
    (14, EnqueueBatch),
    (20, Advance),
    (6, Replay),
    (4, Remove),
    (3, Cancel),
    (6, Pass),
]);

/// Parents and children are in different queues.
pub(crate) const FLOWS_FAR: Profile = Profile(&[
    (6, EnqueueFlow),
    (24, FarFlow),
    (14, Advance),
    (4, Replay),
    (3, Remove),
    (2, Cancel),
    (4, Pass),
]);

/// The same, and dead letters are dropped.
pub(crate) const FLOWS_FAR_CAPPED: Profile = Profile(&[
    (20, FarFlow),
    (20, Advance),
    (6, Configure),
    (8, Trim),
    (3, Replay),
    (8, Pass),
]);

/// The same, and lists are lost, jobs changed, and dead letters dropped.
pub(crate) const FLOWS_TENDED: Profile = Profile(&[
    (14, EnqueueFlow),
    (18, Advance),
    (6, Replay),
    (6, LoseList),
    (8, Edit),
    (4, Trim),
    (6, Configure),
    (3, Judge),
    (6, Pass),
]);

/// The same, and children stall until they are dead.
pub(crate) const FLOWS_POISON: Profile = Profile(&[
    (10, EnqueueFlow),
    (12, Advance),
    (8, Replay),
    (10, Pass),
    (12, Judge),
    (8, Configure),
    (6, Trim),
]);

/// The same, and parents are removed while their children run.
pub(crate) const FLOWS_REMOVED: Profile =
    Profile(&[(20, EnqueueFlow), (12, Advance), (14, Remove), (2, Pass)]);

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

/// Jobs with unique keys meet, end in every way, and are replayed.
pub(crate) const UNIQUE: Profile = Profile(&[
    (14, EnqueueUnique),
    (16, Advance),
    (4, Judge),
    (6, Replay),
    (4, Remove),
    (4, Cancel),
    (3, Trim),
    (8, Pass),
]);

/// Jobs with unique keys stall until they are dead.
pub(crate) const UNIQUE_POISON: Profile = Profile(&[
    (8, EnqueueUnique),
    (12, Advance),
    (10, Pass),
    (12, Judge),
    (6, Configure),
]);

/// Jobs with unique keys die, and are replayed.
pub(crate) const UNIQUE_REPLAYED: Profile =
    Profile(&[(6, EnqueueUnique), (16, Advance), (16, Replay)]);

/// Jobs expire before they start.
pub(crate) const EXPIRY: Profile = Profile(&[
    (14, EnqueueExpiring),
    (14, Advance),
    (3, HandAllBack),
    (3, Promote),
    (3, Remove),
    (3, Cancel),
    (12, Pass),
]);

/// Jobs with unique keys are changed before they run.
pub(crate) const UNIQUE_EDITED: Profile =
    Profile(&[(8, EnqueueUnique), (8, Advance), (14, Edit), (4, Pass)]);

/// Jobs with unique keys are cancelled while they run, and their workers die.
pub(crate) const UNIQUE_REQUESTED: Profile = Profile(&[
    (8, EnqueueUnique),
    (12, Advance),
    (12, Cancel),
    (8, Pass),
    (10, Judge),
]);

/// Jobs that expire before they start are put off, and handed back.
pub(crate) const EXPIRY_SNOOZED: Profile = Profile(&[
    (8, EnqueueExpiring),
    (8, Advance),
    (12, Snooze),
    (12, HandAllBack),
    (4, Pass),
]);

/// Limits of a queue whose workers die while they run heavy jobs.
pub(crate) const LIMITED_SUSPECTS: Profile =
    Profile(&[(8, Enqueue), (14, Advance), (4, LoseHeavy)]);

/// Limits of a queue whose workers have no free slot when the token wakes them.
pub(crate) const LIMITED_FULL: Profile = Profile(&[
    (8, Enqueue),
    (10, Advance),
    (4, Limit),
    (8, Full),
    (4, Pass),
]);

/// The same, and idle workers hear of it.
pub(crate) const SUSPECTS_WAKING: Profile = Profile(&[
    (4, Enqueue),
    (14, Advance),
    (4, LoseHeavy),
    (3, Limit),
    (10, Pop),
    (4, Pass),
]);

/// A rate opens for suspects.
pub(crate) const SUSPECTS_OPEN: Profile = Profile(&[(2, Enqueue), (4, Advance), (8, Open)]);

/// Jobs wait for a worker that has a handler of their name, and no worker hears of them.
pub(crate) const LOST_NEWS: Profile = Profile(&[
    (6, Enqueue),
    (10, Advance),
    (8, HandAllBack),
    (8, LoseNews),
    (4, Pop),
]);

/// Heavy jobs wait for the rate, and others become due.
pub(crate) const LIMITED_DUE: Profile = Profile(&[
    (6, Enqueue),
    (8, Weigh),
    (14, Advance),
    (6, Limit),
    (3, Pass),
]);

/// Jobs wait, and somebody looks for how long.
pub(crate) const OLDEST: Profile = Profile(&[
    (12, Enqueue),
    (8, Advance),
    (8, Judge),
    (10, Oldest),
    (8, Pass),
]);

/// The same, where workers have handlers for different jobs.
pub(crate) const OLDEST_UNLIKE: Profile = Profile(&[
    (8, Enqueue),
    (8, Advance),
    (8, HandAllBack),
    (10, Oldest),
    (6, Pass),
]);

/// The same, and groups are changed, jobs removed, and lists lost.
pub(crate) const NAMED_GROUPS: Profile = Profile(&[
    (10, EnqueueNamed),
    (12, Advance),
    (8, ChangeName),
    (4, ChangeGroup),
    (3, Remove),
    (3, Cancel),
    (3, LoseList),
    (2, Trim),
    (4, Pass),
]);

/// Jobs of names come that are paused and resumed, and their groups are limited.
pub(crate) const NAMED_LIMITS: Profile = Profile(&[
    (12, EnqueueNamed),
    (20, Advance),
    (4, ChangeName),
    (6, ChangeGroup),
    (4, Squeeze),
]);

/// Jobs come and go, and somebody asks which payloads in a store they have.
pub(crate) const TICKETS: Profile = Profile(&[
    (10, Enqueue),
    (8, Advance),
    (4, Remove),
    (10, Tickets),
    (4, Pass),
]);
