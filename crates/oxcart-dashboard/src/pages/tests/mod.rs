//! Every page, with much to show, with nothing, and with text that wants to do harm.

mod sample;

use maud::Markup;

use crate::access::{Access, Role};
use crate::chrome::Chrome;
use crate::model::Moment;

pub(super) use sample::schedule;

pub(super) fn queue_view() -> crate::model::QueueView {
    sample::rich().queue
}

/// A moment at which the samples are looked at.
const NOW: u64 = 1_795_000_000_000;

pub(super) fn chrome(here: &str) -> Chrome {
    Chrome {
        base: "/ops".to_owned(),
        here: here.to_owned(),
        access: Access::new("ada", Role::Admin),
        can_sign_out: true,
        csrf: "c5rf".to_owned(),
        now: Moment::from_millis(NOW),
        read_at: Some(Moment::from_millis(NOW - 400)),
        lost: None,
        notice: None,
    }
}

/// All pages of one kind of data, each with its name.
fn pages(data: &sample::Data) -> Vec<(&'static str, Markup)> {
    let at = |here: &str| chrome(here);
    vec![
        ("overview", super::overview(&data.overview, &at("/"))),
        ("queue", super::queue(&data.queue, &at("/queues/mail"))),
        (
            "jobs-dead",
            super::job_list(&data.dead, &at("/queues/mail/jobs?state=dead")),
        ),
        (
            "jobs-waiting",
            super::job_list(&data.waiting, &at("/queues/mail/jobs?state=waiting")),
        ),
        ("job", super::job(&data.job, &at("/queues/mail/jobs/1"))),
        ("running", super::running(&data.running, &at("/running"))),
        (
            "groups",
            super::dead_groups(&data.groups, &at("/queues/mail/dead")),
        ),
        (
            "schedules",
            super::schedules(&data.schedules, &at("/schedules")),
        ),
        ("workers", super::workers(&data.workers, &at("/workers"))),
        (
            "audit",
            super::audit(&data.audit, &at("/queues/mail/audit")),
        ),
        ("alerts", super::alerts(&data.alerts, &at("/alerts"))),
        ("tasks", super::tasks(&data.tasks, &at("/tasks"))),
        ("task", super::task(&data.task, &at("/tasks/7"))),
        (
            "login",
            super::login("/ops", "/", Some("This token is not known.")),
        ),
        (
            "trouble",
            super::trouble("/ops", "No such queue", &data.hostile),
        ),
        ("lost", super::overview(&data.overview, &lost())),
    ]
}

fn lost() -> Chrome {
    let mut chrome = chrome("/");
    chrome.read_at = Some(Moment::from_millis(NOW - 12_000));
    chrome.lost = Some("cannot connect to 127.0.0.1:6379: Connection refused".to_owned());
    chrome
}

fn all_pages() -> Vec<(String, String)> {
    let kinds = [
        ("rich", sample::rich()),
        ("empty", sample::empty()),
        ("hostile", sample::hostile()),
    ];
    let mut all = Vec::new();
    for (kind, data) in kinds {
        let drawn = pages(&data)
            .into_iter()
            .map(|(name, page)| (format!("{name}.{kind}"), page.into_string()));
        all.extend(drawn);
    }
    all
}

/// With `OXCART_PAGES=folder` the pages are written there, to be looked at in a browser.
#[test]
fn pages_can_be_looked_at_without_a_server() {
    let Ok(folder) = std::env::var("OXCART_PAGES") else {
        return;
    };
    for (name, page) in all_pages() {
        let page = page.replace("/ops/assets/", "assets/");
        std::fs::write(format!("{folder}/{name}.html"), page).unwrap();
    }
}

#[test]
fn no_page_has_anything_that_the_policy_forbids() {
    for (name, page) in all_pages() {
        for forbidden in [
            " style=",
            "<style",
            " onclick=",
            " onload=",
            "javascript:",
            "http://",
            "https://",
        ] {
            let found = page
                .replace("xmlns='http://www.w3.org/2000/svg'", "")
                .contains(forbidden);
            assert!(!found, "{forbidden} is in {name}");
        }
        assert_eq!(
            page.matches("<script").count(),
            1,
            "{name} has a script of its own"
        );
    }
}

#[test]
fn text_of_users_stays_text() {
    for (name, page) in all_pages() {
        let page = without_values_of_fields(&page);
        for harm in [
            "<img", "<b>", "\0", "\u{202e}", "\u{2066}", "\u{1b}", "\u{7}",
        ] {
            assert!(!page.contains(harm), "{harm:?} is in {name}");
        }
        assert!(page.len() < 1_500_000, "{name} has {} bytes", page.len());
    }
}

/// What a form sends, or a button copies, is not shown, and is as it is.
fn without_values_of_fields(page: &str) -> String {
    let page = page.replace(" data-copy=\"", " value=\"");
    let mut parts = page.split(" value=\"");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |page, part| page + part.split_once('"').unwrap().1)
}

#[test]
fn every_page_is_whole() {
    for (name, page) in all_pages() {
        for tag in [
            "html", "body", "main", "h1", "table", "details", "form", "section", "bdi", "svg",
        ] {
            let opened = page.matches(&format!("<{tag}>")).count()
                + page.matches(&format!("<{tag} ")).count();
            assert_eq!(
                opened,
                page.matches(&format!("</{tag}>")).count(),
                "<{tag}> in {name}"
            );
        }
        assert_eq!(page.matches("<h1").count(), 1, "{name} has one heading");
        assert_eq!(
            page.matches("<table").count(),
            page.matches("<caption").count(),
            "{name}"
        );
    }
}

#[test]
fn every_form_that_changes_something_proves_where_it_comes_from() {
    for (name, page) in all_pages() {
        for form in page.split("<form").skip(1) {
            let inside = form.split("</form>").next().unwrap();
            let changes = inside.contains(r#"method="post""#) && !inside.contains(r#"/login""#);
            assert_eq!(
                changes,
                inside.contains(r#"name="csrf""#),
                "a form in {name}: {inside}"
            );
        }
    }
}

#[test]
fn a_viewer_has_no_form_that_changes_something() {
    let mut viewer = chrome("/queues/mail");
    viewer.access = Access::new("eve", Role::Viewer);
    viewer.can_sign_out = false;
    let data = sample::rich();
    let pages = [
        super::queue(&data.queue, &viewer),
        super::job_list(&data.dead, &viewer),
        super::job(&data.job, &viewer),
        super::dead_groups(&data.groups, &viewer),
        super::schedules(&data.schedules, &viewer),
        super::task(&data.task, &viewer),
    ];
    for page in pages {
        let page = page.into_string();
        assert!(!page.contains(r#"method="post""#), "{page}");
    }
}

#[test]
fn links_stay_below_the_place_where_the_dashboard_is_mounted() {
    for (name, page) in all_pages() {
        for link in page
            .split(" href=\"")
            .skip(1)
            .chain(page.split(" action=\"").skip(1))
        {
            let link = link.split('"').next().unwrap();
            let inside = matches!(
                link.strip_prefix("/ops").map(|rest| rest.chars().next()),
                Some(None | Some('/' | '?'))
            ) || link.starts_with('#')
                || link.starts_with("data:image");
            assert!(inside, "{link} in {name}");
        }
    }
}

#[test]
fn a_lost_redis_is_told_with_the_age_of_what_is_shown() {
    let page = super::overview(&sample::rich().overview, &lost()).into_string();
    assert!(page.contains("Redis does not answer"), "{page}");
    assert!(page.contains("not connected, values of 12 s ago"), "{page}");
}

#[test]
fn five_hundred_queues_are_on_pages_and_found_by_name() {
    let data = sample::many_queues(500);
    let rows = |here: &str| {
        super::overview(&data, &chrome(here))
            .into_string()
            .matches("data-key=\"q-")
            .count()
    };
    assert_eq!(rows("/"), 50);
    assert_eq!(rows("/?page=10"), 50);
    assert_eq!(rows("/?q=queue-499"), 1);
    assert_eq!(rows("/?q=nothing-of-the-kind"), 0);
    assert!(
        super::overview(&data, &chrome("/"))
            .into_string()
            .contains("1–50 of 500 queues")
    );
}
