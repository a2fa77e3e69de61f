//! Handlers, their arguments and what wraps them: called alone, and by a worker in memory.

#[path = "handlers/batches.rs"]
mod batches;
#[path = "handlers/outcomes.rs"]
mod outcomes;
#[path = "handlers/own_queue.rs"]
mod own_queue;
#[path = "handlers/sagas.rs"]
mod sagas;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxcart::{
    AttemptKind, Backoff, Context, DeadReason, Error, Extract, Failure, Job, JobId, Middleware,
    Next, Outcome, Oxcart, Queue, State, States, Worker, WorkerBuilder, WorkerEvent,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

const SHORT: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Act {
    Succeed,
    Fail,
    Die,
    Discard,
    Panic,
    Hang,
}

impl Job for Act {
    const NAME: &'static str = "act";
    type Output = u32;
}

async fn act(job: Act) -> Result<u32, Failure> {
    match job {
        Act::Succeed => Ok(7),
        Act::Fail => Err("failed".into()),
        Act::Die => Err(Failure::dead("hopeless")),
        Act::Discard => Err(Failure::cancel("moot")),
        Act::Panic => panic!("on purpose"),
        Act::Hang => std::future::pending().await,
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Stranger {}

impl Job for Stranger {
    const NAME: &'static str = "stranger";
    type Output = ();
}

fn queue() -> Queue {
    Oxcart::in_memory().queue("stage").unwrap()
}

/// One job for each way to end, in order: what becomes of its attempts.
async fn enqueue_all(queue: &Queue) -> [&'static str; 9] {
    let once = |act| queue.enqueue(act).attempts(1).timeout(SHORT);
    queue.enqueue(Act::Succeed).await.unwrap();
    let twice = queue.enqueue(Act::Fail).attempts(2);
    twice.backoff(Backoff::NONE).await.unwrap();
    once(Act::Die).await.unwrap();
    once(Act::Discard).await.unwrap();
    once(Act::Panic).await.unwrap();
    once(Act::Hang).await.unwrap();
    queue.enqueue(Stranger {}).await.unwrap();
    once(Act::Fail).await.unwrap();
    [
        "completed: -",
        "retry: failed",
        "dead: hopeless",
        "cancelled: moot",
        "dead: panicked: on purpose",
        "dead: took longer than its time limit of 20ms",
        "bounced: there is no handler for jobs named `stranger`",
        "dead: failed",
        "dead: failed",
    ]
}

fn described(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Completed(_) => "completed: -".to_owned(),
        other => other.to_string(),
    }
}

/// What was seen, in order.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn all(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Notes before and after what comes next.
struct Notes {
    name: &'static str,
    seen: Seen,
}

impl Middleware for Notes {
    async fn run(&self, context: Context, next: Next) -> Outcome {
        self.seen.note(format!("{} begins", self.name));
        let outcome = next.run(context).await;
        self.seen
            .note(format!("{}: {}", self.name, described(&outcome)));
        outcome
    }
}

fn notes(name: &'static str, seen: &Seen) -> Notes {
    Notes {
        name,
        seen: seen.clone(),
    }
}

async fn ran(builder: WorkerBuilder) -> Vec<String> {
    let ran = builder.build().unwrap().drain().await;
    ran.iter().map(|ran| described(&ran.outcome)).collect()
}

#[tokio::test]
async fn middleware_holds_the_outcome_of_every_attempt() {
    let (queue, seen) = (queue(), Seen::default());
    let wanted = enqueue_all(&queue).await;
    let builder = Worker::builder(&queue).handle(act).wrap(notes("it", &seen));
    assert_eq!(ran(builder).await, wanted);
    let held = seen.all().into_iter();
    let held: Vec<_> = held
        .filter_map(|line| line.strip_prefix("it: ").map(str::to_owned))
        .collect();
    assert_eq!(held, wanted);
}

#[tokio::test]
async fn each_attempt_is_told_when_it_begins_and_when_it_has_ended() {
    let queue = queue();
    let wanted = enqueue_all(&queue).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&told);
    let keep = move |event: &WorkerEvent| keep.lock().unwrap().push(event.clone());
    ran(Worker::builder(&queue).handle(act).on_event(keep)).await;
    let told = std::mem::take(&mut *told.lock().unwrap());
    assert_eq!(told.len(), 2 * wanted.len());
    for (pair, wanted) in told.chunks(2).zip(wanted) {
        assert_eq!(pair[0].queue().as_str(), "stage");
        let [
            WorkerEvent::Started(started),
            WorkerEvent::Ended {
                attempt,
                outcome,
                duration,
                ..
            },
        ] = pair
        else {
            panic!("{pair:?}");
        };
        assert_eq!(started, attempt);
        assert_eq!(described(outcome), wanted);
        match outcome {
            Outcome::Completed(output) => assert_eq!(output.read::<u32>().unwrap(), 7),
            Outcome::Bounced { .. } => assert_eq!(attempt.name, "stranger"),
            Outcome::Dead { reason, entry, .. } => {
                let spent = DeadReason::AttemptsSpent;
                assert_eq!(*reason == spent, entry.error != "hopeless");
                assert!(entry.kind != AttemptKind::Timeout || *duration >= SHORT);
            }
            _ => assert_eq!(attempt.name, "act"),
        }
        let is_second = attempt.number == 2;
        assert_eq!(is_second, is_second && attempt.attempts == 2);
    }
}

#[tokio::test]
async fn the_first_middleware_is_the_outermost() {
    let (queue, seen) = (queue(), Seen::default());
    queue.enqueue(Act::Succeed).await.unwrap();
    let builder = Worker::builder(&queue).wrap(notes("first", &seen));
    ran(builder.handle(act).wrap(notes("second", &seen))).await;
    let inside = ["first begins", "second begins"];
    let outside = ["second: completed: -", "first: completed: -"];
    assert_eq!(seen.all(), [inside, outside].concat());
}

#[tokio::test]
async fn middleware_answers_without_the_handler_or_instead_of_it() {
    async fn double(context: Context, next: Next) -> Outcome {
        match context.header("as").unwrap_or("is") {
            "completed" => next.complete(&8),
            "dead" => next.fail(Failure::dead("not authorised")),
            "failed" => next.fail("not now"),
            "unstorable" => next.complete(&vec![0; 2 << 20]),
            "other" => {
                let outcome = next.run(context).await;
                assert!(outcome.is_completed());
                next.fail("the books do not balance")
            }
            _ => next.run(context).await,
        }
    }
    let queue = queue();
    let worker = Worker::builder(&queue).handle(act).wrap(double);
    let worker = worker.build().unwrap();
    let mut sent = Vec::new();
    for header in ["completed", "dead", "failed", "unstorable", "other", "is"] {
        let request = queue.enqueue(Act::Succeed).attempts(1);
        sent.push(request.header("as", header).await.unwrap());
    }
    let ran = worker.drain().await;
    let words: Vec<_> = ran.iter().map(|ran| ran.outcome.as_str()).collect();
    assert_eq!(
        words,
        ["completed", "dead", "dead", "dead", "dead", "completed"]
    );
    // It is what is stored.
    assert_eq!(sent[0].result().await.unwrap(), 8);
    let info = sent[4].info().await.unwrap().unwrap();
    assert_eq!(info.history[0].error, "the books do not balance");
    let kinds = ran.iter().map(|ran| ran.outcome.error().map(|e| e.kind));
    let (error, bad) = (Some(AttemptKind::Error), Some(AttemptKind::BadResult));
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [None, error, error, bad, error, None]
    );
}

#[tokio::test]
async fn a_panic_of_middleware_is_an_outcome_for_what_wraps_it() {
    async fn grenade(_: Context, _: Next) -> Outcome {
        panic!("boom in middleware");
    }
    // This one panics before there is a future.
    let at_once = |_: Context, _: Next| -> std::future::Ready<Outcome> { panic!("boom at once") };
    let (queue, seen) = (queue(), Seen::default());
    queue.enqueue(Act::Succeed).attempts(1).await.unwrap();
    let builder = Worker::builder(&queue).handle(act);
    ran(builder.wrap(notes("it", &seen)).wrap(grenade)).await;
    assert_eq!(seen.all()[1], "it: dead: panicked: boom in middleware");
    queue.enqueue(Act::Succeed).attempts(1).await.unwrap();
    let builder = Worker::builder(&queue).handle(act).wrap(at_once);
    assert_eq!(ran(builder).await, ["dead: panicked: boom at once"]);
}

/// What a middleware does after its handler was stopped.
#[derive(Clone, Copy, PartialEq)]
enum After {
    Returns,
    GoesOn,
    Explodes,
}

struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        panic!("boom when dropped");
    }
}

#[tokio::test]
async fn middleware_sees_that_a_stopping_worker_releases_its_job_and_is_stopped_itself() {
    // A handler that does not listen is stopped after 5 s.
    let stops = [After::Returns, After::GoesOn, After::Explodes];
    let stops = stops.map(|after| async move {
        let (queue, seen) = (queue(), Seen::default());
        let sent = queue.enqueue(Act::Hang).await.unwrap();
        let noted = seen.clone();
        let lingers = move |context: Context, next: Next| {
            let seen = noted.clone();
            async move {
                let outcome = next.run(context).await;
                seen.note(described(&outcome));
                let _grenade = match after {
                    After::Explodes => Some(Grenade),
                    After::Returns | After::GoesOn => None,
                };
                if after != After::Returns {
                    std::future::pending::<()>().await;
                }
                outcome
            }
        };
        let begun = Arc::new(Notify::new());
        let tells = Arc::clone(&begun);
        let worker = Worker::builder(&queue).grace(SHORT).wrap(lingers);
        let worker = worker.handle(act).on_event(move |event| {
            if let WorkerEvent::Started(_) = event {
                tells.notify_one();
            }
        });
        let stop = async move { begun.notified().await };
        worker.build().unwrap().run_until(stop).await.unwrap();
        assert_eq!(seen.all(), ["released"]);
        let info = sent.info().await.unwrap().unwrap();
        let failed = u32::from(after == After::Explodes);
        assert_eq!((info.failed, info.stalls), (failed, 0));
        assert_eq!(queue.counts().await.unwrap().left(), 1);
    });
    futures::future::join_all(stops).await;
}

struct Tenants(&'static [&'static str]);

/// Awaits, and may fail.
#[derive(Debug)]
struct Tenant(String);

impl Extract for Tenant {
    fn check(states: &States) -> Result<(), Error> {
        State::<Tenants>::check(states)
    }

    async fn extract(context: &Context) -> Result<Self, Failure> {
        let tenants = State::<Tenants>::extract(context).await?;
        tokio::task::yield_now().await;
        match context.header("tenant") {
            Some("slow") => std::future::pending().await,
            Some(known) if tenants.0.contains(&known) => Ok(Self(known.to_owned())),
            Some(other) => Err(Failure::dead(format!("unknown tenant `{other}`"))),
            None => Err("no tenant".into()),
        }
    }
}

/// Does not say that it needs a state.
struct Careless;

impl Extract for Careless {
    async fn extract(context: &Context) -> Result<Self, Failure> {
        State::<Tenants>::extract(context).await?;
        Ok(Self)
    }
}

async fn greet(_: Act, tenant: Tenant, context: Context) -> Result<u32, Failure> {
    context.progress(&tenant.0).await?;
    context.queue().enqueue(Stranger {}).await?;
    Ok(context.attempt().number)
}

#[tokio::test]
async fn an_argument_that_cannot_be_made_fails_the_attempt_as_it_says() {
    let queue = queue();
    let greets = Worker::builder(&queue).state(Tenants(&["acme"]));
    let greets = greets.handle(greet).build().unwrap();
    for tenant in ["acme", "evil", "slow", ""] {
        let request = queue.enqueue(Act::Succeed);
        let request = match tenant {
            "" => request,
            "slow" => request.header("tenant", tenant).timeout(SHORT),
            _ => request.header("tenant", tenant),
        };
        request.attempts(2).await.unwrap();
    }
    let ran = greets.drain().await;
    let ran = ran.iter().filter(|ran| ran.attempt.name == "act");
    let ran: Vec<_> = ran.map(|ran| described(&ran.outcome)).collect();
    assert_eq!(
        ran,
        [
            "completed: -",
            "dead: unknown tenant `evil`",
            "retry: took longer than its time limit of 20ms",
            "retry: no tenant",
        ]
    );
}

#[tokio::test]
async fn what_is_missing_is_said_when_the_worker_is_built_or_by_the_attempt() {
    let queue = queue();
    let error = Worker::builder(&queue).handle(greet).build().err().unwrap();
    let missing = "the handler of `act`: there is no `State<handlers::Tenants>`; give a \
                   `handlers::Tenants` to the builder of the worker, or of the context in a test, \
                   with `.state(..)`";
    assert!(error.is_invalid(), "{error:?}");
    assert_eq!(error.to_string(), missing);
    async fn careless(_: Act, _: Careless) -> Result<u32, Failure> {
        Ok(1)
    }
    queue.enqueue(Act::Succeed).await.unwrap();
    let ran = ran(Worker::builder(&queue).handle(careless)).await;
    assert!(
        ran[0].contains("there is no `State<handlers::Tenants>`"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn a_handler_is_a_plain_function_in_a_test() {
    let queue = queue();
    let builder = Context::builder()
        .queue(&queue)
        .name("act")
        .id(JobId::new("seven").unwrap())
        .attempt(3)
        .attempts(4)
        .stalls(1)
        .fence(99)
        .header("tenant", "acme")
        .state(Tenants(&["acme"]))
        .lease(Duration::from_secs(3_600));
    let context = builder.build();
    let tenant = Tenant::extract(&context).await.unwrap();
    let greeted = greet(Act::Succeed, tenant, context.clone()).await;
    assert_eq!(greeted.unwrap(), 3);
    assert_eq!(context.last_progress::<String>().unwrap(), "acme");
    queue.assert_enqueued(|_: &Stranger| true);

    let for_ever = Context::builder().lease(Duration::MAX).build();
    assert!(for_ever.lease_remaining() > context.lease_remaining());

    let attempt = context.attempt();
    assert_eq!(
        (attempt.queue.as_str(), attempt.name.as_str()),
        ("stage", "act")
    );
    assert_eq!((attempt.id.as_str(), attempt.attempts), ("seven", 4));
    assert_eq!((attempt.stalls, attempt.fence.get()), (1, 99));
    assert!(context.lease_remaining() > Duration::from_secs(3_500));
    assert!(!context.is_cancelled());
    context.cancellation().cancel();
    assert!(context.is_cancelled());

    let bare = Context::builder().build();
    assert_eq!((bare.attempt().number, bare.attempt().attempts), (1, 10));
    assert_eq!(bare.last_progress::<String>(), None);
    let refused = Tenant::extract(&bare).await.unwrap_err();
    assert!(
        refused.to_string().contains("there is no `State<"),
        "{refused}"
    );
}

#[test]
fn what_is_shown_of_them_holds_no_secrets() {
    let state = State::new("a password".to_owned());
    let context = Context::builder().header("token", "a password");
    let context = context.state("a password".to_owned()).build();
    let builder = Worker::builder(&queue()).state("a password".to_owned());
    for shown in [
        format!("{state:?}"),
        format!("{context:?}"),
        format!("{builder:?}"),
    ] {
        assert!(!shown.contains("password"), "{shown}");
    }
    assert_eq!(format!("{state:?}"), "State<alloc::string::String>");
}
