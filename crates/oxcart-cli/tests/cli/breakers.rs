//! Breakers, as an operator sees and forces them.

use std::time::Duration;

use oxcart::{BreakerSettings, BreakerState};
use serde_json::json;

use crate::json::check;
use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn breakers_are_listed_shown_and_forced() {
    let rig = Rig::new().await;
    let none = rig.run(&["breaker", "ls"]).expect(0);
    assert!(
        none.out.is_empty() && none.err.contains("no breaker"),
        "{}",
        none.err
    );
    let settings = BreakerSettings::new().trips_at(2, Duration::from_secs(60));
    let breaker = |name: &str| {
        rig.oxcart
            .breaker(name)
            .unwrap()
            .settings(settings)
            .unwrap()
    };
    breaker("bank")
        .call(async || Ok::<_, std::io::Error>(()))
        .await
        .unwrap();
    for _ in 0..2 {
        let fails = async || Err::<(), _>(std::io::Error::other("status 503"));
        breaker("stripe").call(fails).await.unwrap_err();
    }
    let told = rig.run(&["breaker", "ls"]).expect(0).out;
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("BREAKER"), "{told}");
    assert!(
        lines[1].starts_with("stripe")
            && lines[1].contains("open")
            && lines[1].contains("status 503"),
        "{told}"
    );
    assert!(
        lines[2].starts_with("bank") && lines[2].contains("closed"),
        "{told}"
    );
    let all = rig.run(&["breaker", "ls", "--json"]).expect(0);
    check("breaker", &all.objects());
    let shown = rig.run(&["breaker", "show", "stripe"]).expect(0).out;
    assert!(
        shown.contains("open") && shown.contains("status 503"),
        "{shown}"
    );
    let unknown = rig.run(&["breaker", "show", "strip"]).expect(3);
    assert!(unknown.err.contains("stripe"), "{}", unknown.err);

    let refused = rig.run(&["breaker", "close", "stripe"]);
    assert_ne!(refused.exit, Some(0), "nobody was asked");
    for (verb, state, forced) in [
        ("close", "closed", true),
        ("open", "open", true),
        ("auto", "half-open", false),
    ] {
        let said = rig
            .run(&["breaker", verb, "stripe", "--yes", "--json"])
            .expect(0);
        check("breaker", &said.objects());
        let said = said.object();
        assert_eq!(said["forced"], json!(forced), "{verb}: {said}");
        if forced {
            assert_eq!(said["state"], json!(state), "{verb}: {said}");
        }
    }
    let info = breaker("stripe").info().await.unwrap();
    assert!(!info.forced);
    assert_ne!(info.state, BreakerState::Rising);
    // Who has forced it is noted.
    let noted = breaker("stripe").audit().await.unwrap();
    assert!(
        noted.iter().any(|entry| entry.action == "breaker"),
        "{noted:?}"
    );
}
