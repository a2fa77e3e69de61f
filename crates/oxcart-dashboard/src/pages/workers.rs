//! Workers.

use maud::{Markup, html};

use crate::chrome::Chrome;
use crate::model::{WorkerLine, Workers};
use crate::pages::frame::Page;
use crate::pages::parts::Column::Words;
use crate::pages::{chart, icon, parts, text, words};

/// A worker says that it is there about once a minute: one that was not heard of for longer may have died.
const SILENT_MS: u64 = 90_000;
/// Names of handlers that are shown before the reader asks for all.
const HANDLERS: usize = 6;

pub(crate) fn workers(shown: &Workers, chrome: &Chrome) -> Markup {
    let body = html! {
        section.panel aria-label="Workers" {
            @if shown.workers.is_empty() {
                (parts::empty(icon::WORKER, "No worker", "Jobs wait until a worker is started."))
            } @else {
                div.scroll { table.cards {
                    caption.hidden-text { "Workers, with where they run and how busy they are" }
                    (heads(shown.queue.is_none()))
                    tbody { @for line in &shown.workers { (row(shown, line, chrome)) } }
                } }
            }
            (parts::left_out(shown.left_out))
        }
    };
    let page = Page {
        beside: html! { span.quiet.small { (words::some(shown.workers.len() as u64, "worker")) } },
        ..Page::across("Workers", shown.queue.as_deref(), body, chrome)
    };
    page.framed(chrome)
}

/// The queue has a column of its own where there are several.
fn heads(several: bool) -> Markup {
    let mut columns = vec![
        Words("Worker"),
        Words("Busy"),
        Words("Handlers"),
        Words("Started"),
        Words("Seen"),
        Words("Version"),
    ];
    if several {
        columns.insert(1, Words("Queue"));
    }
    parts::heads(&columns)
}

fn row(shown: &Workers, line: &WorkerLine, chrome: &Chrome) -> Markup {
    let busy = format!(
        "{} of {}",
        words::count(line.running),
        words::count(line.concurrency)
    );
    let part = line.running as f64 / line.concurrency.max(1) as f64;
    html! {
        tr data-key={ "w-" (line.queue) "-" (line.id) } {
            th.whole scope="row" {
                div.name { (text::inline_of(&line.host, 60)) span.quiet { "process " (line.process) } }
                div.small.id.quiet { (text::inline_of(&line.id, 48)) }
            }
            @if shown.queue.is_none() { (parts::cell("Queue", parts::queue_link(chrome, &line.queue))) }
            (parts::cell("Busy", html! { div.progress { (chart::bar(part, &format!("{busy} slots run a job"))) span { (busy) } } }))
            td.whole data-label="Handlers" { (handlers(&line.handlers)) }
            (parts::cell("Started", parts::ago(line.started_at, chrome.now)))
            (parts::cell("Seen", seen(line, chrome)))
            (parts::cell("Version", text::inline_of(&line.version, 24)))
        }
    }
}

fn seen(line: &WorkerLine, chrome: &Chrome) -> Markup {
    html! {
        (parts::ago(line.seen_at, chrome.now))
        @if line.seen_at.ms_before(chrome.now) > SILENT_MS { " " (parts::chip("bad", html! { (icon::WARNING) "may have died" })) }
    }
}

fn handlers(names: &[String]) -> Markup {
    let (first, rest) = names.split_at(names.len().min(HANDLERS));
    html! {
        (parts::chips(first))
        @if !rest.is_empty() {
            details { summary { (rest.len()) " more" } (parts::chips(rest)) }
        }
    }
}
