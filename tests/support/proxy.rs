//! A TCP proxy between client and Redis that fails in the ways networks fail, on request.
//!
//! It lives on a thread and a runtime of its own, so it goes on while the test's runtime is
//! blocked.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{AbortHandle, JoinHandle};
use tokio_rustls::TlsAcceptor;

use super::port::Port;
use super::{front, relay, road};

/// How long the proxy's own thread may take to do what a switch asks for.
const SWITCH_LIMIT: Duration = Duration::from_secs(5);
/// What a slow line takes at once after it was idle.
const HELD_UP: Duration = Duration::from_millis(100);

/// A proxy to one Redis server. Every switch has taken effect when its method returns.
///
/// Only replies to EVAL and EVALSHA are counted and lost (NOSCRIPT is not: that script did not
/// run), so that a test can say "every third mutating call" whatever else a client sends.
pub struct Proxy {
    port: Port,
    switches: Arc<Switches>,
    listener: Mutex<Option<JoinHandle<()>>>,
    runtime: Option<Runtime>,
}

/// What happens to a script's reply that the server has already sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Deliver,
    /// It is lost with its connection.
    Cut,
    /// It is lost; the connection stays open, and silent.
    Swallow,
}

/// The directions of a line.
#[derive(Clone, Copy)]
pub(super) enum Way {
    There,
    Back,
}

/// Which replies to lose.
#[derive(Clone, Copy)]
struct Loss {
    every: u64,
    fate: Fate,
    seen: u64,
}

pub(super) struct Switches {
    loss: Mutex<Loss>,
    delay: Mutex<Duration>,
    delay_requests: Mutex<Duration>,
    /// Bytes a second, in either direction, of all connections together; 0 for no limit.
    rate: AtomicU64,
    /// When the line is free again: for requests, and for replies.
    free_at: [Mutex<tokio::time::Instant>; 2],
    close_after_numbers: AtomicBool,
    /// A longer request closes its connection; 0 for no limit.
    longest_request: AtomicU64,
    /// A longer request is refused; 0 for no limit.
    longest_readable: AtomicU64,
    refused: AtomicU64,
    half_open: AtomicBool,
    /// The proxy's own.
    port: u16,
    /// A connection on which nothing went for longer is dead, in ms; 0 for no limit.
    idle_limit: AtomicU64,
    walled: AtomicU64,
    target: Mutex<SocketAddr>,
    /// For clients that speak TLS, if the environment asks for it.
    acceptor: Option<TlsAcceptor>,
    dropped: AtomicU64,
    accepted: AtomicU64,
    requests: AtomicU64,
    swallowed: AtomicU64,
    open: Mutex<HashMap<u64, AbortHandle>>,
}

impl Proxy {
    /// A proxy that hides nothing, until told otherwise.
    pub fn start(target: SocketAddr) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("proxy")
            .enable_all()
            .build()
            .expect("a thread can be started");
        let port = Port::claim();
        let switches = Arc::new(Switches {
            port: port.number(),
            loss: Mutex::new(Loss {
                every: 0,
                fate: Fate::Deliver,
                seen: 0,
            }),
            delay: Mutex::new(Duration::ZERO),
            delay_requests: Mutex::new(Duration::ZERO),
            rate: AtomicU64::new(0),
            free_at: std::array::from_fn(|_| Mutex::new(tokio::time::Instant::now())),
            longest_request: AtomicU64::new(0),
            longest_readable: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            half_open: AtomicBool::new(false),
            idle_limit: AtomicU64::new(0),
            walled: AtomicU64::new(0),
            close_after_numbers: AtomicBool::new(false),
            target: Mutex::new(target),
            acceptor: road::is_tls().then(road::suite_acceptor),
            dropped: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            swallowed: AtomicU64::new(0),
            open: Mutex::new(HashMap::new()),
        });
        let proxy = Self {
            port,
            switches,
            listener: Mutex::new(None),
            runtime: Some(runtime),
        };
        proxy.refuse(false);
        proxy
    }

    /// `redis://127.0.0.1:<port>/`, or what the environment asks for; see [`road`].
    pub fn url(&self) -> String {
        road::url(self.addr())
    }

    /// `redis://127.0.0.1:<port>/`, whatever the environment asks for: for clients of the tests' own.
    pub fn plain_url(&self) -> String {
        format!("redis://{}/", self.addr())
    }

    pub fn addr(&self) -> SocketAddr {
        self.port.address()
    }

    /// Of the scripts' replies, loses every `n`th together with its connection: the server has
    /// applied the call, the client cannot know. Earlier replies still arrive. 0 ends it.
    pub fn drop_reply_every(&self, n: u64) {
        self.lose(n, Fate::Cut);
    }

    /// Of the scripts' replies, loses every `n`th, and every reply after it on that connection,
    /// which stays open: a path that died in one direction. (Were later replies delivered, each
    /// would answer the wrong request.) 0 ends it for connections that have lost nothing yet.
    pub fn swallow_every(&self, n: u64) {
        self.lose(n, Fate::Swallow);
    }

    /// Closes every connection that is open now, in both directions; new ones are welcome.
    pub fn cut_all(&self) {
        let cut: Vec<u64> = locked(&self.switches.open)
            .iter()
            .map(|(id, connection)| {
                connection.abort();
                *id
            })
            .collect();
        settle("cut the connections", || {
            let open = locked(&self.switches.open);
            cut.iter().all(|id| !open.contains_key(id))
        });
    }

    /// While on, nothing listens: the system refuses new connections. Open ones stay open.
    pub fn refuse(&self, on: bool) {
        let mut listener = locked(&self.listener);
        match (on, listener.is_some()) {
            (true, true) => {
                let task = listener.take().expect("just seen");
                task.abort();
                // A child that another thread starts holds the closed listener, too, until it is
                // another program: until then the system still accepts for it.
                settle("stop listening", || {
                    task.is_finished() && std::net::TcpStream::connect(self.addr()).is_err()
                });
            }
            (false, false) => *listener = Some(self.listen()),
            _ => {}
        }
    }

    /// Leads new connections to another server, and closes those that are open: a failover behind
    /// one address.
    pub fn redirect(&self, target: SocketAddr) {
        *locked(&self.switches.target) = target;
        self.cut_all();
    }

    /// Leads new connections to another server, and leaves those that are open where they are.
    pub fn redirect_new(&self, target: SocketAddr) {
        *locked(&self.switches.target) = target;
    }

    /// While on, a connection ends after a reply that is a plain number.
    pub fn close_after_numbers(&self, on: bool) {
        self.switches
            .close_after_numbers
            .store(on, Ordering::SeqCst);
    }

    /// Each reply arrives this much later, as on a longer way; throughput stays the same.
    pub fn delay(&self, by: Duration) {
        *locked(&self.switches.delay) = by;
    }

    /// Requests and replies each arrive this much later, as from far away.
    pub fn distance(&self, each_way: Duration) {
        *locked(&self.switches.delay) = each_way;
        *locked(&self.switches.delay_requests) = each_way;
    }

    /// A line that all connections share, and that takes so many bytes a second in either
    /// direction; 0 ends it.
    pub fn bytes_per_second(&self, rate: u64) {
        self.switches.rate.store(rate, Ordering::SeqCst);
    }

    /// Closes each connection on which a request is longer than this, which does not reach the
    /// server; 0 ends it.
    pub fn cut_requests_over(&self, bytes: u64) {
        self.switches.longest_request.store(bytes, Ordering::SeqCst);
    }

    /// Answers a request that is longer than this as a server that cannot read it, and closes its
    /// connection; the request does not reach the server; 0 ends it.
    pub fn refuse_requests_over(&self, bytes: u64) {
        let switch = &self.switches.longest_readable;
        switch.store(bytes, Ordering::SeqCst);
    }

    /// How many were refused in that way.
    pub fn requests_refused(&self) -> u64 {
        self.switches.refused.load(Ordering::SeqCst)
    }

    /// While on, connections are accepted and read, nothing is forwarded and nothing answered. A
    /// connection on which something was lost that way stays dead when this is switched off; the
    /// others go on.
    pub fn half_open(&self, on: bool) {
        self.switches.half_open.store(on, Ordering::SeqCst);
    }

    /// A firewall that forgets connections: what is sent, either way, on a connection on which nothing went for this long is
    /// swallowed, and all that follows, its end included. Nobody is told. Zero ends it for connections that are not dead yet.
    pub fn forget_idle(&self, after: Duration) {
        let after = after.as_millis() as u64;
        self.switches.idle_limit.store(after, Ordering::SeqCst);
    }

    /// How many connections died in that way and were used again.
    pub fn forgotten(&self) -> u64 {
        self.switches.walled.load(Ordering::SeqCst)
    }

    /// How many replies were lost by [`drop_reply_every`](Self::drop_reply_every) and
    /// [`swallow_every`](Self::swallow_every), not counting those that only came after a lost one.
    pub fn replies_dropped(&self) -> u64 {
        self.switches.dropped.load(Ordering::SeqCst)
    }

    /// How many connections were ever accepted.
    pub fn connections(&self) -> u64 {
        self.switches.accepted.load(Ordering::SeqCst)
    }

    /// How many of them are open.
    pub fn open_connections(&self) -> usize {
        locked(&self.switches.open).len()
    }

    /// How many requests were ever passed on.
    pub fn requests(&self) -> u64 {
        self.switches.requests.load(Ordering::SeqCst)
    }

    /// How many bytes of requests were ever taken and not passed on, see
    /// [`half_open`](Self::half_open).
    pub fn bytes_swallowed(&self) -> u64 {
        self.switches.swallowed.load(Ordering::SeqCst)
    }

    fn lose(&self, every: u64, fate: Fate) {
        *locked(&self.switches.loss) = Loss {
            every,
            fate,
            seen: 0,
        };
    }

    fn listen(&self) -> JoinHandle<()> {
        let runtime = self
            .runtime
            .as_ref()
            .expect("there until the proxy is dropped");
        // A child that another thread starts holds what was open then until it is another
        // program: a listener of this proxy that was just closed, for example.
        let started = Instant::now();
        let listener = loop {
            match std::net::TcpListener::bind(self.addr()) {
                Ok(listener) => break listener,
                Err(error) => assert!(
                    started.elapsed() < SWITCH_LIMIT,
                    "the port is claimed by this proxy, and yet: {error}"
                ),
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        listener
            .set_nonblocking(true)
            .expect("a socket can be made non-blocking");
        let _inside = runtime.enter();
        let listener = TcpListener::from_std(listener).expect("a runtime takes a listener");
        runtime.spawn(accept(listener, self.switches.clone()))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Unlike a plain drop, this is allowed inside another runtime.
            runtime.shutdown_background();
        }
    }
}

impl Switches {
    pub(super) fn delay(&self) -> Duration {
        *locked(&self.delay)
    }

    pub(super) fn request_delay(&self) -> Duration {
        *locked(&self.delay_requests)
    }

    pub(super) fn is_too_long(&self, request: usize) -> bool {
        let longest = self.longest_request.load(Ordering::SeqCst);
        longest > 0 && request as u64 > longest
    }

    /// Whether a request is refused, which is counted.
    pub(super) fn is_refused(&self, request: usize) -> bool {
        let longest = self.longest_readable.load(Ordering::SeqCst);
        let is_refused = longest > 0 && request as u64 > longest;
        self.refused
            .fetch_add(u64::from(is_refused), Ordering::SeqCst);
        is_refused
    }

    /// When the line, after all that was sent before, has taken these bytes.
    pub(super) fn taken_at(&self, way: Way, bytes: usize) -> tokio::time::Instant {
        let now = tokio::time::Instant::now();
        let rate = self.rate.load(Ordering::SeqCst);
        if rate == 0 {
            return now;
        }
        let takes = Duration::from_micros(bytes as u64 * 1_000_000 / rate);
        let mut free_at = locked(&self.free_at[way as usize]);
        // Who was held up by a busy machine may catch up.
        *free_at = (now - HELD_UP).max(*free_at) + takes;
        *free_at
    }

    /// What a cluster of one node says of where it is leads to this proxy.
    pub(super) fn with_its_own_port<'a>(&self, reply: &'a [u8]) -> Cow<'a, [u8]> {
        const SAID: &[u8] = b"\r\n127.0.0.1\r\n:";
        let found = reply.windows(SAID.len()).position(|window| window == SAID);
        let Some(at) = found.filter(|_| road::is_cluster()) else {
            return Cow::Borrowed(reply);
        };
        let (before, rest) = reply.split_at(at + SAID.len());
        let after = rest.iter().position(|byte| *byte == b'\r').unwrap_or(0);
        Cow::Owned([before, self.port.to_string().as_bytes(), &rest[after..]].concat())
    }

    pub(super) fn closes_after(&self, reply: &[u8]) -> bool {
        reply.starts_with(b":") && self.close_after_numbers.load(Ordering::SeqCst)
    }

    pub(super) fn is_half_open(&self) -> bool {
        self.half_open.load(Ordering::SeqCst)
    }

    /// Whether a connection that was idle for so long is dead.
    pub(super) fn is_forgotten(&self, idle: Duration) -> bool {
        let limit = self.idle_limit.load(Ordering::SeqCst);
        let is_forgotten = limit > 0 && idle >= Duration::from_millis(limit);
        self.walled
            .fetch_add(u64::from(is_forgotten), Ordering::SeqCst);
        is_forgotten
    }

    pub(super) fn count_requests(&self, requests: u64) {
        self.requests.fetch_add(requests, Ordering::SeqCst);
    }

    pub(super) fn count_swallowed(&self, bytes: usize) {
        self.swallowed.fetch_add(bytes as u64, Ordering::SeqCst);
    }

    /// Decides about the next reply to a script.
    pub(super) fn fate_of_next(&self) -> Fate {
        let mut loss = locked(&self.loss);
        loss.seen += 1;
        if loss.every == 0 || !loss.seen.is_multiple_of(loss.every) {
            return Fate::Deliver;
        }
        self.dropped.fetch_add(1, Ordering::SeqCst);
        loss.fate
    }
}

/// Strikes a connection off the list, however its task ends.
struct Open(u64, Arc<Switches>);

impl Drop for Open {
    fn drop(&mut self) {
        locked(&self.1.open).remove(&self.0);
    }
}

async fn accept(listener: TcpListener, switches: Arc<Switches>) {
    while let Ok((client, _)) = listener.accept().await {
        let id = switches.accepted.fetch_add(1, Ordering::SeqCst);
        // The task cannot strike its entry off before it is on the list: it needs the lock for
        // that.
        let mut open = locked(&switches.open);
        let connection = tokio::spawn(serve(client, Open(id, switches.clone())));
        open.insert(id, connection.abort_handle());
    }
}

async fn serve(client: TcpStream, open: Open) {
    let switches = &open.1;
    let target = *locked(&switches.target);
    if switches.is_half_open() {
        return relay::swallow_requests(client, switches).await;
    }
    // A server that cannot be reached shows as a connection closed at once.
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    // The proxy must not add latency of its own. It fails only on a socket that is already closed.
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    match &switches.acceptor {
        Some(acceptor) if front::speaks_tls(&client).await => {
            if let Ok(client) = acceptor.accept(client).await {
                relay::relay(tokio::io::split(client), server, switches).await;
            }
        }
        _ => relay::relay(client.into_split(), server, switches).await,
    }
}

fn settle(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(
            started.elapsed() < SWITCH_LIMIT,
            "the proxy did not {what} within {SWITCH_LIMIT:?}"
        );
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
