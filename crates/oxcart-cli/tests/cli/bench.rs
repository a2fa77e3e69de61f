//! A load of its own.

use crate::rig::Rig;

#[tokio::test]
async fn a_bench_says_how_fast_it_was_and_leaves_nothing_to_do_behind() {
    let rig = Rig::new().await;
    let said = rig
        .run(&["bench", "-n", "300", "--concurrency", "10", "--json"])
        .expect(0);
    let told = said.object();
    for rate in ["enqueued_per_second", "processed_per_second"] {
        assert!(told[rate].as_f64().unwrap() > 0.0, "{told}");
    }
    assert_eq!(rig.oxcart.queues().await.unwrap(), ["billing"]);
    // The numbers of the last calls, which Redis drops in an hour.
    let keys: Vec<String> = rig.server.ask(&["KEYS", "*bench*"]);
    assert!(keys.iter().all(|key| key.ends_with(":calls")), "{keys:?}");
    let shown = rig.run(&["bench", "-n", "10"]).expect(0).out;
    assert!(shown.contains("processed"), "{shown}");
    rig.run(&["bench", "-n", "0"]).expect(2);
}
