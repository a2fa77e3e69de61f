//! What belongs to a job beside itself: its steps, and the jobs for which it waits.

use maud::{Markup, html};

use crate::access::Role;
use crate::chrome::Chrome;
use crate::model::{ChildLine, JobState, JobView, SagaView, StepLine};
use crate::pages::icon::{self, Icon};
use crate::pages::parts;
use crate::pages::parts::Column::{Actions, Number, Words};
use crate::pages::{text, words};

/// Longest text in a line of a table, in characters.
const LONGEST: usize = 300;

/// An undo cannot be done, and somebody has to decide.
pub(crate) fn is_stuck(shown: &JobView) -> bool {
    let saga = shown.saga.as_ref();
    saga.is_some_and(|saga| saga.state == "stuck")
}

pub(crate) fn steps(shown: &JobView, chrome: &Chrome) -> Markup {
    let beside = html! { @if let Some(saga) = &shown.saga { (chip(saga)) } };
    let is_operator = chrome.may(Role::Operator, &shown.line.queue);
    let columns = [
        Words("Step"),
        Words("State"),
        Words("When"),
        Number("Size"),
        Words("What"),
        Actions,
    ];
    let body = html! {
        @if is_stuck(shown) { div.inside { (stuck()) } }
        @if let Some(reason) = shown.saga.as_ref().and_then(|saga| saga.reason.as_ref()) {
            div.inside { "To be undone, because: " (text::inline_of(reason, LONGEST)) }
        }
        div.scroll { table.cards {
            caption.hidden-text { "The steps of this job, with what became of each" }
            (parts::heads(&columns))
            tbody { @for (at, step) in shown.steps.iter().enumerate() { (step_row(shown, at, step, chrome)) } }
        } }
        @if is_operator {
            @for step in shown.steps.iter().filter(|step| step.state == "waiting" && is_open(shown)) {
                div.inside { (signal(shown, step, chrome)) }
            }
        }
    };
    html! { @if !shown.steps.is_empty() { (parts::panel("Steps", &beside, &body)) } }
}

fn chip(saga: &SagaView) -> Markup {
    let class = match saga.state {
        "completed" => "good",
        "stuck" => "bad",
        "undoing" | "compensated" => "warn",
        _ => "calm",
    };
    parts::chip(class, html! { "saga: " (saga.state) })
}

/// It may still be told something.
fn is_open(shown: &JobView) -> bool {
    !matches!(
        shown.line.state,
        JobState::Completed | JobState::Cancelled | JobState::Dead
    )
}

/// It goes on only if somebody decides.
fn stuck() -> Markup {
    let says = html! {
        "It cannot be undone further. Let it go on undoing, with fresh attempts; before that, leave out an undo that was done by hand. To \
         remove it leaves what is not undone as it is."
    };
    parts::notice("bad", icon::WARNING, &says)
}

/// The button that lets a stuck saga go on.
pub(crate) fn go_on(shown: &JobView, chrome: &Chrome) -> Markup {
    let to = chrome.job_href(&shown.line.queue, &shown.line.id, "/replay");
    let label = html! { (icon::REPLAY) "Go on undoing" };
    let question = "The steps that are done are undone from the last one on, with fresh attempts.";
    let form = parts::post(
        chrome,
        &to,
        &[],
        &html! { button.main-action { "Yes, go on" } },
    );
    parts::asked(&label, "main-action", question, &form)
}

/// The button that leaves out an undo.
fn skip(shown: &JobView, step: &StepLine, chrome: &Chrome) -> Markup {
    let to = chrome.job_href(&shown.line.queue, &shown.line.id, "/skip");
    let (says, question) = match step.state {
        "begun" => (
            "It had no effect",
            "Whether this step took effect is not known. It counts as failed then: it is not run again, and nothing of it is undone.",
        ),
        _ => (
            "Leave out its undo",
            "What this step did stays as it is, unless somebody has undone it by hand. This cannot be taken back.",
        ),
    };
    let form = parts::post(
        chrome,
        &to,
        &[("step", &step.name)],
        &html! { button.danger { "Yes, leave it out" } },
    );
    parts::asked(&html! { (says) }, "plain", question, &form)
}

/// The form that gives a job the value for which it waits.
fn signal(shown: &JobView, step: &StepLine, chrome: &Chrome) -> Markup {
    let to = chrome.job_href(&shown.line.queue, &shown.line.id, "/signal");
    let inside = html! {
        div.stack {
            label.field {
                span { "Its value, as JSON. The first value stays" }
                textarea name="payload" spellcheck="false" rows="3" { "\nnull" }
            }
            div.bar-of-forms { button.main-action { "Give the signal" } }
        }
    };
    html! {
        details.edit {
            summary { "Give the signal " (text::inline_of(&step.name, 80)) }
            (parts::post(chrome, &to, &[("name", &step.name)], &inside))
        }
    }
}

fn state(icon: Icon, class: &str, says: &str) -> Markup {
    html! { span.state.(class) { (icon) (says) } }
}

fn step_row(shown: &JobView, at: usize, step: &StepLine, chrome: &Chrome) -> Markup {
    let (icon, class) = match step.state {
        "begun" => (icon::RUNNING, "calm"),
        "done" | "signalled" => (icon::COMPLETED, "good"),
        "failed" => (icon::DEAD, "bad"),
        "undone" => (icon::REPLAY, "warn"),
        "sleeping" => (icon::DELAYED, "later"),
        "waiting" => (icon::WAITING, "calm"),
        "slept" => (icon::DELAYED, "quiet"),
        _ => (icon::CANCELLED, "quiet"),
    };
    let can_skip = is_stuck(shown)
        && matches!(step.state, "done" | "begun")
        && chrome.may(Role::Operator, &shown.line.queue);
    let size = match step.bytes {
        0 => String::new(),
        bytes => words::bytes(bytes as usize),
    };
    html! {
        tr data-key={ "s-" (at) } {
            th.whole scope="row" { (text::inline_of(&step.name, LONGEST)) }
            (parts::cell("State", state(icon, class, &words::capital(step.state))))
            (parts::cell("When", parts::ago(step.at, chrome.now)))
            td.number data-label="Size" { (size) }
            td.whole data-label="What" { (what(step, chrome)) }
            td.number.whole { @if can_skip { (skip(shown, step, chrome)) } }
        }
    }
}

/// The error, or until when it lasts.
fn what(step: &StepLine, chrome: &Chrome) -> Markup {
    match (&step.error, step.state, step.due) {
        (Some(error), ..) => text::inline_of(error, LONGEST),
        (_, "sleeping", Some(due)) => html! { "over " (parts::ahead(due, chrome.now)) },
        (_, "waiting", Some(due)) => {
            html! { "for a signal, over " (parts::ahead(due, chrome.now)) }
        }
        (_, "waiting", None) => html! { "for a signal, without end" },
        _ => html! {},
    }
}

pub(crate) fn children(shown: &JobView, chrome: &Chrome) -> Markup {
    let is_dead = |child: &&ChildLine| child.ended.as_ref().is_some_and(|it| it.how == "dead");
    let is_over = |child: &&ChildLine| child.ended.is_some() || child.removed;
    // A dead one may hold up the job, and may be replayed.
    let dead = shown.children.iter().filter(is_dead).count() as u64;
    let over = shown.children.iter().filter(is_over).count() as u64 - dead;
    let all = words::jobs(shown.children.len() as u64);
    let beside = html! {
        span.quiet.small { (words::count(over)) " of " (all) " ended" @if dead > 0 { ", " (words::count(dead)) " dead" } }
    };
    let body = html! {
        div.scroll { table.cards {
            caption.hidden-text { "The jobs for which this job waits, or has waited" }
            (parts::heads(&[Words("Job"), Words("Id"), Words("State"), Words("Ended"), Words("Why")]))
            tbody { @for child in &shown.children { (child_row(shown, child, chrome)) } }
        } }
    };
    html! { @if !shown.children.is_empty() { (parts::panel("Children", &beside, &body)) } }
}

fn child_row(shown: &JobView, child: &ChildLine, chrome: &Chrome) -> Markup {
    let (icon, class, says) = match child.ended.as_ref().map(|ended| ended.how) {
        _ if child.removed => (icon::REMOVE, "quiet", "Removed"),
        _ if child.refused.is_some() => (icon::REMOVE, "bad", "Not added"),
        None => (icon::DELAYED, "calm", "Not ended"),
        Some("completed") => (icon::COMPLETED, "good", "Completed"),
        Some("cancelled") => (icon::CANCELLED, "quiet", "Cancelled"),
        Some("compensated") => (icon::REPLAY, "warn", "Undone"),
        Some("expired") => (icon::CANCELLED, "quiet", "Expired"),
        Some("dead") => (icon::DEAD, "bad", "Dead"),
        Some(_) => (icon::EMPTY, "quiet", "Ended"),
    };
    let why = child
        .ended
        .as_ref()
        .and_then(|ended| ended.reason.as_deref())
        .or(child.refused.as_deref());
    let queue = child.queue.as_ref().unwrap_or(&shown.line.queue);
    html! {
        tr {
            th.whole scope="row" {
                (text::inline_of(&child.name, LONGEST))
                @if let Some(queue) = &child.queue { " in " (text::inline_of(queue, LONGEST)) }
            }
            (parts::cell("Id", parts::job_link(chrome, queue, &child.id)))
            (parts::cell("State", state(icon, class, says)))
            td data-label="Ended" { @if let Some(at) = child.ended_at { (parts::ago(at, chrome.now)) } }
            td.whole data-label="Why" { @if let Some(why) = why { (text::inline_of(why, LONGEST)) } }
        }
    }
}
