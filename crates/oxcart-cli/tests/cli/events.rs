//! Following what happens.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::rig::{Charge, Rig};

#[tokio::test]
async fn events_are_followed_and_gone_on_with_and_ctrl_c_ends_it_well() {
    let rig = Rig::filled().await;
    let said = rig
        .run(&["events", "billing", "--after", "0-0", "-n", "5", "--json"])
        .expect(0);
    let events = said.objects();
    assert_eq!(events[0]["event"], "added");
    let cursor = events[1]["cursor"].as_str().unwrap();
    let rest = ["events", "billing", "--after", cursor, "-n", "3", "--json"];
    assert_eq!(rig.run(&rest).expect(0).objects(), events[2..]);
    let dead = [
        "events", "billing", "--after", "0-0", "-n", "4", "--json", "--event", "dead",
    ];
    let dead = rig.run(&dead).expect(0).objects();
    assert!(
        dead.iter().all(|event| event["reason"] == "declared"),
        "{dead:?}"
    );

    // All queues, until Ctrl-C.
    let mut command = rig.program();
    command
        .args(["events", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mail = rig.oxcart.queue("mail").unwrap();
    // What happens before it listens is not seen.
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let busy = tokio::spawn(async move {
        while stopped.try_recv().is_err() {
            mail.enqueue(Charge::new(1)).await.unwrap();
        }
    });
    let line = tokio::task::spawn_blocking(move || lines.next().unwrap().unwrap());
    let event: Value = serde_json::from_str(&line.await.unwrap()).unwrap();
    assert_eq!(
        (&event["queue"], &event["event"]),
        (&"mail".into(), &"added".into())
    );
    kill(
        Pid::from_raw(child.id().try_into().unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    stop.send(()).unwrap();
    busy.await.unwrap();
}
