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
            it.opened,
        ];
        let numbers = numbers.map(|n| n.to_string()).join(" ");
        let text = format!("{} {forced} {numbers}", it.state);
        self.set("breaker", "state", text);
        self.set("breaker", "why", it.why.as_str());
        let spans = it.window.iter();
        let spans = spans.map(|span| format!("{}:{}:{}", span.begin_ms, span.calls, span.failures));
        self.set("breaker", "window", spans.collect::<Vec<_>>().join(" "));
        let probes = it.probes.iter();
        let probes = probes.map(|probe| format!("{}:{}", probe.number, probe.until_ms));
        self.set("breaker", "probes", probes.collect::<Vec<_>>().join(" "));
        if let Some(it) = it.settings {
            let settings = format!("{} {} {}", it.window_ms, it.open_ms, it.probe_ms);
            self.set("breaker", "settings", settings);
        }
    }
}
