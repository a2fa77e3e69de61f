//! What a person sees in a terminal of 80 columns, and what a pipe gets.

use console::measure_text_width;

use crate::rig::{Charge, Rig};
use crate::terminal::{COLUMNS, Terminal, plain};

/// What is on the screen when it has ended well.
#[track_caller]
fn screen(rig: &Rig, args: &[&str]) -> String {
    let (text, exit) = Terminal::start(rig.program().args(args)).end();
    assert_eq!(exit, Some(0), "{text}");
    text
}

#[tokio::test]
async fn every_listing_fits_the_terminal_and_has_colours() {
    let rig = Rig::filled().await;
    let long = "the bank did not answer ".repeat(40);
    rig.die(&[&long, "two\nlines \u{1b}[2J"]).await;
    let of_a_group = rig.queue.enqueue(Charge::new(1)).group("tenant-7");
    of_a_group.await.unwrap();
    let dead = rig.ids("dead");
    let [long_one, two_lines] = [&dead[4], &dead[5]];
    for args in [
        &["queue", "ls"][..],
        &["queue", "show", "billing"],
        &["queue", "history", "billing"],
        &["queue", "settings", "billing"],
        &["job", "ls", "billing", "--all"],
        &["dead", "ls", "billing"],
        &["dead", "groups", "billing"],
        &["dead", "show", "billing", long_one],
        &["dead", "show", "billing", two_lines],
        &["group", "ls", "billing"],
        &["group", "show", "billing", "tenant-7"],
        &["schedule", "ls", "billing"],
        &["schedule", "show", "billing", "nightly"],
    ] {
        let text = screen(&rig, args);
        let shown = plain(&text);
        // A payload is to be copied, and stays as it is.
        let is_payload = |line: &&str| line.starts_with("      \"error\": ");
        for line in shown.lines().filter(|line| !is_payload(line)) {
            let width = measure_text_width(line);
            assert!(width <= COLUMNS.into(), "{args:?}: {width}: {line}");
        }
        assert!(text.contains("\u{1b}["), "no colours: {args:?}\n{text}");
        assert!(
            !text.contains("\u{1b}[2J"),
            "an error cleared the screen: {args:?}"
        );
        assert!(!shown.contains("\n\n\n"), "{args:?}\n{shown}");
    }
}

#[tokio::test]
async fn an_error_is_cut_in_the_listing_and_whole_in_show() {
    let rig = Rig::new().await;
    let words: Vec<String> = (0..60).map(|n| format!("word{n}")).collect();
    let error = words.join(" ");
    rig.die(&[&error]).await;
    let id = &rig.ids("dead")[0];
    let listed = plain(&screen(&rig, &["dead", "ls", "billing"]));
    assert!(
        listed.contains('…') && !listed.contains("word59"),
        "{listed}"
    );
    let shown = plain(&screen(&rig, &["dead", "show", "billing", id]));
    assert!(words.iter().all(|word| shown.contains(word)), "{shown}");
    // A pipe gets one line for each job, and all of it.
    let piped = rig.run(&["dead", "ls", "billing"]).expect(0).out;
    assert_eq!(piped.lines().count(), 2, "{piped}");
    assert!(piped.contains(&error), "{piped}");
}

#[tokio::test]
async fn in_a_pipe_there_are_no_colours_and_no_separators() {
    let rig = Rig::new().await;
    let jobs = (0..1_234).map(Charge::new);
    rig.queue.enqueue_many(jobs).await.unwrap();
    let piped = rig.run(&["queue", "ls"]).expect(0).out;
    assert!(
        piped.contains(" 1234 ") && !piped.contains('\u{1b}'),
        "{piped}"
    );
    assert!(screen(&rig, &["queue", "ls"]).contains("1,234"));
    let mut without = rig.program();
    without.env("NO_COLOR", "1").args(["queue", "ls"]);
    let (text, _) = Terminal::start(&mut without).end();
    assert!(text.contains("1,234") && !text.contains('\u{1b}'), "{text}");
}

#[tokio::test]
async fn a_question_says_how_many_jobs_it_is_about_and_no_is_no() {
    let rig = Rig::filled().await;
    let args = ["dead", "remove", "billing", "--name", "charge"];
    let interrupt = "Ctrl-C";
    for (answer, exit, left) in [
        ("n\n", 1, 4),
        ("\n", 1, 4),
        (interrupt, 130, 4),
        ("yes\n", 0, 0),
    ] {
        let mut terminal = Terminal::start(rig.program().args(args));
        terminal.wait_for("Remove 4 jobs of the dead letters of `billing`? [y/N]");
        match answer == interrupt {
            true => terminal.interrupt(),
            false => terminal.type_in(answer),
        }
        let (text, code) = terminal.end();
        assert_eq!(code, Some(exit), "{text}");
        assert_eq!(rig.queue.counts().await.unwrap().dead, left);
    }
}

#[test]
fn help_completions_and_man_pages_need_no_redis() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let said = crate::rig::program("redis://127.0.0.1:1/")
            .args(args)
            .output();
        crate::rig::Said::from(said.unwrap()).expect(0).out
    };
    assert!(run(&["--help"]).contains("Exit codes"));
    assert!(run(&["dead", "replay", "--help"]).contains("--dry-run"));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(run(&["completions", shell]).contains("replay"), "{shell}");
    }
    assert!(run(&["man"]).contains(".TH oxcart"));
    run(&["man", "--out", folder.path().to_str().unwrap()]);
    assert!(folder.path().join("oxcart-dead-replay.1").is_file());
}
