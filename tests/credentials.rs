//! User and password that change, given by a provider that is asked at each connection.

mod support;

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use oxcart::{
    ClusterNodes, Credentials, Error, ErrorKind, Oxcart, OxcartBuilder, Queue, Sentinels,
};
use support::clusters::Cluster;
use support::jobs::{Scene, Work};
use support::sentinels::Sentinel;
use support::workers::{QUEUE, drained, run, worker};
use support::{Proxy, Server, eventually, road};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

const SECOND: Duration = Duration::from_secs(1);
const USER: &str = "rotating";
/// Each password begins with it.
const SECRET: &str = "s3cret";
const MASTER: &str = "main";

/// What was logged, by all tests of this file, at any level.
static LOG: Mutex<String> = Mutex::new(String::new());

struct Log;

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(log, "{} {}", event.metadata().target(), fields.0);
    }
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }
}

fn keep_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let layer = Log.with_filter(LevelFilter::TRACE);
        tracing_subscriber::registry().with(layer).init();
    });
}

fn log() -> String {
    LOG.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn assert_keeps_it_secret(text: &str) {
    assert!(!text.contains(SECRET), "{text}");
}

/// What the service for passwords does when it is asked.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Gives,
    Fails,
    Hangs,
}

/// The service that knows the password of the day.
#[derive(Clone)]
struct Vault(Arc<Mutex<State>>);

struct State {
    password: String,
    valid_for: Option<Duration>,
    mood: Mood,
    asked: u64,
}

impl Vault {
    fn new(password: &str) -> Self {
        keep_log();
        let state = State {
            password: password.to_owned(),
            valid_for: None,
            mood: Mood::Gives,
            asked: 0,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    fn set<T>(&self, set: impl FnOnce(&mut State) -> T) -> T {
        set(&mut self.0.lock().unwrap())
    }

    fn asked(&self) -> u64 {
        self.set(|state| state.asked)
    }

    fn feels(&self, mood: Mood) {
        self.set(|state| state.mood = mood);
    }

    async fn give(self) -> Result<Credentials, Box<dyn StdError + Send + Sync>> {
        let (mood, credentials) = self.set(|state| {
            state.asked += 1;
            let credentials = Credentials::new(USER, &state.password);
            let credentials = match state.valid_for {
                Some(time) => credentials.valid_for(time),
                None => credentials,
            };
            (state.mood, credentials)
        });
        match mood {
            Mood::Gives => Ok(credentials),
            Mood::Fails => Err("the vault is sealed".into()),
            Mood::Hangs => std::future::pending().await,
        }
    }

    fn builder(&self) -> OxcartBuilder {
        let vault = self.clone();
        Oxcart::builder().credentials(move || vault.clone().give())
    }

    async fn queue_at(&self, url: &str) -> Queue {
        let oxcart = self.builder().connect(url).await.unwrap();
        oxcart.queue(QUEUE).unwrap()
    }
}

/// Lets the user sign in with this password only, from now on.
fn change(server: &Server, password: &str) {
    let password = format!(">{password}");
    let rule = ["~oxcart:*", "+@all", "resetpass", &password];
    server.cli(&[&["ACL", "SETUSER", USER, "on"], &rule[..]].concat());
}

/// Ends each connection that has signed in.
fn sign_out(server: &Server) {
    server.cli(&["CLIENT", "KILL", "USER", USER]);
}

async fn runs_one(queue: &Queue) {
    queue.enqueue(Work::Quick).result().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_password_that_changes_again_and_again_is_no_trouble() {
    const CHANGES: u64 = 5;
    let server = Server::start();
    let first = format!("{SECRET}-0");
    change(&server, &first);
    let vault = Vault::new(&first);
    let queue = vault.queue_at(&server.open_url()).await;
    let worker = run(worker(&queue, &Scene::new()));
    runs_one(&queue).await;
    for n in 1..=CHANGES {
        let next = format!("{SECRET}-{n}");
        change(&server, &next);
        vault.set(|state| state.password = next);
        let before = vault.asked();
        tokio::task::block_in_place(|| sign_out(&server));
        let began = Instant::now();
        runs_one(&queue).await;
        assert!(began.elapsed() < 5 * SECOND, "{:?}", began.elapsed());
        // Nothing was asked for beyond the connections that were made.
        let asked = vault.asked() - before;
        assert!((1..=10).contains(&asked), "asked {asked} times");
    }
    let counts = drained(&queue, 10 * SECOND).await;
    assert_eq!(counts.totals.completed, CHANGES + 1);
    assert_eq!((counts.totals.stalled, counts.dead), (0, 0));
    worker.stop().await;
    assert_keeps_it_secret(&log());
}

/// The server has the new password a while before the vault has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_credentials_of_yesterday_are_waited_out() {
    let server = Server::start();
    let (old, new) = (format!("{SECRET}-old"), format!("{SECRET}-new"));
    change(&server, &old);
    let vault = Vault::new(&old);
    let queue = vault.queue_at(&server.open_url()).await;
    let worker = run(worker(&queue, &Scene::new()));
    runs_one(&queue).await;
    change(&server, &new);
    tokio::task::block_in_place(|| sign_out(&server));
    let error = vault
        .builder()
        .connect(&server.open_url())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error:?}");
    assert!(error.is_retryable(), "{error:?}");
    assert!(
        error.to_string().contains("provider of credentials"),
        "{error}"
    );
    assert_keeps_it_secret(&format!("{error} {error:?}"));
    let late = queue.enqueue(Work::Quick);
    let late = async move { late.await.map(drop) };
    let heal = async {
        tokio::time::sleep(SECOND).await;
        vault.set(|state| state.password = new);
    };
    let (late, ()) = tokio::join!(late, heal);
    late.unwrap();
    assert_eq!(drained(&queue, 10 * SECOND).await.totals.completed, 2);
    worker.stop().await;
    assert_keeps_it_secret(&log());
}

/// What a call ends with while the vault feels like that, and how work goes on when it does not any more.
async fn goes_on_after(mood: Mood, says: &str) {
    let server = Server::start();
    change(&server, SECRET);
    let vault = Vault::new(SECRET);
    let queue = vault.queue_at(&server.open_url()).await;
    let worker = run(worker(&queue, &Scene::new()));
    runs_one(&queue).await;
    vault.feels(mood);
    tokio::task::block_in_place(|| sign_out(&server));
    let check = |error: Error, kind: ErrorKind, began: Instant| {
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.is_retryable(), "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(began.elapsed() < 9 * SECOND, "{:?}", began.elapsed());
        assert_keeps_it_secret(&format!("{error} {error:?}"));
    };
    let began = Instant::now();
    let error = vault
        .builder()
        .connect(&server.open_url())
        .await
        .unwrap_err();
    check(error, ErrorKind::Unreachable, began);
    // The connection is known to be closed, so nothing is sent on it.
    queue.counts().await.unwrap_err();
    let began = Instant::now();
    let error = queue.enqueue(Work::Quick).await.map(drop).unwrap_err();
    check(error, ErrorKind::NotSent, began);
    let asked = vault.asked();
    tokio::time::sleep(2 * SECOND).await;
    let asked = vault.asked() - asked;
    assert!(asked < 40, "asked {asked} times in 2 s");
    vault.feels(Mood::Gives);
    let began = Instant::now();
    runs_one(&queue).await;
    assert!(began.elapsed() < 5 * SECOND, "{:?}", began.elapsed());
    let totals = drained(&queue, 10 * SECOND).await.totals;
    assert_eq!((totals.completed, totals.stalled), (2, 0));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_provider_that_fails_for_a_while_is_an_outage_for_as_long() {
    goes_on_after(Mood::Fails, "the vault is sealed").await;
    assert!(log().contains("the vault is sealed"));
    assert_keeps_it_secret(&log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_provider_that_hangs_is_not_waited_for() {
    goes_on_after(Mood::Hangs, "it gave none within 2.0s").await;
}

/// A token that ends while connections live: these sign in anew, and stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_connection_signs_in_anew_before_its_token_ends() {
    let server = Server::start();
    change(&server, SECRET);
    let vault = Vault::new(SECRET);
    vault.set(|state| state.valid_for = Some(2 * SECOND));
    let queue = vault.queue_at(&server.open_url()).await;
    let worker = run(worker(&queue, &Scene::new()).concurrency(1));
    queue.enqueue(Work::Quick).await.unwrap();
    drained(&queue, 5 * SECOND).await;
    let ids = || {
        let list: String = server.ask(&["CLIENT", "LIST"]);
        let ours = list.lines().filter(|line| line.contains("user=rotating"));
        // One on which a node was asked for its map may just be closing.
        let ours = ours.filter(|line| !line.contains("cmd=cluster"));
        let id = |line: &str| line.split_once(" addr").map(|(id, _)| id.to_owned());
        ours.filter_map(id).collect::<BTreeSet<String>>()
    };
    let (before, asked, signed) = (ids(), vault.asked(), server.calls("auth"));
    let began = Instant::now();
    while began.elapsed() < 8 * SECOND {
        queue.enqueue(Work::Quick).await.unwrap();
        drained(&queue, 5 * SECOND).await;
        tokio::time::sleep(SECOND / 5).await;
    }
    // A worker makes some of its connections when it first needs them.
    let after = ids();
    assert!(after.is_superset(&before), "{before:?}, {after:?}");
    let (asked, signed) = (vault.asked() - asked, server.calls("auth") - signed);
    let made = after.len() as u64;
    println!("{made} connections: asked {asked} times, signed in {signed} times");
    // Each of them may have been made meanwhile, or have an `AUTH` under way: then or now.
    assert!(asked.abs_diff(signed) <= made);
    assert!((5..=40).contains(&signed), "{signed} times");
    // One that fails to do so is used on.
    vault.feels(Mood::Fails);
    let asked = vault.asked();
    eventually(10 * SECOND, || vault.asked() > asked).await;
    queue.enqueue(Work::Quick).await.unwrap();
    drained(&queue, 5 * SECOND).await;
    let last = ids();
    assert!(last.is_superset(&after), "{after:?}, {last:?}");
    worker.stop().await;
    assert_keeps_it_secret(&log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_password_may_have_any_character() {
    let server = Server::start();
    for password in ["a@b:c/d?e#f%41+g", " \"quoted\" 'too' \\", "grüße €\n\0"] {
        let hash = ["resetpass".to_owned(), format!(">{password}")];
        let rule = ["~oxcart:*", "+@all", &hash[0], &hash[1]];
        server.cli(&[&["ACL", "SETUSER", USER, "on"], &rule[..]].concat());
        let (url, by_socket) = (server.open_url(), server.socket_url());
        let in_resp3 = format!("{url}?protocol=3");
        // The URL of a cluster has no other form.
        let forms = if road::is_cluster() { 1 } else { 3 };
        for url in [url, by_socket, in_resp3].into_iter().take(forms) {
            let queue = Vault::new(password).queue_at(&url).await;
            queue.counts().await.unwrap();
        }
    }
    server.cli(&["CONFIG", "SET", "requirepass", "p@ss"]);
    let without_user = Oxcart::builder().credentials(async || Ok(Credentials::password("p@ss")));
    without_user.connect(&server.open_url()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_login_is_not_given_twice() {
    let vault = Vault::new(SECRET);
    let refused = [
        vault
            .builder()
            .connect("redis://app:s3cret@127.0.0.1/")
            .await,
        vault
            .builder()
            .connect("redis+unix:///nowhere?pass=s3cret")
            .await,
        vault
            .builder()
            .connect("redis+cluster://:s3cret@127.0.0.1")
            .await,
        vault
            .builder()
            .connect("redis+sentinel://:s3cret@127.0.0.1/main")
            .await,
    ];
    for error in refused.map(|refused| refused.expect_err("both are given")) {
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
        assert!(error.to_string().contains("use one of both"), "{error}");
        assert_keeps_it_secret(&format!("{error} {error:?} {:?}", vault.builder()));
    }
    assert_eq!(vault.asked(), 0);
}

/// Sentinels have a password of their own, and a provider is not asked for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_behind_sentinels_the_provider_is_asked_for_redis_alone() {
    let primary = Server::options().alone().start();
    change(&primary, SECRET);
    let sentinel = Sentinel::with(&primary, 1, "requirepass other");
    let place = Sentinels::new(MASTER, [sentinel.address()]).sentinel_password("other");
    let vault = Vault::new(SECRET);
    let oxcart = vault.builder().connect_sentinels(place).await.unwrap();
    let queue = oxcart.queue(QUEUE).unwrap();
    queue.enqueue(Work::Quick).await.unwrap();
    let next = format!("{SECRET}-next");
    change(&primary, &next);
    vault.set(|state| state.password = next);
    tokio::task::block_in_place(|| sign_out(&primary));
    queue.enqueue(Work::Quick).await.unwrap();
    assert_eq!(queue.counts().await.unwrap().waiting, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_every_node_of_a_cluster_gets_what_the_provider_gives() {
    let cluster = tokio::task::block_in_place(Cluster::start);
    let change_all = |password: &str| {
        for node in &cluster.nodes {
            change(node.server(), password);
            sign_out(node.server());
        }
    };
    tokio::task::block_in_place(|| change_all(SECRET));
    let vault = Vault::new(SECRET);
    let nodes = ClusterNodes::new([cluster.nodes[0].address()]);
    let oxcart = vault.builder().connect_cluster(nodes).await.unwrap();
    let queue = oxcart.queue(QUEUE).unwrap();
    let worker = run(worker(&queue, &Scene::new()));
    runs_one(&queue).await;
    let next = format!("{SECRET}-next");
    vault.set(|state| state.password = next.clone());
    tokio::task::block_in_place(|| change_all(&next));
    runs_one(&queue).await;
    assert_eq!(drained(&queue, 10 * SECOND).await.totals.completed, 2);
    worker.stop().await;
    assert_keeps_it_secret(&log());
}

/// A server that is far away, and a provider that is asked for each connection: callers that wait for the same connection ask once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_callers_that_wait_for_one_connection_ask_once() {
    let server = Server::start();
    change(&server, SECRET);
    let proxy = Proxy::start(server.tcp_addr());
    let vault = Vault::new(SECRET);
    let queue = vault.queue_at(&road::open_url(proxy.addr())).await;
    queue.counts().await.unwrap();
    proxy.distance(SECOND / 20);
    tokio::task::block_in_place(|| sign_out(&server));
    tokio::time::sleep(SECOND / 5).await;
    let (asked, made) = (vault.asked(), proxy.connections());
    let calls = futures::future::join_all((0..50).map(async |_| queue.counts().await.unwrap()));
    calls.await;
    assert_eq!((vault.asked() - asked, proxy.connections() - made), (1, 1));
}
