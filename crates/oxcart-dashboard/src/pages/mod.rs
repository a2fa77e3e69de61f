//! How the pages look: one function for each, which makes HTML of what the model says.

mod jobs;
mod others;
mod overview;

use maud::{DOCTYPE, Markup, html};

use crate::chrome::Chrome;

pub(crate) use jobs::{job, job_list, running};
pub(crate) use others::{alerts, audit, dead_groups, schedules, task, tasks, workers};
pub(crate) use overview::{overview, queue};

/// Every page but the ones without a viewer.
fn frame(title: &str, chrome: &Chrome, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-live=(chrome.live_href()) data-csrf=(chrome.csrf) {
            (head(title, &chrome.base))
            body {
                nav aria-label="Pages" {
                    a href=(chrome.href("/")) { "Queues" } " "
                    a href=(chrome.href("/running")) { "Running" } " "
                    a href=(chrome.href("/schedules")) { "Schedules" } " "
                    a href=(chrome.href("/workers")) { "Workers" } " "
                    a href=(chrome.href("/alerts")) { "Alerts" } " "
                    a href=(chrome.href("/tasks")) { "Tasks" }
                    span { (chrome.access.name()) }
                    @if chrome.can_sign_out {
                        form method="post" action=(chrome.href("/logout")) {
                            (csrf(chrome))
                            button { "Sign out" }
                        }
                    }
                }
                main id="main" data-region="main" {
                    @if let Some(why) = &chrome.lost {
                        p role="status" { "Redis does not answer: " (why) }
                    }
                    @if let Some(notice) = &chrome.notice {
                        p role="status" { (notice) }
                    }
                    h1 { (title) }
                    (body)
                }
            }
        }
    }
}

fn head(title: &str, base: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            title { (title) " · oxcart" }
            link rel="stylesheet" href={ (base) "/assets/dashboard.css" };
            script src={ (base) "/assets/dashboard.js" } defer {}
        }
    }
}

/// The hidden field of every form.
fn csrf(chrome: &Chrome) -> Markup {
    html! { input type="hidden" name="csrf" value=(chrome.csrf); }
}

/// Where somebody signs in with a token. `trouble` says what was wrong with the last one.
pub(crate) fn login(base: &str, back: &str, trouble: Option<&str>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head("Sign in", base))
            body {
                main {
                    h1 { "Sign in" }
                    @if let Some(trouble) = trouble {
                        p role="alert" { (trouble) }
                    }
                    form method="post" action={ (base) "/login" } {
                        input type="hidden" name="back" value=(back);
                        label { "Token " input type="password" name="token" autocomplete="current-password" required; }
                        button { "Sign in" }
                    }
                }
            }
        }
    }
}

/// A page that says what went wrong, and what to do: also to somebody of whom nothing is known.
pub(crate) fn trouble(base: &str, title: &str, what: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title, base))
            body {
                main {
                    h1 { (title) }
                    p { (what) }
                    p { a href={ (base) "/" } { "All queues" } }
                }
            }
        }
    }
}
