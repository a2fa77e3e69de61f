//! What runs now.

use maud::{Markup, html};
use serde_json::Value;

use crate::chrome::Chrome;
use crate::model::{JobLine, Running};
use crate::pages::frame::Page;
use crate::pages::parts::Column::Words;
use crate::pages::{chart, icon, parts, text, words};

pub(crate) fn running(shown: &Running, chrome: &Chrome) -> Markup {
    let body = html! {
        section.panel aria-label="Jobs that run" {
            @if shown.jobs.is_empty() {
                (parts::empty(icon::RUNNING, "Nothing runs at the moment", ""))
            } @else {
                div.scroll { table.cards {
                    caption.hidden-text { "Jobs that run, longest running first" }
                    (heads(shown.queue.is_none()))
                    tbody { @for job in &shown.jobs { (row(shown, job, chrome)) } }
                } }
                @if shown.active > shown.jobs.len() as u64 {
                    footer { (words::count(shown.jobs.len() as u64)) " of " (words::jobs(shown.active)) " that run are shown." }
                }
            }
            (parts::left_out(shown.left_out))
        }
    };
    let page = Page {
        beside: html! { span.quiet.small { (words::jobs(shown.active)) } },
        ..Page::across("Running now", shown.queue.as_deref(), body, chrome)
    };
    page.framed(chrome)
}

/// The queue has a column of its own where there are several.
fn heads(several: bool) -> Markup {
    let mut columns = vec![
        Words("Job"),
        Words("Id"),
        Words("Runs for"),
        Words("Progress"),
        Words("Attempt"),
        Words("Worker"),
    ];
    if several {
        columns.insert(2, Words("Queue"));
    }
    parts::heads(&columns)
}

fn row(shown: &Running, job: &JobLine, chrome: &Chrome) -> Markup {
    html! {
        tr data-key={ "r-" (job.queue) "-" (text::plain(&job.id, 130)) } {
            th.whole scope="row" { div.name {
                a data-row href=(chrome.job_href(&job.queue, &job.id, "")) { (text::inline_of(&job.name, 60)) }
            } }
            td.whole { span.clip.id { (text::inline_of(&job.id, 48)) } }
            @if shown.queue.is_none() { (parts::cell("Queue", parts::queue_link(chrome, &job.queue))) }
            (parts::cell("Runs for", html! { @if let Some(at) = job.claimed_at { (parts::since(at, chrome.now)) } }))
            (parts::cell("Progress", progress(&job.progress)))
            (parts::cell("Attempt", html! { (job.failed.saturating_add(1)) span.quiet { " of " (job.attempts) } }))
            (parts::cell("Worker", html! { span.clip.id { (text::inline_of(job.worker.as_deref().unwrap_or_default(), 40)) } }))
        }
    }
}

/// What a handler said of its progress: a bar for a number that is a part or a percentage, else the value.
pub(crate) fn progress(said: &Value) -> Markup {
    let part = said
        .as_f64()
        .or_else(|| said.get("percent").and_then(Value::as_f64));
    html! {
        @match (said, part) {
            (Value::Null, _) => {}
            (_, Some(part)) if (0.0..=100.0).contains(&part) => {
                // Both `0.4` and `40` are used for two fifths.
                @let part = if part <= 1.0 && !said.is_u64() { part } else { part / 100.0 };
                @let says = words::percent(part);
                div.progress { (chart::bar(part, &format!("{says} done"))) span { (says) } }
            }
            (Value::String(text), _) => span.lines { (text::inline_of(text, 160)) },
            (other, _) => code.lines { (text::inline_of(&other.to_string(), 160)) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn progress_is_a_bar_or_what_was_said() {
        let drawn = |value| progress(&value).into_string();
        assert!(drawn(json!(0.4)).contains("40 % done"));
        assert!(drawn(json!(40)).contains("40 % done"));
        assert!(drawn(json!(1)).contains("1 % done"));
        assert!(drawn(json!("<b>")).contains("&lt;b&gt;"));
        assert!(drawn(json!({ "rows": 5 })).contains("rows"));
        assert_eq!(drawn(Value::Null), "");
    }
}
