//! Texts of users may be anything. They are shown as text, and nothing of them is run, fetched, or laid out.

use std::time::Duration;

use oxcart::{Failure, Job, JobId, Worker};
use oxcart_dashboard::Role;
use serde::{Deserialize, Serialize};

use crate::devtools::Devtools;
use crate::looking::too_wide;
use crate::page::{Page, Screen};
use crate::site::{BASE, Site};
use crate::support::eventually_async;

const PATIENCE: Duration = Duration::from_secs(60);
const NAME: &str = "<b>&quot;'\"`-\u{202e}name";
const ID: &str = "<svg>&amp;'\"`;\u{202e}id?x=1&y";

#[derive(Serialize, Deserialize)]
struct Hostile {
    text: String,
}

impl Job for Hostile {
    const NAME: &'static str = NAME;
    type Output = ();
}

fn text() -> String {
    [
        "</textarea></script><script>window.isHacked = true</script>",
        "<img src=http://example.com/x onerror='window.isHacked = true'>",
        "<svg onload=window.isHacked=true><style>*{display:none}</style>",
        "\u{202e}desrever\u{2066} \u{1b}[31mred \u{0}\u{7}\u{8} \u{feff}\u{200b}end",
        "<iframe srcdoc='<script>parent.isHacked=true</script>'></iframe><base href=http://example.com/>",
    ]
    .join("\n")
}

async fn fail(job: Hostile, context: oxcart::Context) -> Result<(), Failure> {
    context.log(text());
    let _ = context.progress(&text()).await;
    Err(Failure::dead(job.text))
}

/// Two dead jobs: one with hostile texts, one with texts that are long.
async fn fill(site: &Site, name: &str, job: Hostile, id: &str) {
    let queue = site.queue(name);
    let request = queue.enqueue(job).id(JobId::new(id).unwrap());
    let request = request.header("x-<b>", text().replace(['\0', '\n'], " "));
    request.group("<i>group\u{202e}").await.unwrap();
    let worker = Worker::builder(&queue).handle(fail).build().unwrap();
    let died = eventually_async(PATIENCE, async || queue.counts().await.unwrap().dead == 1);
    worker.run_until(died).await.unwrap();
}

/// Looks at all pages on which the job is named.
async fn look(page: &Page, queue: &str) {
    let links = async |part: &str| {
        let ask = format!(
            "[...new Set([...document.querySelectorAll('main a[href]')].map((link) => link.getAttribute('href')))]
                .filter((link) => link.includes('{part}'))"
        );
        let found = page.eval(&ask).await;
        let found = found.as_array().unwrap().iter();
        found
            .map(|link| link.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let at = format!("{BASE}/queues/{queue}");
    let mut paths = vec![
        at.clone(),
        format!("{at}/dead"),
        format!("{at}/audit"),
        format!("{at}/jobs?state=dead"),
        format!("{BASE}/alerts"),
    ];
    page.go(&format!("{at}/jobs?state=dead")).await;
    let jobs = links("/jobs/").await;
    assert!(!jobs.is_empty(), "the job is in the list");
    paths.extend(jobs);
    for path in paths {
        for screen in [Screen::Wide, Screen::Phone] {
            page.on(screen).await;
            let status = page.go(&path).await;
            assert_eq!(status, 200, "{path}");
            assert_eq!(page.complaints(), Vec::<String>::new(), "{path}");
            assert_eq!(too_wide(page).await, None, "{path} {screen:?}");
            let found =
                "document.querySelectorAll('img, iframe, base, main script, main style').length";
            assert_eq!(page.eval(found).await, 0, "{path}");
            assert_eq!(
                page.eval("window.isHacked === undefined").await,
                true,
                "{path}"
            );
        }
    }
}

pub(crate) async fn texts_are_shown_as_texts(site: &Site, devtools: &Devtools) {
    fill(site, "hostile", Hostile { text: text() }, ID).await;
    let page = site.page(devtools, Role::Admin).await;
    look(&page, "hostile").await;
    // On the last page, that of the job, the text is there, and can be read.
    page.until("document.body.textContent.includes('window.isHacked = true')")
        .await;
    page.close().await;
}

pub(crate) async fn long_texts_break_no_layout(site: &Site, devtools: &Devtools) {
    let id = "i".repeat(128);
    let text = "W".repeat(1_000_000);
    fill(site, "long", Hostile { text }, &id).await;
    let page = site.page(devtools, Role::Admin).await;
    look(&page, "long").await;
    let shown = page.eval("document.documentElement.outerHTML.length").await;
    assert!(shown.as_u64().unwrap() < 3_000_000, "{shown} characters");
    page.close().await;
}
