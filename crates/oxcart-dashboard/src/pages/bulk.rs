//! What can be done to all jobs that match: first they are counted, then somebody says yes.

use maud::{Markup, html};

use crate::access::Role;
use crate::chrome::Chrome;
use crate::model::{JobList, JobState};
use crate::pages::icon::{self, Icon};
use crate::pages::parts;

/// Something that is done to jobs.
pub(crate) struct Action {
    /// Its name in forms.
    pub(crate) name: &'static str,
    /// What the button says.
    pub(crate) says: &'static str,
    /// Who may do it.
    pub(crate) role: Role,
    pub(crate) icon: Icon,
    /// The look of its button.
    pub(crate) class: &'static str,
}

const REPLAY: Action = Action {
    name: "replay",
    says: "Replay",
    role: Role::Operator,
    icon: icon::REPLAY,
    class: "usual",
};
const PROMOTE: Action = Action {
    name: "promote",
    says: "Make due now",
    role: Role::Operator,
    icon: icon::START,
    class: "usual",
};
const CANCEL: Action = Action {
    name: "cancel",
    says: "Cancel",
    role: Role::Operator,
    icon: icon::CANCELLED,
    class: "usual",
};
const REMOVE: Action = Action {
    name: "remove",
    says: "Remove",
    role: Role::Admin,
    icon: icon::REMOVE,
    class: "danger",
};

/// What can be done to jobs in this state.
pub(crate) fn actions_in(state: JobState) -> &'static [Action] {
    match state {
        JobState::Waiting | JobState::Blocked => &[CANCEL, REMOVE],
        JobState::Delayed => &[PROMOTE, CANCEL, REMOVE],
        JobState::Active => &[CANCEL],
        JobState::Completed | JobState::Cancelled => &[REMOVE],
        JobState::Dead => &[REPLAY, REMOVE],
        _ => &[],
    }
}

/// The form with the actions on everything that matches the filters of the list.
pub(crate) fn actions(shown: &JobList, chrome: &Chrome) -> Markup {
    let allowed: Vec<&Action> = actions_in(shown.query.state)
        .iter()
        .filter(|action| chrome.may(action.role, &shown.queue))
        .collect();
    let is_empty = shown.jobs.is_empty() && shown.next.is_none();
    let of_what = if shown.query.is_all() {
        "all"
    } else {
        "all that match"
    };
    let fields = [shown.query.fields(), vec![("dry_run", "yes")]].concat();
    let inside = html! {
        div.bulk {
            span.quiet { "Everything that matches, not only this page; it is counted first:" }
            @if shown.query.state == JobState::Dead { (rate()) }
            @for action in &allowed {
                button.(action.class) name="action" value=(action.name) { (action.icon) (action.says) " " (of_what) "…" }
            }
        }
    };
    html! {
        @if !(allowed.is_empty() || is_empty) {
            (parts::post(chrome, &chrome.queue_href(&shown.queue, "/bulk"), &fields, &inside))
        }
    }
}

/// How many jobs a replay puts back in a second.
pub(crate) fn rate() -> Markup {
    html! {
        label.check { span { "at most" } input.short type="number" name="per_second" value="50" min="1" max="100000"; span { "a second" } }
    }
}
