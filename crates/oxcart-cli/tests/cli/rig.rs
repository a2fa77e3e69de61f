//! A server, queues with something in them, and the real program.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use oxcart::{Context, Failure, Job, Oxcart, Queue, Worker};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::support::{Server, eventually_async};

/// Plenty, so that a loaded machine fails no test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);

/// It does what its payload says.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Charge {
    pub(crate) order: u64,
    /// It fails for good with this error.
    #[serde(default)]
    pub(crate) error: Option<String>,
}

impl Charge {
    pub(crate) fn new(order: u64) -> Self {
        Self { order, error: None }
    }

    pub(crate) fn failing(order: u64, error: &str) -> Self {
        let error = Some(error.to_owned());
        Self { order, error }
    }
}

impl Job for Charge {
    const NAME: &'static str = "charge";
    type Output = String;
}

/// An event.
#[derive(Serialize, Deserialize)]
pub(crate) struct Fact {}

impl Job for Fact {
    const NAME: &'static str = "fact";
    type Output = ();
}

async fn charge(job: Charge, context: Context) -> Result<String, Failure> {
    context.log(format!("order {}", job.order));
    context.log("asks\nthe card");
    match job.error {
        Some(error) => Err(Failure::dead(error)),
        None => Ok(format!("receipt {}", job.order)),
    }
}

/// What the program has said.
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) exit: Option<i32>,
}

impl Said {
    #[track_caller]
    pub(crate) fn expect(self, exit: i32) -> Self {
        let Self { out, err, .. } = &self;
        assert_eq!(self.exit, Some(exit), "stdout:\n{out}\nstderr:\n{err}");
        self
    }

    /// The objects on stdout, one in each line.
    #[track_caller]
    pub(crate) fn objects(&self) -> Vec<Value> {
        let read =
            |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.out.lines().map(read).collect()
    }

    /// The only object on stdout.
    #[track_caller]
    pub(crate) fn object(&self) -> Value {
        let mut objects = self.objects();
        assert_eq!(objects.len(), 1, "{}", self.out);
        objects.remove(0)
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            exit: output.status.code(),
        }
    }
}

/// The program, with nothing of this process's environment that it looks at.
pub(crate) fn program(url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oxcart"));
    for name in ["OXCART_NAMESPACE", "NO_COLOR", "RUST_LOG", "COLUMNS"] {
        command.env_remove(name);
    }
    command
        .env("OXCART_REDIS_URL", url)
        .env("TERM", "xterm-256color");
    command.stdin(Stdio::null());
    command
}

pub(crate) struct Rig {
    pub(crate) oxcart: Oxcart,
    pub(crate) queue: Queue,
    pub(crate) server: Server,
}

impl Rig {
    /// With a queue `billing`, and nothing in it yet.
    pub(crate) async fn new() -> Self {
        Self::on(Server::start()).await
    }

    pub(crate) async fn on(server: Server) -> Self {
        let rig = Self::without_queue(server).await;
        rig.open("billing").await;
        rig
    }

    pub(crate) async fn without_queue(server: Server) -> Self {
        let oxcart = Oxcart::connect(&server.url()).await.unwrap();
        let queue = oxcart.queue("billing").unwrap();
        Self {
            oxcart,
            queue,
            server,
        }
    }

    /// A queue that is on the list of queues. Its first job would put it there a moment after it was acknowledged; its first
    /// schedule does before.
    pub(crate) async fn open(&self, name: &str) -> Queue {
        let queue = self.oxcart.queue(name).unwrap();
        let schedule = || queue.schedule("first");
        schedule().every(HOUR).job(Charge::new(0)).await.unwrap();
        assert!(schedule().remove().await.unwrap());
        queue
    }

    /// Some jobs in each state, groups, and schedules.
    pub(crate) async fn filled() -> Self {
        let rig = Self::new().await;
        rig.enqueue(Charge::new(1)).await;
        rig.die(&[
            "card 4111 was declined",
            "card 4222 was declined",
            "card 4333 was declined",
            "cannot connect to 10.0.0.7:5432: connection refused",
        ])
        .await;
        let queue = &rig.queue;
        for order in 10..13 {
            queue.enqueue(Charge::new(order)).await.unwrap();
        }
        queue.enqueue(Charge::new(20)).delay(HOUR).await.unwrap();
        for order in 30..33 {
            let request = queue.enqueue(Charge::new(order)).group("tenant-7");
            request.header("trace", "abc").await.unwrap();
        }
        let cancelled = queue.enqueue(Charge::new(40)).await.unwrap();
        assert!(
            cancelled
                .cancel()
                .reason("not wanted")
                .await
                .unwrap()
                .is_done()
        );
        let nightly = queue
            .schedule("nightly")
            .cron("0 3 * * *")
            .timezone("Europe/Berlin");
        nightly.job(Charge::new(50)).await.unwrap();
        queue
            .schedule("pulse")
            .every(HOUR)
            .job(Charge::new(51))
            .await
            .unwrap();
        let mail = rig.open("mail").await;
        mail.enqueue(Charge::new(60)).await.unwrap();
        rig
    }

    pub(crate) async fn enqueue(&self, job: Charge) {
        self.queue.enqueue(job).await.unwrap();
    }

    /// One dead job for each error, in this order; whatever waits is run as well.
    pub(crate) async fn die(&self, errors: &[&str]) {
        let before = self.queue.counts().await.unwrap();
        for (order, error) in (1..).zip(errors) {
            self.enqueue(Charge::failing(order, error)).await;
        }
        let dead = before.dead + errors.len() as u64;
        self.work_until(async || {
            let counts = self.queue.counts().await.unwrap();
            counts.dead == dead && counts.waiting + counts.active == 0
        })
        .await;
    }

    /// Runs a worker until the queue is as wanted.
    pub(crate) async fn work_until(&self, reached: impl AsyncFnMut() -> bool) {
        let worker = Worker::builder(&self.queue).concurrency(1).handle(charge);
        let reached = eventually_async(PATIENCE, reached);
        worker.build().unwrap().run_until(reached).await.unwrap();
    }

    /// A worker takes the first job in line, and is gone, with its lease.
    pub(crate) async fn claim_and_die(&self) {
        let before = self.queue.counts().await.unwrap().active;
        let hang = async |_: Charge| -> Result<String, Failure> { std::future::pending().await };
        let worker = Worker::builder(&self.queue).concurrency(1).handle(hang);
        let claimed = async || self.queue.counts().await.unwrap().active > before;
        tokio::select! {
            _ = worker.build().unwrap().run_until(std::future::pending::<()>()) => {}
            () = eventually_async(PATIENCE, claimed) => {}
        }
    }

    /// This queue is subscribed to a topic in which an event stands since a minute ago.
    pub(crate) async fn plant_old_event(&self, topic: &str, queue: &Queue) {
        let now: Vec<u64> = self.server.ask(&["TIME"]);
        let id = format!("{}-1", (now[0] - 60) * 1_000_000);
        let log = format!("oxcart:{{topic/{topic}}}:published");
        self.server
            .cli(&["XADD", &log, &id, "id", "old", "event", "old"]);
        let topic = self.oxcart.topic(topic).unwrap();
        topic
            .subscribe("late", queue)
            .starting(oxcart::Start::Kept)
            .await
            .unwrap();
        topic.publish(Fact {}).await.unwrap();
    }

    /// Puts a message of the year 2023 for another queue into the outbox of a queue, as scripts do.
    pub(crate) fn plant_message(&self, queue: &str, to: &str) {
        const POSITION: &str = "1700000000000000";
        let meta: Vec<String> = self.server.ask(&["KEYS", &format!("*{queue}*:meta*")]);
        let member = format!("{to}\0{POSITION}\0job ");
        let client = redis::Client::open(self.server.socket_url()).unwrap();
        let mut connection = client.get_connection().unwrap();
        let mut put = redis::pipe();
        put.cmd("ZADD").arg(meta[0].replace("meta", "outbox"));
        put.arg(0).arg(member);
        put.cmd("HSET").arg(&meta[0]).arg("sent").arg(POSITION);
        put.exec(&mut connection).unwrap();
    }

    pub(crate) fn program(&self) -> Command {
        program(&self.server.url())
    }

    /// Runs it with stdout and stderr in pipes.
    pub(crate) fn run(&self, args: &[&str]) -> Said {
        self.program().args(args).output().unwrap().into()
    }

    /// The same, with something on stdin.
    pub(crate) fn run_with(&self, args: &[&str], input: &str) -> Said {
        let mut command = self.program();
        command.args(args).stdin(Stdio::piped());
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap().into()
    }

    /// The ids of the jobs in a state, as the program lists them.
    pub(crate) fn ids(&self, state: &str) -> Vec<String> {
        let said = self
            .run(&["job", "ls", "billing", "--all", "--json", "--state", state])
            .expect(0);
        let id = |job: &Value| job["id"].as_str().unwrap().to_owned();
        said.objects().iter().map(id).collect()
    }
}
