//! One group: what is set for it.

use std::collections::BTreeMap;

use crate::job::traits::Trait;
use crate::memory::Apply;
use crate::memory::state::State;
use crate::store::group::{Found, Group};

impl Apply for Group<'_> {
    fn apply(&self, state: &mut State) -> Found {
        let gate = format!("{}{}", Trait::Group.letter(), self.group);
        let before = state.gates.set.get(&gate).cloned().unwrap_or_default();
        let words = before.split(' ').filter_map(|word| word.split_once('='));
        let mut values: BTreeMap<String, String> = words
            .map(|(name, number)| (name.to_owned(), number.to_owned()))
            .collect();
        for (name, text) in &self.change {
            match text.as_str() {
                "" => values.remove(*name),
                text => values.insert((*name).to_owned(), text.to_owned()),
            };
        }
        let words = values
            .iter()
            .map(|(name, number)| format!("{name}={number}"));
        let after = words.collect::<Vec<_>>().join(" ");
        if after != before || self.resume {
            if after.is_empty() {
                state.gates.set.remove(&gate);
            } else {
                state.gates.set.insert(gate.clone(), after.clone());
            }
            let gates = std::slice::from_ref(&gate);
            if self.resume {
                state.end_group_hold(&gate);
            } else if !state.gates.paces.is_empty() {
                state.save_paces(gates);
            }
            state.admit(gates);
        }
        let (active, in_line, blocked) = state.counts_of_gate(&gate);
        Found {
            active,
            in_line,
            blocked,
            set: after,
            held_until_ms: state.group_held_until(&gate),
        }
    }
}
