//! Private Redis servers, each with its own folder, TCP port and socket.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use redis::{FromRedisValue, RedisResult, Value};
use tempfile::TempDir;

use super::port::Port;
use super::process::Process;
use super::road::Entrance;

/// How long a server may take to answer its first PING, an append-only file to load included.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long one command of a test's own may take: a paused server answers none.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);

/// What a server is started with.
#[derive(Default)]
pub struct ServerOptions {
    args: Vec<String>,
    env: Vec<(String, String)>,
    port: Option<Port>,
    alone: bool,
}

impl ServerOptions {
    /// Every write is on disk before it is answered, so [`Server::kill`] loses nothing.
    pub fn aof_always(self) -> Self {
        self.arg("--appendonly", "yes")
            .arg("--appendfsync", "always")
    }

    /// A node of a cluster, which talks to other nodes on this port. Unless told, it would take the port
    /// that is 10,000 above its own, even if another program has it.
    pub fn cluster(self, bus: &Port) -> Self {
        self.alone()
            .arg("--cluster-enabled", "yes")
            .arg("--cluster-port", &bus.number().to_string())
    }

    /// No cluster of one node, even if the environment asks for that.
    pub fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// One more directive, as on the command line: `arg("--maxmemory", "8mb")`.
    pub fn arg(mut self, name: &str, value: &str) -> Self {
        self.args.extend([name.to_owned(), value.to_owned()]);
        self
    }

    /// A user beside the one whom every server has, as the words of `ACL SETUSER`. It is there again after a restart.
    pub fn user(mut self, words: &[String]) -> Self {
        self.args.push("--user".to_owned());
        self.args.extend_from_slice(words);
        self
    }

    /// More environment for the server.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A port of the test's choice, not one that is certainly free.
    pub fn port(mut self, number: u16) -> Self {
        self.port = Some(Port::claim_this(number));
        self
    }

    /// A port that was claimed for it.
    pub fn at(mut self, port: Port) -> Self {
        self.port = Some(port);
        self
    }

    /// Starts the server; returns once it answers.
    pub fn start(self) -> Server {
        let folder = tempfile::Builder::new()
            .prefix("oxcart-redis-")
            .tempdir()
            .expect("the system's temp folder is writable");
        let port = self.port.unwrap_or_else(Port::claim);
        let entrance = Entrance::to(port.address(), self.alone);
        let args = [entrance.args(port.address()), self.args].concat();
        let process = spawn(folder.path(), &port, &args, &self.env);
        let server = Server {
            process: Mutex::new(process),
            folder,
            port,
            entrance,
            args,
            env: self.env,
        };
        server.await_first_answer();
        server
    }
}

/// A Redis server of this test's own. Dropping it kills it and removes its folder.
///
/// It keeps nothing on disk unless told to ([`ServerOptions::aof_always`]), and listens on a
/// loopback port and on a socket in its folder. All methods take `&self`, so that a test may share
/// it between tasks.
pub struct Server {
    /// First, for fields are dropped in this order: the folder goes after who writes there.
    process: Mutex<Process>,
    folder: TempDir,
    port: Port,
    entrance: Entrance,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Server {
    /// A server with nothing special about it.
    pub fn start() -> Self {
        Self::options().start()
    }

    pub fn options() -> ServerOptions {
        ServerOptions::default()
    }

    /// `redis://127.0.0.1:<port>/`, or what the environment asks for; see [`super::road`].
    pub fn url(&self) -> String {
        self.entrance.url(self.tcp_addr())
    }

    /// The same for the user whom every server has, without a password unless the test sets one.
    pub fn open_url(&self) -> String {
        self.entrance.open_url(self.tcp_addr())
    }

    /// The same for another user: `app:secret`, or `:secret`.
    pub fn url_as(&self, login: &str) -> String {
        self.open_url().replacen("://", &format!("://{login}@"), 1)
    }

    /// `redis://127.0.0.1:<port>/`, whatever the environment asks for: for clients of the tests' own.
    pub fn plain_url(&self) -> String {
        format!("redis://{}/", self.tcp_addr())
    }

    pub fn tcp_addr(&self) -> SocketAddr {
        self.port.address()
    }

    /// `redis+unix://<path>`
    pub fn socket_url(&self) -> String {
        format!("redis+unix://{}", socket(self.folder.path()).display())
    }

    /// Where its files are: the socket, the log, the append-only file.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn pid(&self) -> u32 {
        self.process().id()
    }

    /// Freezes the server (SIGSTOP): connections stay open, nothing is answered.
    pub fn pause(&self) {
        self.process().pause();
    }

    /// Lets a paused server go on.
    pub fn resume(&self) {
        self.process().resume();
    }

    /// Kills the server (SIGKILL): it loses what it had not written to disk.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Asks the server to end (SIGTERM), and waits until it has.
    pub fn stop(&self) {
        let mut process = self.process();
        process.terminate();
        process.wait(COMMAND_LIMIT);
    }

    /// Starts the server again, same folder, same port; kills it first if it still runs.
    pub fn restart(&self) {
        {
            let mut process = self.process();
            process.kill();
            *process = spawn(self.folder.path(), &self.port, &self.args, &self.env);
        }
        self.await_first_answer();
    }

    /// Runs one command, waits for its answer, panics if that is an error.
    pub fn cli(&self, command: &[&str]) -> Value {
        self.try_cli(command)
            .unwrap_or_else(|error| panic!("{command:?} failed: {error}"))
    }

    /// The same, with the answer as a `T`: `server.ask::<i64>(&["ZCARD", key])`.
    pub fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        T::from_redis_value(self.cli(command))
            .unwrap_or_else(|error| panic!("{command:?} answered something else: {error}"))
    }

    /// The same, with the error for the test to look at.
    pub fn try_cli(&self, command: &[&str]) -> RedisResult<Value> {
        let client = redis::Client::open(self.socket_url())?;
        let mut connection = client.get_connection_with_timeout(COMMAND_LIMIT)?;
        connection.set_read_timeout(Some(COMMAND_LIMIT))?;
        let (name, args) = command.split_first().expect("a command has a name");
        redis::cmd(name).arg(args).query(&mut connection)
    }

    /// Lets it run a script until `SCRIPT KILL`; returns once it says `BUSY`, after its `busy-reply-threshold`.
    pub fn run_endless_script(self: &Arc<Self>) {
        let blocked = Arc::clone(self);
        std::thread::spawn(move || blocked.try_cli(&["EVAL", "while true do end", "0"]));
        let is_busy = || match self.try_cli(&["GET", "x"]) {
            Err(error) => error.code() == Some("BUSY"),
            Ok(_) => false,
        };
        let started = Instant::now();
        while !is_busy() {
            assert!(started.elapsed() < COMMAND_LIMIT, "no script runs");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether it reads its data. A node of a cluster says `CLUSTERDOWN` to commands meanwhile, and not `LOADING`.
    pub fn is_loading(&self) -> bool {
        match self.try_cli(&["INFO", "persistence"]) {
            Ok(info) => String::from_redis_value(info).is_ok_and(|info| info.contains("loading:1")),
            Err(_) => false,
        }
    }

    /// One field of INFO: `server.info("used_memory")`.
    pub fn info(&self, field: &str) -> String {
        let all: String = self.ask(&["INFO", "everything"]);
        all.lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
            .unwrap_or_else(|| panic!("INFO of this server has no field {field}"))
            .to_owned()
    }

    /// How often clients and scripts have called one command so far.
    pub fn calls(&self, command: &str) -> u64 {
        let stats: String = self.ask(&["INFO", "commandstats"]);
        let prefix = format!("cmdstat_{command}:calls=");
        let line = stats.lines().find_map(|line| line.strip_prefix(&prefix));
        line.map_or(0, |line| {
            let calls = line.split(',').next().expect("a split has a first part");
            calls.parse().expect("a number of calls")
        })
    }

    /// Makes this server a replica of `primary`, and waits until it has caught up with its present
    /// state. `cli(&["REPLICAOF", "NO", "ONE"])` promotes it.
    pub fn replica_of(&self, primary: &Server) {
        self.replica_of_port(primary.port.number());
    }

    /// The same, with the port that the primary announces.
    pub fn replica_of_port(&self, port: u16) {
        let port = port.to_string();
        self.cli(&["REPLICAOF", "127.0.0.1", &port]);
        self.await_replication(|| self.info("master_link_status") == "up");
    }

    /// Waits until this replica has what `primary` has written by now.
    pub fn catch_up_with(&self, primary: &Server) {
        let number = |text: String| text.parse::<u64>().expect("an offset is a number");
        let written = number(primary.info("master_repl_offset"));
        self.await_replication(|| number(self.info("slave_repl_offset")) >= written);
    }

    fn await_replication(&self, is_reached: impl Fn() -> bool) {
        let started = Instant::now();
        while !is_reached() {
            assert!(
                started.elapsed() < START_LIMIT,
                "the replica did not catch up:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the server has printed since it was first started.
    pub fn log(&self) -> String {
        std::fs::read_to_string(log(self.folder.path()))
            .unwrap_or_else(|error| format!("no log: {error}"))
    }

    /// Asks through the socket: what answers on the port could be another server.
    fn await_first_answer(&self) {
        let started = Instant::now();
        while let Err(error) = self.try_cli(&["PING"]) {
            assert!(
                self.process().is_running() && started.elapsed() < START_LIMIT,
                "the server does not answer ({error}); its log:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        if self.entrance.is_node() {
            self.await_all_slots(started);
        }
    }

    /// A cluster of one node begins 2 s after its server.
    fn await_all_slots(&self, started: Instant) {
        // It has them already if it was started again.
        let _ = self.try_cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
        while !self
            .ask::<String>(&["CLUSTER", "INFO"])
            .contains("cluster_state:ok")
        {
            assert!(
                started.elapsed() < START_LIMIT,
                "the cluster is not well; its log:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        // A test that fails while it holds the lock must still be able to stop the server.
        self.process
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- log of the Redis on port {} ---\n{}---",
                self.port.number(),
                self.log()
            );
        }
    }
}

fn spawn(folder: &Path, port: &Port, args: &[String], env: &[(String, String)]) -> Process {
    let output = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log(folder))
        .expect("the server's folder is writable");
    let mut command = Command::new(server_binary());
    command
        .args(["--bind", "127.0.0.1", "--port", &port.number().to_string()])
        .arg("--unixsocket")
        .arg(socket(folder))
        .arg("--dir")
        .arg(folder)
        .args(["--daemonize", "no", "--save", "", "--appendonly", "no"])
        .args([
            "--enable-debug-command",
            "local",
            "--repl-diskless-sync-delay",
            "0",
        ])
        .args(args)
        .envs(env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stderr(output.try_clone().expect("a file can be opened twice"))
        .stdout(output);
    Process::spawn(&mut command, Some(folder))
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("redis.sock")
}

fn log(folder: &Path) -> PathBuf {
    folder.join("log")
}

/// The server that `make test` names, else the first on PATH. Without any, the test fails: skipped,
/// it would look as if it had passed.
pub fn server_binary() -> OsString {
    std::env::var_os("OXCART_REDIS_SERVER")
        .filter(|path| !path.is_empty())
        .or_else(|| {
            ["redis-server", "valkey-server"]
                .into_iter()
                .find_map(on_path)
        })
        .unwrap_or_else(|| {
            panic!("no redis-server: run the tests with `make test`, or set OXCART_REDIS_SERVER")
        })
}

fn on_path(name: &str) -> Option<OsString> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .map(PathBuf::into_os_string)
}
