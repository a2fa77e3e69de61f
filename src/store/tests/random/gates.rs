//! What must be true of gates in every state: a slot is never lost, and no job is held back by nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::flows::parents;
use super::unique::successors;
use super::world::Wrong;
use crate::job::traits::{Trait, gate_of};
use crate::store::tests::dump::{Dump, number_of};

/// A gate as it is stored.
struct Gate {
    turn: String,
    halted: bool,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn gate(stored: &[u8]) -> Option<Gate> {
    let stored = text(stored);
    let mut words = stored.split(' ');
    Some(Gate {
        turn: words.next()?.to_owned(),
        halted: words.nth(1) == Some("halted"),
    })
}

pub(super) fn check(dump: &Dump) -> Result<(), Wrong> {
    let gates: BTreeMap<String, Gate> = dump
        .part("gates")
        .filter(|(name, _)| !name.ends_with(b" set") && !name.ends_with(b" pace"))
        .map(|(name, stored)| {
            let read = gate(stored).ok_or_else(|| format!("{} cannot be read", text(stored)));
            Ok((text(name), read?))
        })
        .collect::<Result<_, Wrong>>()?;
    let of_gate: BTreeMap<String, String> = dump
        .part("jobs")
        .filter_map(|(id, record)| Some((text(id), gate_of(record)?)))
        .collect();
    let ids = |part: &str, gate: &str| -> BTreeSet<String> {
        let ids = dump.names(part).into_iter();
        ids.filter(|id| of_gate.get(id).is_some_and(|of| of == gate))
            .collect()
    };
    blocked_are_in_their_gates(dump, &of_gate)?;
    let aside = aside(dump)?;
    let following = &(&successors(dump) | &parents(dump)) | &untold(dump);
    let mut running: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (id, number) in dump.part("running") {
        let of_gate = running.entry(text(number)).or_default();
        of_gate.insert(text(id));
    }
    let names = gates.keys().chain(of_gate.values());
    let names: BTreeSet<&String> = names.collect();
    for name in names {
        let active = ids("active", name);
        let blocked = &(&ids("blocked", name) - &following) - &aside;
        let known = gates.get(name);
        let turn = known.map(|gate| gate.turn.clone());
        let is_order = name.starts_with(Trait::Order.letter());
        let counted = running.remove(&number_of(name).to_string());
        let counted = counted.unwrap_or_default();
        if counted != active {
            return Err(format!("{counted:?} of {name} are counted, {active:?} run"));
        }
        let suspects = ids("suspects", name);
        if is_order {
            if active.len() > 1 {
                return Err(format!("{active:?} of {name} run at a time"));
            }
            if !active.is_empty() && turn.as_ref() != active.first() {
                return Err(format!(
                    "{active:?} of {name} runs, and the turn is {turn:?}"
                ));
            }
            let ended = ["completed", "kept"].iter().any(|part| {
                let turn = turn.as_deref();
                turn.is_some_and(|turn| dump.get(part, turn).is_some())
            });
            let is_dead = turn
                .as_deref()
                .is_some_and(|turn| dump.get("dead", turn).is_some());
            let halted = known.is_some_and(|gate| gate.halted);
            if ended || is_dead != halted {
                return Err(format!(
                    "{turn:?} has ended, and holds back all others of {name}"
                ));
            }
        } else {
            let in_line = |turn: &String| dump.get("waiting", turn).is_some();
            if turn.as_ref().is_some_and(|turn| !in_line(turn)) {
                return Err(format!(
                    "{turn:?} has the turn of {name}, and is not in line"
                ));
            }
        }
        // A group goes on also when one of its suspects is claimed.
        let goes_on = turn.is_some() || !active.is_empty() || (!is_order && !suspects.is_empty());
        let is_looked_at = dump.get("paced", name).is_some();
        if !blocked.is_empty() && !goes_on && !is_paused(dump, name) && !is_looked_at {
            return Err(format!("{blocked:?} of {name} wait for nothing"));
        }
        if is_order
            && turn
                .as_ref()
                .is_some_and(|turn| !dump.names("jobs").contains(turn))
        {
            return Err(format!("{turn:?} has the turn of {name}, and is gone"));
        }
    }
    if !running.is_empty() {
        return Err(format!("{running:?} are counted, and have no gate"));
    }
    let paces = dump.part("gates").map(|(name, _)| text(name));
    let paces = paces.filter_map(|name| Some(name.strip_suffix(" pace")?.to_owned()));
    let mut paced = dump.names("paced");
    paced.retain(|name| !name.starts_with('p'));
    let paces = paces.collect::<BTreeSet<_>>();
    if paces != paced {
        return Err(format!("{paces:?} have a pace, {paced:?} are looked at"));
    }
    let told = dump.get("meta", "blocked").is_some();
    if told != (dump.len("blocked") > 0) {
        return Err(format!("{} are blocked; told: {told}", dump.len("blocked")));
    }
    Ok(())
}

fn is_paused(dump: &Dump, gate: &str) -> bool {
    let set = dump.get("gates", &format!("{gate} set"));
    set.is_some_and(|set| text(set).contains("paused="))
}

/// The name before a member of which the job is aside, and its gate and the rest.
fn of_its_gate(member: &str) -> (Option<&str>, (&str, &str)) {
    let (first, rest) = member.split_once('\0').unwrap_or_default();
    match first.starts_with('p') {
        true => (Some(first), rest.split_once('\0').unwrap_or_default()),
        false => (None, (first, rest)),
    }
}

/// The jobs of paused names that their groups hold back, apart from the others. Each name is paused, or was resumed, and a worker
/// looks after it.
fn aside(dump: &Dump) -> Result<BTreeSet<String>, Wrong> {
    let paused = dump.get("meta", "paused_names").map(|names| text(names));
    let paused = paused.unwrap_or_default();
    let mut aside = BTreeSet::new();
    for member in dump.names("blocked_by") {
        let (Some(name), (gate, rest)) = of_its_gate(&member) else {
            continue;
        };
        let is_paused = paused.contains(&format!(" {} ", &name[1..]));
        if !is_paused && dump.get("paced", name).is_none() {
            return Err(format!("{member} is aside, and nobody takes it back"));
        }
        if gate.starts_with(Trait::Order.letter()) {
            return Err(format!("{member} is aside, and has an order"));
        }
        aside.insert(rest[16..].to_owned());
    }
    Ok(aside)
}

/// Blocked jobs that wait to be told something, and are held back by no gate.
fn untold(dump: &Dump) -> BTreeSet<String> {
    let attempts = dump.part("attempts");
    let put_aside =
        attempts.filter(|(_, waits)| waits.split(|byte| *byte == b' ').next() == Some(b"0"));
    let ids =
        put_aside.filter_map(|(field, _)| Some(text(field).strip_suffix("#waits")?.to_owned()));
    let members = dump.names("blocked_by");
    let held = |id: &String| {
        members
            .iter()
            .any(|member| of_its_gate(member).1.1.get(16..) == Some(id))
    };
    ids.filter(|id| dump.get("blocked", id).is_some() && !held(id))
        .collect()
}

/// Each blocked job stands among those of its gate, is a successor, or waits for its children, or to be told something.
fn blocked_are_in_their_gates(
    dump: &Dump,
    of_gate: &BTreeMap<String, String>,
) -> Result<(), Wrong> {
    const PLACE_DIGITS: usize = 16;
    let members = dump.names("blocked_by");
    let mut held = BTreeSet::new();
    for member in &members {
        let (gate, rest) = of_its_gate(member).1;
        let id = rest.get(PLACE_DIGITS..).unwrap_or_default();
        if dump.get("blocked", id).is_some() {
            if of_gate.get(id).is_none_or(|of| of != gate) {
                return Err(format!("{id} is blocked by {gate}, which is not its gate"));
            }
            if !held.insert(id.to_owned()) {
                return Err(format!("{id} is held back twice"));
            }
        }
    }
    let following = &(&successors(dump) | &parents(dump)) | &untold(dump);
    if let Some(id) = held.intersection(&following).next() {
        return Err(format!(
            "{id} waits for its key or its children, and is held back by a gate"
        ));
    }
    match &held | &following == dump.names("blocked") {
        true => Ok(()),
        false => Err(format!(
            "{:?} are blocked, {held:?} by a gate, {following:?} by a key or children",
            dump.names("blocked")
        )),
    }
}
