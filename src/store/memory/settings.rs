//! What is set for the queue.

use crate::memory::Apply;
use crate::memory::state::State;
use crate::policy::limits::{CONCURRENCY, RATE};
use crate::policy::settings::{FORMAT, SettingsInForce, Stored, Values, parse_declared};
use crate::store::configure::{By, Configure, Configured};
use crate::store::settings::{Found, Settings};

impl State {
    /// The settings in force; the defaults if the text is in a format that is not known here.
    pub(crate) fn in_force(&self) -> SettingsInForce {
        let read = |text| SettingsInForce::read(text, "");
        let nothing = || read("").expect("nothing is in every format");
        read(&self.settings).unwrap_or_else(nothing)
    }
}

impl Apply for Settings {
    fn apply(&self, state: &mut State) -> Found {
        Found {
            settings: state.settings.clone(),
            declared: state.declared.clone(),
        }
    }
}

impl Apply for Configure<'_> {
    fn apply(&self, state: &mut State) -> Configured {
        let before = state.settings.clone();
        let known = Stored::parse(&before).zip(parse_declared(&state.declared));
        let Some((mut stored, mut last)) = known else {
            return Configured::Unreadable;
        };
        let old = stored.values.clone();
        for (name, value) in self.said {
            let known = last.get(name);
            let is_set = match self.by {
                By::Operator => true,
                By::Code => known != Some(value),
                By::Again => known.is_none(),
            };
            if is_set {
                stored.values.insert(name.clone(), value.clone());
            }
            if is_set && self.by != By::Operator {
                last.insert(name.clone(), value.clone());
                state.declared = format!("{FORMAT} {}", words(&last));
            }
        }
        if stored.values != old {
            stored.revision += 1;
            let words = words(&stored.values);
            state.settings = format!("{FORMAT} {} {words}", stored.revision);
            if state.in_force().keep_events == 0 {
                state.events.drop_all();
            }
            if stored.values.contains_key(RATE) || stored.values.contains_key(CONCURRENCY) {
                state.forget_started();
                if !state.is_paused() {
                    state.arm(0);
                }
            }
        }
        Configured::Done {
            before,
            after: state.settings.clone(),
            declared: state.declared.clone(),
        }
    }
}

fn words(values: &Values) -> String {
    let words = values.iter().map(|(name, value)| format!("{name}={value}"));
    words.collect::<Vec<_>>().join(" ")
}
