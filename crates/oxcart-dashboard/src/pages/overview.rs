//! All queues.

use maud::{Markup, html};

use crate::chrome::Chrome;
use crate::model::{Overview, QueueLine};
use crate::pages::frame::Page;
use crate::pages::links::{PageOf, field, with_query};
use crate::pages::{chart, icon, parts, text, words};

/// Queues on a page.
const ON_A_PAGE: usize = 50;
/// Queues with problems that are listed above all others.
const MOST_PROBLEMS: usize = 6;

pub(crate) fn overview(shown: &Overview, chrome: &Chrome) -> Markup {
    let body = html! {
        div.stack {
            (problems(shown, chrome))
            (totals(shown))
            (queues(shown, chrome))
        }
    };
    let actions = search(chrome);
    Page {
        actions,
        ..Page::new("Queues", body)
    }
    .framed(chrome)
}

fn search(chrome: &Chrome) -> Markup {
    let (wanted, order) = (field(&chrome.here, "q"), field(&chrome.here, "sort"));
    html! {
        form.search role="search" method="get" action=(chrome.href("/")) data-search {
            (icon::SEARCH)
            input type="search" name="q" value=(wanted) placeholder="Find a queue" autocomplete="off"
                aria-label="Find a queue by a part of its name";
            kbd aria-hidden="true" { "/" }
            @if !order.is_empty() { input type="hidden" name="sort" value=(order); }
        }
    }
}

/// What somebody should look at, before anything else.
fn problems(shown: &Overview, chrome: &Chrome) -> Markup {
    let troubled: Vec<&QueueLine> = shown
        .queues
        .iter()
        .filter(|line| !line.problems.is_empty())
        .collect();
    html! {
        @if !troubled.is_empty() {
            section.panel aria-labelledby="problems" {
                header {
                    h2.state id="problems" { span.warn { (icon::WARNING) } (needs_a_look(troubled.len())) }
                    @if troubled.len() > MOST_PROBLEMS { a.small href=(chrome.href("/alerts")) { "All of them" } }
                }
                ul.problems {
                    @for line in troubled.iter().take(MOST_PROBLEMS) {
                        li data-key={ "p-" (line.queue) } {
                            div.what {
                                (parts::queue_link(chrome, &line.queue)) " "
                                span.quiet { (text::inline_of(&line.problems.join("; "), 300)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn needs_a_look(queues: usize) -> String {
    match queues {
        1 => "1 queue needs a look".to_owned(),
        _ => format!("{queues} queues need a look"),
    }
}

fn totals(shown: &Overview) -> Markup {
    let sum = |of: fn(&QueueLine) -> u64| shown.queues.iter().map(of).fold(0, u64::saturating_add);
    let known = shown.queues.iter().any(|line| line.rates.is_some());
    let rate = |of: fn(&QueueLine) -> f64| match known {
        true => words::rate(shown.queues.iter().map(of).sum()),
        false => "–".to_owned(),
    };
    let tile = |label: &str, value: u64| parts::tile(&html! { (label) }, &words::short(value), "");
    html! {
        dl.tiles aria-label="All queues together" {
            (tile("Queues", shown.queues.len() as u64))
            (tile("Waiting", sum(|line| line.waiting)))
            (tile("Blocked", sum(|line| line.blocked)))
            (tile("Delayed", sum(|line| line.delayed)))
            (tile("Active", sum(|line| line.active)))
            (tile("Dead", sum(|line| line.dead)))
            (parts::tile(&html! { "Coming in" }, &rate(arrivals), ""))
            (parts::tile(&html! { "Ending" }, &rate(departures), ""))
        }
    }
}

fn arrivals(line: &QueueLine) -> f64 {
    line.rates.map_or(0.0, |rates| rates.arrivals)
}

fn departures(line: &QueueLine) -> f64 {
    line.rates.map_or(0.0, |rates| rates.departures)
}

/// An order of the queues: its name in links, the head of its column, and what is compared; the largest comes first.
type Order = (&'static str, &'static str, fn(&QueueLine) -> f64);

const ORDERS: [Order; 9] = [
    ("waiting", "Waiting", |line| line.waiting as f64),
    ("oldest", "Oldest", |line| {
        line.oldest_waiting_ms.map_or(-1.0, |ms| ms as f64)
    }),
    ("blocked", "Blocked", |line| line.blocked as f64),
    ("delayed", "Delayed", |line| line.delayed as f64),
    ("active", "Active", |line| line.active as f64),
    ("dead", "Dead", |line| line.dead as f64),
    ("in", "In", arrivals),
    ("out", "Out", departures),
    ("failing", "Failing", |line| {
        line.rates.and_then(|rates| rates.failed).unwrap_or(-1.0)
    }),
];

/// The queues that the link asks for, in its order. Without one, those with problems come first.
fn asked<'a>(shown: &'a Overview, wanted: &str, order: &str) -> Vec<&'a QueueLine> {
    let wanted = wanted.trim().to_lowercase();
    let matches = |line: &&QueueLine| line.queue.to_lowercase().contains(&wanted);
    let mut queues: Vec<&QueueLine> = shown.queues.iter().filter(matches).collect();
    match ORDERS.iter().find(|(name, ..)| *name == order) {
        Some((.., of)) => queues.sort_by(|a, b| of(b).total_cmp(&of(a))),
        None if order == "name" => {}
        None => queues.sort_by_key(|line| line.problems.is_empty()),
    }
    queues
}

fn queues(shown: &Overview, chrome: &Chrome) -> Markup {
    let (wanted, order) = (field(&chrome.here, "q"), field(&chrome.here, "sort"));
    let queues = asked(shown, &wanted, &order);
    let page = PageOf::asked(&field(&chrome.here, "page"), queues.len(), ON_A_PAGE);
    html! {
        section.panel aria-label="Queues" {
            @if shown.queues.is_empty() {
                (parts::empty(icon::EMPTY, "No queue yet", "A queue is here as soon as the first job was enqueued into it."))
            } @else if queues.is_empty() {
                (parts::empty(icon::SEARCH, "No queue has this in its name", ""))
            } @else {
                div.scroll {
                    table.cards {
                        caption.hidden-text { "Queues, with what they hold and how fast jobs come and end" }
                        thead { tr {
                            th scope="col" aria-sort=[sorted(&order, "name", "ascending")] {
                                (order_link(chrome, &wanted, "name", "Queue"))
                            }
                            th scope="col" { "Last 30 min" }
                            @for (name, label, _) in ORDERS {
                                th.number scope="col" aria-sort=[sorted(&order, name, "descending")] {
                                    (order_link(chrome, &wanted, name, label))
                                }
                            }
                            th.number.optional scope="col" { "Drained in" }
                        } }
                        tbody { @for line in &queues[page.items.clone()] { (row(line, chrome)) } }
                    }
                }
                (footer(shown, chrome, &wanted, &order, &page, queues.len()))
            }
        }
    }
}

fn sorted(order: &str, name: &str, as_what: &'static str) -> Option<&'static str> {
    (order == name).then_some(as_what)
}

fn order_link(chrome: &Chrome, wanted: &str, order: &str, label: &str) -> Markup {
    html! { a href=(with_query(&chrome.href("/"), &[("q", wanted), ("sort", order)])) { (label) } }
}

fn row(line: &QueueLine, chrome: &Chrome) -> Markup {
    let failed = line.rates.and_then(|rates| rates.failed);
    let to = |rest: &str| chrome.queue_href(&line.queue, rest);
    html! {
        tr data-key={ "q-" (line.queue) } {
            th.whole scope="row" { div.name {
                a data-row href=(chrome.queue_href(&line.queue, "")) { (text::inline_of(&line.queue, 64)) }
                (chips(line, chrome))
            } }
            td.trend { (trend(line)) }
            (parts::linked("Waiting", line.waiting, &to("/jobs?state=waiting")))
            (parts::value("Oldest", &line.oldest_waiting_ms.map(parts::ms).unwrap_or_default()))
            (parts::linked("Blocked", line.blocked, &to("/jobs?state=blocked")))
            (parts::linked("Delayed", line.delayed, &to("/jobs?state=delayed")))
            (parts::linked("Active", line.active, &to("/running")))
            (parts::linked("Dead", line.dead, &to("/dead")))
            (parts::value("In", &line.rates.map(|rates| words::rate(rates.arrivals)).unwrap_or_default()))
            (parts::value("Out", &line.rates.map(|rates| words::rate(rates.departures)).unwrap_or_default()))
            td.number.narrow-off data-label="Failing" { (failed.map(words::percent).unwrap_or_default()) }
            td.number.optional.narrow-off data-label="Drained in" { (drained(line)) }
        }
    }
}

/// What holds the queue back, in a word each.
pub(crate) fn chips(line: &QueueLine, chrome: &Chrome) -> Markup {
    html! {
        @if line.paused { (parts::chip("warn", html! { (icon::PAUSED) "paused" })) }
        @if let Some(until) = line.held_until.filter(|until| *until > chrome.now) {
            (parts::chip("warn", html! { "held, ends " (parts::ahead(until, chrome.now)) }))
        }
        @if !line.paused_names.is_empty() {
            (parts::chip("warn", words::some(line.paused_names.len() as u64, "paused name")))
        }
        @if !line.problems.is_empty() { (parts::chip("bad", html! { (icon::WARNING) span.hidden-text { "needs a look" } })) }
        @if line.is_unread() { (parts::chip("plain", "being read")) }
    }
}

fn trend(line: &QueueLine) -> Markup {
    let values: Vec<f64> = line.departures.iter().map(|jobs| *jobs as f64).collect();
    let ended = line
        .departures
        .iter()
        .fold(0, |sum: u64, jobs| sum.saturating_add(*jobs));
    chart::sparkline(
        &values,
        &format!("{} ended in the last 30 minutes", words::jobs(ended)),
    )
}

fn drained(line: &QueueLine) -> String {
    match line.rates {
        Some(_) if line.waiting == 0 => String::new(),
        Some(rates) => match rates.drain_ms {
            Some(ms) => parts::ms(ms),
            None if words::grows(&rates) => "grows".to_owned(),
            None => "stays".to_owned(),
        },
        None => String::new(),
    }
}

fn footer(
    shown: &Overview,
    chrome: &Chrome,
    wanted: &str,
    order: &str,
    page: &PageOf,
    matching: usize,
) -> Markup {
    let to = |page: usize| {
        with_query(
            &chrome.href("/"),
            &[("q", wanted), ("sort", order), ("page", &page.to_string())],
        )
    };
    html! {
        @if page.pages > 1 || shown.unread > 0 {
            footer.pages {
                span {
                    (words::count(page.items.start as u64 + 1)) "–" (words::count(page.items.end as u64))
                    " of " (words::some(matching as u64, "queue"))
                    @if shown.unread > 0 { ", " (shown.unread) " of all are still being read" }
                }
                span.spacer {}
                @if page.page > 1 { a.button rel="prev" href=(to(page.page - 1)) { "Previous" } }
                @if page.page < page.pages { a.button rel="next" href=(to(page.page + 1)) { "Next" } }
            }
        }
    }
}
