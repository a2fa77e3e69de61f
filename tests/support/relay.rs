//! One connection of the proxy: requests one way, replies the other, each seen as a whole message.

use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{
    UnboundedReceiver, UnboundedSender, WeakUnboundedSender, unbounded_channel,
};
use tokio::time::{Instant, sleep};

use super::proxy::{Fate, Switches, Way};
use super::resp;

/// What the two directions of one connection know of each other.
struct Conversation {
    /// For each request without a reply yet: was it a script?
    unanswered: Mutex<VecDeque<bool>>,
    /// A request was lost: none may reach the server any more.
    deaf: AtomicBool,
    /// A reply was lost: none may reach the client any more.
    mute: AtomicBool,
    /// When something went through, either way.
    last: Mutex<Instant>,
    /// Nothing goes through any more, not even its end.
    walled: AtomicBool,
}

impl Default for Conversation {
    fn default() -> Self {
        Self {
            unanswered: Mutex::default(),
            deaf: AtomicBool::new(false),
            mute: AtomicBool::new(false),
            last: Mutex::new(Instant::now()),
            walled: AtomicBool::new(false),
        }
    }
}

const BUFFER: usize = 64 * 1024;
const PIECE: usize = 8 * 1024;
/// What a server says to a request that it does not read.
const UNREAD: &[u8] = b"-ERR Protocol error: invalid bulk length\r\n";
/// One side of a dead connection does not hear for so long that the other has gone.
const WALLED_FOR: Duration = Duration::from_secs(60);
/// After that the client has it.
const UNREAD_ARRIVES: Duration = Duration::from_millis(50);

type Delayed = (Instant, Vec<u8>);

/// Relays until either side closes, or a reply is lost together with the connection; then closes
/// both.
pub(super) async fn relay(
    client: (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    server: TcpStream,
    switches: &Switches,
) {
    let (client_read, client_write) = client;
    let (server_read, server_write) = server.into_split();
    let conversation = Conversation::default();
    let (deliveries, queue) = unbounded_channel();
    let refusals = deliveries.downgrade();
    let replies = async {
        // The queue ends with the replies: what came before the last one is still delivered.
        tokio::join!(
            relay_replies(server_read, deliveries, &conversation, switches),
            deliver(queue, client_write, Way::Back, switches)
        )
    };
    let (arrivals, queue) = unbounded_channel();
    let requests = async {
        // What a client has sent before it goes still arrives.
        tokio::join!(
            relay_requests(client_read, arrivals, refusals, &conversation, switches),
            deliver(queue, server_write, Way::There, switches)
        )
    };
    tokio::select! {
        _ = requests => {}
        _ = replies => {}
    }
}

/// The client's end of a half-open connection: everything is taken, nothing happens.
pub(super) async fn swallow_requests(mut client: TcpStream, switches: &Switches) {
    let mut void = [0; 4096];
    while let Ok(read @ 1..) = client.read(&mut void).await {
        switches.count_swallowed(read);
    }
}

async fn relay_requests(
    mut client: impl AsyncRead + Unpin,
    server: UnboundedSender<Delayed>,
    refusals: WeakUnboundedSender<Delayed>,
    conversation: &Conversation,
    switches: &Switches,
) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(BUFFER);
    while client.read_buf(&mut bytes).await? > 0 {
        conversation.passes(switches);
        if switches.is_half_open() {
            conversation.lose_requests();
        }
        if conversation.deaf.load(Ordering::SeqCst) {
            switches.count_swallowed(bytes.len());
            bytes.clear();
            continue;
        }
        if switches.is_too_long(bytes.len()) {
            break;
        }
        if switches.is_refused(bytes.len()) {
            if let Some(client) = refusals.upgrade() {
                let _ = client.send((Instant::now(), UNREAD.to_vec()));
            }
            sleep(UNREAD_ARRIVES).await;
            break;
        }
        let whole = conversation.expect_replies(&bytes, switches);
        let requests = bytes.drain(..whole).collect();
        // If nobody receives, the server has gone, and this connection is about to end.
        let _ = server.send((Instant::now() + switches.request_delay(), requests));
    }
    conversation.ends().await;
    Ok(())
}

async fn relay_replies(
    mut server: impl AsyncRead + Unpin,
    client: UnboundedSender<Delayed>,
    conversation: &Conversation,
    switches: &Switches,
) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(BUFFER);
    while server.read_buf(&mut bytes).await? > 0 {
        conversation.passes(switches);
        let (judged, arrive, cut) = judge_replies(&bytes, conversation, switches);
        bytes.drain(..judged);
        // If nobody receives, the client has gone, and this connection is about to end.
        let _ = client.send((Instant::now() + switches.delay(), arrive));
        if cut {
            break;
        }
    }
    conversation.ends().await;
    Ok(())
}

/// Goes through the whole replies in `bytes`: how many bytes they are, which of them arrive, and
/// whether the connection ends there.
fn judge_replies(
    bytes: &[u8],
    conversation: &Conversation,
    switches: &Switches,
) -> (usize, Vec<u8>, bool) {
    let mut arrive = Vec::new();
    let mut at = 0;
    while let Some(length) = resp::message(&bytes[at..]) {
        let reply = &bytes[at..at + length];
        at += length;
        match conversation.fate(reply, switches) {
            Fate::Deliver => {
                arrive.extend_from_slice(&switches.with_its_own_port(reply));
                if switches.closes_after(reply) {
                    return (at, arrive, true);
                }
            }
            Fate::Swallow => conversation.mute.store(true, Ordering::SeqCst),
            Fate::Cut => return (at, arrive, true),
        }
    }
    (at, arrive, false)
}

async fn deliver(
    mut queue: UnboundedReceiver<Delayed>,
    mut to: impl AsyncWrite + Unpin,
    way: Way,
    switches: &Switches,
) -> io::Result<()> {
    while let Some((due, message)) = queue.recv().await {
        until(due).await;
        // In pieces, so that others who share a slow line have their turn.
        for piece in message.chunks(PIECE) {
            until(switches.taken_at(way, piece.len())).await;
            to.write_all(piece).await?;
        }
        to.flush().await?;
    }
    Ok(())
}

async fn until(moment: Instant) {
    // A sleep that is over before it begins takes up to a millisecond.
    if moment > Instant::now() {
        tokio::time::sleep_until(moment).await;
    }
}

impl Conversation {
    /// Notes each whole request in `bytes`; answers how many bytes they are.
    fn expect_replies(&self, bytes: &[u8], switches: &Switches) -> usize {
        let mut unanswered = self.unanswered.lock().expect("no panic while it is held");
        let (mut end, mut requests) = (0, 0);
        while let Some(length) = resp::message(&bytes[end..]) {
            requests += 1;
            let command = resp::command(&bytes[end..end + length]);
            // What subscribing brings is not one reply to one request; on such a connection there
            // are no scripts.
            if !command.ends_with(b"SUBSCRIBE") {
                unanswered.push_back(command == b"EVAL" || command == b"EVALSHA");
            }
            end += length;
        }
        switches.count_requests(requests);
        end
    }

    fn fate(&self, reply: &[u8], switches: &Switches) -> Fate {
        let answers_script = !resp::is_push(reply)
            && self
                .unanswered
                .lock()
                .expect("no panic while it is held")
                .pop_front()
                .unwrap_or(false);
        if switches.is_half_open() {
            self.lose_requests();
        }
        if self.mute.load(Ordering::SeqCst) {
            return Fate::Swallow;
        }
        if answers_script && !resp::is_noscript(reply) {
            switches.fate_of_next()
        } else {
            Fate::Deliver
        }
    }

    /// Something is about to go through: it does not if the connection was idle for too long.
    fn passes(&self, switches: &Switches) {
        let mut last = self.last.lock().expect("no panic while it is held");
        let (now, before) = (Instant::now(), *last);
        *last = now;
        if !self.walled.load(Ordering::SeqCst) && switches.is_forgotten(now - before) {
            self.walled.store(true, Ordering::SeqCst);
            self.lose_requests();
        }
    }

    /// One side has closed its end; the other side of a dead connection does not hear of it.
    async fn ends(&self) {
        if self.walled.load(Ordering::SeqCst) {
            sleep(WALLED_FOR).await;
        }
    }

    /// A client whose request or reply was lost would take the next reply for it, so there must be
    /// none.
    fn lose_requests(&self) {
        self.deaf.store(true, Ordering::SeqCst);
        self.mute.store(true, Ordering::SeqCst);
    }
}
