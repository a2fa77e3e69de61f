//! Small parts that several pages have.

use std::time::Duration;

use maud::{Markup, Render, html};

use crate::chrome::Chrome;
use crate::model::{JobState, Moment};
use crate::pages::icon::{self, Icon};
use crate::pages::{text, words};

/// The hidden field of every form.
fn csrf(chrome: &Chrome) -> Markup {
    html! { input type="hidden" name="csrf" value=(chrome.csrf); }
}

/// A form that does something. `inside` has its button.
pub(crate) fn post(
    chrome: &Chrome,
    action: &str,
    fields: &[(&str, &str)],
    inside: &Markup,
) -> Markup {
    html! {
        form method="post" action=(action) {
            (csrf(chrome))
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            (inside)
        }
    }
}

/// A button that unfolds a question, with the form that answers it.
pub(crate) fn asked(label: &Markup, class: &str, question: &str, form: &Markup) -> Markup {
    html! {
        details.asked {
            summary.button.(class) { (label) }
            div.question { p { (question) } (form) }
        }
    }
}

/// A sentence that stands out.
pub(crate) fn notice(class: &str, icon: Icon, says: &Markup) -> Markup {
    html! { div.notice.(class) { (icon) div { (says) } } }
}

/// What stands where there is nothing to show.
pub(crate) fn empty(icon: Icon, what: &str, more: &str) -> Markup {
    html! { div.empty { (icon) strong { (what) } (more) } }
}

/// A part of a page with a heading.
pub(crate) fn panel(title: &str, beside: &Markup, body: &Markup) -> Markup {
    html! { section.panel { header { h2 { (title) } (beside) } (body) } }
}

/// One number with its name.
pub(crate) fn tile(label: &Markup, value: &str, note: &str) -> Markup {
    html! {
        div.tile {
            dt { (label) }
            dd { (value) @if !note.is_empty() { " " span.note { (note) } } }
        }
    }
}

/// The icon and the colour of a state.
pub(crate) fn look_of(state: JobState) -> (Icon, &'static str) {
    match state {
        JobState::Waiting => (icon::WAITING, "calm"),
        JobState::Blocked => (icon::BLOCKED, "warn"),
        JobState::Delayed => (icon::DELAYED, "later"),
        JobState::Active => (icon::RUNNING, "good"),
        JobState::Completed => (icon::COMPLETED, "good"),
        JobState::Cancelled => (icon::CANCELLED, "quiet"),
        JobState::Dead => (icon::DEAD, "bad"),
        _ => (icon::EMPTY, "quiet"),
    }
}

/// A state: a shape, a word and a colour.
pub(crate) fn state(state: JobState) -> Markup {
    let (icon, class) = look_of(state);
    html! { span.state.(class) { (icon) (words::capital(state.as_str())) } }
}

/// A short remark in a frame of its own.
pub(crate) fn chip(class: &str, says: impl Render) -> Markup {
    html! { span.chip.(class) { (says) } }
}

/// `3 m ago`; in a title, the moment itself.
pub(crate) fn ago(moment: Moment, now: Moment) -> Markup {
    let since = Duration::from_millis(moment.ms_before(now));
    let words = if since < Duration::from_secs(1) {
        "now".to_owned()
    } else {
        format!("{} ago", words::duration(since))
    };
    time(moment, &words)
}

/// `in 3 m`, or how late it is.
pub(crate) fn ahead(moment: Moment, now: Moment) -> Markup {
    let left = Duration::from_millis(now.ms_before(moment));
    let late = Duration::from_millis(moment.ms_before(now));
    let words = if left >= Duration::from_secs(1) {
        format!(
            "in {}",
            words::duration(Duration::from_secs(left.as_secs()))
        )
    } else if late > Duration::from_secs(5) {
        format!("{} late", words::duration(late))
    } else {
        "now".to_owned()
    };
    time(moment, &words)
}

/// How long something goes on already.
pub(crate) fn since(moment: Moment, now: Moment) -> Markup {
    time(
        moment,
        &words::duration(Duration::from_millis(moment.ms_before(now))),
    )
}

fn time(moment: Moment, words: &str) -> Markup {
    let exact = moment.to_string();
    html! { time datetime=(exact) title=(exact) { (words) } }
}

/// Milliseconds in words.
pub(crate) fn ms(ms: u64) -> String {
    words::duration(Duration::from_millis(ms))
}

/// The head of a column.
pub(crate) enum Column<'a> {
    Words(&'a str),
    Number(&'a str),
    /// Buttons, which need no head that is seen.
    Actions,
}

/// The heads of a table.
pub(crate) fn heads(columns: &[Column<'_>]) -> Markup {
    html! {
        thead { tr {
            @for column in columns {
                @match column {
                    Column::Words(label) => th scope="col" { (label) },
                    Column::Number(label) => th.number scope="col" { (label) },
                    Column::Actions => th scope="col" { span.hidden-text { "Actions" } },
                }
            }
        } }
    }
}

/// Names, each in a frame of its own.
pub(crate) fn chips(names: &[String]) -> Markup {
    html! { div.chips { @for name in names { (chip("plain", text::inline_of(name, 40))) } } }
}

/// A cell with something in it; the label is shown where rows are cards.
pub(crate) fn cell(label: &str, content: impl Render) -> Markup {
    html! { td data-label=(label) { (content) } }
}

/// A cell with a number of jobs, which steps back when it is 0.
pub(crate) fn number(label: &str, number: u64) -> Markup {
    let zero = (number == 0).then_some("zero");
    html! {
        td.number.(zero.unwrap_or("some")) data-label=(label) title=[exact(number)] { (words::short(number)) }
    }
}

/// A cell with a number of jobs, which leads to them.
pub(crate) fn linked(label: &str, number_of_jobs: u64, href: &str) -> Markup {
    html! {
        @if number_of_jobs == 0 {
            (number(label, 0))
        } @else {
            @let short = words::short(number_of_jobs);
            td.number data-label=(label) title=[exact(number_of_jobs)] {
                a.count href=(href) aria-label={ (short) " " (label.to_lowercase()) " jobs" } { (short) }
            }
        }
    }
}

/// The whole number, where a short one is shown.
fn exact(number: u64) -> Option<String> {
    (number > 9_999).then(|| words::count(number))
}

/// A cell with a value in words, such as a rate.
pub(crate) fn value(label: &str, value: &str) -> Markup {
    let zero = if matches!(value, "" | "0" | "0 %" | "·") {
        "zero"
    } else {
        "some"
    };
    html! { td.number.(zero) data-label=(label) { (value) } }
}

/// The pages of a queue, side by side.
pub(crate) fn queue_tabs(chrome: &Chrome, queue: &str) -> Markup {
    const TABS: [(&str, &str); 7] = [
        ("", "Queue"),
        ("/jobs", "Jobs"),
        ("/running", "Running"),
        ("/dead", "Dead letters"),
        ("/schedules", "Schedules"),
        ("/workers", "Workers"),
        ("/audit", "Audit"),
    ];
    let here = format!(
        "{}{}",
        chrome.base,
        chrome.here.split('?').next().unwrap_or_default()
    );
    html! {
        nav.tabs aria-label="Pages of this queue" {
            @for (rest, label) in TABS {
                @let href = chrome.queue_href(queue, rest);
                a aria-current=[(href == here).then_some("page")] href=(href) { (label) }
            }
        }
    }
}

/// A link to a job, named by its id.
pub(crate) fn job_link(chrome: &Chrome, queue: &str, id: &str) -> Markup {
    html! { a.id href=(chrome.job_href(queue, id, "")) { (text::inline_of(id, 48)) } }
}

/// A link to a queue.
pub(crate) fn queue_link(chrome: &Chrome, queue: &str) -> Markup {
    html! { a href=(chrome.queue_href(queue, "")) { (text::inline_of(queue, 64)) } }
}

/// The pages above a page of a queue.
pub(crate) fn crumbs<'a>(chrome: &Chrome, queue: Option<&'a str>) -> Vec<(&'a str, String)> {
    let mut crumbs = vec![("Queues", chrome.href("/"))];
    crumbs.extend(queue.map(|queue| (queue, chrome.queue_href(queue, ""))));
    crumbs
}

/// Says that some queues are not in a list.
pub(crate) fn left_out(queues: u64) -> Markup {
    html! {
        @if queues > 0 {
            footer { (words::some(queues, "queue")) " more are not looked at on this page; each has a page of its own." }
        }
    }
}
