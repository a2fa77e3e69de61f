//! Alerts: rules that are judged by one process at a time, and what people are told.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxcart::{
    Acknowledge, AlertEvent, AlertNotification, AlertRule, AlertState, Alerts, Condition, Failure,
    Job, JobId, JobState, Oxcart, Queue, State, Worker,
};
use serde::{Deserialize, Serialize};
use support::workers::{queue_at, run, server_and_queue};
use support::{Process, child_of_test, eventually_async, ids, spawn_self};

const SECOND: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(100);

#[derive(Serialize, Deserialize)]
struct Mail {
    works: bool,
}

impl Job for Mail {
    const NAME: &'static str = "mail";
    type Output = ();
}

async fn mail(mail: Mail) -> Result<(), Failure> {
    match mail.works {
        true => Ok(()),
        false => Err(Failure::dead("no such address")),
    }
}

/// What people were told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<AlertNotification>>>);

impl Told {
    fn events(&self) -> Vec<AlertEvent> {
        self.take().into_iter().map(|told| told.event).collect()
    }

    fn take(&self) -> Vec<AlertNotification> {
        self.0.lock().unwrap().clone()
    }
}

async fn tell(notification: AlertNotification, told: State<Told>) -> Result<(), Failure> {
    told.0.lock().unwrap().push(notification);
    Ok(())
}

/// Queues in memory, and a worker that delivers.
struct Rig {
    oxcart: Oxcart,
    mail: Queue,
    told: Told,
    teller: Worker,
}

impl Rig {
    fn new() -> Self {
        let oxcart = Oxcart::in_memory();
        let told = Told::default();
        let alerts = oxcart.queue("alerts").unwrap();
        let builder = Worker::builder(&alerts).state(told.clone()).handle(tell);
        Self {
            mail: oxcart.queue("mail").unwrap(),
            oxcart,
            told,
            teller: builder.build().unwrap(),
        }
    }

    fn alerts(&self) -> Alerts {
        Alerts::new(&self.oxcart, "alerts").unwrap()
    }

    /// As many jobs wait.
    async fn waiting(&self, jobs: usize) {
        let there = ids(&self.mail, JobState::Waiting).await;
        for id in there.iter().skip(jobs) {
            assert!(self.mail.remove(id).await.unwrap().is_done());
        }
        let missing = (there.len()..jobs).map(|_| Mail { works: true });
        self.mail.enqueue_many(missing).await.unwrap();
    }

    /// The next round, and what is told by it.
    async fn round(&self, alerts: &Alerts) -> Vec<AlertEvent> {
        let before = self.told.take().len();
        let next = alerts.judge().await.unwrap();
        self.teller.drain().await;
        self.oxcart.advance_time(next);
        self.told.events().split_off(before)
    }
}

fn on_mail<T>(name: &str, condition: Condition<T>) -> AlertRule {
    AlertRule::new(name, condition).on_queues(["mail"])
}

#[tokio::test]
async fn an_alert_fires_when_it_has_lasted_and_resolves() {
    use AlertEvent::{Fired, Resolved};
    let rig = Rig::new();
    let rule = on_mail("deep", Condition::waiting_above(2)).lasting(20 * SECOND);
    let alerts = rig.alerts().rule(rule);
    assert_eq!(rig.round(&alerts).await, []);
    assert_eq!(alerts.list().await.unwrap()[0].state, AlertState::Ok);
    rig.waiting(3).await;
    assert_eq!(rig.round(&alerts).await, []);
    let pending = alerts.list().await.unwrap().remove(0);
    assert_eq!(pending.state, AlertState::Pending);
    assert_eq!(rig.round(&alerts).await, []);
    assert_eq!(rig.round(&alerts).await, [Fired]);
    let firing = alerts.list().await.unwrap().remove(0);
    assert_eq!(firing.since, pending.since);
    assert_eq!((firing.value, firing.threshold), (Some(3.0), 2.0));
    let told = rig.told.take().remove(0);
    assert_eq!((&told.rule[..], &told.queue[..]), ("deep", "mail"));
    assert_eq!(told.since_ms, firing.since.as_millis());
    assert_eq!(
        told.text(),
        format!(
            "FIRING: deep on mail: more than 2 jobs wait (3 jobs), since {}",
            firing.since
        )
    );
    rig.waiting(2).await;
    assert_eq!(rig.round(&alerts).await, [Resolved]);
    assert_eq!(rig.told.take()[1].since_ms, told.since_ms);
    assert_eq!(rig.round(&alerts).await, []);
}

#[tokio::test]
async fn a_value_that_swings_around_the_threshold_fires_once() {
    use AlertEvent::{Fired, Resolved};
    let rig = Rig::new();
    let deep = Condition::waiting_above(4).clears_below(2);
    let alerts = rig.alerts().rule(on_mail("deep", deep));
    let mut told = Vec::new();
    for waiting in [5, 4, 5, 3, 6, 2, 5] {
        rig.waiting(waiting).await;
        told.extend(rig.round(&alerts).await);
    }
    assert_eq!(told, [Fired]);
    rig.waiting(1).await;
    assert_eq!(rig.round(&alerts).await, [Resolved]);
}

#[tokio::test]
async fn an_alert_is_repeated_until_somebody_acknowledges_it() {
    use AlertEvent::{Fired, Repeated, Resolved};
    let rig = Rig::new();
    let alerts = rig
        .alerts()
        .rule(on_mail("deep", Condition::waiting_above(0)))
        .repeat_every(30 * SECOND);
    // Any process acknowledges, also one that has no rules.
    let others = rig.alerts();
    let known = async |who| others.acknowledge("deep", "mail", who).await.unwrap();
    assert_eq!(known("ann").await, Acknowledge::NotFiring);
    rig.waiting(1).await;
    let mut told = Vec::new();
    for _ in 0..5 {
        told.extend(rig.round(&alerts).await);
    }
    assert_eq!(told, [Fired, Repeated, Repeated]);
    assert_eq!(known("ann").await, Acknowledge::Done);
    let by = "ann".to_owned();
    assert_eq!(known("bob").await, Acknowledge::Already { by });
    assert!(others.acknowledge("deep", "mail", " ").await.is_err());
    for _ in 0..5 {
        assert_eq!(rig.round(&alerts).await, []);
    }
    let firing = others.list().await.unwrap().remove(0);
    assert_eq!(firing.acknowledged_by.as_deref(), Some("ann"));
    rig.waiting(0).await;
    assert_eq!(rig.round(&alerts).await, [Resolved]);
    assert_eq!(known("ann").await, Acknowledge::NotFiring);
    rig.waiting(1).await;
    assert_eq!(rig.round(&alerts).await, [Fired]);
    let anew = others.list().await.unwrap().remove(0);
    assert_eq!(anew.acknowledged_by, None);
}

/// Each condition, and what makes it hold.
#[tokio::test]
async fn every_condition_is_read_from_the_queue() {
    let rig = Rig::new();
    let minute = 60 * SECOND;
    let alerts = rig
        .alerts()
        .rule(on_mail("old", Condition::oldest_waiting_above(minute)))
        .rule(on_mail("drain", Condition::time_to_drain_above(minute)))
        .rule(on_mail(
            "failing",
            Condition::failure_ratio_above(0.4, 10 * minute).of_at_least(4),
        ))
        .rule(on_mail("dead", Condition::dead_letters_above(1)))
        .rule(on_mail("dying", Condition::died_above(1, 10 * minute)))
        .rule(on_mail("stalls", Condition::stalls_above(0, minute)))
        .rule(on_mail("late", Condition::schedule_late_by(minute)))
        .rule(on_mail("alone", Condition::no_worker()));
    let firing = async || -> Vec<String> {
        alerts.judge().await.unwrap();
        let all = alerts.list().await.unwrap().into_iter();
        let firing = all.filter(|alert| alert.state == AlertState::Firing);
        firing.map(|alert| alert.rule).collect()
    };
    let pass = || rig.oxcart.advance_time(2 * minute);
    assert_eq!(firing().await, [""; 0]);
    let worker = Worker::builder(&rig.mail).handle(mail).build().unwrap();
    for works in [true, true, false, false] {
        rig.mail.enqueue(Mail { works }).await.unwrap();
    }
    worker.drain().await;
    pass();
    assert_eq!(firing().await, ["dead", "dying", "failing"]);
    for id in ids(&rig.mail, JobState::Dead).await {
        assert!(rig.mail.remove(&id).await.unwrap().is_done());
    }
    rig.oxcart.advance_time(15 * minute);
    firing().await;
    assert_eq!(firing().await, [""; 0], "the window is over");
    rig.waiting(1).await;
    let schedule = rig.mail.schedule("minutely").every(minute);
    schedule.job(Mail { works: true }).await.unwrap();
    pass();
    assert_eq!(firing().await, ["alone", "drain", "late", "old"]);
    rig.mail.schedule("minutely").pause().await.unwrap();
    rig.waiting(0).await;
    pass();
    assert_eq!(firing().await, [""; 0]);
}

#[tokio::test]
async fn rules_about_all_queues_are_about_later_ones_too_and_forgotten_alerts_go() {
    let rig = Rig::new();
    let deep = |above| AlertRule::new("deep", Condition::waiting_above(above));
    let alerts = rig.alerts().rule(deep(0));
    rig.waiting(1).await;
    let bulk = rig.oxcart.queue("bulk").unwrap();
    assert_eq!(rig.round(&alerts).await, [AlertEvent::Fired]);
    bulk.enqueue(Mail { works: true }).await.unwrap();
    assert_eq!(rig.round(&alerts).await, [AlertEvent::Fired]);
    bulk.delete().with_jobs().await.unwrap();
    assert_eq!(rig.round(&alerts).await, []);
    rig.oxcart.advance_time(600 * SECOND);
    assert_eq!(rig.round(&alerts).await, [AlertEvent::Resolved]);
    let gone = rig.told.take().pop().unwrap();
    assert_eq!((&gone.queue[..], gone.value), ("bulk", None));
    assert!(gone.text().contains("is gone"), "{}", gone.text());
    let left = alerts.list().await.unwrap();
    let left: Vec<_> = left.iter().map(|alert| &alert.queue[..]).collect();
    assert_eq!(left, ["mail", "alerts"], "what fires comes first");
}

#[tokio::test]
async fn rules_that_make_no_sense_are_refused_before_anything_is_judged() {
    let rig = Rig::new();
    let deep = || AlertRule::new("deep", Condition::waiting_above(1));
    let refused = [
        (rig.alerts(), "no rules"),
        (rig.alerts().rule(deep()).rule(deep()), "two rules"),
        (
            rig.alerts()
                .rule(AlertRule::new("a b", Condition::no_worker())),
            "white space",
        ),
        (rig.alerts().rule(deep().on_queues(["a b"])), "queue name"),
        (rig.alerts().rule(deep().lasting(Duration::MAX)), "10 years"),
        (rig.alerts().rule(deep()).every(Duration::ZERO), "100 ms"),
        (
            rig.alerts().rule(deep()).repeat_every(Duration::ZERO),
            "repeated",
        ),
        (
            rig.alerts()
                .rule(on_mail("a", Condition::waiting_above(1).clears_below(2))),
            "clears below",
        ),
    ];
    for (alerts, says) in refused {
        let error = alerts.judge().await.unwrap_err();
        assert!(error.is_invalid(), "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(alerts.start().is_err());
    }
    assert!(Alerts::new(&rig.oxcart, "a b").is_err());
    assert_eq!(rig.alerts().list().await.unwrap(), []);
}

/// Names are the application's own; what is shown of them is for the medium to escape.
#[tokio::test]
async fn names_that_look_like_html_are_told_as_they_are() {
    let rig = Rig::new();
    let name = "<b>&deep<b>";
    let alerts = rig
        .alerts()
        .rule(on_mail(name, Condition::waiting_above(0)));
    rig.waiting(1).await;
    assert_eq!(rig.round(&alerts).await, [AlertEvent::Fired]);
    let told = rig.told.take().remove(0);
    assert_eq!(told.rule, name);
    let read = serde_json::to_string(&told).unwrap();
    assert_eq!(
        serde_json::from_str::<AlertNotification>(&read).unwrap(),
        told
    );
    let mut told = told;
    told.condition = "a\nb\u{202e}\u{1b}[31m\0".to_owned();
    assert!(told.text().contains("ab[31m"), "{}", told.text());
}

fn depth_of(oxcart: &Oxcart) -> Alerts {
    let deep = AlertRule::new("deep", Condition::waiting_above(5)).on_queues(["work"]);
    let alerts = Alerts::new(oxcart, "alerts").unwrap();
    alerts.rule(deep).every(EVERY).repeat_every(3_600 * SECOND)
}

#[test]
fn judging_process() {
    if !child_of_test() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let url = std::env::var("ALERTS_URL").unwrap();
        let oxcart = Oxcart::connect(&url).await.unwrap();
        let _running = depth_of(&oxcart).start().unwrap();
        std::future::pending::<()>().await;
    });
}

fn judge(url: &str) -> Process {
    spawn_self("judging_process", &[("ALERTS_URL", url)])
}

/// So many rounds went by.
async fn rounds(oxcart: &Oxcart, rounds: u64) {
    let judged = async || {
        let all = depth_of(oxcart).list().await.unwrap();
        all.first().map_or(0, |alert| alert.judged_at.as_millis())
    };
    for _ in 0..rounds {
        let before = judged().await;
        eventually_async(20 * SECOND, async || judged().await > before).await;
    }
}

async fn fill(queue: &Queue) -> Vec<JobId> {
    let jobs = (0..6).map(|_| Mail { works: true });
    let handles = queue.enqueue_many(jobs).await.unwrap();
    handles.iter().map(|handle| handle.id().clone()).collect()
}

async fn clear(queue: &Queue, jobs: &[JobId]) {
    for id in jobs {
        assert!(queue.remove(id).await.unwrap().is_done());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_fires_once_from_three_processes_and_resolves() {
    let (server, work) = server_and_queue().await;
    let oxcart = Oxcart::connect(&server.url()).await.unwrap();
    let told = Told::default();
    let queue = oxcart.queue("alerts").unwrap();
    let teller = run(Worker::builder(&queue).state(told.clone()).handle(tell));
    let _judges: Vec<_> = (0..3).map(|_| judge(&server.url())).collect();
    let jobs = fill(&work).await;
    eventually_async(20 * SECOND, async || !told.take().is_empty()).await;
    rounds(&oxcart, 10).await;
    assert_eq!(told.events(), [AlertEvent::Fired]);
    clear(&work, &jobs).await;
    eventually_async(20 * SECOND, async || told.take().len() > 1).await;
    rounds(&oxcart, 5).await;
    assert_eq!(told.events(), [AlertEvent::Fired, AlertEvent::Resolved]);
    teller.stop().await;
}

/// Processes are killed at any moment, also between judging and telling: what is told is what became of the alert, once each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_moment_loses_no_notification_and_doubles_none() {
    const TURNS: usize = 8;
    let (server, work) = server_and_queue().await;
    let work_again = queue_at(&server.url()).await;
    let oxcart = Oxcart::connect(&server.url()).await.unwrap();
    let mut judges: Vec<Process> = (0..3).map(|_| judge(&server.url())).collect();
    let state = async || {
        let all = depth_of(&oxcart).list().await.unwrap();
        all.first().map(|alert| alert.state)
    };
    let mut kill_one = async |wanted| {
        let mut turn = 0;
        while state().await != Some(wanted) {
            // All of them by and by, and never all at once.
            tokio::time::sleep(Duration::from_millis(fastrand::u64(..150))).await;
            judges[turn % 3].kill();
            judges[turn % 3] = judge(&server.url());
            turn += 1;
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert!(turn < 200, "nobody judges");
        }
    };
    for _ in 0..TURNS {
        let jobs = fill(&work).await;
        kill_one(AlertState::Firing).await;
        clear(&work_again, &jobs).await;
        kill_one(AlertState::Ok).await;
    }
    let told = Told::default();
    let queue = oxcart.queue("alerts").unwrap();
    let teller = run(Worker::builder(&queue).state(told.clone()).handle(tell));
    eventually_async(20 * SECOND, async || told.take().len() >= 2 * TURNS).await;
    eventually_async(20 * SECOND, async || {
        queue.counts().await.unwrap().left() == 0
    })
    .await;
    teller.stop().await;
    let all = told.take();
    assert_eq!(all.len(), 2 * TURNS, "{all:?}");
    for pair in all.chunks(2) {
        assert_eq!(pair[0].event, AlertEvent::Fired);
        assert_eq!(pair[1].event, AlertEvent::Resolved);
        assert_eq!(pair[0].since_ms, pair[1].since_ms);
    }
}
