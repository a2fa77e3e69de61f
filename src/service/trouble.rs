//! Whether Redis does what it should, as the whole worker sees it.
//!
//! Trouble is kept apart for each kind of call. So Redis is not reported as well again because claims go
//! well, while each call that drops old jobs is refused. But while Redis is away all kinds fail, and the first
//! call of any kind that goes well shows that Redis is back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::{info, warn};

use crate::service::hooks::{Hooks, WorkerEvent};
use crate::store::backend::Trouble;

/// What a call of a worker is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// Storing outcomes and claiming jobs.
    Advance,
    LeaseRenewal,
    Recovery,
    Promotion,
    Trimming,
    ScheduleUpkeep,
    SettingsUpkeep,
    Reporting,
    /// Carrying messages to other queues.
    Relaying,
    /// Feeding the queue from topics.
    Feeding,
}

const KINDS: usize = CallKind::Feeding as usize + 1;

/// How the calls of one kind go.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Well,
    /// The last one failed as it does when Redis is away, or together with others.
    Away,
    /// The same, but a call of another kind went well since.
    AwayThen,
    /// It fails while other kinds go well: only a call of this kind can show that this is over.
    Failing,
}

impl State {
    /// `is_shared`: such a failure concerns calls of other kinds as well.
    fn after_failure(self, is_shared: bool) -> Self {
        match self {
            Self::Well if is_shared => Self::Away,
            Self::Away => Self::Away,
            Self::Well | Self::AwayThen | Self::Failing => Self::Failing,
        }
    }

    fn is_trouble(self) -> bool {
        matches!(self, Self::Away | Self::Failing)
    }
}

/// Whether Redis is in trouble, and whether it was away. Says so once when it begins and once when
/// it ends.
pub(crate) struct TroubleLog {
    queue: String,
    states: Mutex<[State; KINDS]>,
    /// Some state is another one than [`State::Well`].
    any: AtomicBool,
    /// Leases could not be renewed, and recovery does not know of it yet.
    away: AtomicBool,
}

impl TroubleLog {
    pub(crate) fn new(queue: &str) -> Self {
        Self {
            queue: queue.to_owned(),
            states: Mutex::default(),
            any: AtomicBool::new(false),
            away: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, [State; KINDS]> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call of this kind failed.
    pub(crate) fn note(&self, kind: CallKind, trouble: &Trouble, hooks: &Hooks) {
        if trouble.is_outage() {
            self.was_away();
        }
        let mut states = self.lock();
        let was_well = !states.iter().any(|state| state.is_trouble());
        let state = &mut states[kind as usize];
        *state = state.after_failure(trouble.is_outage() || !was_well);
        self.any.store(true, Ordering::Release);
        drop(states);
        if was_well {
            let queue = &self.queue;
            warn!(queue, %trouble, "Redis is in trouble; the worker goes on trying");
            hooks.tell(|queue| WorkerEvent::RedisTrouble {
                queue,
                error: trouble.to_string(),
            });
        }
    }

    /// A call of this kind went well.
    pub(crate) fn clear(&self, kind: CallKind, hooks: &Hooks) {
        self.is_over(kind, hooks, |states| {
            for state in states.iter_mut().filter(|state| **state == State::Away) {
                *state = State::AwayThen;
            }
            true
        });
    }

    /// There is nothing for which a call of this kind would be made. That does not show that Redis is well. But trouble
    /// that only calls of this kind have is over: it may be long before the next one is made.
    pub(crate) fn needs_no_call(&self, kind: CallKind, hooks: &Hooks) {
        self.is_over(kind, hooks, |states| {
            states[kind as usize] == State::Failing
        });
    }

    /// The trouble of this kind is over, if `ends` says so of all states.
    fn is_over(
        &self,
        kind: CallKind,
        hooks: &Hooks,
        ends: impl FnOnce(&mut [State; KINDS]) -> bool,
    ) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut states = self.lock();
        let was_trouble = states.iter().any(|state| state.is_trouble());
        if !ends(&mut states) {
            return;
        }
        states[kind as usize] = State::Well;
        let is_well = !states.iter().any(|state| state.is_trouble());
        let any = states.iter().any(|state| *state != State::Well);
        self.any.store(any, Ordering::Release);
        drop(states);
        if was_trouble && is_well {
            info!(queue = self.queue, "Redis is well again");
            hooks.tell(|queue| WorkerEvent::RedisBack { queue });
        }
    }

    /// Whether outcomes cannot be stored at the moment, as far as the last calls show.
    pub(crate) fn holds_up_outcomes(&self) -> bool {
        let states = self.lock();
        states[CallKind::Advance as usize].is_trouble() || states.contains(&State::Away)
    }

    /// Leases could not be renewed, for any reason; or the call of recovery that was to tell Redis so failed.
    pub(crate) fn was_away(&self) {
        self.away.store(true, Ordering::Release);
    }

    /// Whether leases could not be renewed since this was last asked.
    pub(crate) fn take_away(&self) -> bool {
        self.away.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::name::QueueName;
    use crate::store::backend::Refusal;

    fn silence() -> Trouble {
        Trouble::Unanswered("silence".to_owned())
    }

    fn refused() -> Trouble {
        Trouble::Refused(
            Refusal::NotAllowed { in_cluster: false },
            "not you".to_owned(),
        )
    }

    /// What hooks are told: `true` when Redis is in trouble, `false` when it is well again.
    fn told() -> (Hooks, Arc<Mutex<Vec<bool>>>) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let queue = QueueName::new("work").unwrap();
        let (mut hooks, known) = (Hooks::new(queue), Arc::clone(&told));
        hooks.add(Arc::new(move |event: &WorkerEvent| {
            let is_trouble = matches!(event, WorkerEvent::RedisTrouble { .. });
            known.lock().unwrap().push(is_trouble);
        }));
        (hooks, told)
    }

    #[test]
    fn g9_a_call_that_goes_well_ends_the_trouble_of_all_that_failed_while_redis_was_away() {
        let ((hooks, told), log) = (told(), TroubleLog::new("work"));
        for kind in [CallKind::Advance, CallKind::Trimming, CallKind::Trimming] {
            log.note(kind, &silence(), &hooks);
        }
        assert!(log.holds_up_outcomes() && log.take_away());
        log.clear(CallKind::LeaseRenewal, &hooks);
        assert_eq!(*told.lock().unwrap(), [true, false]);
        assert!(!log.holds_up_outcomes() && !log.take_away());
    }

    #[test]
    fn g9_trouble_of_one_kind_of_call_is_told_once_while_others_go_well() {
        let ((hooks, told), log) = (told(), TroubleLog::new("work"));
        for _ in 0..5 {
            log.note(CallKind::Trimming, &refused(), &hooks);
            log.clear(CallKind::Advance, &hooks);
        }
        assert!(!log.holds_up_outcomes());
        assert_eq!(*told.lock().unwrap(), [true]);
        log.clear(CallKind::Trimming, &hooks);
        assert_eq!(*told.lock().unwrap(), [true, false]);
        told.lock().unwrap().clear();
        // That such a call gets no answer may be the fault of the network, the first time.
        for _ in 0..5 {
            log.note(CallKind::Trimming, &silence(), &hooks);
            log.clear(CallKind::Advance, &hooks);
        }
        assert_eq!(*told.lock().unwrap(), [true, false, true]);
        log.clear(CallKind::Trimming, &hooks);
        assert_eq!(*told.lock().unwrap(), [true, false, true, false]);
    }

    #[test]
    fn g9_what_is_refused_to_all_calls_is_over_for_all_when_the_first_of_them_goes_well() {
        let ((hooks, told), log) = (told(), TroubleLog::new("work"));
        for kind in [CallKind::Advance, CallKind::Trimming, CallKind::Recovery] {
            log.note(kind, &refused(), &hooks);
        }
        log.clear(CallKind::Advance, &hooks);
        assert_eq!(*told.lock().unwrap(), [true, false]);
    }

    /// The answer to a renewal may be lost in an outage that other calls have left behind. When the jobs of these
    /// leases have ended, nothing is renewed for as long as all jobs are short.
    #[test]
    fn g9_trouble_of_a_kind_of_call_that_is_not_made_any_more_is_over() {
        let ((hooks, told), log) = (told(), TroubleLog::new("work"));
        for kind in [CallKind::Advance, CallKind::LeaseRenewal] {
            log.note(kind, &silence(), &hooks);
        }
        log.needs_no_call(CallKind::LeaseRenewal, &hooks);
        assert_eq!(*told.lock().unwrap(), [true], "Redis is still away");
        log.clear(CallKind::Advance, &hooks);
        log.note(CallKind::LeaseRenewal, &silence(), &hooks);
        log.clear(CallKind::Advance, &hooks);
        assert_eq!(*told.lock().unwrap(), [true, false, true]);
        log.needs_no_call(CallKind::LeaseRenewal, &hooks);
        assert_eq!(*told.lock().unwrap(), [true, false, true, false]);
        assert!(!log.any.load(Ordering::Acquire));
    }
}
