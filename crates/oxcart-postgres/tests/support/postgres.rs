//! Private PostgreSQL servers, each with its own folder and socket, and no port.

use std::fs::OpenOptions;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};
use tempfile::TempDir;

const START_LIMIT: Duration = Duration::from_secs(60);

/// Whether the long form of the tests is asked for (`POSTGRES=full`).
pub fn is_full() -> bool {
    std::env::var("POSTGRES").is_ok_and(|form| form == "full")
}

/// A new database on the server that the tests of this binary share. That server keeps nothing through a crash.
pub async fn database() -> Database {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    let shared = SHARED.get_or_init(|| Postgres::start(&["fsync=off"]));
    shared.database().await
}

/// One database of a test's own.
#[derive(Clone)]
pub struct Database {
    pub options: PgConnectOptions,
    folder: PathBuf,
    name: String,
}

impl Database {
    /// For other processes, as [`PgPool::connect`] takes it.
    pub fn url(&self) -> String {
        let folder = self.folder.display();
        format!("postgres://postgres@localhost/{}?host={folder}", self.name)
    }

    /// Another database, with what is in this one; nobody may be connected to this one.
    pub async fn copy(&self) -> Database {
        let name = format!("{}_copy", self.name);
        let admin = self.options.clone().database("postgres");
        let admin = PgConnection::connect_with(&admin).await;
        let mut admin = admin.expect("the private server takes connections");
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
        let ended = sqlx::query(end).bind(&self.name).execute(&mut admin).await;
        ended.expect("a superuser may end connections");
        let create = format!("CREATE DATABASE {name} TEMPLATE {}", self.name);
        let created = sqlx::query(&create).execute(&mut admin).await;
        created.expect("a superuser may copy a database");
        Database {
            options: self.options.clone().database(&name),
            folder: self.folder.clone(),
            name,
        }
    }

    /// At most ten connections.
    pub async fn pool(&self) -> PgPool {
        let pool = PgPoolOptions::new().max_connections(10);
        let pool = pool.connect_with(self.options.clone()).await;
        pool.expect("the private server takes connections")
    }

    pub async fn connect(&self) -> PgConnection {
        let connection = PgConnection::connect_with(&self.options).await;
        connection.expect("the private server takes connections")
    }
}

/// A server. It ends with the test process, also if that is killed; dropping it ends it at once.
pub struct Postgres {
    process: Mutex<Running>,
    settings: Vec<String>,
    folder: TempDir,
}

struct Running {
    child: Child,
    watchdog: Child,
}

impl Postgres {
    /// A server with these settings (`fsync=off`); it keeps what it has committed through [`kill`](Self::kill) unless told otherwise.
    pub fn start(settings: &[&str]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("oxcart-postgres-")
            .tempdir()
            .expect("the system's temp folder is writable");
        if let Some(user) = other_user() {
            let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
            chown(folder.path(), Some(uid), Some(gid)).expect("root may give a folder away");
        }
        let mut initdb = as_user(&program("initdb"));
        initdb.arg("--pgdata").arg(folder.path().join("data"));
        initdb.args(
            "--no-sync --auth=trust --username=postgres --no-locale --encoding=UTF8".split(' '),
        );
        let made = initdb.output().expect("initdb can be started");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "initdb failed: {said}");
        let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        let process = Mutex::new(Running::start(folder.path(), &settings));
        let server = Self {
            process,
            settings,
            folder,
        };
        server.await_first_answer();
        server
    }

    /// A new database.
    pub async fn database(&self) -> Database {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect_with(&self.options("postgres"))
            .await
            .expect("the private server takes connections");
        let create = sqlx::query(&format!("CREATE DATABASE {name}"))
            .execute(&mut connection)
            .await;
        create.expect("a superuser may create a database");
        Database {
            options: self.options(&name),
            folder: self.folder.path().to_owned(),
            name,
        }
    }

    fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host(&self.folder.path().to_string_lossy())
            .port(5432)
            .username("postgres")
            .database(database)
    }

    /// Kills the server (SIGKILL). What it has committed is on disk, unless `fsync` is off and the machine dies as well.
    pub fn kill(&self) {
        self.process().child.kill().expect("a child can be killed");
        self.process()
            .child
            .wait()
            .expect("a child can be waited for");
    }

    /// Starts it again, in the same folder; kills it first if it still runs.
    pub fn restart(&self) {
        self.kill();
        let started = Instant::now();
        loop {
            // Processes that the killed server has left behind need a moment to notice, and until then it does not start.
            let mut running = Running::start(self.folder.path(), &self.settings);
            while running.is_running() && !self.answers(running.child.id()) {
                assert!(started.elapsed() < START_LIMIT, "{}", self.log());
                std::thread::sleep(Duration::from_millis(20));
            }
            if running.is_running() {
                *self.process() = running;
                return;
            }
            assert!(started.elapsed() < START_LIMIT, "{}", self.log());
        }
    }

    /// Ends every connection to the server, but for the one that asks.
    pub async fn cut(&self) {
        let mut connection = PgConnection::connect_with(&self.options("postgres"))
            .await
            .expect("the private server takes connections");
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        let cut = sqlx::query(cut).execute(&mut connection).await;
        cut.expect("a superuser may end connections");
    }

    /// What the server has said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn await_first_answer(&self) {
        let started = Instant::now();
        let pid = self.process().child.id();
        while !self.answers(pid) {
            let runs = self.process().is_running() && started.elapsed() < START_LIMIT;
            assert!(runs, "the server does not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A server that starts is there, but answers nobody yet; the last line of its file says when it does. One that was killed has left its file.
    fn answers(&self, pid: u32) -> bool {
        let file = self.folder.path().join("data/postmaster.pid");
        let file = std::fs::read_to_string(file).unwrap_or_default();
        let lines: Vec<&str> = file.lines().map(str::trim).collect();
        lines.first() == Some(&&*pid.to_string()) && lines.get(7) == Some(&"ready")
    }

    fn process(&self) -> MutexGuard<'_, Running> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of PostgreSQL ---\n{}---", self.log());
        }
    }
}

impl Running {
    fn start(folder: &Path, settings: &Vec<String>) -> Self {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join("log"))
            .expect("the server's folder is writable");
        let mut command = as_user(&program("postgres"));
        command.arg("-D").arg(folder.join("data"));
        command.arg("-k").arg(folder);
        command.args(["-c", "listen_addresses="]);
        for setting in settings {
            command.args(["-c", setting]);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be opened twice"))
            .stderr(log)
            .spawn()
            .expect("postgres can be started");
        let watchdog = watch(child.id(), folder);
        Self { child, watchdog }
    }

    fn is_running(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("a child can be asked for its state")
            .is_none()
    }
}

impl Drop for Running {
    /// At once and without a word (SIGQUIT): a server that is killed leaves a piece of shared memory behind.
    fn drop(&mut self) {
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        if self.is_running() {
            let pid = i32::try_from(self.child.id()).expect("a pid is an i32");
            let _ = kill(Pid::from_raw(pid), Signal::SIGQUIT);
        }
        let _ = self.child.wait();
    }
}

/// A shell that reads a pipe which closes when the test process dies, and then ends the server.
fn watch(pid: u32, folder: &Path) -> Child {
    const SCRIPT: &str = "trap '' HUP INT TERM; read -r _; kill -QUIT \"$0\"; n=0; \
        while kill -0 \"$0\" && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done; kill -KILL \"$0\"; rm -rf \"$1\"";
    Command::new("/bin/sh")
        .args(["-c", SCRIPT])
        .arg(pid.to_string())
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("/bin/sh can be started")
}

/// PostgreSQL does not run as root.
fn other_user() -> Option<User> {
    geteuid().is_root().then(|| {
        let user = User::from_name("nobody").expect("the users can be looked up");
        user.expect("a system has the user `nobody`")
    })
}

fn as_user(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/");
    command.env_remove("PGDATA");
    if let Some(user) = other_user() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

/// Beside the server that `make test` names, else on PATH. Without any, the test fails: skipped, it would look as if it had passed.
fn program(name: &str) -> PathBuf {
    let named = std::env::var_os("OXCART_POSTGRES").filter(|path| !path.is_empty());
    if let Some(server) = named {
        return Path::new(&server).with_file_name(name);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name));
    found.into_iter().find(|file| file.is_file()).unwrap_or_else(|| {
        panic!("no {name}: run the tests with `make test`, or set OXCART_POSTGRES to the path of the program `postgres`")
    })
}
