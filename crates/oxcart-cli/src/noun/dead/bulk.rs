//! Replays or removes all dead letters that pass a filter.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use oxcart::{DeadTally, Error, Queue, Stopped, Timestamp};

use crate::jobs::filter::Filter;
use crate::jobs::steps::{self, Tally};
use crate::session::Session;
use crate::term::confirm::confirm;
use crate::term::interrupt::Interrupt;
use crate::term::look::jobs;
use crate::term::progress::Progress;
use crate::trouble::{Exit, Trouble};

/// What is to be done.
#[derive(Clone, Copy)]
pub(super) enum Action {
    Replay {
        rate: Option<u32>,
        stop_if_failing: Option<f64>,
    },
    Remove,
}

impl Action {
    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Replay { .. } => "replay",
            Self::Remove => "remove",
        }
    }
}

pub(super) async fn change(
    session: &mut Session,
    queue: &Queue,
    filter: &Filter,
    action: Action,
    dry_run: bool,
) -> Result<(), Trouble> {
    let interrupt = Interrupt::listen();
    let name = queue.name().to_owned();
    let counted = count(queue, filter, &interrupt).await?;
    let mut tally = Tally::new(&name, action.verb(), counted.matching);
    let many = jobs(counted.matching);
    if dry_run {
        tally.dry_run = true;
        let past = steps::past(action.verb());
        let span = match (counted.first_at, counted.last_at) {
            (Some(first), Some(last)) => format!(", which died between {first} and {last}"),
            _ => String::new(),
        };
        return session.out.nothing(
            &tally,
            format!("{many} of `{name}` would be {past}{span}; nothing was changed"),
        );
    }
    if counted.matching > 0 {
        let verb = match action {
            Action::Replay { .. } => "Replay",
            Action::Remove => "Remove",
        };
        confirm(
            session,
            &format!("{verb} {many} of the dead letters of `{name}`"),
        )
        .await?;
    }
    let last = Arc::new(Mutex::new(None));
    let done = carry_out(queue, filter, action, &counted, &interrupt, &last).await;
    let so_far = *last.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(so_far) = done.as_ref().ok().or(so_far.as_ref()) {
        fill(&mut tally, so_far);
    }
    let done = done.map_err(|error| Trouble::from(error).hint(tally.so_far()))?;
    match done.stopped {
        Some(Stopped::Asked) => {
            let message = format!("interrupted: {}", tally.so_far());
            Err(Trouble::new(Exit::Interrupted, message))
        }
        Some(_) => {
            tally.stopped = Some("failing");
            steps::tell(session, &tally, &steps::past(action.verb()))?;
            session.out.flush()?;
            let message = format!(
                "stopped by itself: of {} that were looked at, {} failed again; {}",
                jobs(done.looked_at),
                done.failed_again,
                tally.so_far()
            );
            Err(Trouble::error(message))
        }
        None => steps::tell(session, &tally, &steps::past(action.verb())),
    }
}

/// How many jobs it is about. Only a filter makes it necessary to read them.
async fn count(
    queue: &Queue,
    filter: &Filter,
    interrupt: &Interrupt,
) -> Result<DeadTally, Trouble> {
    let pressed = interrupt.flag();
    let mut progress: Option<Progress> = None;
    let mut before = 0;
    let request = filter.dead_letters(queue).remove().dry_run();
    let request = request.on_progress(move |tally| {
        progress
            .get_or_insert_with(|| Progress::new("reading", tally.dead))
            .advance(tally.read - before);
        before = tally.read;
        go_on(pressed.load(Ordering::Relaxed))
    });
    let counted = request.await?;
    if counted.stopped.is_some() {
        let read = counted.read;
        let message = format!("interrupted after reading {read} dead jobs; nothing was changed");
        return Err(Trouble::new(Exit::Interrupted, message));
    }
    Ok(counted)
}

async fn carry_out(
    queue: &Queue,
    filter: &Filter,
    action: Action,
    counted: &DeadTally,
    interrupt: &Interrupt,
    last: &Arc<Mutex<Option<DeadTally>>>,
) -> Result<DeadTally, Error> {
    // Not those that have died since they were counted.
    let after = Timestamp::from_millis(counted.began_at.as_millis() + 1);
    let letters = filter.dead_letters(queue).died_before(after);
    let (pressed, last) = (interrupt.flag(), Arc::clone(last));
    let mut progress = Progress::new(action.verb(), counted.matching);
    let mut before = 0;
    let told = move |tally: &DeadTally| {
        progress.advance(tally.matching - before);
        before = tally.matching;
        *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(*tally);
        go_on(pressed.load(Ordering::Relaxed))
    };
    match action {
        Action::Remove => letters.remove().on_progress(told).await,
        Action::Replay {
            rate,
            stop_if_failing,
        } => {
            let mut replay = letters.replay().on_progress(told);
            if let Some(rate) = rate {
                replay = replay.per_second(rate);
            }
            if let Some(part) = stop_if_failing {
                replay = replay.stop_if_failing(part);
            }
            replay.await
        }
    }
}

fn go_on(is_pressed: bool) -> ControlFlow<()> {
    match is_pressed {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    }
}

fn fill(tally: &mut Tally, done: &DeadTally) {
    tally.done = done.done;
    tally.duplicates = done.duplicates;
    tally.not_found = done.gone;
    tally.looked_at = done.looked_at;
    tally.failed_again = done.failed_again;
}
