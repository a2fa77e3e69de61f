//! Streams: lifecycle events, one entry a call, and announcements of jobs that ended.

use std::collections::VecDeque;

use crate::id::JobId;
use crate::memory::state::State;
use crate::redis::stream::{Entry, EntryId};

const EVENT_ENTRIES_KEPT_AT_LEAST: usize = 100;
const EVENT_AVERAGE_OVER: f64 = 100.0;

/// A stream.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) entries: VecDeque<Entry>,
    /// Of the last entry: when, and a running number.
    pub(crate) last: EntryId,
}

impl Log {
    /// Numbers an entry that is not kept.
    pub(crate) fn pass_over(&mut self, now_ms: u64) {
        let (ms, sequence) = self.last;
        self.last = (now_ms.max(ms), sequence + 1);
    }

    pub(crate) fn append(&mut self, now_ms: u64, fields: Vec<(String, Vec<u8>)>, keep: usize) {
        self.pass_over(now_ms);
        let id = self.last;
        self.entries.push_back(Entry { id, fields });
        while self.entries.len() > keep {
            self.entries.pop_front();
        }
    }
}

impl Log {
    /// Drops all entries. Their numbers go on.
    pub(crate) fn drop_all(&mut self) {
        self.entries.clear();
        self.last.0 = 0;
    }
}

/// What a call has to tell, a field per kind.
#[derive(Default)]
pub(crate) struct Emitted {
    fields: Vec<(String, Vec<u8>)>,
    ids: usize,
}

impl State {
    /// Something happened to these jobs; a detail follows an id after a colon.
    pub(crate) fn emit(&mut self, kind: &str, tokens: &[String]) {
        if !tokens.is_empty() {
            let field = (kind.to_owned(), tokens.join(" ").into_bytes());
            self.emitted.fields.push(field);
            self.emitted.ids += tokens.len();
        }
    }

    pub(crate) fn emit_ids(&mut self, kind: &str, ids: &[JobId]) {
        let tokens: Vec<String> = ids.iter().map(JobId::to_string).collect();
        self.emit(kind, &tokens);
    }

    pub(crate) fn emit_value(&mut self, kind: &str, value: &[u8]) {
        self.emitted.fields.push((kind.to_owned(), value.to_vec()));
        self.emitted.ids += 1;
    }

    /// One entry for the whole call. The cap counts ids: how many entries that is follows from
    /// a running average of their size, kept to three decimals, and only when it is off by more
    /// than a sixteenth.
    pub(crate) fn flush_events(&mut self) {
        let Emitted { fields, ids } = std::mem::take(&mut self.emitted);
        if ids == 0 {
            return;
        }
        let ids_kept = self.in_force().keep_events;
        let now_ms = self.now_ms();
        if ids_kept == 0 {
            self.events.pass_over(now_ms);
            return;
        }
        let ids = ids as f64;
        let mut average = self.event_size.unwrap_or(ids);
        if self.event_size.is_none() || (ids - average).abs() > average / 16.0 {
            average += (ids - average) / EVENT_AVERAGE_OVER;
            self.event_size = format!("{average:.3}").parse().ok();
        }
        let keep = EVENT_ENTRIES_KEPT_AT_LEAST.max((ids_kept as f64 / average) as usize);
        self.events.append(now_ms, fields, keep);
    }
}
