//! All queues, and one.

use maud::{Markup, html};

use crate::chrome::Chrome;
use crate::model::{Overview, QueueView};
use crate::pages::{csrf, frame};

pub(crate) fn overview(shown: &Overview, chrome: &Chrome) -> Markup {
    let body = html! {
        table {
            caption { "Queues" }
            @for line in &shown.queues {
                tr {
                    td { a href=(chrome.queue_href(&line.queue, "")) { (line.queue) } }
                    td { (line.waiting) } td { (line.active) } td { (line.dead) }
                }
            }
        }
    };
    frame("Queues", chrome, &body)
}

pub(crate) fn queue(shown: &QueueView, chrome: &Chrome) -> Markup {
    let name = &shown.line.queue;
    let verb = if shown.line.paused { "resume" } else { "pause" };
    let body = html! {
        p { (shown.line.waiting) " waiting, " (shown.line.active) " active, " (shown.line.dead) " dead" }
        @if chrome.may(crate::Role::Operator, name) {
            form method="post" action=(chrome.queue_href(name, &format!("/{verb}"))) {
                (csrf(chrome))
                button { (verb) }
            }
        }
        ul {
            @for page in ["jobs", "running", "dead", "schedules", "workers", "audit"] {
                li { a href=(chrome.queue_href(name, &format!("/{page}"))) { (page) } }
            }
        }
    };
    frame(name, chrome, &body)
}
