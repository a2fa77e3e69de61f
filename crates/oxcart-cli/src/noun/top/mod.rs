//! A live view of the queues.
//!
//! ```text
//! state      what is known, chosen and asked; watched: the counts of one queue in the last minute
//! reading    what is read from Redis for one look
//! draw       the list of queues; inside: one queue
//! screen     the terminal: taken, given back, keys
//! mod        the loop
//! ```

mod draw;
mod inside;
mod reading;
mod screen;
mod state;
#[cfg(test)]
mod tests;
mod watched;

use std::io::{self, IsTerminal};
use std::pin::pin;
use std::time::{Duration, Instant};

use clap::Args;
use oxcart::{DeadTally, Oxcart};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use self::draw::Pen;
use self::reading::Reading;
use self::screen::{Input, Screen};
use self::state::{Act, Deed, State};
use crate::args::Common;
use crate::session::Session;
use crate::term::look::{jobs, wants_colours};
use crate::text::when::now;
use crate::trouble::Trouble;

/// An answer that takes longer is told as missing.
const SILENT: Duration = Duration::from_secs(2);

/// It shows what fits the terminal, and reads no more than that, once a second.
#[derive(Args)]
pub(crate) struct Top {
    /// Begin inside of this queue
    queue: Option<String>,
}

/// Before anything is connected.
pub(crate) fn check_terminal(common: &Common) -> Result<(), Trouble> {
    if !common.json && io::stdin().is_terminal() && io::stdout().is_terminal() {
        return Ok(());
    }
    Err(
        Trouble::usage("`top` is for a terminal, and not for a pipe or --json")
            .hint("`oxcart queue ls --json` tells a program the same, once"),
    )
}

/// What comes back from Redis.
enum Answer {
    Read(Result<Reading, Trouble>),
    Did(Result<String, Trouble>),
    Replayed(Result<String, Trouble>),
    /// How far a replay is.
    Progress(String),
}

pub(crate) async fn run(top: &Top, session: &mut Session) -> Result<(), Trouble> {
    let mut state = State::new(&session.namespace);
    if let Some(queue) = &top.queue {
        session.queue(queue).await?;
        state.begin_inside(queue);
    }
    let mut watch = Watch {
        oxcart: session.oxcart.clone(),
        state,
        reads_since: None,
        replays: 0,
    };
    let left = watch.run().await?;
    if left > 0 {
        session.out.note(
            "a replay was under way, and has ended between two steps; the same group can be replayed again",
        );
    }
    Ok(())
}

struct Watch {
    oxcart: Oxcart,
    state: State,
    /// Since when a look is under way.
    reads_since: Option<Instant>,
    /// Replays that are under way.
    replays: u32,
}

impl Watch {
    /// Until somebody quits. Tells how many replays were under way.
    async fn run(&mut self) -> Result<u32, Trouble> {
        let mut ended = pin!(oxcart::shutdown_signal());
        let colours = wants_colours(&console::Term::stdout());
        let (mut screen, mut inputs) = Screen::take()?;
        let (answered, mut answers) = mpsc::unbounded_channel();
        let mut beat = interval(Duration::from_secs(1));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.state.resize(screen.height()?);
            let pen = Pen {
                now: now(),
                instant: Instant::now(),
                colours,
            };
            screen.draw(|frame| draw::draw(frame, &self.state, pen))?;
            let act = tokio::select! {
                _ = beat.tick() => {
                    if self.reads_since.is_some_and(|since| since.elapsed() > SILENT) {
                        self.state.lose("it does not answer", Instant::now());
                    }
                    Some(Act::Read)
                }
                Some(answer) = answers.recv() => self.take(answer),
                input = inputs.recv() => match input {
                    Some(Input::Key(key)) => self.state.press(key),
                    Some(Input::Interrupt) | None => Some(Act::Quit),
                    Some(Input::Redraw) => None,
                },
                () = &mut ended => Some(Act::Quit),
            };
            match act {
                Some(Act::Quit) => return Ok(self.replays),
                Some(Act::Read) => self.read(&answered),
                Some(Act::Do(deed)) => self.carry_out(deed, &answered),
                None => {}
            }
        }
    }

    /// One look at a time: a slow Redis is not asked more often than it answers.
    fn read(&mut self, answered: &mpsc::UnboundedSender<Answer>) {
        if self.reads_since.is_some() {
            return;
        }
        self.reads_since = Some(Instant::now());
        let reading = reading::read(self.oxcart.clone(), self.state.wanted());
        let answered = answered.clone();
        tokio::spawn(async move {
            let _ = answered.send(Answer::Read(reading.await));
        });
    }

    fn take(&mut self, answer: Answer) -> Option<Act> {
        let now = Instant::now();
        match answer {
            Answer::Read(read) => {
                self.reads_since = None;
                match read {
                    Ok(reading) => self.state.take(reading, now),
                    Err(trouble) => self.state.lose(&trouble.message, now),
                }
                // What was asked for meanwhile.
                return self.state.lacks_something().then_some(Act::Read);
            }
            Answer::Progress(text) => self.state.tell(text, now),
            Answer::Did(did) => return self.tell(did, now),
            Answer::Replayed(did) => {
                self.replays -= 1;
                return self.tell(did, now);
            }
        }
        None
    }

    fn tell(&mut self, did: Result<String, Trouble>, now: Instant) -> Option<Act> {
        match did {
            Ok(text) => self.state.tell(format!("✓ {text}"), now),
            Err(trouble) => self.state.tell(format!("✗ {}", trouble.message), now),
        }
        Some(Act::Read)
    }

    fn carry_out(&mut self, deed: Deed, answered: &mpsc::UnboundedSender<Answer>) {
        let is_replay = matches!(deed, Deed::Replay { .. });
        self.replays += u32::from(is_replay);
        let (oxcart, answered) = (self.oxcart.clone(), answered.clone());
        tokio::spawn(async move {
            let progress = answered.clone();
            let did = carried_out(&oxcart, deed, move |text| {
                let _ = progress.send(Answer::Progress(text));
            });
            let did = did.await;
            let _ = answered.send(match is_replay {
                true => Answer::Replayed(did),
                false => Answer::Did(did),
            });
        });
    }
}

async fn carried_out(
    oxcart: &Oxcart,
    deed: Deed,
    tell: impl Fn(String) + Send + 'static,
) -> Result<String, Trouble> {
    match deed {
        Deed::Pause(name) => {
            oxcart.queue(&name)?.pause().await?;
            Ok(format!("`{name}` is paused"))
        }
        Deed::Resume(name) => {
            oxcart.queue(&name)?.resume().await?;
            Ok(format!("`{name}` goes on"))
        }
        Deed::Replay {
            queue,
            fingerprint,
            count,
            ..
        } => {
            let queue = oxcart.queue(&queue)?;
            let letters = queue.dead_letters().fingerprint(fingerprint);
            let replay = letters.replay().on_progress(move |tally: &DeadTally| {
                tell(format!("{} of {count} replayed", tally.done));
                std::ops::ControlFlow::Continue(())
            });
            let tally = replay.await?;
            let mut text = format!("{} replayed", jobs(tally.done));
            if tally.duplicates > 0 {
                let left = jobs(tally.duplicates);
                text += &format!("; {left} left alone: another job has the unique key");
            }
            Ok(text)
        }
    }
}
