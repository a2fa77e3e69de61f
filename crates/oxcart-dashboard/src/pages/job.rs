//! One job: where it stands, its attempts, what it carries, what its handlers have said.

use maud::{Markup, html};
use serde_json::Value;

use crate::access::Role;
use crate::chrome::Chrome;
use crate::model::{JobState, JobView};
use crate::pages::frame::Page;
use crate::pages::{bulk, icon, json, parts, running, steps, text, timeline, words};

/// Longest payload that can be changed on the page, in bytes.
const LONGEST_EDITED: usize = 64 * 1024;

pub(crate) fn job(shown: &JobView, chrome: &Chrome) -> Markup {
    let line = &shown.line;
    let body = html! {
        div.columns {
            div.stack {
                (parts::panel("What happened", &html! {}, &html! { div.inside { (timeline::timeline(shown, chrome)) } }))
                (steps::steps(shown, chrome))
                (steps::children(shown, chrome))
                (payload(shown, chrome))
                (result(shown))
                (log(shown))
            }
            div.stack {
                div.first { (place(shown)) }
                (facts(shown, chrome))
                (headers(shown))
            }
        }
    };
    let page = Page {
        crumbs: crumbs(shown, chrome),
        beside: state(line.state),
        actions: actions(shown, chrome),
        ..Page::new(&line.name, body)
    };
    page.framed(chrome)
}

fn state(state: JobState) -> Markup {
    let (_, class) = parts::look_of(state);
    html! { span.chip.large-chip.(class) { (parts::state(state)) } }
}

fn crumbs<'a>(shown: &'a JobView, chrome: &Chrome) -> Vec<(&'a str, String)> {
    let line = &shown.line;
    let list = chrome.queue_href(&line.queue, &format!("/jobs?state={}", line.state));
    let mut crumbs = parts::crumbs(chrome, Some(&line.queue));
    crumbs.push((line.state.as_str(), list));
    crumbs
}

fn actions(shown: &JobView, chrome: &Chrome) -> Markup {
    let (queue, id) = (&shown.line.queue, &shown.line.id);
    html! {
        div.bar-of-forms {
            @for action in bulk::actions_in(shown.line.state) {
                @if chrome.may(action.role, queue) {
                    @let to = chrome.job_href(queue, id, &format!("/{}", action.name));
                    @let label = html! { (action.icon) (action.says) };
                    @if action.name == "replay" && steps::is_stuck(shown) {
                        (steps::go_on(shown, chrome))
                    } @else if matches!(action.name, "remove" | "cancel") {
                        (parts::asked(&label, action.class, &question(action.name, shown), &parts::post(chrome, &to, &[], &html! {
                            button.danger { "Yes, " (action.name) " it" }
                        })))
                    } @else {
                        (parts::post(chrome, &to, &[], &html! { button.main-action { (label) } }))
                    }
                }
            }
        }
    }
}

fn question(action: &str, shown: &JobView) -> String {
    match (action, shown.line.state) {
        ("cancel", JobState::Active) => "Its handler is asked to end.".to_owned(),
        ("cancel", _) => "It ends without being run, and is kept as cancelled.".to_owned(),
        _ => "It and all that is known of it go. This cannot be undone.".to_owned(),
    }
}

/// Where the job stands.
fn place(shown: &JobView) -> Markup {
    let body = html! {
        div.inside.stack {
            p { (text::inline_of(&shown.stands, 600)) }
            @if shown.line.state == JobState::Active { (running::progress(&shown.line.progress)) }
            @if let Some(why) = &shown.unreadable {
                (parts::notice("warn", icon::WARNING, &text::inline_of(why, 400)))
            }
        }
    };
    parts::panel("Where it stands", &html! {}, &body)
}

fn facts(shown: &JobView, chrome: &Chrome) -> Markup {
    let line = &shown.line;
    let now = chrome.now;
    let texts = [
        ("Group", &line.group),
        ("Order", &shown.order),
        ("Unique key", &shown.unique),
        ("Worker", &line.worker),
    ];
    let numbers = [
        ("Worker died", shown.stalls),
        ("No handler", shown.bounces),
        ("Put off", shown.snoozes),
    ];
    let body = html! {
        dl.facts.inside {
            dt { "Id" }
            dd { span.with-copy { code { (text::inline_of(&line.id, 300)) } (copy(&line.id)) } }
            dt { "Queue" } dd { (parts::queue_link(chrome, &line.queue)) }
            dt { "Enqueued" } dd { (parts::ago(line.enqueued_at, now)) }
            dt { "Failed" } dd { (line.failed) " of at most " (words::some(line.attempts.into(), "attempt")) }
            dt { "Priority" } dd { (line.priority) @if line.priority == 500 { span.quiet { " (the default)" } } }
            @for (label, text) in texts { @if let Some(text) = text { dt { (label) } dd { (text::inline_of(text, 300)) } } }
            @if let Some(parent) = &shown.parent { dt { "Parent" } dd {
                (parts::job_link(chrome, shown.parent_queue.as_ref().unwrap_or(&line.queue), parent))
                @if let Some(queue) = &shown.parent_queue { " in " (queue) }
                " waits for it"
            } }
            @for (label, times) in numbers { @if times > 0 { dt { (label) } dd { (words::some(times.into(), "time")) } } }
            @if shown.weight != 1 { dt { "Weight" } dd { (shown.weight) " against the rate of the queue" } }
            @if let Some(ms) = shown.timeout_ms { dt { "Time limit" } dd { (parts::ms(ms)) " for an attempt" } }
            @if let Some(at) = shown.expires_at { dt { "Expires" } dd { (parts::ahead(at, now)) ", unless it has started" } }
            @if let Some(bytes) = shown.checkpoint_bytes { dt { "Checkpoint" } dd { (words::some(bytes, "byte")) } }
            @if let Some(at) = shown.lease_until { dt { "Lease" } dd { "ends " (parts::ahead(at, now)) ", unless it is extended" } }
            @if let Some(fingerprint) = &shown.fingerprint {
                dt { "Same cause" }
                dd { a href=(same_cause(shown, fingerprint, chrome)) { code { (text::inline_of(fingerprint, 40)) } } }
            }
        }
    };
    parts::panel("Facts", &html! {}, &body)
}

fn same_cause(shown: &JobView, fingerprint: &str, chrome: &Chrome) -> String {
    let list = chrome.queue_href(&shown.line.queue, "/jobs");
    crate::pages::links::with_query(&list, &[("state", "dead"), ("fingerprint", fingerprint)])
}

/// Shown by the script, which does it.
fn copy(text: &str) -> Markup {
    html! { button.plain type="button" data-copy=(text) hidden aria-label="Copy the id" title="Copy" { (icon::COPY) } }
}

fn headers(shown: &JobView) -> Markup {
    let body = html! {
        dl.facts.inside { @for (name, value) in &shown.headers { dt { (text::inline_of(name, 60)) } dd { (text::inline_of(value, 400)) } } }
    };
    html! { @if !shown.headers.is_empty() { (parts::panel("Headers", &html! {}, &body)) } }
}

fn payload(shown: &JobView, chrome: &Chrome) -> Markup {
    let line = &shown.line;
    let beside = html! {
        @if !shown.secret.is_empty() {
            @let fields = words::some(shown.secret.len() as u64, "secret field");
            (parts::chip("plain", html! { (icon::BLOCKED) (fields) }))
        }
    };
    let can_change = !matches!(
        line.state,
        JobState::Active | JobState::Completed | JobState::Cancelled
    );
    let body = html! {
        div.inside.stack {
            (json::shown(&shown.payload))
            @if can_change && chrome.may(Role::Admin, &line.queue) { (edit(shown, chrome)) }
        }
    };
    parts::panel("Payload", &beside, &body)
}

fn edit(shown: &JobView, chrome: &Chrome) -> Markup {
    let line = &shown.line;
    let now = json::to_edit(&shown.payload);
    let inside = html! {
        div.stack {
            @if now.len() <= LONGEST_EDITED && shown.unreadable.is_none() {
                label.field {
                    span { "Payload, as JSON" @if !shown.secret.is_empty() { ". A secret field that is left as (secret) stays as it is" } }
                    textarea name="payload" spellcheck="false" { "\n" (now) }
                }
            }
            div.fields {
                label.field {
                    span { "Priority (0 is first)" }
                    input type="number" name="priority" min="0" max="1023" value=(line.priority);
                }
                label.field { span { "Attempts at most" } input type="number" name="attempts" min="1" value=(line.attempts); }
                button.main-action { "Change the job" }
            }
        }
    };
    html! {
        details.edit {
            summary { "Change it" }
            (parts::post(chrome, &chrome.job_href(&line.queue, &line.id, "/edit"), &[], &inside))
        }
    }
}

fn result(shown: &JobView) -> Markup {
    let body = html! { div.inside { (json::shown(&shown.result)) } };
    html! { @if shown.result != Value::Null { (parts::panel("Result", &html! {}, &body)) } }
}

fn log(shown: &JobView) -> Markup {
    let lines = shown.log.len() as u64;
    let beside = html! { span.quiet.small { "the last " (words::some(lines, "line")) } };
    let body = html! {
        ol.log tabindex="0" aria-label="What its handlers have said" {
            @for line in &shown.log {
                li data-key={ "l-" (line.number) } {
                    time datetime=(line.at) title={ (line.at) ", attempt " (line.attempt) } { (time_of_day(&line.at.to_string())) }
                    bdi { (text::lines(&text::plain_lines(&line.text, 4_096))) }
                }
            }
        }
    };
    html! { @if lines > 0 { (parts::panel("Log", &beside, &body)) } }
}

/// `14:03:09.250` of `2026-11-21T14:03:09.250Z`.
fn time_of_day(moment: &str) -> &str {
    let time = moment.split('T').nth(1).unwrap_or(moment);
    time.trim_end_matches('Z')
}
