//! One queue: its numbers, what holds it back, what happened in the last day.

use maud::{Markup, html};

use crate::access::Role;
use crate::chrome::Chrome;
use crate::model::{JobState, MinutePoint, NameLine, Quantiles, QueueLine, QueueView};
use crate::pages::chart::{self, Axes, Series};
use crate::pages::frame::Page;
use crate::pages::parts::Column::{Actions, Number, Words};
use crate::pages::{icon, links, overview, parts, queue_side, text, words};

/// Steps of a chart at most.
const STEPS: u64 = 288;
/// Minutes that a chart shows at least: one minute would be no line.
const SHORTEST: u64 = 30;
/// Minutes of a day.
const LONGEST: u64 = 24 * 60;
const MINUTE_MS: u64 = 60_000;

pub(crate) fn queue(shown: &QueueView, chrome: &Chrome) -> Markup {
    let line = &shown.line;
    let body = html! {
        div.stack {
            @for problem in &line.problems { (parts::notice("warn", icon::WARNING, &text::inline_of(problem, 400))) }
            (states(line, chrome))
            div.columns {
                div.stack {
                    (history(shown, chrome))
                    (names(shown, chrome))
                }
                (queue_side::side(shown, chrome))
            }
        }
    };
    let page = Page {
        crumbs: parts::crumbs(chrome, None),
        beside: overview::chips(line, chrome),
        actions: actions(line, chrome),
        tabs: parts::queue_tabs(chrome, &line.queue),
        ..Page::new(&line.queue, body)
    };
    page.framed(chrome)
}

fn actions(line: &QueueLine, chrome: &Chrome) -> Markup {
    let to = |verb: &str| chrome.queue_href(&line.queue, verb);
    html! {
        @if chrome.may(Role::Operator, &line.queue) {
            div.bar-of-forms {
                @if line.paused {
                    (parts::post(chrome, &to("/resume"), &[], &html! { button.main-action { (icon::RUNNING) "Resume" } }))
                } @else {
                    (parts::post(chrome, &to("/pause"), &[], &html! { button { (icon::PAUSED) "Pause" } }))
                }
            }
        }
    }
}

/// How many jobs there are in each state, each with a link to them.
fn states(line: &QueueLine, chrome: &Chrome) -> Markup {
    let numbers = [
        (JobState::Waiting, line.waiting),
        (JobState::Blocked, line.blocked),
        (JobState::Delayed, line.delayed),
        (JobState::Active, line.active),
        (JobState::Completed, line.completed),
        (JobState::Dead, line.dead),
    ];
    let note = |state| match (state, line.oldest_waiting_ms) {
        (JobState::Waiting, Some(ms)) if line.waiting > 0 => format!("oldest {}", parts::ms(ms)),
        _ => String::new(),
    };
    html! {
        ul.tiles aria-label="Jobs by state" {
            @for (state, number) in numbers {
                li { a.tile href=(chrome.queue_href(&line.queue, &format!("/jobs?state={state}"))) {
                    span.label { (parts::state(state)) }
                    span.value title=(words::count(number)) { (words::short(number)) } " "
                    span.note { (note(state)) }
                } }
            }
        }
    }
}

fn history(shown: &QueueView, chrome: &Chrome) -> Markup {
    let covers = (shown.covers_ms / MINUTE_MS).clamp(SHORTEST, LONGEST);
    let step = covers.div_ceil(STEPS).max(1);
    let rates =
        |of: fn(&MinutePoint) -> u64| series(shown, chrome, (covers, step), of, Gaps::Nothing);
    let per_second = |jobs: Vec<f64>| {
        jobs.into_iter()
            .map(|jobs| jobs / (step * 60) as f64)
            .collect::<Vec<f64>>()
    };
    let (came, ended) = (
        per_second(rates(|at| at.arrived)),
        per_second(rates(|at| at.departed)),
    );
    let waited = series(
        shown,
        chrome,
        (covers, step),
        |at| at.waiting,
        Gaps::AsBefore,
    );
    let span = parts::ms(covers * MINUTE_MS);
    let moments = [
        format!("{span} ago"),
        format!("{} ago", parts::ms(covers * MINUTE_MS / 2)),
        "now".to_owned(),
    ];
    let span_ms = covers * MINUTE_MS;
    let axes = |title, words| Axes {
        title,
        moments: &moments,
        words,
        span_ms,
    };
    let body = html! {
        @if shown.minutes.is_empty() {
            (parts::empty(icon::OVERVIEW, "Nothing is known of the last day", "Workers write down once a minute what happened."))
        } @else {
            div.inside.stack {
                (chart::lines(&axes("Jobs in a second", words::rate), &[
                    Series { label: "Coming in", values: &came },
                    Series { label: "Ending", values: &ended },
                ]))
                (chart::lines(&axes("Jobs that wait", in_words), &[Series { label: "Waiting", values: &waited }]))
            }
        }
    };
    parts::panel(
        "History",
        &html! { span.quiet.small { "the last " (span) } },
        &body,
    )
}

/// There is no half of a job.
fn in_words(jobs: f64) -> String {
    match jobs.fract() {
        0.0 => words::short(jobs as u64),
        _ => String::new(),
    }
}

/// What a minute counts of which nothing was written down.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gaps {
    Nothing,
    AsBefore,
}

/// The last minute that is over and of which something is known. Workers report once a minute, so the last two or three may be missing:
/// that is not the same as nothing happening in them.
fn last_known(shown: &QueueView, chrome: &Chrome) -> u64 {
    let now = chrome.now.as_millis() / MINUTE_MS;
    let minutes = shown
        .minutes
        .iter()
        .map(|minute| minute.at.as_millis() / MINUTE_MS);
    let last = minutes.filter(|minute| *minute < now).max();
    last.filter(|last| now - last <= 3)
        .unwrap_or(now.saturating_sub(1))
}

/// The minutes up to now as steps of the same length, the oldest first: their sums, or the last value in each of them.
fn series(
    shown: &QueueView,
    chrome: &Chrome,
    (covers, step): (u64, u64),
    of: fn(&MinutePoint) -> u64,
    gaps: Gaps,
) -> Vec<f64> {
    let steps = covers.div_ceil(step);
    let end = last_known(shown, chrome);
    let mut values = vec![None; steps as usize];
    for minute in &shown.minutes {
        let Some(back) = end.checked_sub(minute.at.as_millis() / MINUTE_MS) else {
            continue;
        };
        let Some(at) = steps.checked_sub(back / step + 1) else {
            continue;
        };
        let value: &mut Option<f64> = &mut values[at as usize];
        let before = value.filter(|_| gaps == Gaps::Nothing).unwrap_or(0.0);
        *value = Some(before + of(minute) as f64);
    }
    let mut last = 0.0;
    let filled = values.into_iter().map(|value| {
        last = value.unwrap_or(if gaps == Gaps::AsBefore { last } else { 0.0 });
        last
    });
    filled.collect()
}

const NAME_COLUMNS: [parts::Column<'_>; 7] = [
    Words("Name"),
    Number("Completed"),
    Number("Retried"),
    Number("Dead"),
    Words("Wait"),
    Words("Run"),
    Actions,
];

/// The jobs of each name: how they ended, how long they waited and ran.
fn names(shown: &QueueView, chrome: &Chrome) -> Markup {
    let longest = shown
        .names
        .iter()
        .flat_map(|name| [name.wait, name.run])
        .flatten()
        .map(|it| it.p99_ms)
        .max();
    let longest = longest.unwrap_or(1) as f64;
    let body = html! {
        @if shown.names.is_empty() {
            (parts::empty(icon::EMPTY, "No attempt in the last day", ""))
        } @else {
            div.scroll { table.cards {
                caption.hidden-text { "Jobs of the last day by name" }
                (parts::heads(&NAME_COLUMNS))
                tbody { @for name in &shown.names { (name_row(shown, name, longest, chrome)) } }
            } }
            footer {
                "Wait and run: a ring for half of them, a dot for 95 %, a small dot for 99 %, on a scale of powers of ten."
            }
        }
        @if chrome.may(Role::Operator, &shown.line.queue) {
            div.inside { (queue_side::pausing(&shown.line.queue, "name", "Pause or resume jobs of the name", chrome)) }
        }
    };
    parts::panel(
        "By name",
        &html! { span.quiet.small { "the last day" } },
        &body,
    )
}

fn name_row(shown: &QueueView, name: &NameLine, longest: f64, chrome: &Chrome) -> Markup {
    let queue = &shown.line.queue;
    let jobs = chrome.queue_href(queue, "/jobs");
    let jobs = links::with_query(&jobs, &[("state", "waiting"), ("name", &name.name)]);
    html! {
        tr data-key={ "n-" (text::plain(&name.name, 130)) } {
            th.whole scope="row" { div.name {
                a data-row href=(jobs) { (text::inline_of(&name.name, 60)) }
                @if name.paused { (parts::chip("warn", html! { (icon::PAUSED) "paused" })) }
            } }
            (parts::number("Completed", name.completed))
            (parts::number("Retried", name.retried))
            (parts::number("Dead", name.dead))
            td.whole data-label="Wait" { (times(name.wait, longest)) }
            td.whole data-label="Run" { (times(name.run, longest)) }
            td.number.whole { @if chrome.may(Role::Operator, queue) { (pause_name(queue, name, chrome)) } }
        }
    }
}

fn pause_name(queue: &str, name: &NameLine, chrome: &Chrome) -> Markup {
    let (verb, says) = if name.paused {
        ("resume", "Resume")
    } else {
        ("pause", "Pause")
    };
    let label = format!("{says} jobs of the name {}", text::plain(&name.name, 60));
    let button = html! { button.plain aria-label=(label) { (says) } };
    parts::post(
        chrome,
        &chrome.queue_href(queue, &format!("/{verb}")),
        &[("name", &name.name)],
        &button,
    )
}

fn times(times: Option<Quantiles>, longest: f64) -> Markup {
    html! {
        @if let Some(Quantiles { p50_ms, p95_ms, p99_ms }) = times {
            @let says = format!("half within {}, 95 % within {}, 99 % within {}", parts::ms(p50_ms), parts::ms(p95_ms), parts::ms(p99_ms));
            div.times title=(says) {
                (chart::quantiles([p50_ms, p95_ms, p99_ms].map(|ms| ms as f64), longest, &says))
                span.small.quiet { (parts::ms(p50_ms)) " · " (parts::ms(p95_ms)) " · " (parts::ms(p99_ms)) }
            }
        } @else { span.quiet { "—" } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::tests::{chrome, queue_view};

    #[test]
    fn minutes_of_which_nothing_is_known_yet_are_not_shown_as_nothing() {
        let mut shown = queue_view();
        let chrome = chrome("/queues/mail");
        shown
            .minutes
            .retain(|minute| minute.at.ms_before(chrome.now) >= 2 * MINUTE_MS);
        let came = series(
            &shown,
            &chrome,
            (60, 1),
            |minute| minute.arrived,
            Gaps::Nothing,
        );
        assert_eq!(came.len(), 60);
        assert!(came.iter().all(|jobs| *jobs >= 300.0), "{came:?}");
    }

    #[test]
    fn steps_of_several_minutes_sum_up_or_take_the_last() {
        let (shown, chrome) = (queue_view(), chrome("/queues/mail"));
        let of = |gaps| series(&shown, &chrome, (60, 5), |_| 1, gaps);
        assert_eq!(of(Gaps::Nothing), vec![5.0; 12]);
        assert_eq!(of(Gaps::AsBefore), vec![1.0; 12]);
    }

    #[test]
    fn a_minute_without_news_has_as_many_waiting_as_the_one_before() {
        let (mut shown, chrome) = (queue_view(), chrome("/queues/mail"));
        shown
            .minutes
            .retain(|minute| (minute.at.as_millis() / MINUTE_MS).is_multiple_of(10));
        let waiting = series(&shown, &chrome, (30, 1), |_| 7, Gaps::AsBefore);
        assert!(waiting.ends_with(&[7.0; 10]), "{waiting:?}");
        let came = series(&shown, &chrome, (30, 1), |_| 7, Gaps::Nothing);
        assert!(came.contains(&0.0), "{came:?}");
    }
}
