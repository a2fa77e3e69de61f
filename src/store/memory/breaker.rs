//! A breaker: whether calls of a dependency may go.

use crate::memory::Apply;
use crate::memory::state::State;
use crate::policy::breaker::{BreakerState, Rules};
use crate::store::breaker::{Breaker, Force, Found};
use crate::store::call_ended::{CallEnded, Counted, End};
use crate::store::permit::{May, Permit, Permitted};

/// More are there only while processes have different windows. Then the oldest ones become one.
const SPANS_MAX: usize = 24;
/// How long a first probe is given before others are expected to go.
const PROBE_MS: u64 = 1_000;
const RISEN_MAX: f64 = 1e12;
/// No turn is further behind the end of the time for which the breaker is open.
const TURN_MAX_MS: u64 = 300_000;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    pub(crate) state: BreakerState,
    pub(crate) forced: Option<BreakerState>,
    /// When the state began.
    pub(crate) since_ms: u64,
    pub(crate) until_ms: u64,
    /// How many were given since calls flowed.
    pub(crate) turns: u64,
    /// Since the state began: calls that were let through while it rises, probes that ended well.
    pub(crate) passed: u64,
    pub(crate) succeeded: u64,
    pub(crate) opened: u64,
    pub(crate) why: String,
    pub(crate) window: Vec<Span>,
    pub(crate) probes: Vec<Probe>,
    pub(crate) settings: Option<Settings>,
}

/// What was counted in a tenth of a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Span {
    pub(crate) begin_ms: u64,
    pub(crate) calls: u64,
    pub(crate) failures: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Probe {
    /// 0 for one that has said nothing.
    pub(crate) number: u64,
    /// Until when it is waited for.
    pub(crate) until_ms: u64,
}

/// Those of the last call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Settings {
    pub(crate) window_ms: u64,
    pub(crate) open_ms: u64,
    pub(crate) probe_ms: u64,
}

impl Settings {
    fn of(rules: &Rules) -> Self {
        Self {
            window_ms: rules.window_ms,
            open_ms: rules.open_ms,
            probe_ms: rules.probe_ms,
        }
    }
}

/// One call.
struct Call {
    it: Kept,
    rules: Rules,
    /// The longest window that is known.
    longest_ms: u64,
    now_ms: u64,
    is_first: bool,
    changed: Option<BreakerState>,
}

impl Call {
    fn new(state: &State, mut rules: Rules, is_call: bool) -> Self {
        let now_ms = state.now_ms();
        let is_first = state.breaker.is_none();
        let mut it = state.breaker.clone().unwrap_or_else(|| Kept {
            state: BreakerState::Closed,
            forced: None,
            since_ms: now_ms,
            until_ms: 0,
            turns: 0,
            passed: 0,
            succeeded: 0,
            opened: 0,
            why: String::new(),
            window: Vec::new(),
            probes: Vec::new(),
            settings: None,
        });
        let kept = it.settings;
        if let Some(kept) = kept.filter(|_| !is_call) {
            (rules.window_ms, rules.open_ms) = (kept.window_ms, kept.open_ms);
            rules.probe_ms = kept.probe_ms;
        }
        let longest_ms = kept.map_or(0, |kept| kept.window_ms).max(rules.window_ms);
        it.since_ms = it.since_ms.min(now_ms);
        it.until_ms = it.until_ms.min(now_ms + rules.open_ms);
        let awaited = now_ms + 1..=now_ms + rules.probe_ms;
        it.probes.retain(|probe| awaited.contains(&probe.until_ms));
        Self {
            it,
            rules,
            longest_ms,
            now_ms,
            is_first,
            changed: None,
        }
    }

    /// Returns the state to which the call has changed it.
    fn save(self, state: &mut State) -> Option<BreakerState> {
        if let Some(changed) = self.changed {
            state.emit_value("breaker", changed.name().as_bytes());
        }
        let settings = Some(Settings::of(&self.rules));
        state.breaker = Some(Kept {
            settings,
            ..self.it
        });
        self.changed
    }

    fn change(&mut self, to: BreakerState) {
        let goes_on = (BreakerState::Rising, BreakerState::Closed);
        if (self.it.state, to) != goes_on {
            self.it.window.clear();
        }
        let is_open = to == BreakerState::Open;
        let flows = |state| matches!(state, BreakerState::Closed | BreakerState::Rising);
        let turns = match flows(self.it.state) || flows(to) {
            true => 0,
            false => self.it.turns,
        };
        self.it = Kept {
            state: to,
            since_ms: self.now_ms,
            until_ms: if is_open {
                self.now_ms + self.rules.open_ms
            } else {
                0
            },
            turns,
            passed: 0,
            succeeded: 0,
            probes: Vec::new(),
            ..self.it.clone()
        };
        self.changed = Some(to);
    }

    fn count(&mut self, calls: u64, failures: u64) -> (u64, u64) {
        let now_ms = self.now_ms;
        let length = self.rules.window_ms.div_ceil(10);
        let kept_for = self.longest_ms + self.longest_ms.div_ceil(10);
        let spans = &mut self.it.window;
        spans.retain(|span| (span.begin_ms..span.begin_ms + kept_for).contains(&now_ms));
        if calls > 0 {
            match spans.last_mut() {
                Some(last) if now_ms < last.begin_ms + length => {
                    last.calls += calls;
                    last.failures += failures;
                }
                _ => spans.push(Span {
                    begin_ms: now_ms,
                    calls,
                    failures,
                }),
            }
        }
        if spans.len() > SPANS_MAX {
            let first = spans.remove(0);
            spans[0].begin_ms = first.begin_ms;
            spans[0].calls += first.calls;
            spans[0].failures += first.failures;
        }
        let counts_for = self.rules.window_ms + length;
        let counted = spans
            .iter()
            .filter(|span| now_ms < span.begin_ms + counts_for);
        let add = |(all, failed), span: &Span| (all + span.calls, failed + span.failures);
        counted.fold((0, 0), add)
    }

    /// How many calls may have gone since that moment.
    fn risen(&self, from_ms: u64) -> u64 {
        let seconds = self.now_ms.saturating_sub(from_ms) as f64 / 1_000.0;
        let risen = f64::from(self.rules.rate) * (seconds + seconds * seconds / 2.0);
        risen.floor().min(RISEN_MAX) as u64
    }

    fn turn(&mut self) -> u64 {
        let from_ms = match self.it.state {
            BreakerState::Open => self.it.until_ms,
            BreakerState::HalfOpen => self.it.since_ms + PROBE_MS,
            _ => self.it.since_ms,
        };
        self.it.turns = self.it.turns.max(self.risen(from_ms)) + 1;
        let turns = 2.0 * self.it.turns as f64 / f64::from(self.rules.rate);
        let after = (1_000.0 * ((1.0 + turns).sqrt() - 1.0)).floor() as u64;
        let latest = self.rules.open_ms + TURN_MAX_MS;
        (from_ms + after)
            .saturating_sub(self.now_ms)
            .clamp(1, latest)
    }

    fn fail(&mut self, why: &str) -> Option<u64> {
        if matches!(self.it.state, BreakerState::HalfOpen | BreakerState::Open) {
            return Some(self.turn());
        }
        let (calls, failures) = self.count(1, 1);
        let rules = &self.rules;
        let trips = failures >= rules.failures.into()
            && calls >= rules.calls.into()
            && failures * 1_000 >= u64::from(rules.permille) * calls;
        if trips && self.it.forced.is_none() {
            self.change(BreakerState::Open);
            self.it.why = why.to_owned();
            self.it.opened += 1;
        }
        None
    }
}

impl Apply for Permit {
    fn apply(&self, state: &mut State) -> Permitted {
        let mut call = Call::new(state, self.rules, true);
        call.count(self.succeeded, 0);
        let (now_ms, rules) = (call.now_ms, &self.rules);
        match call.it.state {
            BreakerState::Open if now_ms < call.it.until_ms => {}
            BreakerState::Open if call.it.forced.is_none() => call.change(BreakerState::HalfOpen),
            BreakerState::Open => call.it.until_ms = now_ms + rules.open_ms,
            BreakerState::Rising if now_ms >= call.it.since_ms + rules.rise_ms => {
                call.change(BreakerState::Closed);
            }
            _ => {}
        }
        let under_way = call.it.probes.len() as u64 + call.it.succeeded;
        let may = match call.it.state {
            BreakerState::Closed => May::Closed,
            BreakerState::Rising if call.it.passed < call.risen(call.it.since_ms) => {
                call.it.passed += 1;
                May::Pass
            }
            BreakerState::HalfOpen if under_way < rules.probes.into() => {
                call.it.probes.push(Probe {
                    number: self.probe,
                    until_ms: now_ms + rules.probe_ms,
                });
                May::Probe
            }
            _ => May::Wait(call.turn()),
        };
        Permitted {
            may,
            is_first: call.is_first,
            why: call.it.why.clone(),
            changed: call.save(state),
        }
    }
}

impl Apply for CallEnded<'_> {
    fn apply(&self, state: &mut State) -> Counted {
        let mut call = Call::new(state, self.rules, true);
        call.count(self.succeeded, 0);
        let mut probes = call.it.probes.iter();
        let is_this = |probe: &Probe| probe.number == self.probe && self.probe > 0;
        let at = probes.position(is_this);
        let probe = at.map(|at| call.it.probes.remove(at));
        let is_probe = probe.is_some();
        if let Some(probe) = probe.filter(|_| self.ended == End::Dropped) {
            call.it.probes.push(Probe {
                number: 0,
                until_ms: probe.until_ms.min(call.now_ms + self.rules.open_ms),
            });
        }
        match self.ended {
            End::Well if is_probe => {
                call.it.succeeded += 1;
                if call.it.succeeded >= self.rules.probes.into() {
                    let rises = self.rules.rise_ms > 0;
                    let to = [BreakerState::Closed, BreakerState::Rising][usize::from(rises)];
                    call.change(to);
                }
            }
            End::Failed if is_probe => {
                call.change(BreakerState::Open);
                call.it.why = self.why.to_owned();
            }
            _ => {}
        }
        let failed = self.ended == End::Failed;
        Counted {
            wait_ms: failed.then(|| call.fail(self.why)).flatten(),
            is_first: call.is_first,
            changed: call.save(state),
        }
    }
}

impl Apply for Breaker<'_> {
    fn apply(&self, state: &mut State) -> Found {
        let mut call = Call::new(state, self.rules, false);
        let forced = call.it.forced;
        let to = match self.force {
            Force::Open => Some(BreakerState::Open),
            Force::Closed => Some(BreakerState::Closed),
            Force::Automatic | Force::Nothing => None,
        };
        if let Some(to) = to {
            call.it.forced = Some(to);
            if call.it.state != to {
                call.change(to);
            }
        } else if self.force == Force::Automatic {
            call.it.forced = None;
            if forced == Some(BreakerState::Open) {
                call.it.until_ms = call.now_ms;
            }
        }
        let (calls, failures) = call.count(0, 0);
        let is_changed = call.it.forced != forced;
        if is_changed && call.it.forced.is_some() {
            call.it.why = self.why.to_owned();
        }
        let it = &call.it;
        let found = Found {
            state: it.state,
            is_forced: it.forced.is_some(),
            since_ms: it.since_ms,
            until_ms: it.until_ms,
            calls,
            failures,
            probes: it.probes.iter().filter(|probe| probe.number > 0).count() as u64,
            opened: it.opened,
            why: it.why.clone(),
            is_first: call.is_first,
        };
        if is_changed {
            call.save(state);
        }
        found
    }
}
