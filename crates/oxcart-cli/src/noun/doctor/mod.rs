//! Finding out what is wrong, and what to do.

mod queue;
mod report;
mod server;
mod topics;
mod workers;

use clap::Args;

use crate::session::Session;
use crate::term::progress::Progress;
use crate::trouble::{Exit, Trouble};
use report::Report;
use server::Clock;

/// It only reads, unless --fix is given. The exit code is 5 if there is a problem.
#[derive(Args)]
pub(crate) struct Doctor {
    /// These queues; all of them, if none is named
    queues: Vec<String>,
    /// Repair what is safe: put jobs that are in no list back
    #[arg(long)]
    fix: bool,
    /// Do not look for orphans, which reads the records of all jobs
    #[arg(long)]
    quick: bool,
}

pub(crate) async fn run(doctor: Doctor, session: &mut Session) -> Result<(), Trouble> {
    let mut queues = Vec::new();
    for name in &doctor.queues {
        queues.push(session.queue(name).await?);
    }
    if queues.is_empty() {
        for name in session.oxcart.queues().await? {
            queues.push(session.oxcart.queue(&name)?);
        }
    }
    let mut report = Report::default();
    let server = session.oxcart.server().await?;
    server::check(&server, session, &mut report);
    let clock = Clock::of(&server);
    // Looking for orphans shows how far that is, queue by queue.
    let mut progress = doctor
        .quick
        .then(|| Progress::new("looking", queues.len() as u64));
    let checked = queues.len();
    for queue in queues {
        queue::check(&queue, &doctor, clock, session, &mut report).await?;
        if let Some(progress) = &mut progress {
            progress.advance(1);
        }
    }
    drop(progress);
    if doctor.queues.is_empty() {
        topics::check(session, &mut report).await?;
    }
    report.print(&mut session.out, checked)?;
    session.out.flush()?;
    match report.problems() {
        0 => Ok(()),
        _ => Err(Trouble::told(Exit::Problem)),
    }
}
