//! What must be true of unique keys in every state: a key belongs to a job that has not ended, or is remembered; and a job that
//! has not ended has its key, or is blocked as the one successor of the job that has it.

use std::collections::{BTreeMap, BTreeSet};

use super::world::Wrong;
use crate::job::head::field_of;
use crate::job::traits::{UNIQUE, UNIQUE_UNTIL};
use crate::store::tests::dump::Dump;

const OPEN: [&str; 6] = [
    "waiting",
    "suspects",
    "unhandled",
    "blocked",
    "delayed",
    "active",
];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Jobs that expire wait for their first start, and some call comes for the first of them.
pub(super) fn check_expiry(dump: &Dump) -> Result<(), Wrong> {
    let waits = |id: &String| {
        OPEN.iter()
            .any(|part| *part != "active" && dump.get(part, id).is_some())
    };
    let expires = dump.names("expires");
    if let Some(id) = expires.iter().find(|id| !waits(id)) {
        return Err(format!("{id} is to expire, and does not wait"));
    }
    let told = dump.get("meta", "expiring").is_some();
    match told != expires.is_empty() {
        true => Ok(()),
        false => Err(format!("{expires:?} are to expire; told: {told}")),
    }
}

/// By the key for which each waits.
fn successors_by_key(dump: &Dump) -> BTreeMap<String, String> {
    let named = dump.part("unique");
    named
        .filter_map(|(key, id)| Some((text(key).strip_suffix(" next")?.to_owned(), text(id))))
        .collect()
}

/// The jobs that wait for the end of another one.
pub(super) fn successors(dump: &Dump) -> BTreeSet<String> {
    successors_by_key(dump).into_values().collect()
}

pub(super) fn check(dump: &Dump) -> Result<(), Wrong> {
    let owners: BTreeMap<String, String> = dump
        .part("unique")
        .map(|(key, id)| (text(key), text(id)))
        .filter(|(key, _)| !key.ends_with(" next"))
        .collect();
    let successors = successors_by_key(dump);
    let is_open = |id: &str| OPEN.iter().any(|part| dump.get(part, id).is_some());
    let field = |id: &str, name: &str| {
        let record = dump.get("jobs", id)?;
        field_of(record, name).map(str::to_owned)
    };
    for (key, id) in &owners {
        let is_theirs = field(id, UNIQUE).as_ref() == Some(key);
        if dump.get("remembered", key).is_none() && !(is_theirs && is_open(id)) {
            return Err(format!("the key {key} is kept for {id}, which has ended"));
        }
    }
    for (key, id) in &successors {
        let is_theirs = field(id, UNIQUE).as_ref() == Some(key);
        if !is_theirs || dump.get("blocked", id).is_none() {
            return Err(format!("{id} is to have {key} next, and does not wait"));
        }
        if owners.get(key).is_none_or(|owner| owner == id) {
            return Err(format!("{id} waits for {key}, which no other job has"));
        }
        if dump.get("remembered", key).is_some() {
            return Err(format!("{id} waits for {key}, which is remembered"));
        }
    }
    for key in dump.names("remembered") {
        if !owners.contains_key(&key) {
            return Err(format!("the key {key} is remembered for no job"));
        }
    }
    for id in dump.names("jobs") {
        let Some(key) = field(&id, UNIQUE) else {
            continue;
        };
        let until = field(&id, UNIQUE_UNTIL);
        let waits = successors.get(&key) == Some(&id);
        if until.is_none() && is_open(&id) && !waits && owners.get(&key) != Some(&id) {
            return Err(format!(
                "{id} has not ended, and {key} belongs to {:?}",
                owners.get(&key)
            ));
        }
        let runs = dump.get("active", &id).is_some();
        if until.as_deref() == Some("started") && runs && owners.get(&key) == Some(&id) {
            return Err(format!("{id} runs, and still has {key}"));
        }
    }
    Ok(())
}
