//! Long work: in steps, with an end between two of them.

use std::time::{Duration, Instant};

use crate::rig::Rig;
use crate::terminal::{Terminal, plain};

/// Jobs that die one after the other.
async fn rig_with_dead(number: usize) -> Rig {
    let rig = Rig::new().await;
    let errors = vec!["no card"; number];
    rig.die(&errors).await;
    rig
}

#[tokio::test]
async fn ctrl_c_ends_it_between_two_steps_and_the_same_command_goes_on() {
    let rig = rig_with_dead(60).await;
    let args = ["dead", "replay", "billing", "--all", "--yes", "--rate", "4"];
    let mut terminal = Terminal::start(rig.program().args(args));
    terminal.wait_for("replay ");
    terminal.interrupt();
    let (text, exit) = terminal.end();
    let text = plain(&text);
    assert_eq!(exit, Some(130), "{text}");
    let counts = rig.queue.counts().await.unwrap();
    let (done, left) = (counts.waiting, counts.dead);
    assert!(
        done > 0 && left > 0 && done + left == 60,
        "{counts:?}\n{text}"
    );
    let told = format!("{done} of 60 jobs replayed, {left} left");
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains(&told) && flat.contains("the same command goes on"),
        "{text}"
    );

    let rest = rig
        .run(&["dead", "replay", "billing", "--all", "--yes", "--json"])
        .expect(0)
        .object();
    assert_eq!(rest["done"], left);
    assert_eq!(rig.queue.counts().await.unwrap().waiting, 60);
}

#[tokio::test]
async fn a_rate_is_kept() {
    let rig = rig_with_dead(30).await;
    let started = Instant::now();
    rig.run(&[
        "dead", "replay", "billing", "--all", "--yes", "--rate", "30",
    ])
    .expect(0);
    // The last step waits for nothing.
    assert!(
        started.elapsed() > Duration::from_millis(600),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(rig.queue.counts().await.unwrap().waiting, 30);
}

#[tokio::test]
async fn more_jobs_than_a_page_are_replayed_once_and_in_their_order() {
    let rig = rig_with_dead(600).await;
    let dead = rig.ids("dead");
    let said = rig
        .run(&["dead", "replay", "billing", "--all", "--yes", "--json"])
        .expect(0)
        .object();
    assert_eq!((&said["asked"], &said["done"]), (&600.into(), &600.into()));
    assert_eq!(rig.ids("waiting"), dead);
}

#[tokio::test]
async fn a_redis_that_goes_away_in_between_is_4_and_says_how_far_it_came() {
    let rig = rig_with_dead(60).await;
    let args = ["dead", "replay", "billing", "--all", "--yes", "--rate", "4"];
    let mut terminal = Terminal::start(rig.program().args(args));
    terminal.wait_for("replay ");
    rig.server.kill();
    let (text, exit) = terminal.end();
    let text = plain(&text);
    assert_eq!(exit, Some(4), "{text}");
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("of 60 jobs replayed"), "{text}");
}
