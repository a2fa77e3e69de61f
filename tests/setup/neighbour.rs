//! A Redis that already runs is left alone.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use redis::{Connection, FromRedisValue, InfoDict, RedisResult};

use crate::support::{Process, Server};
use crate::system::{System, on_path};

/// How long whatever listens on that port may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// After this the script is killed: a bad network must not fail the test, which is about Redis.
const FETCH_LIMIT: Duration = Duration::from_secs(60);

/// All that could show that somebody was here.
#[derive(Debug, PartialEq)]
struct Snapshot {
    /// Nothing, where the Redis is somebody's who keeps this from us, in both snapshots.
    run_id: Option<String>,
    config: Option<BTreeMap<String, String>>,
    /// Nothing, where the Redis is somebody's, who may be using it.
    traffic: Option<Traffic>,
}

#[derive(Debug, PartialEq)]
struct Traffic {
    keys: i64,
    commands: u64,
    connections: u64,
}

/// The Redis on port 6379: one that already ran, or else ours.
enum Neighbour {
    Found(Box<redis::Client>),
    Ours(Box<Server>),
}

impl Neighbour {
    fn find_or_start() -> Self {
        if TcpStream::connect("127.0.0.1:6379").is_ok() {
            let client = redis::Client::open("redis://127.0.0.1:6379/");
            Self::Found(Box::new(client.expect("a plain address")))
        } else {
            let server = Server::options().port(6379).start();
            server.cli(&["SET", "marker", "keep me"]);
            Self::Ours(Box::new(server))
        }
    }

    fn snapshot(&self) -> Snapshot {
        match self {
            Self::Found(client) => {
                let mut connection = client.get_connection_with_timeout(PATIENCE).ok();
                let connection = connection.as_mut();
                let (run_id, config) = connection.map(|c| (run_id(c).ok(), config(c).ok())).unzip();
                Snapshot {
                    run_id: run_id.flatten(),
                    config: config.flatten(),
                    traffic: None,
                }
            }
            Self::Ours(server) => {
                let client = redis::Client::open(server.plain_url()).expect("a plain address");
                let mut connection = client.get_connection().expect("it listens");
                Snapshot {
                    run_id: Some(run_id(&mut connection).expect("it answers")),
                    config: Some(config(&mut connection).expect("it answers")),
                    traffic: Some(traffic(&mut connection).expect("it answers")),
                }
            }
        }
    }
}

fn run_id(connection: &mut Connection) -> RedisResult<String> {
    let info: InfoDict = ask(connection, &["INFO", "server"])?;
    Ok(info.get("run_id").expect("INFO names it"))
}

fn config(connection: &mut Connection) -> RedisResult<BTreeMap<String, String>> {
    ask(connection, &["CONFIG", "GET", "*"])
}

fn traffic(connection: &mut Connection) -> RedisResult<Traffic> {
    let keys = ask(connection, &["DBSIZE"])?;
    let info: InfoDict = ask(connection, &["INFO", "stats"])?;
    let number = |field| info.get::<u64>(field).expect("INFO counts it");
    Ok(Traffic {
        keys,
        commands: number("total_commands_processed"),
        connections: number("total_connections_received"),
    })
}

fn ask<T: FromRedisValue>(connection: &mut Connection, command: &[&str]) -> RedisResult<T> {
    redis::cmd(command[0]).arg(&command[1..]).query(connection)
}

/// The real apt, with all of the real PATH, but not allowed to change this machine.
fn use_real_apt(system: &System) {
    let path = std::env::var("PATH").expect("a PATH of plain names");
    for tool in ["apt-get", "apt-cache", "dpkg"] {
        if let Some(real) = on_path(tool) {
            let run = format!("PATH='{path}' exec '{}' \"$@\"", real.display());
            system.tool(
                tool,
                &format!("case $* in *'install -y'*) exit 1;; esac; {run}"),
            );
        }
    }
}

/// With the real package manager, where that is apt-get; the others would change the system.
/// Without a network nothing can be fetched, and the Redis must be left alone even so.
#[test]
fn redis_on_6379_is_left_exactly_as_it_was() {
    let _turn = take_turn();
    let neighbour = Neighbour::find_or_start();
    let before = neighbour.snapshot();
    let cost = neighbour.snapshot();

    let system = System::new();
    use_real_apt(&system);
    let said = system.folder.path().join("said");
    let output = File::create(&said).expect("the folder is writable");
    let mut command = system.command();
    command.stdout(Stdio::null()).stderr(output);
    command.envs(std::env::vars_os().filter(|(name, _)| is_proxy_setting(name)));
    let mut script = Process::spawn(&mut command, None);
    let started = Instant::now();
    while script.is_running() && started.elapsed() < FETCH_LIMIT {
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(script);
    println!("{}", std::fs::read_to_string(said).expect("just written"));

    let mut after = neighbour.snapshot();
    if let (Some(first), Some(second), Some(last)) =
        (&before.traffic, &cost.traffic, &mut after.traffic)
    {
        // Each snapshot counts the one before it; the script must have added nothing.
        last.commands -= 2 * (second.commands - first.commands);
        last.connections -= 2 * (second.connections - first.connections);
    }
    assert_eq!(after, before);
    if let Neighbour::Ours(server) = &neighbour {
        assert_eq!(server.ask::<String>(&["GET", "marker"]), "keep me");
    }
}

fn is_proxy_setting(name: &OsStr) -> bool {
    name.to_ascii_lowercase()
        .to_string_lossy()
        .ends_with("_proxy")
}

/// Two test runs on one machine would take each other's server for somebody's.
fn take_turn() -> Option<File> {
    let path = std::env::temp_dir().join("oxcart-port-6379");
    let file = File::options().create(true).append(true).open(path).ok()?;
    file.lock().ok()?;
    Some(file)
}
