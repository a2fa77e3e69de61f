//! What is set for the queue.

use crate::memory::Apply;
use crate::memory::state::State;
use crate::policy::settings::{
    KNOWN, SettingsInForce, Stored, Values, declared_to_text, parse_declared,
};
use crate::store::configure::{By, Configure, Configured};
use crate::store::settings::{Found, Settings};

impl State {
    /// What holds. Nothing that is in a format which is not known here.
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
        let Some((mut stored, last)) = known else {
            return Configured::Unreadable;
        };
        let old = stored.values.clone();
        match self.by {
            By::Operator => stored.values.extend(self.said.clone()),
            By::Again if !state.declared.is_empty() => {}
            By::Code | By::Again => {
                let declared = declare(self.said, &last, &mut stored.values);
                state.declared = declared_to_text(&declared);
            }
        }
        if stored.values != old {
            stored.revision += 1;
            state.settings = stored.to_text();
            if state.in_force().keep_events == 0 {
                state.events.entries.clear();
            }
        }
        Configured::Done {
            before,
            after: state.settings.clone(),
            declared: state.declared.clone(),
        }
    }
}

/// What code says now, and did not say last, is set; what it does not say any more is not, unless
/// somebody else has changed it. Gives what counts as declared now.
fn declare(said: &Values, last: &Values, values: &mut Values) -> Values {
    let mut declared = said.clone();
    for (name, number) in said {
        if last.get(name) != Some(number) {
            values.insert(name.clone(), *number);
        }
    }
    for (name, number) in last {
        if !KNOWN.contains(&name.as_str()) {
            declared.insert(name.clone(), *number);
        } else if !said.contains_key(name) && values.get(name) == Some(number) {
            values.remove(name);
        }
    }
    declared
}
