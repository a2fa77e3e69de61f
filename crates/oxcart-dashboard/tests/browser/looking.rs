//! Every page: it opens on a wide screen and on a phone, fits, complains of nothing, and keeps nobody out.

use std::collections::{BTreeMap, VecDeque};

use oxcart_dashboard::Role;
use serde_json::{Value, json};

use crate::devtools::Devtools;
use crate::page::{Page, Screen};
use crate::site::{BASE, Site};

/// Pages that are looked at, at most.
const MOST: usize = 60;

/// Pages that a person must be able to reach by links alone.
const WANTED: [&str; 14] = [
    "",
    "/running",
    "/schedules",
    "/workers",
    "/alerts",
    "/tasks",
    "/queues/QUEUE",
    "/queues/QUEUE/jobs?state=dead",
    "/queues/QUEUE/jobs?state=waiting",
    "/queues/QUEUE/jobs/dead-0",
    "/queues/QUEUE/jobs/active-0",
    "/queues/QUEUE/dead",
    "/queues/QUEUE/workers",
    "/queues/QUEUE/audit",
];

pub(crate) async fn every_page_opens_on_a_wide_screen(site: &Site, devtools: &Devtools) {
    every_page_opens(site, devtools, "mail", Screen::Wide, "light").await;
}

pub(crate) async fn every_page_opens_on_a_phone(site: &Site, devtools: &Devtools) {
    every_page_opens(site, devtools, "post", Screen::Phone, "dark").await;
}

/// Follows links until no page of another kind is found.
async fn every_page_opens(
    site: &Site,
    devtools: &Devtools,
    queue: &str,
    screen: Screen,
    scheme: &str,
) {
    let _working = site.fill(queue).await;
    let page = site.page(devtools, Role::Admin).await;
    page.on(screen).await;
    page.in_colours(scheme).await;
    let wanted = WANTED.map(|path| format!("{BASE}{}", path.replace("QUEUE", queue)));
    let axe = axe();
    let mut trouble = Vec::new();
    let mut to_see = VecDeque::from([BASE.to_owned()]);
    let mut seen = BTreeMap::new();
    while let Some(path) = to_see.pop_front() {
        if seen.len() == MOST || seen.contains_key(&kind_of(&path)) {
            continue;
        }
        trouble.extend(look(&page, &path, axe.as_deref()).await);
        let links = page.eval(
            "[...document.querySelectorAll('a[href]')].map((link) => link.getAttribute('href'))",
        );
        let links = links.await;
        let links = links.as_array().unwrap().iter().filter_map(Value::as_str);
        // The other queues are those of other cases.
        let is_ours = |link: &&str| match link.split_once("/queues/") {
            Some((base, rest)) => base == BASE && rest.split(['/', '?']).next() == Some(queue),
            None => link.starts_with(BASE),
        };
        let links = links.filter(is_ours);
        // What is asked for comes first, so that the number of pages does not cut it off.
        for link in links {
            let is_wanted = WANTED
                .iter()
                .any(|wanted| link == format!("{BASE}{wanted}"));
            match is_wanted {
                true => to_see.push_front(link.to_owned()),
                false => to_see.push_back(link.to_owned()),
            }
        }
        seen.insert(kind_of(&path), path);
    }
    for path in wanted {
        if !seen.contains_key(&kind_of(&path)) {
            trouble.push(format!("no link leads to {path}"));
        }
    }
    page.close().await;
    assert!(
        trouble.is_empty(),
        "{}\nseen: {:#?}",
        trouble.join("\n"),
        seen.values()
    );
}

/// Pages of one kind look alike: those of jobs in one state, or the list of one state with whatever order.
fn kind_of(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut query = query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name {
                "state" => format!("{name}={value}"),
                _ => name.to_owned(),
            }
        });
    let query = query.by_ref().collect::<Vec<_>>();
    let path = path.trim_end_matches(|letter: char| letter.is_ascii_digit());
    format!("{path}?{}", query.join("&"))
}

/// What is wrong with one page.
async fn look(page: &Page, path: &str, axe: Option<&str>) -> Vec<String> {
    let status = page.go(path).await;
    let mut trouble = page.complaints();
    if status != 200 {
        trouble.push(format!("its status is {status}"));
    }
    trouble.extend(too_wide(page).await);
    let headings = page.eval("document.querySelectorAll('h1').length").await;
    if headings != 1 {
        trouble.push(format!("it has {headings} headings of the first level"));
    }
    if let Some(axe) = axe {
        trouble.extend(barriers(page, axe).await);
    }
    let trouble = trouble.into_iter().map(|what| format!("{path}: {what}"));
    trouble.collect()
}

/// Whether one has to scroll sideways, and because of what.
pub(crate) async fn too_wide(page: &Page) -> Option<String> {
    let found = page.eval(
        "(() => {
            const wide = document.scrollingElement.scrollWidth, room = document.documentElement.clientWidth;
            if (wide <= room) return null;
            const over = [...document.body.querySelectorAll('*')].filter((e) => e.getBoundingClientRect().right > room + 1);
            return `${wide} px wide on ${room} px: ` + over.slice(0, 3).map((e) => e.outerHTML.slice(0, 120)).join(' | ');
        })()",
    );
    found.await.as_str().map(str::to_owned)
}

/// The script that looks for what keeps people out, as `.ci/axe.sh` has fetched it.
fn axe() -> Option<String> {
    let path = std::env::var_os("OXCART_AXE").filter(|path| !path.is_empty());
    let Some(path) = path else {
        println!("NOT TESTED: what axe says of the pages; make test-browser does");
        return None;
    };
    Some(std::fs::read_to_string(path).expect("OXCART_AXE is axe.min.js"))
}

/// What axe finds that is more than a minor matter.
pub(crate) async fn barriers(page: &Page, axe: &str) -> Vec<String> {
    let ask = format!(
        "{axe};
        axe.run(document, {{ resultTypes: ['violations'] }}).then((found) => found.violations
            .filter((one) => one.impact !== 'minor')
            .map((one) => `${{one.id}}: ${{one.help}}: ` + one.nodes.slice(0, 3).map((node) => node.html).join(' ')))"
    );
    let found = page.eval(&ask).await;
    let found = found.as_array().unwrap().iter();
    found.map(|one| one.as_str().unwrap().to_owned()).collect()
}

pub(crate) async fn pages_are_read_without_script(site: &Site, devtools: &Devtools) {
    let _working = site.fill("plain").await;
    let page = site.page(devtools, Role::Operator).await;
    let off = json!({ "value": true });
    page.call("Emulation.setScriptExecutionDisabled", off).await;
    page.go(&format!("{BASE}/queues/plain/jobs?state=dead"))
        .await;
    page.until_shown("dead-1").await;
    page.go(&format!("{BASE}/queues/plain/jobs/dead-1")).await;
    page.until_shown("no such mailbox").await;
    page.send_form(&format!("{BASE}/queues/plain/jobs/dead-1/replay"), "")
        .await;
    assert_eq!(page.status().await, 200);
    assert_eq!(page.complaints(), Vec::<String>::new());
    page.close().await;
}

pub(crate) async fn the_keyboard_is_enough(site: &Site, devtools: &Devtools) {
    site.queue("keys")
        .enqueue(crate::site::letter(crate::site::How::End))
        .await
        .unwrap();
    let page = site.page(devtools, Role::Viewer).await;
    page.press("Tab").await;
    page.until("document.activeElement.getAttribute('href')?.startsWith('#') === true")
        .await;
    let focus = "getComputedStyle(document.activeElement).outlineStyle !== 'none'";
    page.press("Tab").await;
    page.until(&format!(
        "document.activeElement.nodeName === 'A' && {focus}"
    ))
    .await;
    page.press("/").await;
    page.until("document.activeElement.type === 'search'").await;
    // What is typed is found without a button.
    for letter in ["k", "e", "y", "s"] {
        page.press(letter).await;
    }
    page.until("new URL(location).searchParams.get('q') === 'keys'")
        .await;
    page.until_shown("keys").await;
    assert_eq!(page.complaints(), Vec::<String>::new());
    page.close().await;
}
