//! What must be true of flows in every state: a parent is blocked as long as it has open children, and each of these is there.

use std::collections::{BTreeMap, BTreeSet};

use super::jobs::numbered;
use super::world::{LastCall, World, Wrong};
use crate::job::head::fields_of;
use crate::job::options::JobOptions;
use crate::job::traits::child_of;
use crate::policy::flow::{ChildOf, KnownChild, OnDeath, Standing, StepChildren};
use crate::policy::steps::{STEPS_MAX, StepKind, StoredStep};
use crate::store::tests::dump::Dump;
use crate::store::tests::flows::callbacks::{callback, with_callbacks};
use crate::store::tests::flows::far_operations;
use crate::store::tests::flows::operations::Node;

impl World<'_> {
    pub(in crate::store::tests) fn enqueue_flow(
        &mut self,
        lane: u8,
        nodes: &[Node],
        (on_failure, on_complete): (bool, bool),
    ) -> Result<(), Wrong> {
        let parents: Vec<usize> = (0..nodes.len())
            .map(|at| usize::from(nodes[at].1) % at.max(1))
            .collect();
        let parents = &parents;
        let children = |of: usize| (1..nodes.len()).filter(move |at| parents[*at] == of);
        let mut jobs = Vec::new();
        for (at, (new, _, on_death)) in nodes.iter().enumerate() {
            let parent = (at > 0).then(|| usize::from(nodes[at].1) % at);
            let child_of = parent.map(|parent| ChildOf {
                queue: None,
                route: None,
                parent: numbered(nodes[parent].0.id),
                number: children(parent).position(|child| child == at).unwrap_or(0) as u32,
                on_death: *on_death,
                of_step: None,
            });
            let options = JobOptions {
                children: children(at).count() as u32,
                child_of,
                ..JobOptions::new()
            };
            jobs.push(self.job_with(new, "test", options));
        }
        let root = jobs.swap_remove(0);
        let on_failure = on_failure.then(|| callback("elsewhere", root.id.as_str()));
        let on_complete = on_complete.then(|| callback("rig", &format!("{}-over", root.id)));
        let is_batch = on_failure.is_some() || on_complete.is_some();
        let root = match is_batch {
            true => with_callbacks(root, on_failure, on_complete),
            false => root,
        };
        jobs.push(root);
        let last = jobs.len() - 1;
        jobs.swap(0, last);
        self.new_call(lane, LastCall::Enqueue(jobs))
    }
}

fn counts(stored: &[u8]) -> Option<(u64, u64)> {
    let text = String::from_utf8_lossy(stored).into_owned();
    let mut words = text.split(' ').map(|word| word.parse().ok());
    Some((words.next()??, words.next()??))
}

/// The jobs that wait for their children.
pub(super) fn parents(dump: &Dump) -> BTreeSet<String> {
    let ids = dump.names("blocked").into_iter();
    ids.filter(|id| {
        let stored = dump.get("attempts", &format!("{id}#children"));
        stored
            .and_then(|stored| counts(stored))
            .is_some_and(|(_, open)| open > 0)
    })
    .collect()
}

pub(super) fn check(dump: &Dump) -> Result<(), Wrong> {
    let fields = dump.names("attempts");
    for id in fields
        .iter()
        .filter_map(|field| field.strip_suffix("#children"))
    {
        let stored = dump.get("attempts", &format!("{id}#children"));
        let (total, open) = stored
            .and_then(|stored| counts(stored))
            .ok_or_else(|| format!("what {id} knows of its children cannot be read"))?;
        let (mut found, mut of_steps) = (0, BTreeMap::new());
        for number in 0..total {
            let Some(known) = dump.get("attempts", &format!("{id}#child{number}")) else {
                // Another queue has not said yet which one it is.
                found += 1;
                continue;
            };
            let known = KnownChild::decode(known).map_err(|error| error.to_string())?;
            let is_open = u32::from(is_open(dump, id, number, &known)?);
            match step_of(dump, id, number)? {
                None => found += u64::from(is_open),
                Some(step) => *of_steps.entry(step).or_default() += is_open,
            }
        }
        check_steps(dump, id, &of_steps)?;
        check_callbacks(dump, id)?;
        if found != open {
            return Err(format!(
                "{open} children of {id} are open, it says; {found} are"
            ));
        }
        let goes_on = ["waiting", "suspects", "unhandled", "delayed", "active"];
        if open > 0 && goes_on.iter().any(|part| dump.get(part, id).is_some()) {
            return Err(format!("{id} has open children, and goes on"));
        }
    }
    for field in &fields {
        let callback = field.strip_suffix("#on_failure");
        if let Some(id) = callback.or(field.strip_suffix("#on_complete"))
            && !fields.contains(&format!("{id}#children"))
        {
            return Err(format!("{field} would be left behind"));
        }
        let Some((id, number)) = field.split_once("#child") else {
            continue;
        };
        let of_parent = number == "ren" || fields.contains(&format!("{id}#children"));
        if !of_parent || !fields.contains(id) {
            return Err(format!("{field} would be left behind"));
        }
    }
    Ok(())
}

/// A job whose children are counted for that has jobs that are to be added, and no other.
fn check_callbacks(dump: &Dump, id: &str) -> Result<(), Wrong> {
    let get = |name: &str| dump.get("attempts", &format!("{id}#{name}"));
    let counts = get("children").map(|counts| String::from_utf8_lossy(counts).into_owned());
    let words: Vec<u64> = counts
        .iter()
        .flat_map(|counts| counts.split(' '))
        .map(|word| word.parse().unwrap_or(u64::MAX))
        .collect();
    let Some(left) = words.get(2) else {
        let are_there = get("on_failure").is_some() || get("on_complete").is_some();
        return match are_there {
            true => Err(format!("{id} has callbacks, and does not count")),
            false => Ok(()),
        };
    };
    let mut open = 0;
    let mut has_dead = false;
    for number in 0..words[0] {
        let known = get(&format!("child{number}")).and_then(|known| KnownChild::decode(known).ok());
        let is_of_step = step_of(dump, id, number)?.is_some();
        // Another queue has not said yet which one it is.
        open += u64::from(known.is_none());
        if let Some(known) = known.filter(|_| !is_of_step) {
            open += u64::from(known.standing == Standing::Open);
            has_dead |= known.standing == Standing::Dead;
        }
    }
    if open != *left {
        return Err(format!(
            "{left} children of {id} are left, it says; {open} are"
        ));
    }
    if has_dead && get("on_failure").is_some() || open == 0 && get("on_complete").is_some() {
        return Err(format!("a callback of {id} was not sent"));
    }
    Ok(())
}

/// The step of the parent that a child is of, by what the steps say.
fn step_of(dump: &Dump, parent: &str, number: u64) -> Result<Option<u32>, Wrong> {
    let mut of = None;
    for (step, children) in steps(dump, parent)? {
        let numbers = u64::from(children.first)..u64::from(children.first + children.count);
        if numbers.contains(&number) && of.replace(step).is_some() {
            return Err(format!("child {number} of {parent} is of two steps"));
        }
    }
    Ok(of)
}

/// The steps of a job that wait for children.
fn steps(dump: &Dump, id: &str) -> Result<Vec<(u32, StepChildren)>, Wrong> {
    let mut found = Vec::new();
    for number in 1..=STEPS_MAX {
        let Some(stored) = dump.get("attempts", &format!("{id}#step{number}")) else {
            continue;
        };
        let step = StoredStep::decode(stored).map_err(|error| error.to_string())?;
        if step.kind == StepKind::Children {
            let children = StepChildren::decode(&step.value).map_err(|error| error.to_string())?;
            found.push((number, children));
        }
    }
    Ok(found)
}

/// A step knows how many of its children are open, and which have failed.
fn check_steps(dump: &Dump, id: &str, open: &BTreeMap<u32, u32>) -> Result<(), Wrong> {
    for (step, children) in steps(dump, id)? {
        let found = open.get(&step).copied().unwrap_or(0);
        if found != children.open {
            return Err(format!(
                "step {step} of {id} says {children:?}; {found} are open"
            ));
        }
        for number in &children.failed {
            let known = dump.get("attempts", &format!("{id}#child{number}"));
            let known = known.and_then(|known| KnownChild::decode(known).ok());
            if known.is_none_or(|known| known.standing != Standing::Dead) {
                return Err(format!(
                    "step {step} of {id} says that child {number} has failed"
                ));
            }
        }
    }
    Ok(())
}

/// Whether a child counts as open. If it does, it is there, and will tell.
fn is_open(dump: &Dump, parent: &str, number: u64, known: &KnownChild) -> Result<bool, Wrong> {
    let id = known.id.as_str();
    if matches!(
        known.standing,
        Standing::Ended | Standing::Removed | Standing::Refused
    ) {
        return Ok(false);
    }
    if known.queue.is_some() {
        // It may be there, or elsewhere; other queues tell.
        let goes_on = far_operations::meaning(number) == OnDeath::GoOn;
        return Ok(known.standing == Standing::Open || !goes_on);
    }
    let record = dump.get("jobs", id);
    let Some(child) = record.and_then(|record| child_of(fields_of(record)?)) else {
        return Err(format!("{parent} waits for {id}, which is gone"));
    };
    if (child.parent.as_str(), u64::from(child.number)) != (parent, number) {
        return Err(format!("{parent} waits for {id}, which has another parent"));
    }
    let ended = ["completed", "kept"]
        .iter()
        .any(|part| dump.get(part, id).is_some());
    let is_dead = dump.get("dead", id).is_some();
    if ended || is_dead && known.standing == Standing::Open {
        return Err(format!("{parent} was not told that {id} has ended"));
    }
    Ok(known.standing == Standing::Open || child.on_death != OnDeath::GoOn)
}
