//! Reads jobs page by page.

use oxcart::{Counts, Error, JobCursor, JobInfo, JobState, Jobs, Queue};

use super::filter::Filter;
use crate::term::interrupt::Interrupt;
use crate::term::progress::Progress;
use crate::trouble::{Exit, Trouble};

/// Some of the jobs that were asked for.
pub(crate) struct Found {
    pub(crate) jobs: Vec<JobInfo>,
    /// Jobs that a newer version wrote.
    pub(crate) unreadable: Vec<Error>,
    /// Where to go on, if that is not all.
    pub(crate) next: Option<JobCursor>,
}

/// In which order the jobs of a state are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    OldestFirst,
    NewestFirst,
}

impl Order {
    fn of(self, jobs: Jobs) -> Jobs {
        match self {
            Self::OldestFirst => jobs,
            Self::NewestFirst => jobs.newest_first(),
        }
    }
}

/// Up to `limit` jobs in these states, one state after the other, from the cursor on.
pub(crate) async fn first(
    queue: &Queue,
    states: &[JobState],
    (filter, order): (&Filter, Order),
    limit: usize,
    mut after: Option<JobCursor>,
) -> Result<Found, Trouble> {
    let mut found = Found {
        jobs: Vec::new(),
        unreadable: Vec::new(),
        next: None,
    };
    let from = after.as_ref().map(state_of).transpose()?;
    // Only a filter can make it long.
    let total = match filter.is_empty() {
        true => 0,
        false => number(&queue.counts().await?, states),
    };
    let mut progress = Progress::new("reading", total);
    let skipped = states
        .iter()
        .skip_while(|state| from.is_some_and(|from| from != **state));
    for state in skipped {
        loop {
            let left = limit - found.jobs.len();
            let size = if filter.is_empty() { left } else { usize::MAX };
            let request = |size| {
                let jobs = order.of(filter.ask(queue.jobs(*state).limit(size)));
                match after.clone() {
                    Some(cursor) => jobs.after(cursor),
                    None => jobs,
                }
            };
            let page = request(size.max(1)).await?;
            if total > 0 {
                progress.advance(page.jobs.len() as u64);
            }
            let mut matching = 0;
            let mut cut = None;
            for (position, job) in page.jobs.into_iter().enumerate() {
                if filter.passes(&job) {
                    if matching == left {
                        cut = Some(position);
                        break;
                    }
                    matching += 1;
                    found.jobs.push(job);
                }
            }
            found.unreadable.extend(page.unreadable);
            if let Some(position) = cut {
                // The page up to here has a cursor that leads to what follows.
                found.next = request(position).await?.next;
                return Ok(found);
            }
            after = page.next;
            if found.jobs.len() == limit {
                found.next = after;
                return Ok(found);
            }
            if after.is_none() {
                break;
            }
        }
    }
    Ok(found)
}

/// How many jobs are in these states; completed and cancelled jobs are counted together.
pub(crate) fn number(counts: &Counts, states: &[JobState]) -> u64 {
    let of = |state: &JobState| match state {
        JobState::Waiting => counts.waiting,
        JobState::Blocked => counts.blocked,
        JobState::Delayed => counts.delayed,
        JobState::Active => counts.active,
        JobState::Dead => counts.dead,
        _ => counts.completed,
    };
    states.iter().map(of).sum()
}

/// The state whose jobs a cursor leads through: it is the first word of its text.
fn state_of(cursor: &JobCursor) -> Result<JobState, Trouble> {
    let text = cursor.to_string();
    let state = text.split(':').next().unwrap_or_default();
    Ok(state.parse()?)
}

/// Reads all jobs in a state that pass, but no more than `most`, and gives each to `each`. Says how many it has read, and whether
/// there are more.
pub(crate) async fn each(
    queue: &Queue,
    state: JobState,
    filter: &Filter,
    most: u64,
    mut each: impl FnMut(&JobInfo),
) -> Result<(u64, bool), Trouble> {
    let interrupt = Interrupt::listen();
    let mut progress = Progress::new("reading", most);
    let (mut read, mut after) = (0, None);
    while read < most {
        let mut request = filter.ask(queue.jobs(state));
        if let Some(cursor) = after {
            request = request.after(cursor);
        }
        let page = request.await?;
        let passing = page.jobs.iter().filter(|job| filter.passes(job));
        passing.for_each(&mut each);
        let size = (page.jobs.len() + page.unreadable.len()) as u64;
        read += size;
        progress.advance(size);
        after = page.next;
        if interrupt.is_pressed() {
            drop(progress);
            let message =
                format!("interrupted after reading {read} {state} jobs; nothing was changed");
            return Err(Trouble::new(Exit::Interrupted, message));
        }
        if after.is_none() {
            return Ok((read, false));
        }
    }
    Ok((read, true))
}
