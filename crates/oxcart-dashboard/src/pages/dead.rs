//! What jobs died of.

use maud::{Markup, html};

use crate::access::Role;
use crate::chrome::Chrome;
use crate::model::{DeadGroupLine, DeadGroups};
use crate::pages::frame::Page;
use crate::pages::links::with_query;
use crate::pages::{bulk, chart, icon, parts, text, words};

pub(crate) fn dead_groups(shown: &DeadGroups, chrome: &Chrome) -> Markup {
    let body = html! {
        @if shown.groups.is_empty() {
            section.panel aria-label="Groups" {
                (parts::empty(icon::COMPLETED, "No dead letters", "A job is here when its last attempt has failed."))
            }
        } @else {
            ul.stack {
                @for group in &shown.groups {
                    @let key = text::plain(&group.name, 130);
                    li data-key={ "g-" (group.fingerprint) "-" (key) } { (card(shown, group, chrome)) }
                }
            }
            @if shown.read < shown.dead {
                p.quiet.small.after {
                    "Made of the " (words::count(shown.read)) " that died first, of " (words::count(shown.dead)) " dead letters."
                }
            }
        }
    };
    let all = chrome.queue_href(&shown.queue, "/jobs?state=dead");
    let page = Page {
        crumbs: parts::crumbs(chrome, Some(&shown.queue)),
        beside: html! { span.quiet.small { (words::jobs(shown.dead)) " by what they died of" } },
        actions: html! { @if shown.dead > 0 { a.button href=(all) { (icon::SEARCH) "Find and remove dead jobs" } } },
        tabs: parts::queue_tabs(chrome, &shown.queue),
        ..Page::new("Dead letters", body)
    };
    page.framed(chrome)
}

fn card(shown: &DeadGroups, group: &DeadGroupLine, chrome: &Chrome) -> Markup {
    let part = group.count as f64 / shown.read.max(1) as f64;
    let list = with_query(
        &chrome.queue_href(&shown.queue, "/jobs"),
        &[
            ("state", "dead"),
            ("name", &group.name),
            ("fingerprint", &group.fingerprint),
        ],
    );
    html! {
        article.panel.dead {
            div.inside.stack {
                div.line {
                    h2.name {
                        span.bad { (icon::DEAD) }
                        a data-row href=(list) { (words::jobs(group.count)) } " of " (text::inline_of(&group.name, 80))
                    }
                    span.quiet.small { "first " (parts::ago(group.first_at, chrome.now)) ", last " (parts::ago(group.last_at, chrome.now)) }
                }
                (chart::bar(part, &format!("{} of the dead letters", words::percent(part))))
                (text::block(&group.sample))
                p.small.quiet {
                    "The last one: " (parts::job_link(chrome, &shown.queue, &group.sample_id))
                    " · fingerprint " code { (group.fingerprint) }
                }
            }
            @if chrome.may(Role::Operator, &shown.queue) { (actions(shown, group, chrome)) }
        }
    }
}

fn actions(shown: &DeadGroups, group: &DeadGroupLine, chrome: &Chrome) -> Markup {
    let fields = [
        ("state", "dead"),
        ("name", group.name.as_str()),
        ("fingerprint", group.fingerprint.as_str()),
        ("dry_run", "yes"),
    ];
    let inside = html! {
        div.bulk {
            (bulk::rate())
            label.check {
                span { "stop when" }
                input.short type="number" name="stop_if_failing_percent" min="0" max="100" placeholder="20";
                span { "% fail again" }
            }
            button.usual name="action" value="replay" { (icon::REPLAY) "Replay them…" }
            @if chrome.may(Role::Admin, &shown.queue) {
                button.danger name="action" value="remove" { (icon::REMOVE) "Remove them…" }
            }
        }
    };
    parts::post(
        chrome,
        &chrome.queue_href(&shown.queue, "/bulk"),
        &fields,
        &inside,
    )
}
