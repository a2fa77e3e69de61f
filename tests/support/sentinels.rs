//! Sentinels of this test's own, and the servers that they watch over.

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use redis::Value;
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use super::front::Front;
use super::fronted::Fronted;
use super::port::Port;
use super::process::Process;
use super::server::{Server, ServerOptions, server_binary};
use super::{eventually, eventually_blocking};

/// The name of every master.
pub const MASTER: &str = "main";

/// From the death of a master until all sentinels name another one; mostly 3 s.
const FAILOVER_LIMIT: Duration = Duration::from_secs(60);

/// A sentinel. It reads its file, and writes to it.
pub struct Sentinel {
    process: Mutex<Process>,
    port: Port,
    front: Option<Front>,
    _folder: TempDir,
}

impl Sentinel {
    /// A sentinel of `primary`; so many have to agree that it is down.
    pub fn of(primary: &Server, quorum: usize) -> Self {
        Self::with(primary, quorum, "")
    }

    /// The same, with more lines in its file.
    pub fn with(primary: &Server, quorum: usize, lines: &str) -> Self {
        Self::behind(primary.tcp_addr().port(), quorum, lines, None)
    }

    /// A sentinel of what announces this port.
    fn behind(watched: u16, quorum: usize, lines: &str, shown: Option<&TlsAcceptor>) -> Self {
        let folder = tempfile::tempdir().expect("the system's temp folder is writable");
        let port = Port::claim();
        let file = folder.path().join("sentinel.conf");
        let number = port.number();
        let text = format!(
            "bind 127.0.0.1\nport {number}\nsentinel monitor {MASTER} 127.0.0.1 {watched} {quorum}\n\
             sentinel down-after-milliseconds {MASTER} 500\nsentinel failover-timeout {MASTER} 2000\n{lines}\n"
        );
        std::fs::write(&file, text).expect("the folder is writable");
        let mut command = Command::new(server_binary());
        command.arg(&file).arg("--sentinel").stdout(Stdio::null());
        let process = Process::spawn(&mut command, Some(folder.path()));
        let is_there = || std::net::TcpStream::connect(("127.0.0.1", number)).is_ok();
        eventually_blocking(Duration::from_secs(10), is_there);
        let sentinel = Self {
            process: Mutex::new(process),
            front: shown.map(|acceptor| Front::start(port.address(), acceptor.clone())),
            port,
            _folder: folder,
        };
        // It looks at its servers each second instead of every ten; older ones do not know that.
        sentinel.ask(&["SENTINEL", "DEBUG", "INFO-PERIOD", "1000"]);
        sentinel
    }

    /// `127.0.0.1:<port>`, for clients.
    pub fn address(&self) -> String {
        let front = self.front.as_ref().map(Front::address);
        front.unwrap_or_else(|| self.port.address()).to_string()
    }

    /// Its own URL, and not that of what it watches over.
    pub fn plain_url(&self) -> String {
        format!("redis://{}/", self.port.address())
    }

    pub fn kill(&self) {
        self.process.lock().expect("no test fails here").kill();
    }

    /// Freezes it: connections are taken, and nothing is answered.
    pub fn pause(&self) {
        self.process.lock().expect("no test fails here").pause();
    }

    /// What it answers; nothing if it is not there.
    pub fn ask(&self, command: &[&str]) -> Option<Value> {
        let client = redis::Client::open(self.plain_url()).ok()?;
        let limit = Duration::from_secs(1);
        let mut connection = client.get_connection_with_timeout(limit).ok()?;
        connection.set_read_timeout(Some(limit)).ok()?;
        let (name, args) = command.split_first()?;
        redis::cmd(name).arg(args).query(&mut connection).ok()
    }

    /// The port of the master, as it knows it.
    pub fn names(&self) -> Option<u16> {
        let answer = self.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER])?;
        let [_, port]: [String; 2] = redis::from_redis_value::<Vec<String>>(answer)
            .ok()?
            .try_into()
            .ok()?;
        port.parse().ok()
    }

    /// Whether both replicas of the master at this port could take its place, as far as this sentinel knows. It looks only every
    /// few seconds, and promotes no replica of which it knows too little.
    fn has_two_good_replicas(&self, port: u16) -> bool {
        let Some(Value::Array(replicas)) = self.ask(&["SENTINEL", "REPLICAS", MASTER]) else {
            return false;
        };
        let port = port.to_string();
        let is_good = |replica: &Value| {
            let words: Vec<String> = redis::from_redis_value(replica.clone()).unwrap_or_default();
            let says = |name: &str, value: &str| {
                let mut pairs = words.chunks(2);
                pairs.any(|pair| matches!(pair, [field, is] if field == name && is == value))
            };
            says("flags", "slave") && says("master-link-status", "ok") && says("master-port", &port)
        };
        replicas.len() == 2 && replicas.iter().all(is_good)
    }

    /// How many replicas and other sentinels of the master it knows.
    fn knows(&self) -> (usize, usize) {
        let count = |what: &str| match self.ask(&["SENTINEL", what, MASTER]) {
            Some(Value::Array(found)) => found.len(),
            _ => 0,
        };
        (count("REPLICAS"), count("SENTINELS"))
    }
}

/// A master, two replicas, and three sentinels.
pub struct Watched {
    servers: Vec<Fronted>,
    pub sentinels: Vec<Sentinel>,
}

impl Watched {
    /// Returns once every sentinel knows all others.
    pub fn start() -> Self {
        Self::of(Server::options, None, "")
    }

    /// The same, for clients that come with TLS, and with more lines in the files of the sentinels.
    pub fn behind(shown: &TlsAcceptor, options: impl Fn() -> ServerOptions, lines: &str) -> Self {
        Self::of(options, Some(shown), lines)
    }

    fn of(options: impl Fn() -> ServerOptions, shown: Option<&TlsAcceptor>, lines: &str) -> Self {
        let start = |_| Fronted::start(options(), shown);
        let servers: Vec<Fronted> = (0..3).map(start).collect();
        let primary = servers[0].port();
        for replica in &servers[1..] {
            replica.server.replica_of_port(primary);
        }
        // One sentinel finds that the master is down, and the others vote for it. If several begin a failover at the same
        // moment, in different epochs, each of them may promote a replica, and what the first acknowledged is lost.
        let sentinel = |n| {
            let patience = if n == 0 { 500 } else { 20_000 };
            let lines = format!("sentinel down-after-milliseconds {MASTER} {patience}\n{lines}");
            Sentinel::behind(primary, 1, &lines, shown)
        };
        let sentinels: Vec<Sentinel> = (0..3).map(sentinel).collect();
        eventually_blocking(FAILOVER_LIMIT, || {
            sentinels.iter().all(|sentinel| sentinel.knows() == (2, 2))
        });
        Self { servers, sentinels }
    }

    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter().map(|fronted| &fronted.server)
    }

    /// The addresses of the sentinels.
    pub fn addresses(&self) -> Vec<String> {
        self.sentinels.iter().map(Sentinel::address).collect()
    }

    pub fn url(&self) -> String {
        format!("redis+sentinel://{}/{MASTER}", self.addresses().join(","))
    }

    /// The master that all sentinels name, if they agree.
    pub fn master(&self) -> Option<&Fronted> {
        let named: Vec<_> = self.sentinels.iter().map(Sentinel::names).collect();
        let first = (*named.first()?)?;
        let agree = named.iter().all(|port| *port == Some(first));
        let mut servers = self.servers.iter();
        servers.find(|server| agree && server.port() == first)
    }

    /// Kills the master, waits until the sentinels name another one, and brings the old one back as its replica. Answers when a
    /// sentinel first named the new one, and that said that it is a master.
    pub async fn fail_over(&self) -> Instant {
        // Not before the last failover is over. On a busy machine one may begin by itself.
        let ready = || {
            let master = self.master()?;
            let port = master.port();
            let mut sentinels = self.sentinels.iter();
            let all = sentinels.all(|sentinel| sentinel.has_two_good_replicas(port));
            all.then_some(master)
        };
        let mut found = None;
        eventually(FAILOVER_LIMIT, || {
            found = ready();
            found.is_some()
        })
        .await;
        let old = found.expect("it was waited for");
        let port = old.port();
        old.server.kill();
        let others = || self.servers.iter().filter(|server| server.port() != port);
        let is_named = || {
            let mut named = self.sentinels.iter().filter_map(Sentinel::names);
            named.any(|port| others().any(|new| new.port() == port && is_master(&new.server)))
        };
        eventually(FAILOVER_LIMIT, is_named).await;
        let moment = Instant::now();
        let is_another = || {
            self.master()
                .is_some_and(|new| new.port() != port && is_master(&new.server))
        };
        eventually(FAILOVER_LIMIT, is_another).await;
        let new = self.master().expect("the sentinels agree");
        tokio::task::block_in_place(|| {
            old.server.restart();
            for server in &self.servers {
                if server.port() != new.port() {
                    server.server.replica_of_port(new.port());
                }
            }
        });
        moment
    }
}

fn is_master(server: &Server) -> bool {
    server.info("role").trim() == "master"
}
