//! What is wrong at the moment: the rules of the application, and the problems of the queues.

use std::time::Duration;

use maud::{Markup, html};

use crate::access::Role;
use crate::chrome::Chrome;
use crate::model::{AlertLine, Alerts, RuleLine, RuleState};
use crate::pages::frame::Page;
use crate::pages::parts::Column::{Actions, Words};
use crate::pages::{icon, parts, text, words};

/// A rule is judged every quarter of a minute or so: after this time, nobody seems to judge.
const SILENT_MS: u64 = 10 * 60_000;

pub(crate) fn alerts(shown: &Alerts, chrome: &Chrome) -> Markup {
    let body = html! {
        div.stack {
            @if !shown.rules.is_empty() { (rules(&shown.rules, chrome)) }
            (problems(&shown.alerts, chrome))
        }
    };
    Page::new("Alerts", body).framed(chrome)
}

fn rules(rules: &[RuleLine], chrome: &Chrome) -> Markup {
    let firing = rules
        .iter()
        .filter(|line| line.state == RuleState::Firing)
        .count();
    let beside = html! { span.quiet.small { (firing) " of " (words::some(rules.len() as u64, "alert")) " fire" } };
    let body = html! {
        div.scroll { table.cards {
            caption.hidden-text { "Rules of the application, those that fire first" }
            (parts::heads(&[Words("Rule"), Words("Queue"), Words("State"), Words("Measured"), Words("Since"), Actions]))
            tbody { @for line in rules { (rule(line, chrome)) } }
        } }
    };
    parts::panel("Rules", &beside, &body)
}

fn rule(line: &RuleLine, chrome: &Chrome) -> Markup {
    html! {
        tr data-key={ "rule-" (line.rule) "-" (line.queue) } {
            th.whole scope="row" {
                div.name { (text::inline_of(&line.rule, 60)) }
                div.quiet.small { (text::inline_of(&line.condition, 200)) }
            }
            (parts::cell("Queue", parts::queue_link(chrome, &line.queue)))
            (parts::cell("State", state(line, chrome)))
            (parts::cell("Measured", measured(line)))
            (parts::cell("Since", parts::ago(line.since, chrome.now)))
            td.actions.whole { (acknowledgement(line, chrome)) }
        }
    }
}

fn state(line: &RuleLine, chrome: &Chrome) -> Markup {
    let (icon, class, says) = match line.state {
        RuleState::Firing => (icon::ALERT, "bad", "Fires"),
        RuleState::Pending => (icon::SCHEDULE, "warn", "Pending"),
        RuleState::Ok => (icon::COMPLETED, "good", "Well"),
        RuleState::Other => (icon::WARNING, "warn", "Unknown"),
    };
    html! {
        span.state.(class) { (icon) (says) }
        @if line.judged_at.ms_before(chrome.now) > SILENT_MS {
            " " (parts::chip("warn", html! { "judged " (parts::ago(line.judged_at, chrome.now)) }))
        }
    }
}

fn measured(line: &RuleLine) -> String {
    match line.value {
        Some(value) => format!(
            "{}, limit {}",
            in_words(value, line.unit),
            in_words(line.threshold, line.unit)
        ),
        None => "–".to_owned(),
    }
}

fn in_words(value: f64, unit: &str) -> String {
    match unit {
        "ratio" => words::percent(value),
        "seconds" => Duration::try_from_secs_f64(value.max(0.0))
            .map_or_else(|_| "for ever".to_owned(), words::duration),
        _ => words::short(value.max(0.0) as u64),
    }
}

fn acknowledgement(line: &RuleLine, chrome: &Chrome) -> Markup {
    let fields = [("rule", line.rule.as_str()), ("queue", line.queue.as_str())];
    let label = format!(
        "Acknowledge {} on {}",
        text::plain(&line.rule, 60),
        text::plain(&line.queue, 60)
    );
    let button = html! { button aria-label=(label) { "Acknowledge" } };
    html! {
        @if line.state == RuleState::Firing {
            @if let Some(who) = &line.acknowledged_by {
                span.quiet { "acknowledged by " (text::inline_of(who, 40)) }
            } @else if chrome.may(Role::Operator, &line.queue) {
                (parts::post(chrome, &chrome.href("/alerts/acknowledge"), &fields, &button))
            }
        }
    }
}

fn problems(problems: &[AlertLine], chrome: &Chrome) -> Markup {
    let body = html! {
        @if problems.is_empty() {
            (parts::empty(icon::COMPLETED, "Nothing needs a look", ""))
        } @else {
            ul.problems {
                @for line in problems {
                    li data-key={ "a-" (line.queue) "-" (text::plain(&line.text, 130)) } {
                        span.warn { (icon::WARNING) }
                        div.what { (parts::queue_link(chrome, &line.queue)) " " span.quiet { (text::inline_of(&line.text, 400)) } }
                        @if let Some(since) = line.since { span.quiet.small { "for " (parts::since(since, chrome.now)) } }
                    }
                }
            }
        }
    };
    parts::panel("Queues that need a look", &Markup::default(), &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_is_in_the_unit_of_the_rule() {
        let words = [
            (0.25, "ratio"),
            (90.0, "seconds"),
            (f64::INFINITY, "seconds"),
            (12_345.0, "jobs"),
            (-1.0, "jobs"),
        ];
        let words = words.map(|(value, unit)| in_words(value, unit));
        assert_eq!(words, ["25 %", "90 s", "for ever", "12.3 k", "0"]);
    }
}
