//! Connections of clients: none is kept that asks for nothing, that takes for ever to say what it asks for, or that does not read what it gets.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::{Request, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tower_service::Service;

use super::reading_client::ReadingClient;

/// Before a connection is accepted again, when the system could not give one: too many files are open, for instance.
const BREATHER: Duration = Duration::from_millis(500);

/// What clients get of time.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// For the head of a request, from when the connection is there or the last answer is over. An answer may take as long as it wants.
    pub(super) head: Duration,
    /// For reading an answer, and a second more for each KiB of it. Streams of changes have it whenever they have something to say.
    pub(super) read: Duration,
    /// For requests under way, when the server is to end. Streams of changes do not end by themselves.
    pub(super) end: Duration,
}

impl Limits {
    /// Answers until `ends` is over.
    pub(super) async fn serve(
        self,
        listener: TcpListener,
        app: Router,
        ends: impl Future<Output = ()>,
    ) {
        let open = GracefulShutdown::new();
        let mut ends = pin!(ends);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut ends => break,
            };
            match accepted {
                Ok((stream, peer)) => self.answer(stream, peer, app.clone(), &open),
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted; this goes on being tried");
                    sleep(BREATHER).await;
                }
            }
        }
        drop(listener);
        // What goes on then is cut off with the process.
        let _ = timeout(self.end, open.shutdown()).await;
    }

    fn answer(self, stream: TcpStream, peer: SocketAddr, app: Router, open: &GracefulShutdown) {
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            app.clone().call(request)
        });
        let mut http = http1::Builder::new();
        // The same limit is that of a connection on which nothing is asked any more.
        http.timer(TokioTimer::new()).header_read_timeout(self.head);
        let stream = ReadingClient::new(stream, self.read);
        let served = open.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // A client that leaves is nothing to tell.
            let _ = served.await;
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use axum::routing::get;
    use futures_util::stream;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::{mpsc, oneshot};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(400);
    const PATIENCE: Duration = Duration::from_secs(20);
    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    /// More than any connection takes by itself. `dropped` hears when nobody sends it any more.
    fn large(dropped: mpsc::UnboundedSender<()>) -> Body {
        struct Tells(mpsc::UnboundedSender<()>);
        impl Drop for Tells {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        let tells = Tells(dropped);
        Body::from_stream(stream::unfold(0, move |number| {
            let _ = &tells;
            let part = Ok::<_, std::convert::Infallible>(vec![b'x'; 1 << 20]);
            async move { (number < 256).then_some((part, number + 1)) }
        }))
    }

    async fn served() -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
        served_telling(mpsc::unbounded_channel().0).await
    }

    /// `dropped` hears when a large answer is over.
    async fn served_telling(
        dropped: mpsc::UnboundedSender<()>,
    ) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ticks = || async {
            let ticks = stream::unfold(0, |number| async move {
                sleep(LIMIT / 4).await;
                let tick = Ok::<_, std::convert::Infallible>(format!("tick-{number};"));
                Some((tick, number + 1))
            });
            Body::from_stream(ticks)
        };
        let app = Router::new()
            .route("/", get(|| async { "well" }))
            .route("/ticks", get(ticks))
            .route(
                "/large",
                get(move || {
                    let dropped = dropped.clone();
                    async { large(dropped) }
                }),
            );
        let limits = Limits {
            head: LIMIT,
            read: LIMIT,
            end: LIMIT,
        };
        let (end, ends) = oneshot::channel::<()>();
        let serving = tokio::spawn(limits.serve(listener, app, async {
            let _ = ends.await;
        }));
        (address, end, serving)
    }

    /// Waits until the server has closed the connection; what it had said until then.
    async fn until_closed(stream: &mut TcpStream) -> String {
        let mut said = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut said)).await;
        let _ = read.expect("the connection stays open");
        String::from_utf8_lossy(&said).into_owned()
    }

    #[tokio::test]
    async fn who_does_not_ask_in_time_is_cut_off() {
        let (address, _end, _serving) = served().await;
        for head in [&b""[..], b"GET / HTTP/1.1\r\nHost:"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(head).await.unwrap();
            let since = Instant::now();
            assert!(!until_closed(&mut stream).await.contains("well"));
            assert!(since.elapsed() >= LIMIT / 2);
        }
    }

    #[tokio::test]
    async fn who_sends_a_letter_now_and_then_is_cut_off() {
        let (address, _end, _serving) = served().await;
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut read, mut write) = stream.into_split();
        let trickle = tokio::spawn(async move {
            while write.write_all(b"G").await.is_ok() {
                sleep(LIMIT / 8).await;
            }
        });
        let mut said = Vec::new();
        let closed = timeout(PATIENCE, read.read_to_end(&mut said)).await;
        assert!(closed.is_ok(), "the connection stays open");
        trickle.abort();
    }

    #[tokio::test]
    async fn who_does_not_read_an_answer_is_cut_off() {
        let (dropped, mut is_over) = mpsc::unbounded_channel();
        let (address, _end, _serving) = served_telling(dropped).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let large = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(large).await.unwrap();
        let over = timeout(PATIENCE, is_over.recv()).await;
        over.expect("it is still sent").unwrap();
    }

    #[tokio::test]
    async fn a_connection_is_used_again_and_then_closed() {
        let (address, _end, _serving) = served().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        for _ in 0..2 {
            stream.write_all(GET).await.unwrap();
            let mut said = String::new();
            while !said.ends_with("well") {
                let mut bytes = [0; 256];
                let read = timeout(PATIENCE, stream.read(&mut bytes)).await;
                let read = read.unwrap().unwrap();
                assert!(read > 0, "it is closed after {said:?}");
                said.push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        }
        assert_eq!(until_closed(&mut stream).await, "");
    }

    #[tokio::test]
    async fn a_stream_lives_on_until_the_server_ends() {
        let (address, end, serving) = served().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let ticks = b"GET /ticks HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(ticks).await.unwrap();
        let since = Instant::now();
        let mut said = String::new();
        // Several times as long as a head may take.
        while !said.contains("tick-12;") {
            let mut bytes = [0; 256];
            let read = timeout(PATIENCE, stream.read(&mut bytes)).await;
            let read = read.unwrap().unwrap();
            assert!(read > 0, "it is closed after {said:?}");
            said.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        assert!(since.elapsed() > 2 * LIMIT);
        end.send(()).unwrap();
        // It goes on, and the server ends all the same.
        timeout(PATIENCE, serving).await.unwrap().unwrap();
    }
}
