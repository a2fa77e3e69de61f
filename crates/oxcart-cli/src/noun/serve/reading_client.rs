//! A connection whose client has to read what it is sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// A client that takes fewer bytes in a second is cut off, once its time is over.
const BYTES_A_SECOND: u64 = 1_024;

/// Fails what is written when the client does not read it. As long as nothing waits to be written, the client has no limit: a stream of changes
/// may say nothing for hours.
pub(super) struct ReadingClient<S> {
    stream: S,
    within: Duration,
    /// Since when something waits to be written, and how much was written since.
    waits: Option<(Instant, u64)>,
    timer: Pin<Box<Sleep>>,
}

impl<S> ReadingClient<S> {
    /// The client has so long, and a second more for each KiB that it takes.
    pub(super) fn new(stream: S, within: Duration) -> Self {
        Self {
            stream,
            within,
            waits: None,
            timer: Box::pin(sleep_until(Instant::now())),
        }
    }

    /// What came of writing: if it has to wait, for no longer than the client may take.
    fn written(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                if let Some((_, taken)) = &mut self.waits {
                    *taken += bytes as u64;
                }
                written
            }
            Poll::Ready(Err(_)) => written,
            Poll::Pending => {
                ready!(self.poll_late(context));
                Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the client does not read its answer",
                )))
            }
        }
    }

    /// Ready when the client has taken too long.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let (since, taken) = *self.waits.get_or_insert_with(|| (Instant::now(), 0));
        let earned = Duration::from_secs_f64(taken as f64 / BYTES_A_SECOND as f64);
        self.timer.as_mut().reset(since + self.within + earned);
        self.timer.as_mut().poll(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadingClient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadingClient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called when all that there was to say is written: nothing waits any more.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.waits = None;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::{sleep, timeout};

    use super::*;

    const WITHIN: Duration = Duration::from_secs(30);

    /// A server that writes so much, and its client.
    fn writing(bytes: usize) -> (tokio::task::JoinHandle<io::Result<()>>, DuplexStream) {
        let (server, client) = duplex(1_024);
        let mut server = ReadingClient::new(server, WITHIN);
        let writes = tokio::spawn(async move {
            server.write_all(&vec![b'x'; bytes]).await?;
            server.flush().await
        });
        (writes, client)
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_is_cut_off_in_time() {
        let (writes, client) = writing(1 << 20);
        let since = Instant::now();
        let error = writes.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // The first KiB was taken by the connection.
        assert!((WITHIN..WITHIN * 2).contains(&since.elapsed()));
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_a_letter_now_and_then_is_cut_off() {
        let (mut writes, mut client) = writing(1 << 20);
        let trickle = async {
            loop {
                let _ = client.read_u8().await;
                sleep(WITHIN / 10).await;
            }
        };
        let ended = tokio::select! {
            ended = timeout(WITHIN * 3, &mut writes) => ended,
            () = trickle => unreachable!("it goes on"),
        };
        let error = ended.expect("it is still written to").unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_slowly_gets_everything() {
        let (writes, mut client) = writing(300 * 1_024);
        let mut got = 0;
        let since = Instant::now();
        while got < 300 * 1_024 {
            let mut bytes = [0; 2_048];
            got += client.read(&mut bytes).await.unwrap();
            sleep(Duration::from_millis(500)).await;
        }
        writes.await.unwrap().unwrap();
        assert!(since.elapsed() > WITHIN * 3);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_told_nothing_has_no_limit() {
        let (server, mut client) = duplex(1_024);
        let mut server = ReadingClient::new(server, WITHIN);
        for _ in 0..3 {
            // It waits for a moment each time, until the client reads.
            let says = async {
                server.write_all(&[b'x'; 2_000]).await.unwrap();
                server.flush().await.unwrap();
            };
            let mut bytes = [0; 2_000];
            let hears = async {
                sleep(WITHIN / 2).await;
                client.read_exact(&mut bytes).await.unwrap();
            };
            tokio::join!(says, hears);
            sleep(WITHIN * 10).await;
        }
    }
}
