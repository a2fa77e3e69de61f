//! A real program on `oxcart`: it measures files in two worker processes, and loses nothing when
//! one of them is killed.
//!
//! ```text
//! make demo                  the sources of this project and of its dependencies
//! make demo DIR=/some/folder
//! ```
//!
//! or, with a redis-server on PATH, `cargo run --release --example demo -- [DIR]`.
//!
//! Where to look: the job and its handler are in `job.rs`, the worker process in `worker.rs`, what
//! is enqueued in `main.rs`, how it is followed from outside in `watch.rs`, how results are fetched
//! in `check.rs`. The rest starts, kills and draws.
//!
//! Exit status: 0 if all is well, 1 if anything was lost or differs, 2 if the demo could not run.

mod check;
mod crew;
mod input;
mod job;
mod report;
mod screen;
mod server;
mod watch;
mod worker;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use oxcart::{Job, JobHandle, Queue};

use crate::crew::{Crew, Killed};
use crate::input::{Input, Role, Task};
use crate::job::MeasureFile;
use crate::report::Report;
use crate::screen::{Screen, Tint, count, duration, size};
use crate::server::Server;
use crate::watch::Watcher;

const WORKERS: usize = 2;
/// Where what Redis held is left, for the dashboard; below the folder in which the demo was started.
const LEFT: &str = "target/demo-left";
const INTERRUPTED: u8 = 130;
const USAGE: &str = "usage: demo [DIR]\n\nMeasures the files in DIR; without it, the sources of \
                     this project and its dependencies.";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return could_not_run(&error.into()),
    };
    let code = runtime.block_on(run(&arguments));
    // A thread that is still reading a file must not hold up the end.
    runtime.shutdown_background();
    code
}

async fn run(arguments: &[OsString]) -> ExitCode {
    let folder = match arguments {
        [] => None,
        [role, name, url] if role == "worker" => {
            let (name, url) = (name.to_string_lossy(), url.to_string_lossy());
            return match worker::run(&name, &url).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => could_not_run(&error),
            };
        }
        [folder] if !folder.to_string_lossy().starts_with('-') => Some(Path::new(folder)),
        [help] if help == "--help" || help == "-h" => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    // Whichever comes first, the server and the workers end with the demo: they are dropped.
    tokio::select! {
        ended = demo(folder) => match ended {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => could_not_run(&error),
        },
        () = oxcart::shutdown_signal() => ExitCode::from(INTERRUPTED),
    }
}

fn could_not_run(error: &anyhow::Error) -> ExitCode {
    eprintln!("demo: {error:#}");
    ExitCode::from(2)
}

/// The whole story. Says whether it ended well.
async fn demo(folder: Option<&Path>) -> Result<bool> {
    let mut screen = Screen::new();
    let input = match folder {
        Some(folder) => Input::of_folder(folder)?,
        None => Input::default_sources()?,
    };
    let mut server = Server::start(None)?;
    let queue = server.connect().await?.queue(MeasureFile::QUEUE)?;
    let mut crew = Crew::start(WORKERS, &server.url())?;
    introduce(&screen, &input, &server);

    let events = queue.events().await?;
    screen.start(input.tasks.len());
    screen.phase("two workers");
    let started = Instant::now();
    let handles = enqueue(&queue, &input).await?;
    let enqueuing = started.elapsed();
    let text = format!("{}, small files first", count(handles.len(), "job"));
    screen.note(Tint::Cyan, "enqueue", text);

    let ids = handles.iter().map(JobHandle::id);
    let (done, reached) = tokio::sync::watch::channel(0);
    let watcher = Watcher {
        queue: &queue,
        screen: &screen,
        tasks: ids.zip(&input.tasks).collect(),
        done,
    };
    let (chronicle, killed) = tokio::try_join!(
        watcher.follow(events),
        kill_midway(&mut crew, &queue, reached, input.tasks.len() / 3, &screen),
    )?;
    crew.stop().await?;

    screen.phase("comparing");
    let outcomes = check::collect(&input.tasks, &handles, &chronicle).await?;
    let verdict = check::compare(&outcomes, &screen).await?;
    screen.stop();
    let report = Report {
        enqueuing,
        outcomes,
        killed,
        counts: queue.counts().await?,
        verdict,
    };
    let is_well = report.show(&screen);
    server.leave(Path::new(LEFT))?;
    screen.row("look at it", "make dashboard LEFT=1".to_owned());
    screen.line("");
    Ok(is_well)
}

/// One job per file; small files first, some of them later.
async fn enqueue(queue: &Queue, input: &Input) -> Result<Vec<JobHandle<MeasureFile>>> {
    let request = |task: &Task| {
        let request = queue
            .enqueue(MeasureFile {
                path: task.path.clone(),
                hiccups: match task.role {
                    Role::Flaky { hiccups } => hiccups,
                    _ => 0,
                },
                pause: input.pause,
            })
            .priority(priority(task.bytes));
        match task.role {
            Role::Delayed(delay) => request.delay(delay),
            _ => request,
        }
    };
    Ok(queue.enqueue_many(input.tasks.iter().map(request)).await?)
}

/// From 0, the most urgent, for an empty file, to 1008 for one of exabytes.
fn priority(bytes: u64) -> u16 {
    16 * bytes.checked_ilog2().map_or(0, |log| log as u16)
}

/// Waits until so many jobs have ended; then one worker dies while it works.
async fn kill_midway(
    crew: &mut Crew,
    queue: &Queue,
    mut reached: tokio::sync::watch::Receiver<usize>,
    after: usize,
    screen: &Screen,
) -> Result<Killed> {
    // When the watcher gives up, it says why.
    if reached.wait_for(|done| *done >= after).await.is_err() {
        std::future::pending::<()>().await;
    }
    let killed = tokio::select! {
        killed = crew.kill_one_while_busy(queue) => killed?,
        _ = reached.wait_for(|_| false) => bail!("all jobs ended before a worker could be killed"),
    };
    let held = count(killed.held.len(), "job");
    let text = format!("{} by SIGKILL, while it ran {held}", killed.name);
    screen.note(Tint::Red, "kill", text);
    screen.phase("one worker left");
    Ok(killed)
}

fn introduce(screen: &Screen, input: &Input, server: &Server) {
    let title = screen.paint(Tint::Bold, "oxcart");
    screen.line(format!("\n  {title}  background jobs on Redis\n"));
    let (version, pid) = (&server.version, server.pid());
    screen.row(
        "server",
        format!("{version}, private: process {pid}, a socket of its own"),
    );
    let files = count(input.files().count(), "file");
    let bytes = size(input.files().map(|task| task.bytes).sum());
    screen.row("input", format!("{files}, {bytes}, {}", input.described));
    let lease = duration(worker::LEASE);
    let each = worker::CONCURRENCY;
    screen.row(
        "workers",
        format!("{WORKERS} processes, {each} jobs at a time each; leases of {lease}"),
    );
    if input.pause > Duration::ZERO {
        let pause = duration(input.pause);
        screen.row(
            "",
            format!("few files, so each job waits {pause} first: there is more to watch"),
        );
    }
    screen.line("");
}
