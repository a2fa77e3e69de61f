//! `top`, in a terminal of its own.

use std::time::{Duration, Instant};

use crate::rig::{PATIENCE, Rig};
use crate::support::{Server, eventually_async};
use crate::terminal::Terminal;

/// The terminal shows another page, and the page from before is back.
const TAKEN: &str = "\u{1b}[?1049h";
const GIVEN_BACK: &str = "\u{1b}[?1049l";

#[track_caller]
fn ends_well(terminal: Terminal) -> String {
    let (text, exit) = terminal.end();
    assert_eq!(exit, Some(0), "{text}");
    assert!(text.contains(TAKEN) && text.contains(GIVEN_BACK), "{text}");
    text
}

#[tokio::test]
async fn queues_are_watched_looked_into_paused_and_replayed() {
    let rig = Rig::filled().await;
    let counts = async || rig.queue.counts().await.unwrap();
    let mut terminal = Terminal::start(rig.program().arg("top"));
    terminal.wait_for("billing");
    terminal.wait_for("mail");
    terminal.type_in("\r");
    terminal.wait_for("declined");
    terminal.type_in("p");
    terminal.wait_for("[y/N]");
    assert!(!counts().await.paused);
    terminal.type_in("y");
    eventually_async(PATIENCE, async || counts().await.paused).await;
    terminal.wait_for("resume");
    terminal.type_in("py");
    eventually_async(PATIENCE, async || !counts().await.paused).await;
    // The first group of dead letters is the largest.
    assert_eq!(counts().await.dead, 4);
    terminal.type_in("ry");
    eventually_async(PATIENCE, async || counts().await.dead == 1).await;
    terminal.wait_for("replayed");
    let audit = || rig.run(&["audit", "billing"]).expect(0).out;
    eventually_async(PATIENCE, async || audit().contains("replay: 3")).await;
    terminal.type_in("q");
    let text = ends_well(terminal);
    assert!(text.contains("\u{1b}[38;5;"), "no colours: {text}");
    for action in ["pause", "resume"] {
        assert!(audit().contains(action), "{}", audit());
    }
}

#[tokio::test]
async fn ctrl_c_and_signals_end_it_and_give_the_terminal_back() {
    let rig = Rig::filled().await;
    for end in ["\u{3}", "SIGINT", "SIGTERM"] {
        let mut command = rig.program();
        command.env("NO_COLOR", "1").args(["top", "billing"]);
        let mut terminal = Terminal::start(&mut command);
        terminal.wait_for("declined");
        match end {
            "SIGINT" => terminal.interrupt(),
            "SIGTERM" => terminal.terminate(),
            key => terminal.type_in(key),
        }
        let text = ends_well(terminal);
        assert!(!text.contains("\u{1b}[38;5;"), "colours: {text}");
    }
}

#[tokio::test]
async fn a_lost_connection_is_told_and_it_goes_on_when_redis_is_back() {
    let rig = Rig::filled().await;
    let mut terminal = Terminal::start(rig.program().arg("top"));
    terminal.wait_for("billing");
    rig.server.kill();
    terminal.wait_for("connection");
    // It kept nothing on disk.
    rig.server.restart();
    terminal.wait_for("--namespace");
    terminal.type_in("q");
    ends_well(terminal);
}

#[tokio::test]
async fn of_500_queues_no_more_is_read_than_fits_the_screen() {
    let rig = Rig::on(Server::start()).await;
    let names: Vec<String> = (0..500).map(|n| format!("tenant-{n:03}")).collect();
    let key: Vec<String> = rig.server.ask(&["KEYS", "oxcart:queues*"]);
    let mut add = vec!["SADD", &key[0]];
    add.extend(names.iter().map(String::as_str));
    rig.server.cli(&add);
    let mut terminal = Terminal::start(rig.program().arg("top"));
    terminal.wait_for("tenant-005");
    let (before, began) = (rig.server.calls("evalsha"), Instant::now());
    std::thread::sleep(Duration::from_secs(3));
    let looks = began.elapsed().as_secs() + 2;
    let calls = rig.server.calls("evalsha") - before;
    // In a terminal of 24 lines; each queue is one call.
    assert!(calls <= looks * 60, "{calls} calls in {looks} looks");
    assert!(calls > 0);
    // The last ones are a key away.
    terminal.type_in("\u{1b}[F");
    terminal.wait_for("tenant-499");
    terminal.type_in("q");
    ends_well(terminal);
}

#[tokio::test]
async fn without_a_terminal_it_names_what_a_program_can_use() {
    let rig = Rig::new().await;
    let said = rig.run(&["top"]).expect(2);
    assert!(said.err.contains("oxcart queue ls --json"), "{}", said.err);
    let said = rig.run(&["top", "--json"]).expect(2);
    let error: serde_json::Value = serde_json::from_str(said.err.trim()).unwrap();
    assert_eq!(error["exit"], 2);
    let (text, exit) = Terminal::start(rig.program().args(["top", "biling"])).end();
    assert_eq!(exit, Some(3), "{text}");
    assert!(text.contains("billing") && !text.contains(TAKEN), "{text}");
}
