//! What stands beside the history of a queue: limits, settings, totals, its groups.

use maud::{Markup, html};

use crate::access::Role;
use crate::chrome::Chrome;
use crate::model::{QueueLine, QueueView, Rates, Totals};
use crate::pages::parts::Column::{Number, Words};
use crate::pages::{chart, parts, text, words};

pub(crate) fn side(shown: &QueueView, chrome: &Chrome) -> Markup {
    html! {
        div.stack {
            (now(shown, chrome))
            (outbox(&shown.line, chrome))
            (groups(shown, chrome))
            (totals(&shown.totals))
            (settings(shown))
        }
    }
}

/// How it goes at the moment.
fn now(shown: &QueueView, chrome: &Chrome) -> Markup {
    let line = &shown.line;
    let body = html! {
        dl.facts.inside {
            dt { "Workers" }
            dd { a href=(chrome.queue_href(&line.queue, "/workers")) { (words::some(shown.workers, "worker")) } }
            @if let Some(rates) = line.rates {
                dt { "Coming in" } dd { (words::rate(rates.arrivals)) }
                dt { "Ending" } dd { (words::rate(rates.departures)) }
                @if let Some(failed) = rates.failed { dt { "Failing" } dd { (words::percent(failed)) " of the attempts" } }
                dt { "Drained in" }
                dd { (drained(&rates, line.waiting)) }
            }
            @if let Some(id) = &shown.oldest_waiting_id {
                dt { "Oldest" }
                dd { (parts::job_link(chrome, &line.queue, id)) @if let Some(ms) = line.oldest_waiting_ms { ", for " (parts::ms(ms)) } }
            }
            @if let Some(most) = shown.concurrency { dt { "At a time" } dd { (part_of(line.active, u64::from(most), "run")) } }
            @if let Some(rate) = &shown.rate {
                dt { "Rate" } dd { (rate) ", " (words::count(shown.rate_started)) " used now" }
            }
            @if !line.paused_names.is_empty() {
                dt { "Paused names" }
                dd { ul { @for name in &line.paused_names { li { (text::inline_of(name, 60)) } } } }
            }
        }
    };
    parts::panel("Now", &Markup::default(), &body)
}

fn drained(rates: &Rates, waiting: u64) -> String {
    match rates.drain_ms {
        Some(ms) if waiting > 0 => parts::ms(ms),
        _ if waiting == 0 => "nothing waits".to_owned(),
        _ if words::grows(rates) => "not: more come than end".to_owned(),
        _ if rates.departures == 0.0 => "not: none ends".to_owned(),
        _ => "not: as many come as end".to_owned(),
    }
}

fn part_of(part: u64, all: u64, what: &str) -> Markup {
    let says = format!("{} of {} {what}", words::count(part), words::count(all));
    html! { (says) (chart::bar(part as f64 / all.max(1) as f64, &says)) }
}

/// What it has for other queues, while there is something.
fn outbox(line: &QueueLine, chrome: &Chrome) -> Markup {
    let messages = line.outbox.iter().map(|outgoing| outgoing.messages).sum();
    let beside = html! { span.quiet.small { (words::some(messages, "message")) } };
    let body = html! {
        div.scroll { table {
            caption.hidden-text { "The messages of this queue that wait for other queues" }
            (parts::heads(&[Words("For"), Number("Messages"), Words("Oldest")]))
            tbody { @for outgoing in &line.outbox { tr {
                th scope="row" { (parts::queue_link(chrome, &outgoing.queue)) }
                (parts::number("Messages", outgoing.messages))
                (parts::cell("Oldest", parts::ago(outgoing.since, chrome.now)))
            } } }
        } }
        footer { "Workers of this queue carry them at once, and try again after 30 s at most." }
    };
    html! { @if !line.outbox.is_empty() { (parts::panel("Outbox", &beside, &body)) } }
}

/// A form for one group, by its key: a queue may have millions of them.
fn groups(shown: &QueueView, chrome: &Chrome) -> Markup {
    let queue = &shown.line.queue;
    let body = html! {
        div.inside.stack {
            form.fields method="get" action=(chrome.queue_href(queue, "/jobs")) {
                label.field.grow { span { "Jobs of the group" } input name="group" autocomplete="off" required; }
                button { "Show" }
            }
            (pausing(queue, "group", "Pause or resume the group", chrome))
        }
    };
    parts::panel("Groups", &Markup::default(), &body)
}

/// A form that pauses or resumes the jobs of what is typed: also of something of which the page does not know yet.
pub(crate) fn pausing(queue: &str, field: &str, label: &str, chrome: &Chrome) -> Markup {
    html! {
        @if chrome.may(Role::Operator, queue) {
            form.fields method="post" action=(chrome.queue_href(queue, "/pause")) {
                input type="hidden" name="csrf" value=(chrome.csrf);
                label.field.grow { span { (label) } input name=(field) autocomplete="off" required; }
                div.bar-of-forms {
                    button { "Pause" }
                    button formaction=(chrome.queue_href(queue, "/resume")) { "Resume" }
                }
            }
        }
    }
}

fn totals(totals: &Totals) -> Markup {
    let numbers = [
        ("Enqueued", totals.added),
        ("Completed", totals.completed),
        ("Retried", totals.retried),
        ("Dead", totals.dead),
        ("Replayed", totals.replayed),
        ("Cancelled", totals.cancelled),
        ("Expired", totals.expired),
        ("Put off", totals.snoozed),
        ("Worker died", totals.stalled),
        ("Removed", totals.removed),
        ("Duplicates", totals.duplicates),
        ("Refused late calls", totals.refused),
    ];
    let body = html! {
        dl.facts.numbers.inside {
            @for (label, number) in numbers.into_iter().filter(|(label, number)| *number > 0 || *label == "Enqueued") {
                dt { (label) } dd.number { (words::count(number)) }
            }
        }
    };
    parts::panel("Since it was made", &Markup::default(), &body)
}

fn settings(shown: &QueueView) -> Markup {
    let body = html! {
        dl.facts.inside {
            @for setting in &shown.settings { dt { (setting.name.replace('_', " ")) } dd { (text::inline_of(&setting.value, 80)) } }
        }
    };
    html! { @if !shown.settings.is_empty() { (parts::panel("Settings", &Markup::default(), &body)) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_grows_only_if_more_come_than_end() {
        let drained = |arrivals, departures, drain_ms, waiting| {
            let rates = Rates {
                arrivals,
                departures,
                failed: None,
                drain_ms,
            };
            drained(&rates, waiting)
        };
        assert_eq!(drained(1.0, 2.0, Some(90_000), 90), "90 s");
        assert_eq!(drained(2.0, 1.0, None, 90), "not: more come than end");
        assert_eq!(drained(2.0, 2.0, None, 90), "not: as many come as end");
        // They are shown as 48 a minute, both of them.
        let (came, ended) = (48.4 / 60.0, 47.6 / 60.0);
        assert_eq!(drained(came, ended, None, 7), "not: as many come as end");
        assert_eq!(drained(2.02, 2.0, None, 90), "not: as many come as end");
        assert_eq!(drained(0.0, 0.0, None, 90), "not: none ends");
        assert_eq!(drained(0.0, 0.0, Some(0), 0), "nothing waits");
    }
}
