//! One cause has one kind and one text, on whichever road it is met: while connecting, in a plain command, inside
//! a script, or as the last word on a connection that the server closes.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use oxcart::{Error, ErrorKind, JobId, JobState, Oxcart, Queue, QueueSettings};

use crate::support::jobs::{Scene, Work};
use crate::support::workers::{QUEUE, run, watched, worker};
use crate::support::{Port, Proxy, Server, eventually, eventually_blocking, road};

const SECOND: Duration = Duration::from_secs(1);
/// All that a worker and a producer need.
const RULE: &str = "~oxcart:* +@read +@write +@scripting +@connection +@transaction +info +time";

/// A reason for which Redis says no.
struct Cause {
    kind: ErrorKind,
    /// What stands in each error; one of them, for servers differ.
    says: &'static [&'static str],
    /// These roads are not in its way.
    free: &'static [&'static str],
    /// These are not taken: the answer could not be read.
    untaken: &'static [&'static str],
    /// For who connects now, if that is told more than others are.
    connecting: Option<(ErrorKind, &'static str)>,
}

impl Cause {
    fn new(kind: ErrorKind, says: &'static [&'static str]) -> Self {
        Self {
            kind,
            says,
            free: &[],
            untaken: &[],
            connecting: None,
        }
    }
}

/// A call that is on its way at the very moment of the limit may be carried out yet, and so may one whose connection another call has cut: it is
/// asked for again.
async fn settled(mut ask: impl AsyncFnMut() -> Result<(), Error>) -> Result<(), Error> {
    let mut came = ask().await;
    for _ in 0..3 {
        match &came {
            Err(error) if error.is_unknown() => came = ask().await,
            _ => break,
        }
    }
    came
}

/// A client that was connected while all was well.
struct Client {
    url: String,
    oxcart: Oxcart,
    queue: Queue,
    job: JobId,
    scene: Scene,
}

impl Client {
    async fn at(url: &str) -> Self {
        let settings = Oxcart::builder().call_timeout(SECOND);
        let oxcart = settings.connect(url).await.unwrap();
        let queue = oxcart.queue(QUEUE).unwrap();
        let job = queue.enqueue(Work::Quick).await.unwrap().id().clone();
        Self {
            url: url.to_owned(),
            oxcart,
            queue,
            job,
            scene: Scene::new(),
        }
    }

    async fn take(&self, road: &'static str) -> Result<(), Error> {
        let queue = &self.queue;
        match road {
            "connect" => Oxcart::connect(&self.url).await.map(drop),
            "enqueue" => {
                let mut request = queue.enqueue(Work::Quick);
                settled(async || (&mut request).await.map(drop)).await
            }
            "enqueue many" => {
                let mut request = queue.enqueue_many(vec![Work::Quick; 3]);
                settled(async || (&mut request).await.map(drop)).await
            }
            "counts" => queue.counts().await.map(drop),
            "job" => queue.job(&self.job).await.map(drop),
            "jobs" => queue.jobs(JobState::Waiting).await.map(drop),
            "pause" => queue.pause().await.map(drop),
            "remove" => queue.remove(&JobId::new("nobody").unwrap()).await.map(drop),
            "edit" => {
                let edit = queue.edit(&self.job).payload(&Work::Quick).now();
                edit.await.map(drop)
            }
            "cancel" => {
                let nobody = JobId::new("nobody").unwrap();
                queue.cancel(&nobody).reason("moot").await.map(drop)
            }
            "change settings" => {
                let settings = QueueSettings::new().max_stalls(4);
                queue.change_settings(settings).await.map(drop)
            }
            "orphans" => queue.orphans().put_back().await.map(drop),
            "delete" => match queue.delete().await {
                Err(error) if error.is_not_empty() => Ok(()),
                deleted => deleted.map(drop),
            },
            "result" => {
                let handle = queue.handle::<Work>(self.job.clone());
                handle.result().within(SECOND).await.map(drop)
            }
            "events" => queue.events().await.map(drop),
            "queues" => self.oxcart.queues().await.map(drop),
            "schedule" => {
                let schedule = queue.schedule("hourly").every(3600 * SECOND);
                schedule.job(Work::Quick).await.map(drop)
            }
            "schedules" => queue.schedules().await.map(drop),
            other => unreachable!("no road is called {other}"),
        }
    }

    /// Meets the cause on each road at once.
    async fn meets(&self, cause: &Cause) {
        const ROADS: &[&str] = &[
            "connect",
            "enqueue",
            "enqueue many",
            "counts",
            "job",
            "jobs",
            "pause",
            "remove",
            "cancel",
            "edit",
            "change settings",
            "orphans",
            "delete",
            "result",
            "events",
            "queues",
            "schedule",
            "schedules",
        ];
        let (builder, events) = watched(worker(&self.queue, &self.scene));
        let working = run(builder);
        let taken = join_all(
            ROADS
                .iter()
                .filter(|road| !cause.untaken.contains(road))
                .map(async |road| (*road, settled(async || self.take(road).await).await)),
        );
        for (road, came) in taken.await {
            if cause.free.contains(&road) {
                came.unwrap_or_else(|error| panic!("{road} is free: {error:?}"));
                continue;
            }
            let error = came.expect_err(road);
            println!("{road}: {error:?}");
            let text = error.to_string();
            assert!(!text.contains("check that it runs"), "{road}: {error:?}");
            assert!(!text.contains("secret"), "{road}: {error:?}");
            let of_cluster = text.contains("+cluster|slots");
            let hints = text.contains("check user, password and permissions");
            assert_eq!(of_cluster, hints && road::is_cluster(), "{road}: {error:?}");
            if road == "connect"
                && let Some((kind, says)) = cause.connecting
            {
                assert_eq!(error.kind(), kind, "{road}: {error:?}");
                assert!(text.contains(says), "{road}: {error:?}");
                continue;
            }
            let passes = cause.kind == ErrorKind::Refused;
            assert_eq!(error.is_retryable(), passes, "{road}: {error:?}");
            // What may pass is waited out until the caller's own limit.
            if road == "result" && passes {
                assert_eq!(error.kind(), ErrorKind::Timeout, "{road}: {error:?}");
                continue;
            }
            assert_eq!(error.kind(), cause.kind, "{road}: {error:?}");
            let is_said = cause.says.iter().any(|says| text.contains(says));
            assert!(is_said, "{road}: {error:?}");
        }
        let is_told = || {
            let troubles = events.troubles();
            let told = |trouble: &String| cause.says.iter().any(|says| trouble.contains(says));
            troubles.iter().any(told)
        };
        eventually(5 * SECOND, is_told).await;
        working.crash().await;
    }
}

fn set_user(server: &Server, rules: &str) {
    let command = ["ACL", "SETUSER", "app", "reset", "on", ">secret"];
    let rules: Vec<&str> = rules.split(' ').collect();
    server.cli(&[&command[..], road::rights_in_a_cluster(), &rules].concat());
}

/// A server, and a client of it by a user with the documented rule.
async fn with_user() -> (Server, Client) {
    let server = Server::start();
    set_user(&server, RULE);
    let client = Client::at(&server.url_as("app:secret")).await;
    (server, client)
}

const DENIED: &[&str] = &[
    "NOPERM",
    "The user executing the script can't run this command",
    "ACL failure in script",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_user_who_may_not_run_scripts() {
    let (server, client) = with_user().await;
    set_user(&server, "~oxcart:* +@read +@write +@connection +info");
    let cause = Cause {
        free: &["events", "queues"],
        ..Cause::new(ErrorKind::Unsuitable, &["NOPERM"])
    };
    client.meets(&cause).await;
}

/// The scripts run, and are stopped where they read the clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_user_who_may_not_ask_for_the_time() {
    let (server, client) = with_user().await;
    set_user(&server, "~oxcart:* +@read +@write +@scripting +info");
    let cause = Cause {
        free: &["events", "queues"],
        ..Cause::new(ErrorKind::Unsuitable, DENIED)
    };
    client.meets(&cause).await;
    set_user(&server, RULE);
    let counts = client.queue.counts().await.unwrap();
    assert_eq!((counts.waiting, counts.totals.added), (1, 1));
}

/// Then it is not known what a script did before: the caller is told so, and only then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_user_who_may_not_do_one_of_the_things_that_scripts_do() {
    let (server, client) = with_user().await;
    set_user(&server, &format!("{RULE} -zadd"));
    let queue = &client.queue;
    let error = queue.enqueue(Work::Quick).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unknowable, "{error:?}");
    assert!(!error.is_retryable());
    assert!(
        DENIED.iter().any(|says| error.to_string().contains(says)),
        "{error}"
    );
    // This one writes nothing.
    queue.counts().await.unwrap();
    // A worker is stopped each time that it claims, and does not try all the time.
    set_user(&server, RULE);
    queue.enqueue(Work::Quick).await.unwrap();
    set_user(&server, &format!("{RULE} -zadd"));
    let (builder, events) = watched(worker(queue, &client.scene));
    let working = run(builder);
    let is_told = || {
        let troubles = events.troubles();
        troubles
            .iter()
            .any(|trouble| DENIED.iter().any(|says| trouble.contains(says)))
    };
    eventually(5 * SECOND, is_told).await;
    let before = server.calls("evalsha");
    tokio::time::sleep(3 * SECOND).await;
    let calls = server.calls("evalsha") - before;
    assert!(calls < 60, "{calls} calls in 3 s");
    working.crash().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_password_that_was_changed_while_connected() {
    let (server, client) = with_user().await;
    set_user(&server, &format!("{RULE} resetpass >another"));
    server.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    tokio::time::sleep(SECOND / 5).await;
    let cause = Cause::new(
        ErrorKind::Unsuitable,
        &["does not accept this user and password"],
    );
    client.meets(&cause).await;
}

/// A client that is connected to one server, and then, behind the same address, to another.
struct Moved {
    _before: Server,
    proxy: Proxy,
    client: Client,
}

impl Moved {
    async fn to(target: SocketAddr, database: u32) -> Self {
        let before = Server::start();
        let proxy = Proxy::start(before.tcp_addr());
        let client = Client::at(&format!("{}{database}", proxy.url())).await;
        proxy.redirect_new(target);
        proxy.cut_all();
        tokio::time::sleep(SECOND / 5).await;
        Self {
            _before: before,
            proxy,
            client,
        }
    }

    async fn meets(self, cause: &Cause) {
        self.client.meets(cause).await;
        assert!(self.proxy.connections() < 200, "it connects all the time");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_command_that_is_not_known_there() {
    // A directive with two values.
    let options = Server::options().arg("--rename-command", "EVALSHA");
    let options = options.arg("gone", "--rename-command");
    let server = options.arg("EVAL", "gone-as-well").start();
    let cause = Cause {
        free: &["events", "queues"],
        // The server repeats what it was sent, which is no text here. redis-rs reads no error of that kind, and
        // closes the connection.
        untaken: &["pause", "change settings", "orphans", "delete"],
        ..Cause::new(ErrorKind::Unsuitable, &["unknown command 'EVAL"])
    };
    Moved::to(server.tcp_addr(), 0).await.meets(&cause).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_database_that_is_not_there() {
    if road::is_skipped_in_a_cluster("database but 0") {
        return;
    }
    let server = Server::options().arg("--databases", "1").start();
    let cause = Cause::new(ErrorKind::Unsuitable, &["DB index is out of range"]);
    Moved::to(server.tcp_addr(), 3).await.meets(&cause).await;
}

/// Two nodes, of which the other has all keys. The client takes the first for a single server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_node_of_a_cluster() {
    if road::is_skipped_in_a_cluster("client that knows nothing of clusters") {
        return;
    }
    let buses = [Port::claim(), Port::claim()];
    let [one, other] = buses
        .each_ref()
        .map(|bus| Server::options().cluster(bus).start());
    other.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let port = other.tcp_addr().port().to_string();
    let bus = buses[1].number().to_string();
    one.cli(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
    let sends_elsewhere = || match one.try_cli(&["GET", "x"]) {
        Err(error) => error.code() == Some("MOVED"),
        Ok(_) => false,
    };
    tokio::task::block_in_place(|| eventually_blocking(20 * SECOND, sends_elsewhere));
    let cause = Cause {
        connecting: Some((ErrorKind::Unsuitable, "a node of a cluster")),
        ..Cause::new(ErrorKind::Unsuitable, &["MOVED "])
    };
    Moved::to(one.tcp_addr(), 0).await.meets(&cause).await;
}

/// A server of TLS turns a client away before it could say why.
fn says_nothing_before_tls() -> bool {
    let is_tls = road::is_tls();
    if is_tls {
        println!("left out: over TLS a server closes the connection without a word");
    }
    is_tls
}

/// As Redis 7.0 says it to who comes from another machine. Newer servers say as much.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_server_in_protected_mode() {
    if says_nothing_before_tls() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with the process.
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let _ = client.write_all(
                b"-DENIED Redis is running in protected mode because protected mode is enabled and no \
                  password is set for the default user. In this mode connections are only accepted from \
                  the loopback interface.\r\n",
            );
        }
    });
    let cause = Cause::new(
        ErrorKind::Unsuitable,
        &["DENIED Redis is running in protected mode"],
    );
    Moved::to(address, 0).await.meets(&cause).await;
}

/// An operator is on the only connection there may be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_server_that_has_no_room_for_another_client() {
    if says_nothing_before_tls() {
        return;
    }
    let server = Server::start();
    let client = Client::at(&server.url()).await;
    let operator = redis::Client::open(server.socket_url()).unwrap();
    let mut operator = operator.get_connection().unwrap();
    let mut tell = |command: &[&str]| {
        let (name, arguments) = command.split_first().unwrap();
        redis::cmd(name).arg(arguments).exec(&mut operator).unwrap();
    };
    tell(&["CONFIG", "SET", "maxclients", "1"]);
    tell(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    tokio::time::sleep(SECOND / 5).await;
    let says = &[
        "ERR max number of clients reached",
        "clients + cluster connections reached",
    ];
    let cause = Cause::new(ErrorKind::Refused, says);
    client.meets(&cause).await;
    let by_socket = Oxcart::connect(&server.socket_url()).await.err().unwrap();
    assert_eq!(by_socket.kind(), cause.kind, "{by_socket:?}");
    assert!(
        by_socket.to_string().contains("ERR max number"),
        "{by_socket}"
    );
    tell(&["CONFIG", "SET", "maxclients", "1000"]);
    client.queue.counts().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_primary_that_has_become_a_replica() {
    if road::is_skipped_in_a_cluster("REPLICAOF") {
        return;
    }
    let server = Server::start();
    let client = Client::at(&server.url()).await;
    server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    let cause = Cause {
        free: &["counts", "job", "jobs", "events", "queues", "schedules"],
        connecting: Some((ErrorKind::Unsuitable, "its primary, 127.0.0.1:1")),
        ..Cause::new(
            ErrorKind::Refused,
            &["READONLY You can't write against a read only replica"],
        )
    };
    client.meets(&cause).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_server_that_runs_somebodys_script() {
    let options = Server::options().arg("--busy-reply-threshold", "50");
    let server = Arc::new(options.start());
    let client = Client::at(&server.url()).await;
    tokio::task::block_in_place(|| server.run_endless_script());
    let cause = Cause::new(ErrorKind::Refused, &["BUSY "]);
    client.meets(&cause).await;
    server.cli(&["SCRIPT", "KILL"]);
}

/// It was restarted, and reads its data.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_server_that_reads_its_data() {
    let options = Server::options().aof_always();
    let server = options.arg("--key-load-delay", "50").start();
    let client = Client::at(&server.url()).await;
    let fill = "for i = 1, 50000 do redis.call('SET', i, i) end";
    server.cli(&["EVAL", fill, "0"]);
    server.kill();
    std::thread::scope(|threads| {
        threads.spawn(|| server.restart());
        eventually_blocking(10 * SECOND, || server.is_loading());
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                // The second is of a node of a cluster.
                let says = &["LOADING ", "CLUSTERDOWN "];
                let cause = Cause::new(ErrorKind::Refused, says);
                client.meets(&cause).await;
            });
        });
    });
    assert_eq!(client.queue.counts().await.unwrap().waiting, 1);
}
