//! When a schedule ticks, and what becomes of ticks that no worker fired in time. Nothing here reads
//! a clock: the times are the server's, and the tests turn them.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::cron::ParsedCron;
use crate::error::Error;
use crate::time::{Timestamp, check_wait};

/// A tick counts as missed when no worker fired it within this time: until then it is only late.
pub(crate) const LATE_MAX_MS: u64 = 60_000;
/// The most missed ticks that are made up for at once.
const FIRE_ALL_MAX: u32 = 256;
/// Missed ticks of a cron expression that are counted one by one.
const COUNTED_MAX: u64 = 1_000;
/// The shortest interval, ms.
const EVERY_MIN_MS: u64 = 100;
/// The year 5000. Ticks are scores in Redis, and exact only below 2^53.
const LATEST_MS: u64 = 95_617_584_000_000;

/// What becomes of ticks that no worker fired within a minute, because no worker ran or Redis was
/// away.
///
/// A tick that is less than a minute late is not missed: it is always fired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Missed {
    /// Nothing: the schedule goes on with the next tick. Missed ticks are counted.
    #[default]
    Skip,
    /// One job for all of them, with the time of the last tick. The last tick counts as fired, the others
    /// as missed: of three ticks, two are missed.
    FireOnce,
    /// A job for each of the last `at_most` (1 to 256) of them. These count as fired, earlier ticks
    /// as missed.
    FireAll {
        /// How many, at most.
        at_most: u32,
    },
}

impl Missed {
    pub(crate) fn check(self) -> Result<(), Error> {
        match self {
            Self::FireAll { at_most } if !(1..=FIRE_ALL_MAX).contains(&at_most) => {
                Err(Error::invalid(format!(
                    "at_most is {at_most}; Missed::FireAll takes 1 to {FIRE_ALL_MAX}, and \
                     Missed::Skip is for none"
                )))
            }
            _ => Ok(()),
        }
    }

    /// How many of the missed are fired after all.
    fn kept(self) -> usize {
        match self {
            Self::Skip => 0,
            Self::FireOnce => 1,
            Self::FireAll { at_most } => at_most as usize,
        }
    }
}

/// What becomes of a tick while the job of the tick before it has not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Overlap {
    /// It is fired all the same.
    #[default]
    Allow,
    /// It is skipped, and counted. A job that waits for its next attempt has not ended; a dead
    /// one has.
    Skip,
}

/// What a schedule follows, ready to be asked for ticks.
#[derive(Debug, Clone)]
pub(crate) enum ParsedRhythm {
    Cron(Box<ParsedCron>),
    Every { ms: u64 },
}

/// When a schedule ticks.
#[derive(Debug, Clone)]
pub(crate) struct Timing {
    pub(crate) rhythm: ParsedRhythm,
    /// No tick before this. Intervals are counted from here, or else from the Unix epoch, so that
    /// every process finds the same ticks.
    pub(crate) starting_ms: Option<u64>,
    /// No tick after this.
    pub(crate) ending_ms: Option<u64>,
    /// Every tick is this much later than the rhythm says.
    pub(crate) offset_ms: u64,
}

/// What is to be done about a schedule whose tick is due.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The ticks to be fired, oldest first.
    pub(crate) fire: Vec<u64>,
    /// How many ticks were missed for good.
    pub(crate) missed: u64,
    /// The last tick that this deals with.
    pub(crate) last: u64,
    /// The tick after that.
    pub(crate) next: Option<u64>,
}

impl Timing {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if let ParsedRhythm::Every { ms } = self.rhythm {
            if ms < EVERY_MIN_MS {
                return Err(Error::invalid(format!(
                    "the interval is {ms} ms; {EVERY_MIN_MS} ms to 10 years are allowed"
                )));
            }
            check_wait("the interval", ms)?;
        }
        check_wait("the offset", self.offset_ms)?;
        for (what, at_ms) in [("start", self.starting_ms), ("end", self.ending_ms)] {
            if let Some(at_ms) = at_ms.filter(|at_ms| *at_ms > LATEST_MS) {
                return Err(Error::invalid(format!(
                    "the {what}, {}, is later than the year 5000; for a schedule without one \
                     leave it out",
                    Timestamp::from_millis(at_ms)
                )));
            }
        }
        match (self.starting_ms, self.ending_ms) {
            (Some(start), Some(end)) if end < start => Err(Error::invalid(format!(
                "the schedule ends at {}, before it starts at {}",
                Timestamp::from_millis(end),
                Timestamp::from_millis(start)
            ))),
            _ => Ok(()),
        }
    }

    /// Whether it has ticks, whatever time it is. What an earlier version stored need not have any.
    pub(crate) fn check_ticks(&self) -> Result<(), Error> {
        if let ParsedRhythm::Cron(cron) = &self.rhythm
            && cron.never_matches()
        {
            return Err(Error::invalid(
                "it can never fire: no day has what the expression asks for",
            ));
        }
        match (self.starting_ms, self.ending_ms) {
            (Some(start), Some(end)) if self.next_after(0).is_none() => {
                Err(Error::invalid(format!(
                    "it can never fire: there is no tick from its start, {}, to its end, {}",
                    Timestamp::from_millis(start),
                    Timestamp::from_millis(end)
                )))
            }
            _ => Ok(()),
        }
    }

    /// The first tick after `ms`; `None` if there is none.
    pub(crate) fn next_after(&self, ms: u64) -> Option<u64> {
        let start = self.starting_ms.unwrap_or(0);
        let after = match self.starting_ms {
            Some(start) if ms < start => start.checked_sub(1),
            _ => Some(ms),
        };
        let next = match &self.rhythm {
            ParsedRhythm::Every { ms: every } => {
                let first = start.checked_add(self.offset_ms)?;
                match after.and_then(|after| after.checked_sub(first)) {
                    Some(since) => first.checked_add((since / every + 1).checked_mul(*every)?)?,
                    None => first,
                }
            }
            ParsedRhythm::Cron(cron) => {
                let after = after.unwrap_or(0).saturating_sub(self.offset_ms);
                cron.next_after(after)?.checked_add(self.offset_ms)?
            }
        };
        (self.ending_ms.is_none_or(|end| next <= end)).then_some(next)
    }

    /// The next tick of a schedule whose last tick was `last` (0: none yet). A tick that was dealt with
    /// does not come again, even if the clock went back. The moments of an expression come when the
    /// clock shows them; an interval goes on in its rhythm, a millisecond beside the ticks that it had.
    pub(crate) fn next_of(&self, now: u64, last: u64) -> Option<u64> {
        match self.rhythm {
            ParsedRhythm::Every { .. } if last > now => {
                let beside = self.through(last);
                let offset_ms = beside.offset_ms.saturating_add(1);
                Self {
                    offset_ms,
                    ..beside
                }
                .next_after(now)
            }
            _ => self.next_after(now.max(last)),
        }
    }

    /// Whether the next tick can have been set to `tick`, if the clock has never shown more than `now`
    /// and the last tick.
    pub(crate) fn may_be_next(&self, tick: u64, now: u64, last: u64) -> bool {
        let latest = match self.rhythm {
            ParsedRhythm::Every { .. } => self.through(tick).next_after(now),
            ParsedRhythm::Cron(_) => self.next_after(now.max(last)),
        };
        tick <= now || latest.is_some_and(|latest| tick <= latest)
    }

    /// The same interval, with its ticks moved so that `tick` is one of them.
    pub(crate) fn through(&self, tick: u64) -> Self {
        let mut moved = self.clone();
        let first = self.starting_ms.unwrap_or(0).saturating_add(self.offset_ms);
        if let ParsedRhythm::Every { ms } = self.rhythm
            && let Some(since) = tick.checked_sub(first)
        {
            moved.offset_ms = self.offset_ms.saturating_add(since % ms);
        }
        moved
    }

    /// What to do at `now`, when `tick` is the next one: at most `room` (1 or more) are fired, and
    /// the rest are left for another plan. `None` if the tick is not due.
    pub(crate) fn plan(&self, tick: u64, now: u64, missed: Missed, room: usize) -> Option<Plan> {
        if tick > now || room == 0 {
            return None;
        }
        let missed_before = now.saturating_sub(LATE_MAX_MS);
        let mut plan = Plan {
            fire: Vec::new(),
            missed: 0,
            last: tick,
            next: Some(tick),
        };
        if tick < missed_before {
            let gone = self.walk(tick, missed_before, missed.kept());
            plan.missed = gone.count - gone.kept.len() as u64;
            plan.last = gone.last;
            plan.next = gone.next;
            plan.fire = gone.kept.into();
            if plan.fire.len() > room {
                plan.next = Some(plan.fire[room]);
                plan.fire.truncate(room);
            }
        }
        while let Some(next) = plan.next
            && next <= now
            && plan.fire.len() < room
        {
            plan.fire.push(next);
            plan.next = self.next_after(next);
        }
        if let Some(fired) = plan.fire.last() {
            plan.last = *fired;
        }
        Some(plan)
    }

    /// The ticks from `tick` on and before `until`: how many, and the last `keep` of them.
    fn walk(&self, tick: u64, until: u64, keep: usize) -> Walk {
        let mut walk = Walk {
            count: 0,
            kept: VecDeque::new(),
            last: tick,
            next: Some(tick),
        };
        if let ParsedRhythm::Every { ms } = self.rhythm {
            // Intervals are counted without being walked.
            let end = self
                .ending_ms
                .map_or(until, |end| until.min(end.saturating_add(1)));
            let all = end.saturating_sub(tick).div_ceil(ms);
            let skipped = all.saturating_sub(keep as u64);
            walk.count = skipped;
            walk.last = tick + skipped.saturating_sub(1) * ms;
            walk.next = match skipped {
                0 => Some(tick),
                _ => self.next_after(walk.last),
            };
        }
        let mut leap_at = COUNTED_MAX;
        while let Some(next) = walk.next
            && next < until
        {
            walk.count += 1;
            walk.last = next;
            if walk.kept.len() == keep {
                walk.kept.pop_front();
            }
            if keep > 0 {
                walk.kept.push_back(next);
            }
            walk.next = self.next_after(next);
            // After a very long time the count is a lower bound: half of what is left is passed
            // over, as often as it takes, but for the last ones.
            if matches!(self.rhythm, ParsedRhythm::Cron(_)) && walk.count == leap_at {
                leap_at += COUNTED_MAX;
                let middle = next + (until - next) / 2;
                let leap = self.next_after(middle);
                if leap.is_some_and(|leap| self.has_after(leap, keep, until)) {
                    walk.next = leap;
                    walk.kept.clear();
                }
            }
        }
        walk
    }

    /// Whether `tick` and `more` ticks after it are before `until`.
    fn has_after(&self, tick: u64, more: usize, until: u64) -> bool {
        let mut next = Some(tick);
        for _ in 0..more {
            next = next.and_then(|tick| self.next_after(tick));
        }
        next.is_some_and(|last| last < until)
    }
}

struct Walk {
    count: u64,
    kept: VecDeque<u64>,
    last: u64,
    next: Option<u64>,
}

#[cfg(test)]
mod tests;
