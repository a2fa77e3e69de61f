//! Dead letters that leave a queue as JSON lines, and come back from them.

use clap::Args;
use futures_util::StreamExt;
use oxcart::DeadLetter;

use crate::jobs::filter::Filter;
use crate::jobs::json_file::{Entry, Output, Taken, Words, take_all};
use crate::jobs::steps::{self, Tally};
use crate::session::Session;
use crate::term::interrupt::Interrupt;
use crate::term::look::jobs;
use crate::term::progress::Progress;
use crate::trouble::{Exit, Trouble};

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
        let mut output = Output::open(session, &self.file).await?;
        let interrupt = Interrupt::listen();
        let mut progress = Progress::new("export", most);
        let (mut done, mut unreadable, mut large) = (0, 0, 0);
        while let Some(letter) = letters.next().await {
            match letter {
                Ok(letter) => output.write(session, &letter)?,
                Err(error) if error.kind() == oxcart::ErrorKind::Incompatible => {
                    unreadable += 1;
                    continue;
                }
                Err(error) if error.kind() == oxcart::ErrorKind::Invalid => {
                    large += 1;
                    continue;
                }
                Err(error) => return Err(error.into()),
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
        steps::tell_exported(session, output, &self.queue, (done, unreadable + large))
    }
}

impl Import {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Trouble> {
        let queue = session.queue_or_new(&self.queue, self.new_queue).await?;
        let words = Words {
            value: "dead letter",
            action: "import",
            past: "imported",
            number: jobs,
        };
        let taken = take_all(&self.file, &words, async |letters| {
            let letters: Vec<Entry<DeadLetter>> = letters;
            let letters = letters.into_iter().map(|entry| entry.value);
            let done = queue.import_dead(letters).await?;
            Ok(Taken {
                new: done.imported,
                there: done.there,
            })
        });
        let tally = Tally::imported(&self.queue, taken.await?);
        steps::tell(session, &tally, words.past)
    }
}
