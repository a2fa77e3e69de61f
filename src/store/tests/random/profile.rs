//! Which operations a random sequence is made of. The ordinary sequences have all of them
//! (`choice::FULL_MIX`). A mutant has a profile with those that show what is broken in it, and no
//! others: so it is found soon, and an operation that is added later changes nothing for it.
//!
//! A mutant that is added takes a profile of these, or a new one. None of these is changed for it:
//! that would change how soon the mutants are found that have the profile now.

use super::choice::Kind::{self, *};
pub(crate) use super::profile_alerts::ALERTS;
pub(crate) use super::profile_dead::DEAD_CAPPED;
pub(crate) use super::profile_outbox::{BREAKERS, FED, OUTBOX, TOPICS};
pub(crate) use super::profile_replies::{LOGS, REPLIES};
pub(crate) use super::profile_sagas::{SAGAS, SAGAS_ASKED, SAGAS_STALLED};
pub(crate) use super::profile_steps::{
    SPAWN, SPAWN_REPLAYED, STEPS, STEPS_EDITED, STEPS_GATED, STEPS_LOST, STEPS_UNIQUE,
};
pub(crate) use super::profile_waiting::{
    EXPIRY, EXPIRY_SNOOZED, FLOWS, FLOWS_CALLING, FLOWS_FAR, FLOWS_FAR_CAPPED, FLOWS_POISON,
    FLOWS_REMOVED, FLOWS_TENDED, GATES_EDITED, KEYS_ASKED, LATEST, LATEST_EDITED, LATEST_LOST,
    LIMITED_DUE, LIMITED_FULL, LIMITED_SUSPECTS, LOST_NEWS, NAMED_GROUPS, NAMED_LIMITS, OLDEST,
    OLDEST_UNLIKE, SUSPECTS_OPEN, SUSPECTS_WAKING, UNIQUE, UNIQUE_EDITED, UNIQUE_POISON,
    UNIQUE_REPLAYED, UNIQUE_REQUESTED,
};

/// Kinds of operations, each with its weight: how often it is chosen beside the others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Profile(pub(super) &'static [(u32, Kind)]);

/// Jobs come, are claimed, and end.
pub(crate) const CLAIMS: Profile = Profile(&[(10, Enqueue), (20, Advance), (4, Pass), (2, Back)]);

/// Calls are sent again, come late, or are asked about.
pub(crate) const CALLS: Profile = Profile(&[
    (10, Enqueue),
    (12, Advance),
    (8, Repeat),
    (6, Question),
    (6, Late),
    (2, Trim),
    (3, Pass),
]);

/// Workers claim what others had, and send calls again.
pub(crate) const REPEATS: Profile = Profile(&[(6, Enqueue), (16, Advance), (12, Repeat)]);

/// The queue is empty again and again.
pub(crate) const DRAINING: Profile = Profile(&[(3, Enqueue), (20, Advance)]);

/// Idle workers hear of jobs.
pub(crate) const WAKING: Profile = Profile(&[
    (10, Enqueue),
    (16, Advance),
    (6, Pop),
    (6, Pass),
    (3, Pause),
    (3, Resume),
]);

/// Jobs have delays, and fall due, many at a time.
pub(crate) const DUE: Profile = Profile(&[
    (10, Enqueue),
    (2, Flood),
    (14, Advance),
    (4, Promote),
    (10, Pass),
]);

/// Leases are made longer, and are judged.
pub(crate) const LEASES: Profile = Profile(&[
    (6, Enqueue),
    (16, Advance),
    (8, Extend),
    (8, Progress),
    (6, Recover),
    (6, Pass),
]);

/// Leases run out, and the clock is in doubt.
pub(crate) const DOUBTS: Profile = Profile(&[
    (6, Enqueue),
    (12, Advance),
    (10, Recover),
    (8, Pass),
    (6, Back),
]);

/// Leases run out, and suspects run.
pub(crate) const SUSPECTS: Profile = Profile(&[
    (8, Enqueue),
    (14, Advance),
    (8, Pass),
    (10, Judge),
    (3, Configure),
]);

/// Jobs stall until they are dead, and are replayed.
pub(crate) const POISON: Profile = Profile(&[
    (6, Enqueue),
    (10, Advance),
    (10, Pass),
    (12, Judge),
    (16, Replay),
    (6, Configure),
]);

/// Jobs have ended: they are awaited, trimmed, replayed, removed.
pub(crate) const ENDED: Profile = Profile(&[
    (10, Enqueue),
    (16, Advance),
    (6, Trim),
    (6, Watch),
    (4, Replay),
    (4, Remove),
    (8, Pass),
]);

/// Jobs die, and are looked after by an operator.
pub(crate) const DEAD: Profile = Profile(&[
    (8, Enqueue),
    (6, EnqueueUnique),
    (20, Advance),
    (8, RemoveDead),
    (3, Replay),
]);

/// Dead jobs come from elsewhere, and what operators do is noted.
pub(crate) const IMPORTED: Profile = Profile(&[
    (4, Enqueue),
    (6, Advance),
    (12, Import),
    (4, RemoveDead),
    (4, Replay),
    (8, Audit),
    (3, Pass),
]);

/// Jobs die, and are changed.
pub(crate) const DEAD_EDITED: Profile =
    Profile(&[(6, Enqueue), (14, Advance), (20, Edit), (3, Replay)]);

/// Jobs have ended, and are kept as long as is set, or as they ask for.
pub(crate) const KEPT: Profile = Profile(&[
    (10, Enqueue),
    (18, Advance),
    (6, Configure),
    (6, Trim),
    (6, Watch),
    (10, Pass),
]);

/// Settings are declared, changed, lost sight of, and read.
pub(crate) const SETTINGS: Profile =
    Profile(&[(6, Enqueue), (8, Advance), (14, Configure), (4, Settings)]);

/// Queues are deleted, whatever they hold, and calls are sent again.
pub(crate) const DELETED: Profile = Profile(&[
    (8, Enqueue),
    (10, Advance),
    (8, Repeat),
    (3, Schedule),
    (6, Delete),
    (3, Pass),
    (3, Outlive),
]);

/// Jobs lose their lists.
pub(crate) const LOST_LISTS: Profile = Profile(&[
    (10, Enqueue),
    (14, Advance),
    (6, HandAllBack),
    (4, Replay),
    (10, LoseList),
    (4, Outlive),
]);

/// A queue holds nothing for long.
pub(crate) const IDLE: Profile = Profile(&[
    (4, Enqueue),
    (10, Advance),
    (4, Watch),
    (2, Schedule),
    (8, Trim),
    (8, Pass),
    (6, Outlive),
]);

/// Jobs are removed, and queues become empty.
pub(crate) const REMOVED: Profile =
    Profile(&[(6, Enqueue), (10, Advance), (12, Remove), (3, Pass)]);

/// Jobs are cancelled while they wait.
pub(crate) const CANCELLED: Profile = Profile(&[
    (10, Enqueue),
    (8, Advance),
    (3, HandAllBack),
    (10, Cancel),
    (3, Watch),
    (3, Pass),
]);

/// Jobs have groups and orders, and end in all the ways there are.
pub(crate) const GATES: Profile = Profile(&[
    (12, Enqueue),
    (24, Advance),
    (2, Flood),
    (2, Judge),
    (2, Promote),
    (3, Replay),
    (3, Remove),
    (3, Cancel),
    (2, Configure),
    (2, ChangeGroup),
    (8, Pass),
]);

/// Jobs with a gate stall, and their groups are at their limits.
pub(crate) const GATE_SUSPECTS: Profile = Profile(&[
    (8, Enqueue),
    (18, Advance),
    (4, Judge),
    (8, Pass),
    (4, ChangeGroup),
    (6, Squeeze),
]);

/// The limits of groups are raised and lowered while jobs come.
pub(crate) const GATE_LIMITS: Profile =
    Profile(&[(10, Enqueue), (10, Advance), (6, Configure), (6, Squeeze)]);

/// The limits of groups are raised and lowered, and workers look after what they held back.
pub(crate) const GATE_ROUNDS: Profile =
    Profile(&[(10, Enqueue), (10, Advance), (10, Configure), (8, Trim)]);

/// Jobs with a gate lose their lists.
pub(crate) const LOST_GATES: Profile = Profile(&[
    (12, Enqueue),
    (14, Advance),
    (12, LoseList),
    (2, Trim),
    (4, Pass),
]);

/// Jobs are changed before they run.
pub(crate) const EDITED: Profile = Profile(&[
    (10, Enqueue),
    (8, Advance),
    (4, HandAllBack),
    (14, Edit),
    (3, Pop),
    (6, Pass),
    (2, Pause),
    (2, Resume),
]);

/// Jobs are put off, die, and are replayed.
pub(crate) const SNOOZED: Profile = Profile(&[
    (6, Enqueue),
    (14, Advance),
    (14, Snooze),
    (8, Pass),
    (10, Replay),
]);

/// Jobs are cancelled while they run, complete all the same, and are removed.
pub(crate) const REMOVED_AFTER_ALL: Profile =
    Profile(&[(6, Enqueue), (18, Advance), (14, Cancel), (12, Remove)]);

/// Jobs are cancelled while they run.
pub(crate) const REQUESTED: Profile = Profile(&[
    (8, Enqueue),
    (14, Advance),
    (12, Cancel),
    (4, Extend),
    (6, Pass),
    (6, Judge),
    (3, Trim),
    (2, Remove),
]);

/// Jobs stall until they are dead, and nothing else is left.
pub(crate) const OUTLIVED: Profile = Profile(&[(6, Enqueue), (10, Advance), (8, Outlive)]);

/// Callers wait for outcomes.
pub(crate) const AWAITED: Profile = Profile(&[(6, Enqueue), (16, Advance), (8, Watch)]);

/// Workers have handlers for different jobs, and everything is done with those jobs.
pub(crate) const UNLIKE: Profile = Profile(&[
    (8, Enqueue),
    (14, Advance),
    (8, HandAllBack),
    (6, Busy),
    (3, Promote),
    (2, Remove),
    (8, Pass),
    (2, Pop),
    (2, Pause),
    (2, Resume),
]);

/// Workers hand jobs back, hear of them, and take them by their names.
pub(crate) const HANDED_BACK: Profile =
    Profile(&[(6, Enqueue), (12, Advance), (8, HandAllBack), (4, Pop)]);

/// Workers that have handlers for a job are busy.
pub(crate) const BUSY: Profile = Profile(&[
    (8, Enqueue),
    (8, Advance),
    (8, HandAllBack),
    (10, Busy),
    (4, Pass),
]);

/// No worker takes jobs that were handed back.
pub(crate) const OVERDUE: Profile = Profile(&[
    (6, Enqueue),
    (8, Advance),
    (8, HandAllBack),
    (6, Pass),
    (8, Promote),
]);

/// Jobs are handed back while the queue is paused.
pub(crate) const PAUSES: Profile = Profile(&[
    (6, Enqueue),
    (14, Advance),
    (6, HandAllBack),
    (4, Pause),
    (6, Resume),
]);

/// Names of jobs are paused, and their jobs go on.
pub(crate) const NAMED: Profile = Profile(&[
    (12, EnqueueNamed),
    (20, Advance),
    (6, ChangeName),
    (3, HandAllBack),
    (3, Repeat),
    (3, Promote),
    (2, Pop),
    (8, Pass),
]);

/// Jobs of names come that are paused and resumed, and workers die.
pub(crate) const NAMED_SUSPECTS: Profile = Profile(&[
    (6, EnqueueNamed),
    (16, Advance),
    (6, ChangeName),
    (6, LoseWorker),
    (4, Pass),
    (4, Promote),
]);

/// Schedules tick, and their jobs run.
pub(crate) const TICKS: Profile =
    Profile(&[(8, Schedule), (14, Fire), (3, Advance), (3, Pop), (8, Pass)]);

/// Workers hand the next tick on to others.
pub(crate) const HANDED_ON: Profile = Profile(&[(8, Schedule), (14, Fire), (8, Pop)]);

/// Schedules are changed while they tick.
pub(crate) const EDITS: Profile = Profile(&[(14, Schedule), (8, Fire), (1, Unschedule), (6, Pass)]);

/// Something of a schedule is lost, and found.
pub(crate) const LOST_TICKS: Profile = Profile(&[
    (10, Schedule),
    (6, Fire),
    (3, Unschedule),
    (4, Schedules),
    (8, Lose),
    (8, Tend),
    (6, Pass),
]);

/// Jobs are looked at page by page, while they come and go.
pub(crate) const PAGES: Profile = Profile(&[
    (8, Enqueue),
    (14, Advance),
    (12, List),
    (3, Remove),
    (3, Replay),
]);

/// Some of the jobs are looked for, in both directions.
pub(crate) const WANTED: Profile = Profile(&[
    (6, Enqueue),
    (3, EnqueueNamed),
    (14, Advance),
    (14, ListWanted),
    (3, LoseWorker),
    (4, Pass),
]);

/// The queue has limits.
pub(crate) const LIMITS: Profile = Profile(&[
    (8, Enqueue),
    (4, Weigh),
    (18, Advance),
    (4, Limit),
    (3, Repeat),
    (3, Pop),
    (8, Pass),
    (1, Back),
]);

/// Limits of a queue whose jobs have gates.
pub(crate) const LIMITED_GATES: Profile = Profile(&[
    (12, Enqueue),
    (24, Advance),
    (3, Limit),
    (3, Wait),
    (3, Pop),
    (2, Configure),
    (2, ChangeGroup),
    (8, Pass),
]);

/// Groups have rates and are held.
pub(crate) const GATE_PACE: Profile = Profile(&[
    (12, Enqueue),
    (24, Advance),
    (4, Wait),
    (4, Configure),
    (6, ChangeGroup),
    (2, Trim),
    (10, Pass),
]);

/// Handlers are told to wait, and an operator pauses the queue.
pub(crate) const HOLDS: Profile = Profile(&[
    (6, Enqueue),
    (14, Advance),
    (10, Wait),
    (2, Pause),
    (3, Resume),
    (2, Pass),
]);

/// Limits of a queue whose workers have handlers for different jobs.
pub(crate) const LIMITED_UNLIKE: Profile = Profile(&[
    (6, Enqueue),
    (20, Advance),
    (6, HandAllBack),
    (4, Busy),
    (4, Limit),
    (3, Pop),
    (6, Pass),
]);

/// Limits of a queue whose jobs expire.
pub(crate) const LIMITED_EXPIRY: Profile = Profile(&[
    (12, EnqueueExpiring),
    (14, Advance),
    (4, Limit),
    (3, Pop),
    (8, Pass),
]);

/// Handlers are told to wait, and the clock is set back.
pub(crate) const HOLDS_IN_DOUBT: Profile = Profile(&[
    (6, Enqueue),
    (14, Advance),
    (10, Wait),
    (6, Back),
    (2, Pass),
]);

/// A queue with limits holds nothing for long.
pub(crate) const LIMITED_IDLE: Profile = Profile(&[(6, Once), (6, Trim), (6, Pass)]);

/// Workers say that they are there, or that they stop.
pub(crate) const REPORTS: Profile = Profile(&[(10, Report), (6, Pass), (1, Back)]);

/// They say so a day later.
pub(crate) const REPORT_DAYS: Profile = Profile(&[(10, Report), (6, PassDay)]);

/// They say so while jobs come and go.
pub(crate) const REPORTED: Profile =
    Profile(&[(10, Report), (6, Enqueue), (6, Advance), (4, Pass)]);

/// Jobs come from another queue.
pub(crate) const ADOPTED: Profile = Profile(&[
    (5, Enqueue),
    (5, EnqueueUnique),
    (12, Adopt),
    (10, Advance),
    (2, Remove),
    (5, Pass),
]);
