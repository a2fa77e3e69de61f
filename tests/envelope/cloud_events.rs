//! Jobs and events as CloudEvents: what goes out is as the specification says, and comes back as it was.

use jsonschema::Validator;
use oxcart::{
    CloudEvent, Context, ErrorKind, Failure, Job, JobId, JobInfo, Oxcart, Queue, State, Worker,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Placed, PlacedV1, PlacedV2, Seen, placed};

/// What the published schema of CloudEvents 1.0.2 asks for, told anew.
fn schema() -> Validator {
    let optional = |format: &str| match format {
        "" => json!({ "type": ["string", "null"], "minLength": 1 }),
        format => json!({ "type": ["string", "null"], "minLength": 1, "format": format }),
    };
    let text = json!({ "type": "string", "minLength": 1 });
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "required": ["id", "source", "specversion", "type"],
        "properties": {
            "id": text,
            "source": { "type": "string", "minLength": 1, "format": "uri-reference" },
            "specversion": { "const": "1.0" },
            "type": text,
            "datacontenttype": optional(""),
            "dataschema": optional("uri"),
            "subject": optional(""),
            "time": optional("date-time"),
        },
        // Of the text of the specification: how extensions are named, and what they can be.
        "patternProperties": { "^(?!data$)[a-z0-9]+$": { "type": ["string", "integer", "boolean", "null"] } },
        "propertyNames": { "pattern": "^([a-z0-9]+|data_base64)$" },
        "not": { "required": ["data", "data_base64"] },
    });
    let options = jsonschema::options().should_validate_formats(true);
    options.build(&schema).expect("a schema")
}

fn check(event: &impl Serialize) -> Value {
    let value = serde_json::to_value(event).unwrap();
    let errors: Vec<_> = schema()
        .iter_errors(&value)
        .map(|it| it.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?}: {value}");
    value
}

#[test]
fn the_schema_refuses_what_is_no_cloud_event() {
    let good = json!({ "specversion": "1.0", "id": "1", "type": "t", "source": "/s" });
    assert!(schema().is_valid(&good));
    for (key, value) in [
        ("id", Value::Null),
        ("id", json!("")),
        ("source", json!("a b")),
        ("specversion", json!("0.3")),
        ("time", json!("yesterday")),
        ("subject", json!("")),
        ("traceparent", json!({})),
        ("trace-parent", json!("x")),
        ("dataschema", json!("/relative")),
    ] {
        let mut bad = good.clone();
        bad[key] = value;
        assert!(!schema().is_valid(&bad), "{bad}");
    }
}

async fn info(queue: &Queue, id: &JobId) -> JobInfo {
    queue.job(id).await.unwrap().expect("it is there")
}

#[tokio::test]
async fn a_plain_job_is_a_cloud_event() {
    let oxcart = Oxcart::builder().namespace("shop ü".replace(' ', "-"));
    let orders = oxcart.in_memory().unwrap().queue("orders").unwrap();
    let job = orders.enqueue(placed(17, 5)).await.unwrap();
    let info = info(&orders, job.id()).await;
    assert!(info.headers.is_empty());
    let event: CloudEvent<Value> = orders.cloud_event(&info).unwrap();
    assert_eq!(
        check(&event),
        json!({
            "specversion": "1.0",
            "id": job.id().as_str(),
            "type": "order-placed",
            "source": "oxcart:shop-%C3%BC/orders",
            "time": info.enqueued_at.to_string(),
            "datacontenttype": "application/json",
            "schemaversion": "3",
            "data": { "order": 17, "cents": 5, "currency": "EUR" },
        })
    );
    let typed: CloudEvent<Placed> = orders.cloud_event(&info).unwrap();
    assert_eq!(check(&typed), check(&event));
}

#[tokio::test]
async fn an_event_with_everything_goes_out_and_comes_back_the_same() {
    let oxcart = Oxcart::builder().source("https://shop.example/orders");
    let oxcart = oxcart.in_memory().unwrap();
    let orders = oxcart.topic("orders").unwrap();
    let billing = oxcart.queue("billing").unwrap();
    orders.subscribe("billing", &billing).await.unwrap();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let event = orders.publish(placed(17, 5)).subject("order-17");
    let event = event.correlation_id("request-7").causation_id("click-1");
    let event = event
        .header("traceparent", parent)
        .header("Not-Theirs", "x");
    let published = event.await.unwrap();
    let seen: Seen<Value> = Seen::new();
    let worker = Worker::builder(&billing).state(seen.clone()).handle(
        async |event: Placed, context: Context, seen: State<Seen<Value>>| {
            seen.note(serde_json::to_value(context.cloud_event(event))?);
            Ok::<_, Failure>(())
        },
    );
    worker.build().unwrap().drain().await;
    let out = info(&billing, &published.id).await;
    let out: CloudEvent<Value> = billing.cloud_event(&out).unwrap();
    let told = check(&out);
    assert_eq!(
        seen.take(),
        std::slice::from_ref(&told),
        "what the handler says is the same"
    );
    for (attribute, value) in [
        ("source", "https://shop.example/orders"),
        ("subject", "order-17"),
        ("correlationid", "request-7"),
        ("causationid", "click-1"),
        ("traceparent", parent),
        ("schemaversion", "3"),
    ] {
        assert_eq!(told[attribute], value, "{attribute}");
    }
    assert!(told.get("Not-Theirs").is_none());
    // Another system has it, and gives it to another one of ours.
    let there = Oxcart::in_memory();
    let facts = there.topic("facts").unwrap();
    let inbox = there.queue("inbox").unwrap();
    facts.subscribe("inbox", &inbox).await.unwrap();
    let event: CloudEvent<Value> = serde_json::from_value(told.clone()).unwrap();
    assert_eq!(
        facts.publish_event(event.clone()).await.unwrap().id,
        published.id
    );
    let handled: Seen<(Placed, Option<String>)> = Seen::new();
    let worker = Worker::builder(&inbox).state(handled.clone()).handle(
        async |event: Placed, context: Context, seen: State<Seen<(Placed, Option<String>)>>| {
            seen.note((event, context.causation_id().map(str::to_owned)));
            Ok::<_, Failure>(())
        },
    );
    worker.build().unwrap().drain().await;
    assert_eq!(
        handled.take(),
        [(placed(17, 5), Some("click-1".to_owned()))]
    );
    let back: CloudEvent<Value> = inbox
        .cloud_event(&info(&inbox, &published.id).await)
        .unwrap();
    assert_eq!(check(&back), told);
    // And as a job, once.
    let queue = there.queue("queue").unwrap();
    let first = queue.enqueue_event(event.clone()).await.unwrap();
    let again = queue.enqueue_event(event).await.unwrap();
    assert_eq!(first.id(), again.id());
    assert_eq!(queue.counts().await.unwrap().waiting, 1);
    let back: CloudEvent<Value> = queue.cloud_event(&info(&queue, first.id()).await).unwrap();
    assert_eq!(check(&back), told);
}

#[tokio::test]
async fn an_older_event_from_elsewhere_goes_through_the_upcasters() {
    let queue = Oxcart::in_memory().queue("orders").unwrap();
    let text = r#"{"specversion": "1.0", "id": "A1", "type": "order-placed", "source": "/elsewhere", "subject": null, "number": 5,
        "flag": true, "none": null, "time": "2018-04-05T17:31:00+02:00", "data": {"order": 1, "euros": 2}}"#;
    let event: CloudEvent<Value> = serde_json::from_str(text).unwrap();
    queue.enqueue_event(event).await.unwrap();
    let job = queue.assert_enqueued(|job: &Placed| *job == placed(1, 200));
    assert_eq!(job.id.as_str(), "A1");
    let sent: CloudEvent<Value> = queue.cloud_event(&job).unwrap();
    let told = check(&sent);
    let attributes =
        ["source", "time", "number", "flag", "schemaversion"].map(|name| told[name].clone());
    assert_eq!(
        attributes,
        ["/elsewhere", "2018-04-05T17:31:00+02:00", "5", "true", "1"]
    );
    assert!(told.get("none").is_none() && told.get("subject").is_none());
    // Typed data is as good.
    let event =
        CloudEvent::<PlacedV1>::clone(&serde_json::from_str(&text.replace("A1", "A2")).unwrap());
    queue.enqueue_event(event).await.unwrap();
    assert_eq!(queue.enqueued::<Placed>(), [placed(1, 200), placed(1, 200)]);
}

#[tokio::test]
async fn an_event_without_data_is_a_job_without_fields() {
    #[derive(Serialize, Deserialize)]
    struct Ping;

    impl Job for Ping {
        const NAME: &'static str = "ping";
        type Output = ();
    }

    let queue = Oxcart::in_memory().queue("pings").unwrap();
    let text = r#"{"specversion": "1.0", "id": "1", "type": "ping", "source": "/s"}"#;
    let event: CloudEvent<Value> = serde_json::from_str(text).unwrap();
    assert_eq!(check(&event)["data"], Value::Null);
    queue.enqueue_event(event).await.unwrap();
    let job = queue.assert_enqueued(|_: &Ping| true);
    check(&queue.cloud_event::<Value>(&job).unwrap());
}

#[derive(Debug, Serialize, Deserialize)]
struct Charge {
    order: u64,
    card: String,
}

impl Job for Charge {
    const NAME: &'static str = "charge";
    const SECRET: &'static [&'static str] = &["card"];
    type Output = ();
}

#[tokio::test]
async fn secret_fields_stay_masked_and_data_is_not_shown() {
    let queue = Oxcart::in_memory().queue("billing").unwrap();
    let card = "4111".to_owned();
    let job = queue.enqueue(Charge { order: 1, card }).await.unwrap();
    let job = info(&queue, job.id()).await;
    let event: CloudEvent<Value> = queue.cloud_event(&job).unwrap();
    assert_eq!(check(&event)["data"]["card"], "(secret)");
    let event: CloudEvent<Value> = queue.cloud_event(&job.reveal()).unwrap();
    assert_eq!(check(&event)["data"]["card"], "4111");
    assert!(!format!("{event:?}").contains("4111"));
}

#[tokio::test]
async fn what_is_no_cloud_event_is_refused_and_the_error_says_why() {
    let oxcart = Oxcart::in_memory();
    let (queue, topic) = (oxcart.queue("q").unwrap(), oxcart.topic("t").unwrap());
    let good = json!({ "specversion": "1.0", "id": "1", "type": "t", "source": "/s", "data": 1 });
    for (key, value, why) in [
        ("specversion", json!("0.3"), "specversion"),
        ("id", json!(""), "job id"),
        ("id", json!("a/b"), "job id"),
        ("type", json!(""), "job name"),
        ("type", json!("a:b"), "job name"),
        ("source", json!(""), "source"),
        ("source", json!("a b"), "source"),
        ("time", json!("2018-04-05"), "time"),
        ("subject", json!(""), "subject"),
        ("dataschema", json!("<>"), "dataschema"),
        ("datacontenttype", json!("json"), "datacontenttype"),
        ("data_base64", json!("AAAA"), "data_base64"),
        ("Upper", json!("x"), "Upper"),
        ("schemaversion", json!("x"), "schemaversion"),
        ("schemaversion", json!(0), "version"),
        ("schemaversion", json!(-1), "schemaversion"),
        ("long", json!("x".repeat(1_025)), "headers"),
    ] {
        let mut bad = good.clone();
        bad[key] = value;
        let event: CloudEvent<Value> = serde_json::from_value(bad.clone()).unwrap();
        let error = queue.enqueue_event(event.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{bad}");
        assert!(error.to_string().contains(why), "{bad}: {error}");
        let error = topic.publish_event(event).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{bad}");
    }
    for missing in ["specversion", "id", "type", "source"] {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().remove(missing);
        assert!(serde_json::from_value::<CloudEvent<Value>>(bad).is_err());
    }
    assert_eq!(queue.counts().await.unwrap().left(), 0);
    for source in ["", "a b", &"x".repeat(257)] {
        let built = Oxcart::builder().source(source).in_memory();
        assert_eq!(built.unwrap_err().kind(), ErrorKind::Invalid);
    }
}

/// What this program knows of the type holds, as for a job that it makes itself.
#[tokio::test]
async fn a_typed_event_is_as_a_job_of_its_type() {
    let oxcart = Oxcart::in_memory();
    let queue = oxcart.queue("billing").unwrap();
    let text = r#"{"specversion": "1.0", "id": "1", "type": "charge", "source": "/s", "subject": "o-1", "data": {"order": 1, "card": "4111"}}"#;
    let event: CloudEvent<Charge> = serde_json::from_str(text).unwrap();
    queue.enqueue_typed_event(event).await.unwrap();
    let job = info(&queue, &JobId::new("1").unwrap()).await;
    let sent: CloudEvent<Value> = queue.cloud_event(&job).unwrap();
    assert_eq!(sent.data.unwrap()["card"], "(secret)");
    assert_eq!(
        (sent.source.as_str(), sent.subject.as_deref()),
        ("/s", Some("o-1"))
    );

    // Without a version the data is of the present one, and no upcaster touches it.
    let orders = oxcart.queue("orders").unwrap();
    let event = |version: &str, data: &str| {
        let text = format!(
            r#"{{"specversion": "1.0", "id": "E", "type": "order-placed", "source": "/s"{version}, "data": {data}}}"#
        );
        serde_json::from_str::<CloudEvent<PlacedV2>>(&text).unwrap()
    };
    let data = r#"{"order": 1, "cents": 700}"#;
    orders.enqueue_typed_event(event("", data)).await.unwrap();
    let read = orders.assert_enqueued(|job: &PlacedV2| job.cents == 700);
    assert_eq!(read.version, 2);
    let topic = oxcart.topic("orders").unwrap();
    let same = event(r#", "schemaversion": "2""#, data);
    topic.publish_typed_event(same).await.unwrap();

    let older = event(r#", "schemaversion": "1""#, data);
    let untyped: CloudEvent<Charge> = serde_json::from_str(
        r#"{"specversion": "1.0", "id": "1", "type": "charge", "source": "/s"}"#,
    )
    .unwrap();
    let other: CloudEvent<PlacedV2> = serde_json::from_str(
        r#"{"specversion": "1.0", "id": "1", "type": "charge", "source": "/s", "data": {"order": 1, "cents": 7}}"#,
    )
    .unwrap();
    for (error, word) in [
        (
            orders.enqueue_typed_event(older).await.unwrap_err(),
            "upcasters",
        ),
        (
            queue.enqueue_typed_event(untyped).await.unwrap_err(),
            "no data",
        ),
        (
            topic.publish_typed_event(other).await.unwrap_err(),
            "of type",
        ),
    ] {
        assert!(
            error.is_invalid() && error.to_string().contains(word),
            "{error}"
        );
    }
}
