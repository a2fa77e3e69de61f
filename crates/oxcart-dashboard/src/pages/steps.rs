//! What belongs to a job beside itself: the steps of a saga, and the jobs for which it waits.

use maud::{Markup, html};

use crate::chrome::Chrome;
use crate::model::{ChildLine, JobView, SagaView, StepLine};
use crate::pages::icon::{self, Icon};
use crate::pages::parts::{self, Column::Words};
use crate::pages::{text, words};

/// Longest text in a line of a table, in characters.
const LONGEST: usize = 300;

pub(crate) fn saga(shown: &JobView, chrome: &Chrome) -> Markup {
    html! { @if let Some(saga) = &shown.saga { (steps(shown, saga, chrome)) } }
}

fn steps(shown: &JobView, saga: &SagaView, chrome: &Chrome) -> Markup {
    let class = match saga.state {
        "completed" => "good",
        "stuck" => "bad",
        "undoing" | "compensated" => "warn",
        _ => "calm",
    };
    let body = html! {
        @if saga.state == "stuck" { div.inside { (stuck(shown, saga)) } }
        @if let Some(reason) = &saga.reason { div.inside { "To be undone, because: " (text::inline_of(reason, LONGEST)) } }
        div.scroll { table.cards {
            caption.hidden-text { "The steps of this saga, with what became of each" }
            (parts::heads(&[Words("Step"), Words("State"), Words("When"), Words("Error")]))
            tbody { @for step in &saga.steps { (step_row(step, chrome)) } }
        } }
    };
    let beside = parts::chip(class, saga.state);
    parts::panel("Steps", &beside, &body)
}

/// It goes on only if somebody decides.
fn stuck(shown: &JobView, saga: &SagaView) -> Markup {
    // Steps are undone from the last one on.
    let last = saga.steps.iter().rfind(|step| step.state == "done");
    let says = html! {
        "It cannot be undone further. A replay goes on undoing, with fresh attempts; to remove it leaves what is not undone as it is."
        @if let Some(step) = last {
            " If the undo of " (text::inline_of(&step.name, 80)) " was done by hand, leave it out with "
            code { "oxcart saga skip " (text::inline_of(&shown.line.queue, 80)) " " (text::inline_of(&shown.line.id, 80)) " STEP" }
            ", then replay."
        }
    };
    parts::notice("bad", icon::WARNING, &says)
}

fn state(icon: Icon, class: &str, says: &str) -> Markup {
    html! { span.state.(class) { (icon) (says) } }
}

fn step_row(step: &StepLine, chrome: &Chrome) -> Markup {
    let (icon, class) = match step.state {
        "begun" => (icon::RUNNING, "calm"),
        "done" => (icon::COMPLETED, "good"),
        "failed" => (icon::DEAD, "bad"),
        "undone" => (icon::REPLAY, "warn"),
        _ => (icon::CANCELLED, "quiet"),
    };
    let error = step.error.as_deref().unwrap_or_default();
    html! {
        tr {
            th.whole scope="row" { (text::inline_of(&step.name, LONGEST)) }
            (parts::cell("State", state(icon, class, &words::capital(step.state))))
            (parts::cell("When", parts::ago(step.at, chrome.now)))
            td.whole data-label="Error" { @if !error.is_empty() { (text::inline_of(error, LONGEST)) } }
        }
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
        .and_then(|ended| ended.reason.as_deref());
    html! {
        tr {
            th.whole scope="row" { (text::inline_of(&child.name, LONGEST)) }
            (parts::cell("Id", parts::job_link(chrome, &shown.line.queue, &child.id)))
            (parts::cell("State", state(icon, class, says)))
            td data-label="Ended" { @if let Some(at) = child.ended_at { (parts::ago(at, chrome.now)) } }
            td.whole data-label="Why" { @if let Some(why) = why { (text::inline_of(why, LONGEST)) } }
        }
    }
}
