//! Actions on many jobs, which take a while.

use maud::{Markup, html};

use crate::access::Role;
use crate::chrome::Chrome;
use crate::model::{TaskLine, TaskState, TaskView, Tasks};
use crate::pages::frame::Page;
use crate::pages::parts::Column::Words;
use crate::pages::{chart, icon, parts, text, words};

pub(crate) fn tasks(shown: &Tasks, chrome: &Chrome) -> Markup {
    let body = html! {
        section.panel aria-label="Tasks" {
            @if shown.tasks.is_empty() {
                (parts::empty(icon::TASK, "No task", "An action on many jobs is here while it goes on, and for a while after."))
            } @else {
                div.scroll { table.cards {
                    caption.hidden-text { "Actions on many jobs, the newest first" }
                    (parts::heads(&["Task", "Queue", "How it goes", "Jobs", "Who", "Began"].map(Words)))
                    tbody { @for task in &shown.tasks { (row(task, chrome)) } }
                } }
            }
        }
    };
    let beside = html! { span.quiet.small { "of this process" } };
    Page {
        beside,
        ..Page::new("Tasks", body)
    }
    .framed(chrome)
}

fn row(task: &TaskLine, chrome: &Chrome) -> Markup {
    html! {
        tr data-key={ "t-" (task.id) } {
            th.whole scope="row" {
                div.name { a data-row href=(chrome.href(&format!("/tasks/{}", task.id))) { (title(task)) } }
                (filters(task))
            }
            (parts::cell("Queue", parts::queue_link(chrome, &task.queue)))
            (parts::cell("How it goes", state(task)))
            (parts::cell("Jobs", html! { (words::count(if task.dry_run { task.matching } else { task.done })) }))
            (parts::cell("Who", text::inline_of(&task.operator, 40)))
            (parts::cell("Began", parts::ago(task.began_at, chrome.now)))
        }
    }
}

fn title(task: &TaskLine) -> String {
    let state = task.query.state;
    if task.dry_run {
        format!("Count {state} jobs to {}", task.action)
    } else {
        format!("{} {state} jobs", words::capital(&task.action))
    }
}

/// Which jobs the task is about.
fn filters(task: &TaskLine) -> Markup {
    let fields = task.query.fields();
    html! {
        @if fields.len() > 1 {
            div.chips {
                @for (name, value) in fields.iter().skip(1) {
                    (parts::chip("plain", html! { (name) ": " (text::inline_of(value, 60)) }))
                }
            }
        }
    }
}

fn state(task: &TaskLine) -> Markup {
    let (icon, class, says) = match task.state {
        TaskState::Running => (icon::RUNNING, "calm", "goes on"),
        TaskState::Ended => (icon::COMPLETED, "good", "is done"),
        TaskState::Stopped => (icon::CANCELLED, "warn", "was stopped"),
        TaskState::Failed => (icon::DEAD, "bad", "failed"),
    };
    html! { span.state.(class) { (icon) (says) } }
}

pub(crate) fn task(shown: &TaskView, chrome: &Chrome) -> Markup {
    let task = &shown.task;
    let body = html! {
        div.stack {
            @if task.dry_run && task.state == TaskState::Ended { (answer(task, chrome)) }
            section.panel aria-label="Progress" {
                div.inside.stack {
                    (progress(task))
                    @if let Some(trouble) = &task.trouble { (parts::notice("warn", icon::WARNING, &text::inline_of(trouble, 600))) }
                    (numbers(task))
                }
            }
            (facts(task, chrome))
        }
    };
    let title = title(task);
    let page = Page {
        crumbs: vec![("Tasks", chrome.href("/tasks"))],
        beside: html! { span.chip.large-chip { (state(task)) } },
        actions: stop(task, chrome),
        ..Page::new(&title, body)
    };
    page.framed(chrome)
}

fn stop(task: &TaskLine, chrome: &Chrome) -> Markup {
    html! {
        @if task.state == TaskState::Running && chrome.may(Role::Operator, &task.queue) {
            (parts::post(chrome, &chrome.href(&format!("/tasks/{}/stop", task.id)), &[], &html! { button.danger { "Stop" } }))
        }
    }
}

fn progress(task: &TaskLine) -> Markup {
    let part = match task.state {
        TaskState::Ended => 1.0,
        _ => task.seen as f64 / task.of.max(1) as f64,
    };
    let says = format!(
        "{} of {} looked at",
        words::count(task.seen),
        words::jobs(task.of)
    );
    html! { div.stack.tight { (chart::bar(part, &says)) p.quiet { (says) } } }
}

fn numbers(task: &TaskLine) -> Markup {
    let numbers = [
        ("Match", task.matching),
        ("Changed", task.done),
        ("Asked to end", task.requested),
        ("Left alone", task.left_alone),
    ];
    html! {
        dl.tiles {
            @for (label, number) in numbers {
                @if number > 0 || label == "Match" || (label == "Changed" && !task.dry_run) {
                    (parts::tile(&html! { (label) }, &words::count(number), ""))
                }
            }
        }
    }
}

/// What the count says, and the form that does it.
fn answer(task: &TaskLine, chrome: &Chrome) -> Markup {
    let role = if task.action == "remove" {
        Role::Admin
    } else {
        Role::Operator
    };
    let matching = words::jobs(task.matching);
    let class = if task.action == "remove" {
        "danger"
    } else {
        "main-action"
    };
    let rate = task
        .per_second
        .map(|rate| rate.to_string())
        .unwrap_or_default();
    let stop = task
        .stop_if_failing_percent
        .map(|percent| percent.to_string())
        .unwrap_or_default();
    let mut fields = task.query.fields();
    fields.extend(
        [
            ("per_second", rate.as_str()),
            ("stop_if_failing_percent", stop.as_str()),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty()),
    );
    let button = html! { button.(class) name="action" value=(task.action) { "Yes, " (task.action) " " (matching) } };
    html! {
        section.panel.answer aria-label="Answer" {
            div.inside.stack {
                @if task.matching == 0 {
                    p { strong { "No job matches." } " There is nothing to " (task.action) "." }
                } @else {
                    p.large { "This would " strong { (task.action) " " (matching) } " of " (parts::queue_link(chrome, &task.queue)) "." }
                    p.quiet {
                        (meaning(&task.action))
                        @if let Some(rate) = task.per_second { " At most " (words::jobs(rate.into())) " in a second." }
                    }
                    div.bar-of-forms {
                        @if chrome.may(role, &task.queue) {
                            (parts::post(chrome, &chrome.queue_href(&task.queue, "/bulk"), &fields, &button))
                        }
                        a.button href=(chrome.queue_href(&task.queue, "")) { "No" }
                    }
                }
            }
        }
    }
}

fn meaning(action: &str) -> &'static str {
    match action {
        "remove" => "They and all that is known of them go. This cannot be undone.",
        "cancel" => {
            "They end without being run, and are kept as cancelled; those that run are asked to end."
        }
        "replay" => {
            "They are put back in line, with all attempts anew. Those that die from now on are left alone."
        }
        "promote" => "They become due now.",
        _ => "",
    }
}

fn facts(task: &TaskLine, chrome: &Chrome) -> Markup {
    let body = html! {
        dl.facts.inside {
            dt { "Queue" } dd { (parts::queue_link(chrome, &task.queue)) }
            dt { "Jobs" } dd { (parts::state(task.query.state)) (filters(task)) }
            dt { "Who" } dd { (text::inline_of(&task.operator, 80)) }
            dt { "Began" } dd { (parts::ago(task.began_at, chrome.now)) }
            @if let Some(at) = task.ended_at {
                dt { "Ended" } dd { (parts::ago(at, chrome.now)) ", after " (parts::ms(task.began_at.ms_before(at))) }
            }
            @if let Some(rate) = task.per_second { dt { "Rate" } dd { "at most " (words::jobs(rate.into())) " in a second" } }
            @if let Some(percent) = task.stop_if_failing_percent { dt { "Stops" } dd { "when more than " (percent) " % fail again" } }
        }
    };
    parts::panel("Task", &html! {}, &body)
}
