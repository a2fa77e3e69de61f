//! What operators did.

use maud::{Markup, html};

use crate::chrome::Chrome;
use crate::model::{Audit, AuditLine};
use crate::pages::frame::Page;
use crate::pages::links::with_query;
use crate::pages::parts::Column::{Number, Words};
use crate::pages::{icon, parts, text, words};

pub(crate) fn audit(shown: &Audit, chrome: &Chrome) -> Markup {
    let all = chrome.queue_href(&shown.queue, "/audit");
    let earlier = |before: u64| with_query(&all, &[("before", &before.to_string())]);
    let body = html! {
        section.panel aria-label="Audit" {
            @if shown.entries.is_empty() {
                (parts::empty(icon::AUDIT, "Nothing was done yet", "What somebody does to this queue is written down here."))
            } @else {
                div.scroll { table.cards {
                    caption.hidden-text { "What operators did, the last entry first" }
                    (parts::heads(&[Words("When"), Words("Who"), Words("What"), Words("To what"), Number("Jobs")]))
                    tbody { @for line in &shown.entries { (row(line, chrome)) } }
                } }
            }
            @if let Some(next) = shown.next {
                footer.pages {
                    span.spacer {}
                    a.button rel="next" href=(earlier(next)) { "Earlier" }
                }
            }
        }
    };
    let page = Page {
        crumbs: parts::crumbs(chrome, Some(&shown.queue)),
        tabs: parts::queue_tabs(chrome, &shown.queue),
        ..Page::new("Audit", body)
    };
    page.framed(chrome)
}

fn row(line: &AuditLine, chrome: &Chrome) -> Markup {
    html! {
        tr data-key={ "a-" (line.number) } {
            (parts::cell("When", parts::ago(line.at, chrome.now)))
            th scope="row" data-label="Who" { (text::inline_of(&line.operator, 60)) }
            td data-label="What" {
                (text::inline_of(&line.action, 60))
                @if matches!(line.phase, "began" | "ended") { " " (parts::chip("plain", line.phase)) }
            }
            td.wide.whole { span.lines { (text::inline_of(&line.target, 300)) } }
            td.number data-label="Jobs" { @if let Some(jobs) = line.jobs { (words::count(jobs)) } }
        }
    }
}
