//! The other pages.

use maud::{Markup, html};

use crate::chrome::Chrome;
use crate::model::{
    Alerts, Audit, DeadGroups, Schedules, TaskLine, TaskState, TaskView, Tasks, Workers,
};
use crate::pages::{csrf, frame};

pub(crate) fn dead_groups(shown: &DeadGroups, chrome: &Chrome) -> Markup {
    let body = html! {
        @for group in &shown.groups {
            form method="post" action=(chrome.queue_href(&shown.queue, "/bulk")) {
                (csrf(chrome))
                input type="hidden" name="state" value="dead";
                input type="hidden" name="name" value=(group.name);
                input type="hidden" name="fingerprint" value=(group.fingerprint);
                (group.count) " " bdi { (group.name) } " " bdi { (group.sample) }
                input name="per_second" value="10";
                button name="action" value="replay" { "replay" }
            }
        }
    };
    frame("Dead letters", chrome, &body)
}

pub(crate) fn schedules(shown: &Schedules, chrome: &Chrome) -> Markup {
    let body = html! {
        @for line in &shown.schedules { p { (line.queue) " " bdi { (line.name) } } }
    };
    frame("Schedules", chrome, &body)
}

pub(crate) fn workers(shown: &Workers, chrome: &Chrome) -> Markup {
    let body = html! {
        @for line in &shown.workers { p { (line.queue) " " bdi { (line.host) } } }
    };
    frame("Workers", chrome, &body)
}

pub(crate) fn audit(shown: &Audit, chrome: &Chrome) -> Markup {
    let body = html! {
        @for line in &shown.entries { p { bdi { (line.operator) } " " (line.action) " " bdi { (line.target) } } }
    };
    frame("Audit", chrome, &body)
}

pub(crate) fn alerts(shown: &Alerts, chrome: &Chrome) -> Markup {
    let body = html! {
        @for line in &shown.alerts { p { (line.queue) " " (line.text) } }
    };
    frame("Alerts", chrome, &body)
}

fn task_line(line: &TaskLine) -> Markup {
    html! { p { (line.queue) " " (line.action) " " (line.matching) " match, " (line.done) " done" } }
}

pub(crate) fn tasks(shown: &Tasks, chrome: &Chrome) -> Markup {
    let body = html! { @for line in &shown.tasks { (task_line(line)) } };
    frame("Tasks", chrome, &body)
}

pub(crate) fn task(shown: &TaskView, chrome: &Chrome) -> Markup {
    let task = &shown.task;
    let body = html! {
        (task_line(task))
        @if task.state == TaskState::Running {
            form method="post" action=(chrome.href(&format!("/tasks/{}/stop", task.id))) {
                (csrf(chrome))
                button { "Stop" }
            }
        }
        @if task.dry_run && task.state == TaskState::Ended {
            form method="post" action=(chrome.queue_href(&task.queue, "/bulk")) {
                (csrf(chrome))
                @for (name, value) in task.query.fields() {
                    input type="hidden" name=(name) value=(value);
                }
                @if let Some(rate) = task.per_second {
                    input type="hidden" name="per_second" value=(rate);
                }
                button name="action" value=(task.action) { (task.action) " " (task.matching) " jobs" }
            }
        }
    };
    frame("Task", chrome, &body)
}
