//! What happened to a job, from when it was enqueued until now.

use maud::{Markup, html};

use crate::chrome::Chrome;
use crate::model::{AttemptLine, JobState, JobView, Moment};
use crate::pages::icon::{self, Icon};
use crate::pages::{parts, text, words};

/// Bytes of a reason that stands in a line of its own, without a frame.
const SHORT: usize = 120;

pub(crate) fn timeline(shown: &JobView, chrome: &Chrome) -> Markup {
    let now = chrome.now;
    let enqueued =
        html! { strong { "Enqueued" } span.quiet { (parts::ago(shown.line.enqueued_at, now)) } };
    html! {
        ol.timeline {
            (entry("quiet", icon::START, &enqueued, &html! {}))
            @for attempt in &shown.attempts { (attempt_of(attempt, now)) }
            (latest(shown, now))
        }
    }
}

fn entry(class: &str, icon: Icon, line: &Markup, below: &Markup) -> Markup {
    html! { li { span.dot.(class) { (icon) } div { div.line { (line) } (below) } } }
}

fn attempt_of(attempt: &AttemptLine, now: Moment) -> Markup {
    let (title, class, icon) = match attempt.kind {
        "error" => ("Attempt failed", "bad", icon::DEAD),
        "panic" => ("Handler panicked", "bad", icon::WARNING),
        "timeout" => ("Attempt took too long", "bad", icon::SCHEDULE),
        "stalled" => ("Worker died", "bad", icon::GONE),
        "unknown-name" => ("No handler of this name", "warn", icon::WARNING),
        "undecodable" => ("Payload could not be read", "bad", icon::WARNING),
        "bad-result" => ("Result could not be stored", "bad", icon::WARNING),
        "snoozed" => ("Put off by its handler", "later", icon::DELAYED),
        "child-died" => ("A job for which it waited died", "bad", icon::DEAD),
        _ => ("Attempt went wrong", "bad", icon::WARNING),
    };
    let took = attempt.started_at.ms_before(attempt.ended_at);
    let line = html! {
        strong { (title) }
        span.quiet { (parts::ago(attempt.ended_at, now)) }
        span.quiet { "after " (parts::ms(took)) }
    };
    let below =
        html! { @if !attempt.error.is_empty() { div.error { (text::block(&attempt.error)) } } };
    entry(class, icon, &line, &below)
}

/// What it does now, or how it ended.
fn latest(shown: &JobView, now: Moment) -> Markup {
    let line = &shown.line;
    let (icon, class) = parts::look_of(line.state);
    let reason = shown
        .ended
        .as_ref()
        .and_then(|ended| ended.reason.as_deref());
    // An error that the last attempt has told already is not told again.
    let reason = reason.filter(|reason| {
        shown
            .attempts
            .last()
            .is_none_or(|last| last.error != *reason)
    });
    let is_short = |reason: &&str| reason.len() <= SHORT && !reason.contains('\n');
    let (short, long) = (
        reason.filter(is_short),
        reason.filter(|reason| !is_short(reason)),
    );
    let below = html! {
        @if let Some(reason) = short { div.quiet { (text::inline(reason)) } }
        @if let Some(reason) = long { div.error { (text::block(reason)) } }
    };
    let says = html! {
        @match line.state {
            JobState::Waiting => { strong { "Waits in line" } }
            JobState::Blocked => { strong { "Held back" } }
            JobState::Delayed => { strong { "Becomes due" } @if let Some(due) = line.due_at { span.quiet { (parts::ahead(due, now)) } } }
            JobState::Active => { strong { "Runs" } @if let Some(at) = line.claimed_at { span.quiet { "for " (parts::since(at, now)) } } }
            JobState::Completed | JobState::Cancelled | JobState::Dead => {
                strong { (how_it_ended(shown)) }
                @if let Some(at) = line.ended_at {
                    span.quiet { (parts::ago(at, now)) }
                    span.quiet { (parts::ms(line.enqueued_at.ms_before(at))) " after it was enqueued" }
                }
            }
            other => { strong { (words::capital(other.as_str())) } }
        }
    };
    entry(class, icon, &says, &below)
}

fn how_it_ended(shown: &JobView) -> &'static str {
    match shown.ended.as_ref().map(|ended| ended.how) {
        Some("completed") => "Completed",
        Some("cancelled") => "Cancelled",
        Some("compensated") => "Undone",
        Some("expired") => "Expired before it started",
        Some("dead") => "Dead",
        _ => "Ended",
    }
}
