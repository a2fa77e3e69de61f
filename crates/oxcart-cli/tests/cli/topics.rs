//! Topics and their subscriptions, as an operator sees them.

use oxcart::{EventFilter, EventOrder, Job, Start};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::json::check;
use crate::rig::Rig;

#[derive(Serialize, Deserialize)]
struct Placed {
    n: u64,
}

impl Job for Placed {
    const NAME: &'static str = "order-placed";
    type Output = ();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_listed_shown_and_removed() {
    let rig = Rig::new().await;
    let none = rig.run(&["topic", "ls"]).expect(0);
    assert!(
        none.out.is_empty() && none.err.contains("nothing was ever published"),
        "{}",
        none.err
    );
    let orders = rig.oxcart.topic("orders").unwrap();
    let many = (0..3).map(|n| orders.publish(Placed { n }));
    orders.publish_many(many).await.unwrap();
    let wants = EventFilter::new()
        .event::<Placed>()
        .subject_starts_with("eu-");
    orders
        .subscribe("mail", &rig.queue)
        .starting(Start::Kept)
        .only(wants)
        .ordered_by(EventOrder::OfSubject)
        .await
        .unwrap();
    let told = rig.run(&["topic", "ls"]).expect(0).out;
    let words: Vec<Vec<&str>> = told
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(words[0][..3], ["TOPIC", "EVENTS", "KIB"]);
    assert_eq!(words[1][..3], ["orders", "3", "1"]);
    assert_eq!(words[1][words[1].len() - 3..], ["1", "3", "0"]);
    let shown = rig.run(&["topic", "show", "orders"]).expect(0).out;
    assert!(
        shown.contains("order-placed, subject eu-*, in order of a subject"),
        "{shown}"
    );
    for said in [
        rig.run(&["topic", "ls", "--json"]),
        rig.run(&["topic", "show", "orders", "--json"]),
    ] {
        let said = said.expect(0);
        check("topic", &said.objects());
        let of = &said.object()["subscriptions"][0];
        assert_eq!(
            (&of["name"], &of["behind"], &of["order"]),
            (&json!("mail"), &json!(3), &json!("of_subject"))
        );
    }
    let unknown = rig.run(&["topic", "show", "order"]).expect(3);
    assert!(unknown.err.contains("orders"), "{}", unknown.err);
    rig.run(&["topic", "unsubscribe", "orders", "male", "--yes"])
        .expect(3);
    let done = rig
        .run(&["topic", "unsubscribe", "orders", "mail", "--yes", "--json"])
        .expect(0);
    check("topic-done", &done.objects());
    assert_eq!(done.object()["subscription"], json!("mail"));
    let done = rig
        .run(&["topic", "delete", "orders", "--yes", "--json"])
        .expect(0);
    check("topic-done", &done.objects());
    assert_eq!(
        (&done.object()["subscription"], &done.object()["removed"]),
        (&Value::Null, &json!(true))
    );
    assert!(rig.oxcart.topics().await.unwrap().is_empty());
}
