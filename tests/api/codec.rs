//! What a worker could not read is refused where it is made, and survived where it arrives.

use std::net::IpAddr;
use std::time::Duration;

use oxcart::{AttemptKind, Context, DeadReason, Ended, ErrorKind, Failure, Job};
use serde::{Deserialize, Serialize};

use crate::rig::{Number, Rig, Running};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Ban {
    Ip { ip: IpAddr },
    Account { number: u128 },
}

impl Job for Ban {
    const NAME: &'static str = "ban";
    type Output = Option<Ban>;
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Nested {
    List(Vec<Nested>),
}

impl Job for Nested {
    const NAME: &'static str = "nested";
    type Output = ();
}

fn nested(levels: usize) -> Nested {
    (1..levels).fold(Nested::List(Vec::new()), |inner, _| {
        Nested::List(vec![inner])
    })
}

#[derive(Debug, Serialize, Deserialize)]
struct Perhaps(Option<Option<u8>>);

impl Job for Perhaps {
    const NAME: &'static str = "perhaps";
    type Output = Option<()>;
}

#[tokio::test]
async fn an_address_inside_of_a_tagged_enum_goes_there_and_back() {
    let rig = Rig::new().await;
    let handler = async |ban: Ban, context: Context| {
        context.progress(&ban).await?;
        Ok::<_, Failure>(Some(ban))
    };
    let worker = Running::start(rig.worker().handle(handler));
    let ban = Ban::Ip {
        ip: "2001:db8::7".parse().unwrap(),
    };
    let job = rig.queue.enqueue(ban.clone()).await.unwrap();
    assert_eq!(job.result().await.unwrap(), Some(ban.clone()));
    let info = job.info().await.unwrap().unwrap();
    assert_eq!(info.payload::<Ban>().unwrap(), ban);
    assert_eq!(info.progress::<Ban>().unwrap(), Some(ban));
    worker.stop().await;
}

#[tokio::test]
async fn what_no_worker_could_read_is_refused_before_anything_is_sent() {
    let rig = Rig::new().await;
    let ban = rig.queue.enqueue(Ban::Account { number: 7 }).await;
    let perhaps = rig.queue.enqueue(Perhaps(Some(None))).await;
    let deep = rig.queue.enqueue(nested(700)).await;
    let many = rig.queue.enqueue_many([nested(1), nested(700)]).await;
    let scheduled = rig.queue.schedule("deep").every(Duration::from_secs(60));
    let scheduled = scheduled.job(nested(700)).await;
    let refused = [
        (ban.err(), "Ban"),
        (perhaps.err(), "Perhaps"),
        (deep.err(), "Nested"),
        (many.err(), "Nested"),
        (scheduled.err(), "Nested"),
    ];
    for (error, of) in refused {
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Codec, "{error}");
        assert!(error.to_string().contains(of), "{error} does not say {of}");
    }
    assert_eq!(
        rig.server.ask::<i64>(&["DBSIZE"]),
        0,
        "something was written"
    );
}

#[tokio::test]
async fn a_result_that_its_waiter_could_not_read_is_a_bad_result() {
    let rig = Rig::new().await;
    let worker = Running::start(
        rig.worker()
            .handle(async |_: Perhaps| Ok::<_, Failure>(Some(())))
            .handle(async |_: Ban| Ok::<_, Failure>(Some(Ban::Account { number: 7 }))),
    );
    let perhaps = rig.queue.enqueue(Perhaps(None)).await.unwrap();
    let ban = Ban::Ip {
        ip: "10.0.0.1".parse().unwrap(),
    };
    let ban = rig.queue.enqueue(ban).await.unwrap();
    assert_eq!(perhaps.result().await.unwrap_err().kind(), ErrorKind::Dead);
    assert_eq!(ban.result().await.unwrap_err().kind(), ErrorKind::Dead);
    for info in [perhaps.info().await, ban.info().await] {
        let info = info.unwrap().unwrap();
        assert_eq!(info.history[0].kind, AttemptKind::BadResult);
        assert!(
            info.history[0].error.contains("a job's result"),
            "{:?}",
            info.history
        );
    }
    worker.stop().await;
}

/// From a producer that has no bound, or none at all.
#[tokio::test]
async fn a_payload_that_is_nested_too_deep_ends_no_worker() {
    const LEVELS: usize = 1_500;
    let rig = Rig::new().await;
    let job = rig.queue.enqueue(nested(1)).await.unwrap();
    let (id, jobs) = (job.id().as_str(), "oxcart:{test}:jobs");
    let record: Vec<u8> = rig.server.ask(&["HGET", jobs, id]);
    let small = b"\xa7payload\xc4\x01\x90";
    let head = record.strip_suffix(small).expect("the payload is the last");
    let length = (LEVELS as u16).to_be_bytes();
    let mut payload = vec![0x91; LEVELS - 1];
    payload.push(0x90);
    let deep = [head, b"\xa7payload\xc5", &length, &payload].concat();
    let mut connection = redis::Client::open(rig.server.plain_url())
        .unwrap()
        .get_connection()
        .unwrap();
    let set = redis::cmd("HSET")
        .arg(jobs)
        .arg(id)
        .arg(deep)
        .exec(&mut connection);
    set.unwrap();

    let worker = Running::start(
        rig.worker()
            .bounce_for(Duration::from_millis(1))
            .handle(async |_: Nested| Ok::<_, Failure>(()))
            .handle(async |Number(number): Number| Ok::<_, Failure>(number)),
    );
    let other = rig.queue.enqueue(Number(7)).await.unwrap();
    assert_eq!(other.result().await.unwrap(), 7);
    rig.until(|counts| counts.dead == 1).await;
    let info = job.info().await.unwrap().unwrap();
    assert_eq!(info.ended, Some(Ended::Dead(DeadReason::Undecodable)));
    assert_eq!(info.stalls, 0, "no worker died");
    let last = info.history.last().unwrap();
    assert!(last.error.contains("128 deep"), "{}", last.error);
    worker.stop().await;
}
