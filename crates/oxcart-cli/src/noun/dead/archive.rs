//! Dead letters that leave a queue as JSON lines, and come back from them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};

use clap::Args;
use futures_util::StreamExt;
use oxcart::{DeadLetter, Queue};

use crate::jobs::filter::Filter;
use crate::jobs::steps::{self, Tally};
use crate::session::Session;
use crate::term::confirm::confirm;
use crate::term::interrupt::Interrupt;
use crate::term::look::jobs;
use crate::term::progress::Progress;
use crate::text::place::pointed_json;
use crate::trouble::{Exit, Trouble};

/// So many are imported in a step, or fewer if they are large.
const STEP: usize = 256;
const STEP_BYTES: usize = 2 * 1024 * 1024;

/// They stay where they are. Each line is a JSON object that holds the job byte by byte; `oxcart dead import` reads it.
#[derive(Args)]
pub(crate) struct Export {
    queue: String,
    /// A file that is written, or - for stdout
    #[arg(default_value = "-")]
    file: String,
    /// With the secret fields of payloads; that is noted in the audit. Without them such a job cannot be imported
    #[arg(long)]
    reveal: bool,
    #[command(flatten)]
    filter: Filter,
}

/// Each job gets its id back, and is dead as it was. One whose id is there already is left alone: a file can be imported twice.
#[derive(Args)]
pub(crate) struct Import {
    queue: String,
    /// A file that `oxcart dead export` has written, or - for stdin
    file: String,
    /// Make the queue, if it is not there
    #[arg(long)]
    new_queue: bool,
}

impl Export {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Trouble> {
        let queue = session.queue(&self.queue).await?;
        let most = queue.counts().await?.dead;
        let mut letters = self.filter.dead_letters(&queue);
        if self.reveal {
            letters = letters.reveal();
        }
        let mut letters = letters.export();
        let is_file = self.file != "-";
        if is_file && std::fs::exists(&self.file).unwrap_or(false) {
            confirm(session, &format!("Replace the file {}", self.file)).await?;
        }
        let mut file = match is_file {
            true => Some(BufWriter::new(File::create(&self.file).map_err(
                |error| Trouble::usage(format!("cannot write {}: {error}", self.file)),
            )?)),
            false => None,
        };
        let interrupt = Interrupt::listen();
        let mut progress = Progress::new("export", most);
        let (mut done, mut unreadable, mut large) = (0, 0, 0);
        while let Some(letter) = letters.next().await {
            match (letter, &mut file) {
                (Ok(letter), Some(file)) => {
                    let line = serde_json::to_string(&letter);
                    let line = line.map_err(|error| Trouble::error(error.to_string()))?;
                    let written = writeln!(file, "{line}");
                    written.map_err(|error| {
                        Trouble::error(format!("cannot write {}: {error}", self.file))
                    })?;
                }
                (Ok(letter), None) => session.out.json(&letter)?,
                (Err(error), _) if error.kind() == oxcart::ErrorKind::Incompatible => {
                    unreadable += 1;
                    continue;
                }
                (Err(error), _) if error.kind() == oxcart::ErrorKind::Invalid => {
                    large += 1;
                    continue;
                }
                (Err(error), _) => return Err(error.into()),
            }
            done += 1;
            progress.advance(1);
            if interrupt.is_pressed() {
                drop(progress);
                let message = format!("interrupted: {} exported; nothing was changed", jobs(done));
                return Err(Trouble::new(Exit::Interrupted, message));
            }
        }
        drop(progress);
        if unreadable > 0 {
            session.out.note(format_args!(
                "{} left out: a newer version wrote them",
                jobs(unreadable)
            ));
        }
        if large > 0 {
            session.out.note(format_args!(
                "{} left out: what their steps and children gave takes more than 16 MiB, or their payload is in a store of objects",
                jobs(large)
            ));
        }
        match &mut file {
            Some(file) => {
                file.flush()?;
                let mut tally = Tally::new(&self.queue, "export", done);
                tally.done = done;
                steps::tell(session, &tally, "exported")
            }
            None => {
                session.out.flush()?;
                session.out.note(format_args!("{} exported", jobs(done)));
                Ok(())
            }
        }
    }
}

impl Import {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Trouble> {
        let queue = match self.new_queue {
            true => session.oxcart.queue(&self.queue)?,
            false => session.queue(&self.queue).await?,
        };
        let lines: Box<dyn BufRead> = match &*self.file {
            "-" => Box::new(io::stdin().lock()),
            file => Box::new(BufReader::new(File::open(file).map_err(|error| {
                Trouble::usage(format!("cannot read {file}: {error}"))
            })?)),
        };
        let interrupt = Interrupt::listen();
        let mut tally = Tally::new(&self.queue, "import", 0);
        let (mut letters, mut bytes) = (Vec::new(), 0);
        for (number, line) in (1..).zip(lines.lines()) {
            let line = line
                .map_err(|error| Trouble::usage(format!("cannot read {}: {error}", self.file)))?;
            if line.trim().is_empty() {
                continue;
            }
            let letter: DeadLetter = serde_json::from_str(&line).map_err(|error| {
                let place = pointed_json(&line, &error);
                let so_far = tally.done + tally.in_other_state;
                let trouble = Trouble::usage(format!("line {number} is no dead letter:{place}"));
                trouble.hint(format!("{} before it are imported", jobs(so_far)))
            })?;
            bytes += line.len();
            letters.push(letter);
            if letters.len() == STEP || bytes > STEP_BYTES {
                step(&queue, &mut letters, &mut tally).await?;
                bytes = 0;
            }
            if interrupt.is_pressed() {
                let message = format!(
                    "interrupted: {} imported; the same command goes on",
                    jobs(tally.done)
                );
                return Err(Trouble::new(Exit::Interrupted, message));
            }
        }
        step(&queue, &mut letters, &mut tally).await?;
        steps::tell(session, &tally, "imported")
    }
}

async fn step(
    queue: &Queue,
    letters: &mut Vec<DeadLetter>,
    tally: &mut Tally,
) -> Result<(), Trouble> {
    tally.asked += letters.len() as u64;
    let done = queue.import_dead(letters.drain(..)).await;
    let done = done.map_err(|error| {
        let hint = format!(
            "{} imported before; the same command goes on",
            jobs(tally.done)
        );
        Trouble::from(error).hint(hint)
    })?;
    tally.done += done.imported;
    tally.in_other_state += done.there;
    Ok(())
}
