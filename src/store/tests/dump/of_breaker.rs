//! How a breaker stands.

use super::Dump;
use crate::memory::State;

impl Dump {
    pub(super) fn breaker(&mut self, state: &State) {
        let Some(it) = &state.breaker else {
            return;
        };
        let forced = it.forced.map_or("-", |state| state.name());
        let numbers = [
            it.since_ms,
            it.until_ms,
            it.turns,
            it.passed,
            it.succeeded,
            it.number,
            it.opened,
        ];
        let numbers = numbers.map(|n| n.to_string()).join(" ");
        let text = format!("{} {forced} {numbers}", it.state);
        self.set("breaker", "state", text);
        self.set("breaker", "why", it.why.as_str());
        let spans = it.window.iter();
        let spans = spans.map(|(span, (calls, failures))| format!("{span}:{calls}:{failures}"));
        self.set("breaker", "window", spans.collect::<Vec<_>>().join(" "));
        let probes = it.probes.iter();
        let probes = probes.map(|(number, until_ms)| format!("{number}:{until_ms}"));
        self.set("breaker", "probes", probes.collect::<Vec<_>>().join(" "));
    }
}
