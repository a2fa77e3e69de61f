//! The jobs of a queue in one state, with filters, and what can be done to all that match.

use maud::{Markup, html};

use crate::chrome::Chrome;
use crate::model::{JobLine, JobList, JobState};
use crate::pages::frame::Page;
use crate::pages::links::with_query;
use crate::pages::{bulk, icon, parts, text, words};

pub(crate) fn job_list(shown: &JobList, chrome: &Chrome) -> Markup {
    let body = html! {
        div.stack {
            (states(shown, chrome))
            section.panel aria-label="Jobs" {
                div.inside { (filters(shown, chrome)) }
                (bulk::actions(shown, chrome))
                (jobs(shown, chrome))
                (unreadable(shown))
                (more(shown, chrome))
            }
        }
    };
    let title = format!("{} jobs", words::capital(shown.query.state.as_str()));
    let page = Page {
        crumbs: parts::crumbs(chrome, Some(&shown.queue)),
        tabs: parts::queue_tabs(chrome, &shown.queue),
        ..Page::new(&title, body)
    };
    page.framed(chrome)
}

/// Links to the jobs of the other states. The filters stay.
fn states(shown: &JobList, chrome: &Chrome) -> Markup {
    let fields = shown.query.fields();
    let to = |state: JobState| {
        let kept = fields
            .iter()
            .filter(|(name, _)| !matches!(*name, "state" | "fingerprint"));
        let fields: Vec<_> = std::iter::once(("state", state.as_str()))
            .chain(kept.copied())
            .collect();
        with_query(&chrome.queue_href(&shown.queue, "/jobs"), &fields)
    };
    html! {
            nav aria-label="Jobs by state" {
                ul.tiles {
                    @for (state, number) in &shown.counts {
                        li { a.tile href=(to(*state)) aria-current=[(*state == shown.query.state).then_some("page")] {
                            span.label { (parts::state(*state)) }
    @if *state == JobState::Cancelled { span.note { "in completed" } }
                            @else { span.value title=(words::count(*number)) { (words::short(*number)) } }
                        } }
                    }
                }
            }
        }
}

fn filters(shown: &JobList, chrome: &Chrome) -> Markup {
    let query = &shown.query;
    let more = [
        &query.group,
        &query.error,
        &query.failed,
        &query.older,
        &query.newer,
    ];
    let open = more.iter().any(|value| !value.is_empty());
    let list = chrome.queue_href(&shown.queue, "/jobs");
    let ended = matches!(
        query.state,
        JobState::Completed | JobState::Cancelled | JobState::Dead
    );
    let when = if ended { "Ended" } else { "Enqueued" };
    html! {
        form.stack role="search" method="get" action=(list) data-search {
            input type="hidden" name="state" value=(query.state);
            @if !query.fingerprint.is_empty() {
                input type="hidden" name="fingerprint" value=(query.fingerprint);
                p.quiet {
                    "Only what died of " code { (text::inline(&query.fingerprint)) } ". "
                    a href=(with_query(&list, &[("state", "dead")])) { "Show all dead jobs" }
                }
            }
            div.fields {
                (filter("Name", "name", &query.name, "exact name"))
                (filter("Id begins with", "id", &query.id, ""))
                button { (icon::SEARCH) "Find" }
                @if !query.is_all() { a.button href=(with_query(&list, &[("state", query.state.as_str())])) { "Show all" } }
            }
            details open[open] {
                summary { "More filters" }
                div.fields {
                    (filter("Group", "group", &query.group, ""))
                    (filter("Error contains", "error", &query.error, ""))
                    (filter("Failed at least", "failed", &query.failed, "3"))
                    (filter(&format!("{when} more than .. ago"), "older", &query.older, "7d"))
                    (filter(&format!("{when} less than .. ago"), "newer", &query.newer, "2h"))
                }
            }
        }
    }
}

fn filter(label: &str, name: &str, value: &str, such_as: &str) -> Markup {
    // The script focuses the first field that is a search.
    let kind = if name == "name" { "search" } else { "text" };
    html! {
        label.field.grow[matches!(name, "name" | "id" | "error")] {
            span { (label) }
            input type=(kind) name=(name) value=(value) placeholder=(such_as) autocomplete="off" spellcheck="false";
        }
    }
}

fn jobs(shown: &JobList, chrome: &Chrome) -> Markup {
    html! {
        @if shown.jobs.is_empty() && shown.unreadable.is_empty() {
            (nothing(shown))
        } @else {
            div.scroll { table.cards {
                caption.hidden-text { (words::capital(shown.query.state.as_str())) " jobs of " (text::plain(&shown.queue, 64)) }
                thead { tr {
                    th scope="col" { "Job" } th scope="col" { "Id" }
                    @for column in columns(shown.query.state) { th scope="col" { (column) } }
                } }
                tbody { @for job in &shown.jobs { (row(job, chrome)) } }
            } }
        }
    }
}

fn nothing(shown: &JobList) -> Markup {
    if shown.next.is_some() {
        return parts::empty(
            icon::SEARCH,
            "None of the jobs looked at so far matches",
            "Go on to look at more of them.",
        );
    }
    if shown.query.is_all() {
        let what = format!("No {} job", shown.query.state);
        return parts::empty(icon::EMPTY, &what, "");
    }
    parts::empty(
        icon::SEARCH,
        "No job matches",
        "Take a filter away to see more.",
    )
}

/// The heads of the columns that depend on the state; [`own_cells`] fills them.
fn columns(state: JobState) -> &'static [&'static str] {
    match state {
        JobState::Waiting | JobState::Blocked => &["Enqueued", "Priority", "Failed", "Group"],
        JobState::Delayed => &["Due", "Failed", "Last error"],
        JobState::Active => &["Runs for", "Progress", "Worker"],
        JobState::Completed => &["Ended", "Took"],
        JobState::Cancelled => &["Ended", "Enqueued"],
        JobState::Dead => &["Died", "Failed", "Error"],
        _ => &[],
    }
}

fn row(job: &JobLine, chrome: &Chrome) -> Markup {
    html! {
        tr data-key={ "j-" (text::plain(&job.id, 130)) } {
            th.whole scope="row" { div.name {
                a data-row href=(chrome.job_href(&job.queue, &job.id, "")) { (text::inline_of(&job.name, 60)) }
            } }
            td.whole { span.clip.id { (text::inline_of(&job.id, 48)) } }
            (own_cells(job, chrome))
        }
    }
}

fn own_cells(job: &JobLine, chrome: &Chrome) -> Markup {
    let now = chrome.now;
    let labels = columns(job.state);
    html! {
        @match job.state {
            JobState::Waiting | JobState::Blocked => {
                (parts::cell(labels[0], parts::ago(job.enqueued_at, now)))
                (parts::cell(labels[1], job.priority))
                (parts::cell(labels[2], failed(job)))
                (parts::cell(labels[3], group(job)))
            }
            JobState::Delayed => {
                (parts::cell(labels[0], html! { @if let Some(due) = job.due_at { (parts::ahead(due, now)) } }))
                (parts::cell(labels[1], failed(job)))
                (error(job))
            }
            JobState::Active => {
                (parts::cell(labels[0], html! { @if let Some(at) = job.claimed_at { (parts::since(at, now)) } }))
                (parts::cell(labels[1], super::running::progress(&job.progress)))
                (parts::cell(labels[2], html! { span.clip.id { (text::inline_of(job.worker.as_deref().unwrap_or_default(), 40)) } }))
            }
            JobState::Completed => {
                (parts::cell(labels[0], html! { @if let Some(at) = job.ended_at { (parts::ago(at, now)) } }))
                (parts::cell(labels[1], html! { @if let Some(at) = job.ended_at { (parts::ms(job.enqueued_at.ms_before(at))) } }))
            }
            JobState::Cancelled => {
                (parts::cell(labels[0], html! { @if let Some(at) = job.ended_at { (parts::ago(at, now)) } }))
                (parts::cell(labels[1], parts::ago(job.enqueued_at, now)))
            }
            JobState::Dead => {
                (parts::cell(labels[0], html! { @if let Some(at) = job.ended_at { (parts::ago(at, now)) } }))
                (parts::cell(labels[1], failed(job)))
                (error(job))
            }
            _ => {}
        }
    }
}

fn failed(job: &JobLine) -> Markup {
    html! { (words::count(job.failed.into())) span.quiet { " of " (words::count(job.attempts.into())) } }
}

fn group(job: &JobLine) -> Markup {
    html! { @if let Some(group) = &job.group { (parts::chip("plain", text::inline_of(group, 32))) } }
}

fn error(job: &JobLine) -> Markup {
    html! { td.wide.whole { @if let Some(error) = &job.error { span.lines { (text::first_line(error, 300)) } } } }
}

fn unreadable(shown: &JobList) -> Markup {
    html! {
        @if !shown.unreadable.is_empty() {
            footer {
                "Written by a newer version of oxcart, so that they cannot be shown here: "
                @for id in &shown.unreadable { code { (text::inline_of(id, 48)) } " " }
            }
        }
    }
}

fn more(shown: &JobList, chrome: &Chrome) -> Markup {
    let list = chrome.queue_href(&shown.queue, "/jobs");
    let mut fields = shown.query.fields();
    let first = with_query(&list, &fields);
    fields.push(("after", shown.next.as_deref().unwrap_or_default()));
    html! {
        @if shown.next.is_some() || !shown.query.after.is_empty() {
            footer.pages {
                span { (words::jobs(shown.jobs.len() as u64)) " on this page" }
                span.spacer {}
                @if !shown.query.after.is_empty() { a.button href=(first) { "First page" } }
                @if shown.next.is_some() { a.button rel="next" href=(with_query(&list, &fields)) { "Next" } }
            }
        }
    }
}
