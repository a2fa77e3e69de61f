//! What all runs of a row and a peer came to, and the file that keeps it.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// One figure of the table. The file is a list of these.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) row: String,
    pub(crate) peer: String,
    pub(crate) version: String,
    pub(crate) unit: String,
    pub(crate) median: Option<f64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    /// How many runs there were.
    pub(crate) runs: usize,
    pub(crate) values: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) redis_cpu_us_per_job: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) client_cpu_us_per_job: Option<f64>,
    /// Why there is no figure.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) note: Option<String>,
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some((lower + upper) / 2.0)
}

pub(crate) fn path() -> PathBuf {
    crate::target().join("bench-compare.json")
}

/// What an earlier run left, where this one is to be added to it.
pub(crate) fn earlier() -> Result<Vec<Entry>> {
    let path = path();
    match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text)
            .with_context(|| format!("{} is of another version", path.display())),
        Err(_) => Ok(Vec::new()),
    }
}

pub(crate) fn save(entries: &[Entry]) -> Result<()> {
    let path = path();
    std::fs::write(&path, serde_json::to_string_pretty(entries)? + "\n")
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Puts new entries in the place of older ones for the same row and peer.
pub(crate) fn merge(entries: &mut Vec<Entry>, new: Vec<Entry>) {
    for entry in new {
        entries.retain(|old| (&old.row, &old.peer) != (&entry.row, &entry.peer));
        entries.push(entry);
    }
}

pub(crate) fn find<'a>(entries: &'a [Entry], row: &str, peer: &str) -> Option<&'a Entry> {
    entries
        .iter()
        .find(|entry| entry.row == row && entry.peer == peer)
}
