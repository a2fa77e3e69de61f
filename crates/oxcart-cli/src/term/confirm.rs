//! Asking before something is done that cannot be undone.

use std::future::{Future, poll_fn};
use std::io::{self, BufRead, IsTerminal, Write};
use std::pin::pin;
use std::task::Poll;

use tokio::sync::oneshot;

use crate::session::Session;
use crate::trouble::{Exit, Trouble};

/// Goes on if the person says yes, now or by `--yes`. `what` says what will be done, and to how many jobs.
pub(crate) async fn confirm(session: &Session, what: &str) -> Result<(), Trouble> {
    if session.yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(
            Trouble::usage(format!("not done, because nobody can be asked: {what}"))
                .hint("add --yes if that is meant"),
        );
    }
    // What was read before may have listened for Ctrl-C. Then it no longer ends the program by itself, so it is listened for before
    // the question is there: a person may press it at once.
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    let early = poll_fn(|context| Poll::Ready(interrupted.as_mut().poll(context))).await;
    let mut stderr = io::stderr();
    write!(stderr, "{what}? [y/N] ")?;
    stderr.flush()?;
    let answer = tokio::select! {
        answer = line() => answer?,
        _ = interrupted, if early.is_pending() => {
            return Err(Trouble::new(Exit::Interrupted, "interrupted; nothing was changed"));
        }
    };
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Trouble::error("nothing was changed")),
    }
}

/// A line from stdin, read by a thread of its own: it goes on waiting when nobody wants the answer any more, and ends
/// with the program.
async fn line() -> io::Result<String> {
    let (answered, answer) = oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        let _ = answered.send(read.map(|_| line));
    });
    answer.await.unwrap_or_else(|_| Ok(String::new()))
}
