//! What every page has around it.

use maud::{DOCTYPE, Markup, Render, html};

use crate::chrome::{Chrome, under};
use crate::pages::icon::{self, Icon};
use crate::pages::{parts, text, words};

/// A page without its frame.
pub(crate) struct Page<'a> {
    /// Its title, which may be text of users.
    pub(crate) title: &'a str,
    /// The pages above it: what they are called, and where they are.
    pub(crate) crumbs: Vec<(&'a str, String)>,
    /// What stands beside the title.
    pub(crate) beside: Markup,
    /// What can be done, or searched, here.
    pub(crate) actions: Markup,
    /// The pages beside it.
    pub(crate) tabs: Markup,
    /// What it shows.
    pub(crate) body: Markup,
}

impl<'a> Page<'a> {
    /// A page with a title and nothing beside it.
    pub(crate) fn new(title: &'a str, body: Markup) -> Self {
        Self {
            title,
            crumbs: Vec::new(),
            beside: Markup::default(),
            actions: Markup::default(),
            tabs: Markup::default(),
            body,
        }
    }

    /// A page of one queue, with the way to it and its tabs, or of all queues.
    pub(crate) fn across(
        title: &'a str,
        queue: Option<&'a str>,
        body: Markup,
        chrome: &Chrome,
    ) -> Self {
        let Some(queue) = queue else {
            return Self::new(title, body);
        };
        Self {
            crumbs: parts::crumbs(chrome, Some(queue)),
            tabs: parts::queue_tabs(chrome, queue),
            ..Self::new(title, body)
        }
    }

    /// The whole document.
    pub(crate) fn framed(&self, chrome: &Chrome) -> Markup {
        let title = text::plain(self.title, 80);
        html! {
            (DOCTYPE)
            html lang="en" data-live=(chrome.live_href()) data-csrf=(chrome.csrf) {
                (head(&title, &chrome.base))
                body {
                    a.skip href="#main" { "Skip to the content" }
                    div.frame {
                        (side(chrome))
                        main.main id="main" data-region="main" tabindex="-1" {
                            (self.heading())
                            (news(chrome))
                            (self.tabs)
                            (self.body)
                        }
                    }
                    div.hidden-text id="status" role="status" aria-live="polite" {}
                }
            }
        }
    }

    fn heading(&self) -> Markup {
        html! {
            header.head {
                div.titles {
                    @if !self.crumbs.is_empty() {
                        nav aria-label="Breadcrumbs" {
                            ol.crumbs {
                                @for (label, href) in &self.crumbs { li { a href=(href) { (text::inline_of(label, 60)) } } }
                            }
                        }
                    }
                    h1 { (text::inline_of(self.title, 120)) (self.beside) }
                }
                (self.actions)
            }
        }
    }
}

/// What became of an action, and whether Redis is there.
fn news(chrome: &Chrome) -> Markup {
    html! {
        div.news id="news" aria-live="polite" {
            @if let Some(why) = &chrome.lost {
                (parts::notice("bad", icon::GONE, &html! {
                    strong { "Redis does not answer." } " What is shown is old, and changes as soon as Redis is back. "
                    span.small { (text::inline_of(why, 300)) }
                }))
            }
            @if let Some(notice) = &chrome.notice {
                div id="notice" data-stay { (parts::notice("good", icon::COMPLETED, &text::inline_of(notice, 400))) }
            }
        }
    }
}

fn side(chrome: &Chrome) -> Markup {
    let at = chrome.here.split('?').next().unwrap_or_default();
    let item = |path: &str, label: &str, icon: Icon| {
        let here = at == path || (path == "/" && at.starts_with("/queues/"));
        let inside = path != "/" && at.starts_with(&format!("{path}/"));
        let current = if at == path {
            Some("page")
        } else {
            (here || inside).then_some("true")
        };
        html! { a href=(chrome.href(path)) aria-current=[current] { (icon) (label) } }
    };
    html! {
        header.side {
            a.brand href=(chrome.href("/")) { (icon::CART) span { "oxcart" } }
            nav.nav aria-label="Pages" {
                (item("/", "Queues", icon::OVERVIEW))
                (item("/running", "Running", icon::RUNNING))
                (item("/schedules", "Schedules", icon::SCHEDULE))
                (item("/workers", "Workers", icon::WORKER))
                (item("/alerts", "Alerts", icon::ALERT))
                (item("/tasks", "Tasks", icon::TASK))
            }
            div.side-end {
                p.keys { kbd { "/" } " search, " kbd { "j" } " " kbd { "k" } " next, previous" }
                (pulse(chrome))
                div.who {
                    span { "Signed in as " (text::inline_of(chrome.access.name(), 40)) }
                    @if chrome.can_sign_out {
                        (parts::post(chrome, &chrome.href("/logout"), &[], &html! {
                            button.plain aria-label="Sign out" title="Sign out" { (icon::LEAVE) }
                        }))
                    }
                }
            }
        }
    }
}

/// Whether what is shown is of now. The script keeps it true.
fn pulse(chrome: &Chrome) -> Markup {
    let age = chrome.read_at.map_or(0, |at| at.ms_before(chrome.now));
    let seconds = age / 1000;
    let age_in_words = words::duration(std::time::Duration::from_secs(seconds));
    let (state, says) = if chrome.lost.is_some() {
        (
            "lost",
            format!("not connected, values of {age_in_words} ago"),
        )
    } else {
        ("read", format!("as of {}", clock(chrome)))
    };
    html! { p.pulse id="pulse" data-state=(state) data-age=(seconds) { span { (says) } } }
}

/// The time of the day, by the clock of the server: `14:03:09 UTC`.
fn clock(chrome: &Chrome) -> String {
    let moment = chrome.now.to_string();
    let time = moment.split('T').nth(1).and_then(|time| time.get(..8));
    format!("{} UTC", time.unwrap_or(&moment))
}

pub(crate) fn head(title: &str, base: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="referrer" content="same-origin";
            title { (title) " · oxcart" }
            link rel="icon" href=(FAVICON);
            link rel="stylesheet" href={ (base) "/assets/dashboard.css" };
            script src={ (base) "/assets/dashboard.js" } defer {}
        }
    }
}

/// The cart of [`icon::CART`], as an address of its own.
const FAVICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16' fill='none' \
    stroke='%236574d8' stroke-width='1.6' stroke-linecap='round' stroke-linejoin='round'%3E%3Cpath \
    d='M1.5 4h2l1.2 6h7.6l1.7-5H7M6 13.4a.9.9 0 1 0 0-.01M11.4 13.4a.9.9 0 1 0 0-.01'/%3E%3C/svg%3E";

/// A page with one thing in its middle, also for somebody of whom nothing is known.
fn alone(title: &str, base: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title, base))
            body {
                div.alone {
                    main id="main" {
                        a.brand href=(under(base, "/")) { (icon::CART.render()) span { "oxcart" } }
                        (body)
                    }
                }
                div.hidden-text id="status" role="status" aria-live="polite" {}
            }
        }
    }
}

/// Where somebody signs in with a token. `trouble` says what was wrong with the last one.
pub(crate) fn login(base: &str, back: &str, trouble: Option<&str>) -> Markup {
    let body = html! {
        section.panel { div.inside {
            h1 { "Sign in" }
            @if let Some(trouble) = trouble {
                div.notice.bad role="alert" { (icon::WARNING) div { (trouble) } }
            }
            form.stack id="login" method="post" action={ (base) "/login" } {
                input type="hidden" name="back" value=(back);
                div.field {
                    label for="token" { "Token" }
                    input id="token" type="password" name="token" autocomplete="current-password" required autofocus
                        aria-describedby="token-help";
                }
                button.main-action { "Sign in" }
            }
            p.quiet.small id="token-help" {
                "One of the tokens that the dashboard was started with. You stay signed in, in this browser, until you sign out."
            }
        } }
    };
    alone("Sign in", base, &body)
}

/// A page that says what went wrong, and what to do: also to somebody of whom nothing is known.
pub(crate) fn trouble(base: &str, title: &str, what: &str) -> Markup {
    let body = html! {
        section.panel { div.inside {
            h1 { (text::inline_of(title, 120)) }
            p.explained { (text::lines(&text::plain_lines(what, 1_500))) }
            p { a.button href=(under(base, "/")) { "All queues" } }
        } }
    };
    alone(&text::plain(title, 80), base, &body)
}
