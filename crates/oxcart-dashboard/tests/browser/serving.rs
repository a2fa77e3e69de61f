//! The program `oxcart serve`, as a process of its own.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::acting::assert_quiet;
use crate::devtools::Devtools;
use crate::page::{Page, Screen};
use crate::site::{How, Site, letter};
use crate::support::{Process, eventually_async};

const PATIENCE: Duration = Duration::from_secs(30);
const TOKEN: &str = "the token of ada of this test";

pub(crate) async fn the_program_serves_the_pages(site: &Site, devtools: &Devtools) {
    let program = std::env::var_os("OXCART_PROGRAM").filter(|program| !program.is_empty());
    let Some(program) = program else {
        println!("NOT TESTED: `oxcart serve` in a browser; make test-browser does");
        return;
    };
    let queue = site.queue("served");
    queue.enqueue(letter(How::End)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let said = folder.path().join("said");
    let mut command = Command::new(program);
    // Tokens are separated by spaces, so this one has none.
    let token = TOKEN.replace(' ', "-");
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("OXCART_REDIS_URL", site.redis.url())
        .env("OXCART_DASHBOARD_TOKENS", format!("ada=admin:{token}"))
        .env_remove("OXCART_NAMESPACE")
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&said).unwrap());
    let mut serving = Process::spawn(&mut command, None);
    let origin = || {
        let said = std::fs::read_to_string(&said).unwrap();
        let (_, rest) = said.split_once("http://")?;
        let (address, _) = rest.split_once('/')?;
        Some(format!("http://{address}"))
    };
    eventually_async(PATIENCE, async || origin().is_some()).await;

    let page = Page::open(devtools, &origin().unwrap(), Screen::Wide).await;
    page.go("/queues/served").await;
    page.sign_in(&token).await;
    // After signing in the viewer is on the page that was asked for.
    page.until("location.pathname === '/queues/served'").await;
    page.until_shown("live").await;
    page.send_form("/queues/served/pause", "").await;
    page.until_shown("The queue is paused.").await;
    assert!(queue.counts().await.unwrap().paused);
    let entries = queue.audit().await.unwrap();
    assert_eq!(entries[0].operator, "ada");
    assert_quiet(&page);
    // It ends in good order while the page listens.
    serving.terminate();
    assert!(serving.wait(PATIENCE).success());
    page.until_shown("not connected").await;
    page.close().await;
}
