//! What calls, errors and operators do to a breaker.

use std::future::pending;
use std::time::{Duration, Instant};

use futures::FutureExt;
use oxcart::{
    Breaker, BreakerError, BreakerSettings, BreakerState, EventKind, Failure, JobState, Oxcart,
    State, Worker,
};

use super::{Charge, Dependency, Down, LIMIT, SECOND};
use crate::support::{Server, eventually_async};

fn quick() -> BreakerSettings {
    BreakerSettings::new()
        .trips_at(3, 10 * SECOND)
        .open_for(SECOND)
}

async fn fails(stripe: &Breaker) -> BreakerError<Down> {
    stripe.call(async || Err::<(), _>(Down)).await.unwrap_err()
}

async fn trip(stripe: &Breaker) {
    for _ in 0..3 {
        let error = fails(stripe).await;
        assert!(matches!(error, BreakerError::Failed(Down)), "{error}");
    }
}

async fn goes(stripe: &Breaker) -> bool {
    stripe.call(async || Ok::<_, Down>(())).await.is_ok()
}

async fn at(server: &Server, settings: BreakerSettings) -> Breaker {
    let oxcart = Oxcart::connect(&server.url()).await.unwrap();
    let stripe = oxcart.breaker("stripe").unwrap();
    stripe.settings(settings).unwrap()
}

#[tokio::test]
async fn what_one_process_finds_out_holds_for_all() {
    let server = Server::start();
    let (one, other) = (at(&server, quick()).await, at(&server, quick()).await);
    let mut events = one.events().await.unwrap();
    trip(&one).await;
    let error = one.call(async || Ok::<_, Down>(())).await.unwrap_err();
    let BreakerError::Open(open) = error else {
        panic!("{error}");
    };
    assert!(open.wait() > Duration::from_millis(500) && open.wait() < 2 * SECOND);
    assert_eq!(open.why(), "503 from the payment service");
    assert!(open.to_string().contains("`stripe`"), "{open}");
    assert!(!goes(&other).await);
    let info = other.info().await.unwrap();
    assert_eq!((info.state, info.opened), (BreakerState::Open, 1));
    assert!(!info.forced && info.until.is_some_and(|until| until > info.since));
    assert_eq!(info.why, "503 from the payment service");

    // A probe of the one closes it for the other, and its failure burns nothing.
    eventually_async(LIMIT, async || {
        matches!(&fails(&one).await, BreakerError::Open(open) if open.wait() > Duration::from_millis(950))
    })
    .await;
    eventually_async(LIMIT, async || goes(&one).await).await;
    assert_eq!(other.info().await.unwrap().state, BreakerState::Rising);
    eventually_async(LIMIT, async || goes(&other).await).await;

    use futures::StreamExt;
    let mut kinds = Vec::new();
    while kinds.last() != Some(&EventKind::Breaker(BreakerState::Rising)) {
        let event = events.next().await.unwrap();
        kinds.push(event.kind);
    }
    assert_eq!(kinds[0], EventKind::Breaker(BreakerState::Open));
    assert_eq!(kinds[1], EventKind::Breaker(BreakerState::HalfOpen));
    let oxcart = Oxcart::connect(&server.url()).await.unwrap();
    assert_eq!(oxcart.breakers().await.unwrap(), ["stripe"]);
    assert!(oxcart.queues().await.unwrap().is_empty());
    assert!(oxcart.topics().await.unwrap().is_empty());
    one.delete().await.unwrap();
    assert!(oxcart.breakers().await.unwrap().is_empty());
    assert_eq!(other.info().await.unwrap().state, BreakerState::Closed);
}

/// The process whose call was the first may have died before it put the breaker on the list.
#[tokio::test]
async fn a_breaker_comes_on_the_list_by_any_process() {
    let server = Server::start();
    let one = at(&server, quick()).await;
    let oxcart = Oxcart::connect(&server.url()).await.unwrap();
    let is_listed = async || oxcart.breakers().await.unwrap() == ["stripe"];
    assert!(goes(&one).await);
    eventually_async(LIMIT, is_listed).await;
    assert_eq!(server.ask::<u64>(&["DEL", "oxcart:breakers"]), 1);
    assert!(!is_listed().await);
    assert!(goes(&at(&server, quick()).await).await);
    eventually_async(LIMIT, is_listed).await;
    one.delete().await.unwrap();
    assert!(oxcart.breakers().await.unwrap().is_empty());
    assert!(goes(&one).await);
    eventually_async(LIMIT, is_listed).await;
}

/// A call that was under way when the breaker opened burns no attempt.
#[tokio::test]
async fn a_late_failure_is_not_counted() {
    let server = Server::start();
    let (one, other) = (at(&server, quick()).await, at(&server, quick()).await);
    assert!(goes(&other).await);
    trip(&one).await;
    // The other one does not know yet.
    let error = fails(&other).await;
    assert!(matches!(error, BreakerError::Open(_)), "{error}");
    assert_eq!(one.info().await.unwrap().opened, 1);
}

#[tokio::test]
async fn the_application_says_which_errors_count() {
    let stripe = Oxcart::in_memory().breaker("stripe").unwrap();
    let stripe = stripe.settings(quick()).unwrap();
    for _ in 0..9 {
        let declined = stripe
            .call_counting(|_| false, async || Err::<(), _>(Down))
            .await;
        assert!(matches!(declined, Err(BreakerError::Failed(Down))));
    }
    assert_eq!(stripe.info().await.unwrap().state, BreakerState::Closed);
    trip(&stripe).await;
    assert_eq!(stripe.info().await.unwrap().state, BreakerState::Open);
}

#[tokio::test]
async fn a_call_that_takes_too_long_has_failed() {
    let stripe = Oxcart::in_memory().breaker("stripe").unwrap();
    let settings = quick().trips_at(1, SECOND).time_limit(SECOND / 100);
    let stripe = stripe.settings(settings).unwrap();
    let error = stripe.call(pending::<Result<(), Down>>).await.unwrap_err();
    assert!(matches!(error, BreakerError::TimedOut(_)), "{error}");
    let failure = Failure::from(error);
    assert!(failure.to_string().contains("10ms"), "{failure}");
    assert_eq!(stripe.info().await.unwrap().state, BreakerState::Open);
}

/// A probe whose handler is dropped makes room for another one.
#[tokio::test]
async fn a_probe_that_is_dropped_counts_as_nothing() {
    let server = Server::start();
    let stripe = at(&server, quick()).await;
    trip(&stripe).await;
    eventually_async(LIMIT, async || {
        let mut call = Box::pin(stripe.call(pending::<Result<(), Down>>));
        let probing = tokio::time::timeout(SECOND / 2, &mut call).await;
        probing.is_err()
    })
    .await;
    assert_eq!(stripe.info().await.unwrap().opened, 1);
    eventually_async(LIMIT, async || goes(&stripe).await).await;
}

/// Redis may have let it through, and nobody hears of it. Without a word it would be waited for for a minute.
#[tokio::test]
async fn a_call_that_is_dropped_while_it_asks_makes_room_for_another_one() {
    let server = Server::start();
    let stripe = at(&server, quick()).await;
    trip(&stripe).await;
    tokio::time::sleep(SECOND + SECOND / 10).await;
    for _ in 0..3 {
        let asking = stripe.call(async || Ok::<_, Down>(())).now_or_never();
        assert!(asking.is_none());
    }
    eventually_async(LIMIT, async || goes(&stripe).await).await;
}

/// Nobody waits for longer than a second, and what was forced open is not taken for closed.
#[tokio::test]
async fn a_redis_that_is_silent_holds_up_no_call_for_long() {
    let server = Server::start();
    let (open, unknown) = (at(&server, quick()).await, at(&server, quick()).await);
    open.force_open().await.unwrap();
    assert!(!goes(&open).await);
    server.pause();
    let began = Instant::now();
    let (refused, gone) = tokio::join!(goes(&open), goes(&unknown));
    let waited = began.elapsed();
    server.resume();
    assert_eq!((refused, gone), (false, true));
    assert!(waited < 3 * SECOND, "{waited:?}");
}

#[tokio::test]
async fn operators_force_it_and_leave_their_name() {
    let oxcart = Oxcart::in_memory();
    let stripe = oxcart.breaker("stripe").unwrap();
    let ada = oxcart.as_operator("ada").breaker("stripe").unwrap();
    let info = ada.force_open().await.unwrap();
    assert!(info.forced && info.until.is_none());
    assert_eq!(info.why, "forced by ada");
    oxcart.advance_time(3_600 * SECOND);
    assert!(!goes(&stripe).await);
    ada.automatic().await.unwrap();
    assert!(goes(&stripe).await);
    ada.force_closed().await.unwrap();
    for _ in 0..30 {
        assert!(matches!(fails(&stripe).await, BreakerError::Failed(_)));
    }
    assert_eq!(stripe.info().await.unwrap().failures, 30);
    let audit = stripe.audit().await.unwrap();
    let said: Vec<_> = audit
        .iter()
        .map(|entry| (&entry.operator[..], &entry.target[..]))
        .collect();
    assert_eq!(
        said,
        [("ada", "closed"), ("ada", "automatic"), ("ada", "open")]
    );
}

/// However long it is open, its jobs only wait.
#[tokio::test]
async fn jobs_wait_for_weeks() {
    let oxcart = Oxcart::in_memory();
    let queue = oxcart.queue("billing").unwrap();
    let stripe = oxcart.breaker("stripe").unwrap();
    let service = Dependency::default();
    stripe.force_open().await.unwrap();
    let worker = Worker::builder(&queue)
        .state(stripe.clone())
        .state(service.clone())
        .handle(
            async |charge: Charge, stripe: State<Breaker>, service: State<Dependency>| {
                stripe.call(|| service.charge(charge.number)).await?;
                Ok::<_, Failure>(())
            },
        );
    let worker = worker.build().unwrap();
    let job = queue.enqueue(Charge { number: 1 }).await.unwrap();
    for _ in 0..5 {
        worker.drain().await;
        let info = job.info().await.unwrap().unwrap();
        assert_eq!(info.state, JobState::Delayed);
        assert!(info.history.is_empty());
        oxcart.advance_time(7 * 24 * 3_600 * SECOND);
    }
    assert!(service.calls().is_empty());
    stripe.force_closed().await.unwrap();
    worker.drain().await;
    assert_eq!(service.calls().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let oxcart = Oxcart::in_memory();
    for name in ["", "a b", "a/b", &"x".repeat(121)] {
        let error = oxcart.breaker(name).unwrap_err();
        assert!(error.is_invalid());
        assert!(error.to_string().contains("breaker name"), "{error}");
    }
    let stripe = oxcart.breaker(&"x".repeat(120)).unwrap();
    let settings = BreakerSettings::new().trips_at(0, SECOND);
    let error = stripe.settings(settings).unwrap_err();
    assert!(error.is_invalid());
    assert!(error.to_string().contains("failures"), "{error}");
}

/// Redis is away: the calls go all the same.
#[tokio::test]
async fn calls_go_if_the_breaker_cannot_be_asked() {
    let server = Server::start();
    let stripe = at(&server, quick()).await;
    assert!(goes(&stripe).await);
    drop(server);
    for _ in 0..3 {
        let error = fails(&stripe).await;
        assert!(matches!(error, BreakerError::Failed(Down)), "{error}");
    }
    tokio::time::sleep(SECOND).await;
    assert!(goes(&stripe).await);
}
