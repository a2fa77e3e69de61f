//! The two implementations, each with a clock that the test turns, driven call by call.

use std::collections::HashMap;

use redis::{Cmd, Connection, FromRedisValue, Value};

use super::dump::Dump;
use super::support::{Server, road};
use crate::id::JobId;
use crate::memory::{self, Apply, COLLECTIONS, Collection};
use crate::name::{Namespace, QueueName};
use crate::redis::keys::{Keys, PARTS, PLACES};
use crate::redis::linker;
use crate::redis::reply::Reply;
use crate::redis::script::{Loadable, Script};
use crate::store::Verb;

/// Where the clock stands at first, in microseconds.
pub(super) const START_US: u64 = 1_700_000_000_000_000;

const CLOCK: &str = include_str!("../../../lua/lib/now.lua");
const TURNED_CLOCK: &str = include_str!("now.lua");
const DUMP: &str = include_str!("dump.lua");

/// A change to the scripts, for a test that has to notice it: what stands there, what stands
/// there instead.
#[derive(Clone, Copy)]
pub(super) struct Patch {
    pub(super) needle: &'static str,
    pub(super) instead: &'static str,
}

/// An implementation.
pub(super) enum Subject {
    Redis(Box<InRedis>),
    Memory(InMemory),
}

/// What an operator deletes of schedules.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lost<'a> {
    /// The next tick of one.
    Of(&'a str),
    /// That of all.
    First,
    /// It is not gone, but too late.
    Misplaced,
}

const MISPLACED_MS: u64 = 99_999_999_999_999;

impl Subject {
    pub(super) fn call<V: Apply>(&mut self, verb: &V) -> V::Answer {
        match self {
            Self::Redis(redis) => redis.call(verb).unwrap_or_else(|error| panic!("{error}")),
            Self::Memory(memory) => memory.call(verb),
        }
    }

    pub(super) fn set_clock(&mut self, now_us: u64) {
        match self {
            Self::Redis(redis) => redis.set_clock(now_us),
            Self::Memory(memory) => memory.set_clock(now_us),
        }
    }

    pub(super) fn dump(&mut self) -> Dump {
        match self {
            Self::Redis(redis) => redis.dump(),
            Self::Memory(memory) => memory.dump(),
        }
    }

    /// Takes away the next tick of a schedule, or of all.
    pub(super) fn lose_tick(&mut self, lost: Lost<'_>) {
        match self {
            Self::Redis(redis) => redis.lose_tick(lost),
            Self::Memory(memory) => memory.lose_tick(lost),
        }
    }

    /// Somebody deletes one of the lists.
    pub(super) fn lose_list(&mut self, place: usize) {
        match self {
            Self::Redis(redis) => redis.lose_list(PLACES[place]),
            Self::Memory(memory) => memory.lose_list(COLLECTIONS[place]),
        }
    }

    /// Somebody deletes what gates know of the jobs that they hold back.
    pub(super) fn lose_blocked_by(&mut self) {
        match self {
            Self::Redis(redis) => redis.lose_list("blocked_by"),
            Self::Memory(memory) => memory.queue.lock().gates.blocked_by.clear(),
        }
    }

    /// How far the queue was fed is lost.
    pub(super) fn lose_fed(&mut self) {
        match self {
            Self::Redis(redis) => redis.lose_list("fed"),
            Self::Memory(memory) => memory.queue.lock().fed.clear(),
        }
    }

    /// Another program deletes the news of unhandled jobs.
    pub(super) fn lose_news(&mut self) {
        match self {
            Self::Redis(redis) => redis.lose_news(),
            Self::Memory(memory) => memory.lose_news(),
        }
    }

    /// Another program deletes the record of a job.
    pub(super) fn lose_record(&mut self, id: &str) {
        match self {
            Self::Redis(redis) => {
                let jobs = redis.key("jobs");
                redis.run(redis::cmd("HDEL").arg(jobs).arg(id));
            }
            Self::Memory(memory) => memory.queue.lock().forget([&JobId::stored(id)]),
        }
    }

    /// How many keys there are, the sentinels' among them; none in memory.
    pub(super) fn keys(&mut self) -> usize {
        match self {
            // One of them is the clock.
            Self::Redis(redis) => redis.ask::<usize>(&redis::cmd("DBSIZE")) - 1,
            Self::Memory(_) => 0,
        }
    }

    /// In how many ms Redis deletes a key by itself, to the next 10 s; none in memory.
    pub(super) fn expires_ms(&mut self, part: &str) -> Option<u64> {
        match self {
            Self::Redis(redis) => {
                let key = redis.key(part);
                let ms = redis.ask::<i64>(redis::cmd("PTTL").arg(key));
                Some(u64::try_from(ms).ok()?.next_multiple_of(10_000))
            }
            Self::Memory(_) => None,
        }
    }

    /// What an idle worker does.
    pub(super) fn pop_token(&mut self) -> Option<f64> {
        match self {
            Self::Redis(redis) => redis.pop_token(),
            Self::Memory(memory) => memory.pop_token(),
        }
    }

    /// Puts back what `pop_token` has taken.
    pub(super) fn put_token(&mut self, at_ms: Option<f64>) {
        match self {
            Self::Redis(redis) => redis.put_token(at_ms),
            Self::Memory(memory) => memory.queue.lock().wake = at_ms.map(|at_ms| at_ms as u64),
        }
    }

    /// How often the server has carried out each command, as it tells it.
    pub(super) fn command_stats(&mut self) -> String {
        match self {
            Self::Redis(redis) => {
                let mut info = redis::cmd("INFO");
                info.arg("commandstats")
                    .query(&mut redis.connection)
                    .unwrap()
            }
            Self::Memory(_) => String::new(),
        }
    }

    /// The last fence is lost, as with a replica that lags behind; or replaced.
    pub(super) fn set_fence(&mut self, fence: Option<u64>) {
        match self {
            Self::Redis(redis) => redis.set_fence(fence),
            Self::Memory(memory) => memory.queue.lock().fence = fence,
        }
    }

    pub(super) fn clear(&mut self) {
        match self {
            Self::Redis(redis) => redis.clear(),
            Self::Memory(memory) => *memory = InMemory::new(),
        }
    }
}

/// A queue in a Redis of its own.
pub(super) struct InRedis {
    /// The administrator's.
    connection: Connection,
    /// On which scripts are called: that of an application's user, if the environment asks for it.
    calls: Option<Connection>,
    keys: Keys,
    patch: Option<Patch>,
    /// The scripts with the turned clock that the server knows, by their names.
    loaded: HashMap<&'static str, Loadable>,
    dump_hash: String,
    /// For fields are dropped in this order: the server goes last.
    _server: Server,
}

impl InRedis {
    pub(super) fn start(patch: Option<Patch>) -> Self {
        let server = Server::options().alone().start();
        let client = redis::Client::open(server.socket_url()).unwrap();
        let mut connection = client.get_connection().unwrap();
        let calls = road::is_acl().then(|| {
            let mut calls = client.get_connection().unwrap();
            let mut signed_in = redis::cmd("AUTH");
            signed_in.arg(&road::USER).exec(&mut calls).unwrap();
            calls
        });
        let dump_hash = load(&mut connection, DUMP);
        let namespace = Namespace::new("test").unwrap();
        let mut redis = Self {
            connection,
            calls,
            keys: Keys::new(&namespace, &QueueName::new("rig").unwrap()),
            patch,
            loaded: HashMap::new(),
            dump_hash,
            _server: server,
        };
        redis.clear();
        redis
    }

    /// The answer, or what went wrong.
    pub(super) fn call<V: Verb>(&mut self, verb: &V) -> Result<V::Answer, String> {
        let script = verb.script_of_call();
        let mut command = self.command(script);
        verb.arguments(&mut command);
        let answer = command.query::<Value>(self.calls.as_mut().unwrap_or(&mut self.connection));
        let value = answer.map_err(|error| format!("{}: {error}", script.name))?;
        Reply::new(script.name, value)
            .and_then(V::answer)
            .map_err(|trouble| trouble.to_string())
    }

    pub(super) fn dump(&mut self) -> Dump {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.dump_hash).arg(PARTS.len());
        for part in 0..PARTS.len() {
            command.arg(self.keys.at(part));
        }
        let answer: Vec<u8> = command.query(&mut self.connection).unwrap();
        Dump::of_redis(&answer)
    }

    pub(super) fn set_clock(&mut self, now_us: u64) {
        self.run(redis::cmd("SET").arg("clock").arg(now_us));
    }

    /// What an idle worker does.
    pub(super) fn pop_token(&mut self) -> Option<f64> {
        let wake = self.keys.wake().to_owned();
        let popped: Vec<(String, f64)> = redis::cmd("ZPOPMIN")
            .arg(wake)
            .query(&mut self.connection)
            .unwrap();
        popped.first().map(|(_, score)| *score)
    }

    fn put_token(&mut self, at_ms: Option<f64>) {
        let wake = self.keys.wake().to_owned();
        match at_ms {
            Some(at_ms) => self.run(redis::cmd("ZADD").arg(wake).arg(at_ms).arg("work")),
            None => self.run(redis::cmd("DEL").arg(wake)),
        }
    }

    /// A script that is no verb's, without arguments.
    pub(super) fn run_alone(&mut self, script: &'static Script) -> Value {
        let loadable = script.with_body(script.body());
        load(&mut self.connection, &loadable.code);
        self.ask(&loadable.by_hash(&self.keys))
    }

    /// The names of the scripts that were called.
    pub(super) fn called(&self) -> impl Iterator<Item = &'static str> {
        self.loaded.keys().copied()
    }

    /// From now on the scripts are as they should be.
    pub(super) fn mend(&mut self) {
        self.patch = None;
        self.loaded.clear();
    }

    fn set_fence(&mut self, fence: Option<u64>) {
        let meta = self.key("meta");
        match fence {
            Some(fence) => self.run(redis::cmd("HSET").arg(meta).arg("fence").arg(fence)),
            None => self.run(redis::cmd("HDEL").arg(meta).arg("fence")),
        }
    }

    pub(super) fn clear(&mut self) {
        self.run(&mut redis::cmd("FLUSHALL"));
        self.set_clock(START_US);
    }

    fn run(&mut self, command: &mut Cmd) {
        self.ask::<Value>(command);
    }

    /// Any command at all.
    pub(super) fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> T {
        command.query(&mut self.connection).unwrap()
    }

    /// Takes away the next tick of a schedule, or of all.
    pub(super) fn lose_tick(&mut self, lost: Lost<'_>) {
        let (ticks, meta) = (self.key("ticks"), self.key("meta"));
        let misplaced = format!("{MISPLACED_MS} nobody");
        match lost {
            Lost::Of(name) => self.run(redis::cmd("ZREM").arg(ticks).arg(name)),
            Lost::First => self.run(redis::cmd("HDEL").arg(meta).arg("tick")),
            Lost::Misplaced => self.run(redis::cmd("HSET").arg(meta).arg("tick").arg(misplaced)),
        }
    }

    /// Another program deletes the news of unhandled jobs.
    pub(super) fn lose_news(&mut self) {
        let meta = self.key("meta");
        self.run(redis::cmd("HDEL").arg(meta).arg("unhandled"));
    }

    /// Somebody deletes one of the lists.
    pub(super) fn lose_list(&mut self, part: &str) {
        let list = self.key(part);
        self.run(redis::cmd("DEL").arg(list));
    }

    /// The name of a part's key.
    pub(super) fn key(&self, part: &str) -> String {
        self.keys.part(part).to_owned()
    }

    /// A call of the script, and the script in the server, with the clock and the patch in it.
    fn command(&mut self, script: &'static Script) -> Cmd {
        if let Some(loaded) = self.loaded.get(script.name) {
            return loaded.by_hash(&self.keys);
        }
        let mut clock = String::new();
        linker::push_code(&mut clock, CLOCK);
        let mut body = replaced_once(script.body(), &clock, TURNED_CLOCK)
            .unwrap_or_else(|| panic!("{} does not read the clock once", script.name));
        if let Some(patch) = self.patch
            && let Some(patched) = replaced_once(&body, patch.needle, patch.instead)
        {
            body = patched;
        }
        let loadable = script.with_body(&body);
        load(&mut self.connection, &loadable.code);
        let command = loadable.by_hash(&self.keys);
        self.loaded.insert(script.name, loadable);
        command
    }
}

fn load(connection: &mut Connection, code: &str) -> String {
    let mut command = redis::cmd("SCRIPT");
    command.arg("LOAD").arg(code).query(connection).unwrap()
}

/// The text with one part replaced, if it stands there exactly once.
pub(super) fn replaced_once(text: &str, needle: &str, instead: &str) -> Option<String> {
    (text.matches(needle).count() == 1).then(|| text.replace(needle, instead))
}

/// A queue in memory.
pub(super) struct InMemory {
    server: memory::Server,
    queue: memory::Queue,
}

impl InMemory {
    pub(super) fn new() -> Self {
        let server = memory::Server::default();
        server.clock().set(START_US);
        let queue = server.queue(&QueueName::new("rig").unwrap());
        Self { server, queue }
    }

    pub(super) fn call<V: Apply>(&self, verb: &V) -> V::Answer {
        self.queue.call(verb)
    }

    /// The revision and the next tick of a schedule.
    pub(super) fn seen(&self, name: &str) -> (u64, Option<u64>) {
        let state = self.queue.lock();
        let kept = state.schedules.get(name);
        kept.map_or((0, None), |kept| (kept.state.revision, kept.tick_ms))
    }

    /// Takes away the next tick of a schedule, or of all.
    pub(super) fn lose_tick(&self, lost: Lost<'_>) {
        let mut state = self.queue.lock();
        match lost {
            Lost::First => state.tick = None,
            Lost::Misplaced => state.tick = Some((MISPLACED_MS, Some("nobody".to_owned()))),
            Lost::Of(name) => {
                if let Some(kept) = state.schedules.get_mut(name) {
                    (kept.tick_ms, kept.lost) = (None, true);
                }
            }
        }
    }

    /// Another program writes the settings.
    pub(super) fn set_settings(&self, settings: &str) {
        settings.clone_into(&mut self.queue.lock().settings);
    }

    /// Another program deletes the news of unhandled jobs.
    pub(super) fn lose_news(&self) {
        self.queue.lock().unhandled = None;
    }

    /// Somebody deletes one of the lists.
    pub(super) fn lose_list(&self, list: Collection) {
        self.queue.lock().lose(list);
    }

    pub(super) fn set_clock(&self, now_us: u64) {
        self.server.clock().set(now_us);
    }

    pub(super) fn dump(&self) -> Dump {
        Dump::of_memory(&self.queue.lock())
    }

    pub(super) fn pop_token(&self) -> Option<f64> {
        self.queue.lock().wake.take().map(|at_ms| at_ms as f64)
    }
}
