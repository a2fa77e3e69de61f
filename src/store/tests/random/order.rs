//! The order of claims, as it follows from what a queue holds: what is in line, or due, goes by its
//! priority, and within a priority by when it became ready.

use std::collections::{BTreeMap, BTreeSet};

use crate::job::head::has_traits;
use crate::store::tests::dump::Dump;

use super::world::Wrong;

const STEP: f64 = (1_u64 << 43) as f64;
const LINE: f64 = STEP / 2.0;

/// A job that waits its turn.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ready {
    /// Counted from the default one.
    priority: f64,
    /// It goes before all others of its priority.
    front: bool,
    since_ms: u64,
    /// Its place in line, if it has one.
    place: Option<f64>,
}

/// Which jobs wait, and since when.
#[derive(Default)]
pub(crate) struct Order {
    /// The jobs that were in line or delayed after the last step, or are active since.
    known: BTreeMap<String, Ready>,
    /// The clock was set back: moments before and after that do not compare.
    lost: bool,
}

/// Where a score lies: its priority, and what it is within that.
fn split(score: f64) -> (f64, f64) {
    let priority = ((score + LINE) / STEP).floor();
    (priority, score - priority * STEP)
}

fn scores(dump: &Dump, part: &str) -> BTreeMap<String, f64> {
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    let scores = dump.part(part);
    scores
        .map(|(id, score)| (text(id), text(score).parse().expect("a score")))
        .collect()
}

impl Order {
    /// The clock was set back.
    pub(crate) fn lose(&mut self) {
        self.lost = true;
    }

    /// After each step: brings up to date who waits since when, and checks that nothing was left
    /// behind that goes before what was `claimed`.
    pub(crate) fn check(
        &mut self,
        claimed: &[String],
        dump: &Dump,
        now_ms: u64,
    ) -> Result<(), Wrong> {
        let stalled = dump.names("stalls");
        let before = self.known.clone();
        let left = self.update(dump, now_ms);
        let claimed: BTreeSet<&String> = claimed.iter().collect();
        for id in claimed.into_iter().filter(|id| !stalled.contains(*id)) {
            let Some(taken) = before.get(id) else {
                continue;
            };
            for (other, waits) in &left {
                let urgent = waits.priority < taken.priority;
                let same = waits.priority == taken.priority;
                let in_front = same && waits.front && !taken.front;
                let earlier = !self.lost && waits.since_ms < taken.since_ms;
                let earlier = same && waits.front == taken.front && !taken.front && earlier;
                if urgent || in_front || earlier {
                    return Err(format!(
                        "{id} {taken:?} was claimed, and {other} {waits:?} left behind"
                    ));
                }
            }
        }
        Ok(())
    }

    /// What comes back to its place, and what was promoted, is ready since it was before; what has
    /// another place, or was put in line before it was due, since now.
    fn at_place(&mut self, id: &str, place: f64, now_ms: u64) -> Ready {
        let (priority, sequence) = split(place);
        let known = self.known.get(id);
        let kept = known.filter(|known| known.place.is_none_or(|before| before == place));
        let ready = Ready {
            priority,
            front: sequence < 0.0,
            since_ms: kept.map_or(now_ms, |known| known.since_ms.min(now_ms)),
            place: Some(place),
        };
        self.known.insert(id.to_owned(), ready);
        ready
    }

    /// Gives those that could be claimed now.
    fn update(&mut self, dump: &Dump, now_ms: u64) -> Vec<(String, Ready)> {
        // Jobs with a gate have an order of their own.
        let is_plain = |id: &str| {
            dump.get("jobs", id)
                .is_some_and(|record| !has_traits(record))
        };
        self.known.retain(|id, _| is_plain(id));
        let plain = |part: &str| {
            let all = scores(dump, part).into_iter();
            all.filter(|(id, _)| is_plain(id)).collect::<Vec<_>>()
        };
        let mut left = Vec::new();
        for (id, place) in plain("waiting") {
            let ready = self.at_place(&id, place, now_ms);
            left.push((id, ready));
        }
        // It may have been promoted and claimed, or retried and claimed, in one step.
        let moved = scores(dump, "places");
        for id in dump.names("active") {
            if let Some(place) = moved.get(&id).filter(|_| is_plain(&id)) {
                self.at_place(&id, *place, now_ms);
            }
        }
        for (id, score) in plain("delayed") {
            let (priority, within) = split(score);
            let front = within < 0.0;
            let due = if front { within + LINE } else { within };
            let ready = Ready {
                priority,
                front,
                since_ms: due as u64,
                place: None,
            };
            // Where groups are expected, what is due and held back stops no others.
            if ready.since_ms <= now_ms && dump.get("meta", "gated").is_none() {
                left.push((id.clone(), ready));
            }
            self.known.insert(id, ready);
        }
        left
    }
}
