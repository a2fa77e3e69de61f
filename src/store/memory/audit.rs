//! What operators do: notes an entry, and reads the last ones.

use crate::memory::Apply;
use crate::memory::state::State;
use crate::store::audit::{Audit, Noted};

const ENTRIES_KEPT: usize = 1_000;

impl Apply for Audit<'_> {
    fn apply(&self, state: &mut State) -> Vec<Noted> {
        let now_ms = state.now_ms();
        if let Some(note) = self.note {
            let fields = [
                ("at", now_ms.to_string().into_bytes()),
                ("entry", note.to_vec()),
            ];
            let fields = fields
                .map(|(name, value)| (name.to_owned(), value))
                .to_vec();
            state.audit.append(now_ms, fields, ENTRIES_KEPT);
        }
        let entries = state.audit.entries.iter().rev();
        let earlier = |number: &u64| self.before.is_none_or(|before| *number < before);
        let noted = entries.map(|entry| {
            let value = |at: usize| entry.fields[at].1.clone();
            Noted {
                number: entry.id.1,
                at_ms: String::from_utf8_lossy(&value(0))
                    .parse()
                    .unwrap_or_default(),
                entry: value(1),
            }
        });
        let noted = noted.filter(|noted| earlier(&noted.number));
        noted.take(self.limit).collect()
    }
}
