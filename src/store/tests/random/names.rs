//! What must be true of names that are paused: no job of theirs starts, and what was set aside comes in its order.

use std::collections::BTreeSet;

use super::op::Turn;
use super::world::{World, Wrong};
use crate::job::head::has_traits;
use crate::job::record::Record;
use crate::policy::job_names::paused_in;
use crate::store::recover::{Doubt, Recover};
use crate::store::tests::dump::Dump;

impl World<'_> {
    /// A worker takes up to `claim` jobs of any kind and dies, and they are taken back.
    pub(in crate::store::tests) fn lose_worker(
        &mut self,
        worker: u8,
        claim: usize,
    ) -> Result<(), Wrong> {
        let lease_ms = 1_000;
        let turn = Turn {
            claim,
            claim_bytes: 1 << 20,
            lease_ms,
            traits: true,
            ..Turn::settling(worker)
        };
        self.turn(turn, Vec::new())?;
        // What falls due afterwards was not left behind by this claim.
        self.claimed.clear();
        self.turn_clock(self.now_us + 60_000_000);
        self.recover(&Recover {
            expected_ms: self.now_us / 1_000,
            tolerance_ms: 1_000,
            limit: 9,
            lease_ms,
            gap_ms: 10_000_000_000,
            quiet_ms: 0,
            doubt: Doubt::None,
        })
    }
}

/// The names that are paused.
pub(super) fn paused(dump: &Dump) -> Vec<String> {
    let text = dump.get("meta", "paused_names").cloned();
    paused_in(&String::from_utf8(text.unwrap_or_default()).unwrap())
}

/// The name of a job that is there.
pub(in crate::store::tests) fn name_of(dump: &Dump, id: &str) -> Option<String> {
    let record = dump.get("jobs", id)?;
    Some(Record::decode(record, Some(Vec::new())).ok()?.name)
}

/// The place of a job in line.
fn place(dump: &Dump, id: &str) -> Option<i64> {
    let moved = dump.get("places", id);
    let given = dump.get("jobs", id)?;
    let text = match moved {
        Some(moved) => moved.clone(),
        None => given[10..].split(|byte| *byte == b' ').next()?.to_vec(),
    };
    String::from_utf8(text).ok()?.parse().ok()
}

/// After a step: `claimed` has started in it, by a worker that asked for the jobs of the names in `asked`.
pub(super) fn check(
    claimed: &[String],
    asked: &[&str],
    before: &Dump,
    dump: &Dump,
) -> Result<(), Wrong> {
    let paused = paused(before);
    for id in claimed {
        let name = name_of(dump, id).unwrap_or_default();
        if paused.contains(&name) {
            return Err(format!("{id} started, and `{name}` is paused"));
        }
    }
    // Jobs with a gate have an order of their own, and so have suspects.
    let is_plain = |id: &str| {
        let record = dump.get("jobs", id);
        record.is_some_and(|record| !has_traits(record)) && dump.get("stalls", id).is_none()
    };
    let last = claimed.iter().filter(|id| is_plain(id));
    let Some(last) = last.filter_map(|id| place(dump, id)).max() else {
        return Ok(());
    };
    let asked: BTreeSet<&str> = asked.iter().copied().collect();
    for offer in dump.names("names") {
        let (name, rest) = offer.split_once('\0').unwrap_or_default();
        let id = rest.get(16..).unwrap_or_default();
        let is_offered = asked.contains(name) && !paused.contains(&name.to_owned());
        if is_offered && is_plain(id) && place(dump, id).is_some_and(|place| place < last) {
            return Err(format!(
                "{claimed:?} were claimed, and {id} was left behind"
            ));
        }
    }
    Ok(())
}
