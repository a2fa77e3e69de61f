//! Schedules: when they tick next, and what came of the last tick.

use maud::{Markup, html};

use crate::access::Role;
use crate::chrome::{Chrome, path_part};
use crate::model::{ScheduleLine, Schedules, TickOutcome};
use crate::pages::frame::Page;
use crate::pages::parts::Column::{Actions, Number, Words};
use crate::pages::{icon, parts, text};

pub(crate) fn schedules(shown: &Schedules, chrome: &Chrome) -> Markup {
    let body = html! {
        section.panel aria-label="Schedules" {
            @if shown.schedules.is_empty() {
                (parts::empty(icon::SCHEDULE, "No schedule", "A schedule makes a job at each of its ticks."))
            } @else {
                div.scroll { table.cards {
                    caption.hidden-text { "Schedules, with their next and their last tick" }
                    (heads(shown.queue.is_none()))
                    tbody { @for line in &shown.schedules { (row(shown, line, chrome)) } }
                } }
            }
            (parts::left_out(shown.left_out))
        }
    };
    Page::across("Schedules", shown.queue.as_deref(), body, chrome).framed(chrome)
}

/// The queue has a column of its own where there are several.
fn heads(several: bool) -> Markup {
    let mut columns = vec![
        Words("Schedule"),
        Words("Ticks"),
        Words("Next"),
        Words("Last tick"),
        Number("Made jobs"),
        Number("Missed"),
        Number("Overlapped"),
        Actions,
    ];
    if several {
        columns.insert(1, Words("Queue"));
    }
    parts::heads(&columns)
}

fn row(shown: &Schedules, line: &ScheduleLine, chrome: &Chrome) -> Markup {
    html! {
        tr data-key={ "s-" (line.queue) "-" (text::plain(&line.name, 130)) } {
            th.whole scope="row" {
                div.name { (text::inline_of(&line.name, 60)) @if line.paused { (parts::chip("warn", html! { (icon::PAUSED) "paused" })) } }
                @if let Some(job) = &line.job { div.quiet.small { "makes " (text::inline_of(job, 60)) } }
                @if let Some(why) = &line.unreadable { (parts::chip("bad", text::inline_of(why, 120))) }
            }
            @if shown.queue.is_none() { (parts::cell("Queue", parts::queue_link(chrome, &line.queue))) }
            (parts::cell("Ticks", html! { @if let Some(rhythm) = &line.rhythm { code { (text::inline_of(rhythm, 80)) } } }))
            (parts::cell("Next", next(line, chrome)))
            (parts::cell("Last tick", last(line, chrome)))
            (parts::number("Made jobs", line.fired))
            (parts::number("Missed", line.missed))
            (parts::number("Overlapped", line.overlapped))
            td.actions.whole { @if chrome.may(Role::Operator, &line.queue) { (actions(line, chrome)) } }
        }
    }
}

fn next(line: &ScheduleLine, chrome: &Chrome) -> Markup {
    html! {
        @if line.paused { span.quiet { "not while it is paused" } }
        @else if let Some(at) = line.next_tick { (parts::ahead(at, chrome.now)) }
        @else { span.quiet { "never again" } }
    }
}

fn last(line: &ScheduleLine, chrome: &Chrome) -> Markup {
    html! {
        @if let Some(at) = line.last_tick {
            (parts::ago(at, chrome.now)) " "
            @match line.last_outcome {
                Some(TickOutcome::Overlapped) => (parts::chip("warn", "the job before still ran")),
                Some(TickOutcome::Missed) => (parts::chip("bad", "too late")),
                _ => {}
            }
            @if let Some(id) = &line.last_job {
                div.small {
                    (parts::job_link(chrome, &line.queue, id)) " "
                    @if let Some(state) = line.last_job_state { (parts::state(state)) }
                }
            }
        } @else { span.quiet { "not yet" } }
    }
}

fn actions(line: &ScheduleLine, chrome: &Chrome) -> Markup {
    let to = |verb: &str| {
        chrome.queue_href(
            &line.queue,
            &format!("/schedules/{}/{verb}", path_part(&line.name)),
        )
    };
    let name = text::plain(&line.name, 60);
    let back = [("back", chrome.here.as_str())];
    let one = |verb: &str, says: &str| {
        parts::post(
            chrome,
            &to(verb),
            &back,
            &html! { button.plain aria-label={ (says) ": " (name) } { (says) } },
        )
    };
    let label = html! { (icon::REMOVE) span.hidden-text { "Remove " (name) } };
    let remove = parts::post(
        chrome,
        &to("remove"),
        &back,
        &html! { button.danger { "Yes, remove it" } },
    );
    html! {
        div.bar-of-forms {
            (one("run", "Run now"))
            @if line.paused { (one("resume", "Resume")) } @else { (one("pause", "Pause")) }
            @if chrome.may(Role::Admin, &line.queue) {
                (parts::asked(&label, "plain", "It makes no more jobs. This cannot be undone.", &remove))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::tests::chrome;

    #[test]
    fn a_schedule_of_a_hostile_name_has_links_that_lead_to_it() {
        let line = ScheduleLine {
            name: "a/../b?x#<i>".to_owned(),
            ..crate::pages::tests::schedule()
        };
        let drawn = actions(&line, &chrome("/schedules")).into_string();
        assert!(
            drawn.contains("/schedules/a%2F..%2Fb%3Fx%23%3Ci%3E/run"),
            "{drawn}"
        );
    }
}
