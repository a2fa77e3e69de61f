//! Lists of jobs, and one job.

use maud::{Markup, html};

use crate::chrome::{Chrome, encoded};
use crate::model::{JobLine, JobList, JobView, Running};
use crate::pages::{csrf, frame};

fn table(jobs: &[JobLine], chrome: &Chrome) -> Markup {
    html! {
        table {
            caption { "Jobs" }
            @for job in jobs {
                tr {
                    td { a href=(chrome.job_href(&job.queue, &job.id, "")) { bdi { (job.id) } } }
                    td { bdi { (job.name) } }
                    td { (job.state) }
                    td { bdi { (job.error.as_deref().unwrap_or_default()) } }
                }
            }
        }
    }
}

pub(crate) fn job_list(shown: &JobList, chrome: &Chrome) -> Markup {
    let fields = shown.query.fields();
    let query: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    let body = html! {
        (table(&shown.jobs, chrome))
        @if let Some(next) = &shown.next {
            a href=(chrome.queue_href(&shown.queue, &format!("/jobs?{}&after={}", query.join("&"), encoded(next)))) { "More" }
        }
        @if chrome.may(crate::Role::Operator, &shown.queue) {
            form method="post" action=(chrome.queue_href(&shown.queue, "/bulk")) {
                (csrf(chrome))
                @for (name, value) in &fields {
                    input type="hidden" name=(name) value=(value);
                }
                input type="hidden" name="dry_run" value="yes";
                @for action in ["replay", "cancel", "promote", "remove"] {
                    button name="action" value=(action) { (action) " all" }
                }
            }
        }
    };
    frame(&format!("{} jobs", shown.query.state), chrome, &body)
}

pub(crate) fn running(shown: &Running, chrome: &Chrome) -> Markup {
    frame("Running", chrome, &table(&shown.jobs, chrome))
}

pub(crate) fn job(shown: &JobView, chrome: &Chrome) -> Markup {
    let (queue, id) = (&shown.line.queue, &shown.line.id);
    let payload = format!("{:#}", shown.payload);
    let body = html! {
        p { (shown.stands) }
        pre { (payload) }
        @for attempt in &shown.attempts {
            p { (attempt.started_at) " " (attempt.kind) " " bdi { (attempt.error) } }
        }
        @for line in &shown.log {
            p { (line.at) " " bdi { (line.text) } }
        }
        @for action in ["replay", "cancel", "promote", "remove"] {
            form method="post" action=(chrome.job_href(queue, id, &format!("/{action}"))) {
                (csrf(chrome))
                button { (action) }
            }
        }
    };
    frame(id, chrome, &body)
}
