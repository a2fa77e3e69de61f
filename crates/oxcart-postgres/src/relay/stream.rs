//! Carrying the rows for one queue, until there are none.

use std::sync::Arc;
use std::time::Duration;

use oxcart::Queue;
use tokio::time::Instant;

use super::batch::{Batch, Taken};
use super::{Shared, Step, loss};
use crate::ask::ask;
use crate::error::Error;

/// What is long enough to tell what is wrong.
const TROUBLE_BYTES: usize = 2_000;
/// After so long it is the turn of another queue, if one waits.
const TURN: Duration = Duration::from_secs(1);

pub(super) struct Stream {
    shared: Arc<Shared>,
    queue: String,
    /// The name of this database, as the queue knows it.
    source: String,
}

/// How it ended; trouble with PostgreSQL is an error.
pub(super) enum Ended {
    /// Nothing is left, or another relay is at it.
    Drained,
    /// More may wait.
    TurnOver,
    /// The queue takes nothing.
    Trouble(Error),
}

impl Stream {
    pub(super) fn new(shared: Arc<Shared>, queue: String, source: String) -> Self {
        Self {
            shared,
            queue,
            source,
        }
    }

    /// Takes and sends one batch after the other.
    pub(super) async fn drain(self) -> Result<Ended, Error> {
        match self.batches().await? {
            Ok(ended) => Ok(ended),
            Err(error) => {
                let error = Error::queue(&format!("sending rows to `{}`", self.queue), error);
                self.note(&error).await?;
                Ok(Ended::Trouble(error))
            }
        }
    }

    /// The error inside is the queue's.
    async fn batches(&self) -> Result<Result<Ended, oxcart::Error>, Error> {
        self.shared.step(Step::Begun);
        let began = Instant::now();
        let queue = self.shared.oxcart.queue(&self.queue);
        let mut known = match &queue {
            // Where it stands is asked, and not remembered: Redis may have lost something, and so may PostgreSQL.
            Ok(queue) => match queue.fed(&self.source).await {
                Ok(known) => known,
                Err(error) => return Ok(Err(error)),
            },
            Err(_) => None,
        };
        let mut is_lost = false;
        while began.elapsed() < TURN {
            let taken = Batch::take(&self.shared, &self.queue, known, is_lost).await?;
            let mut batch = match (taken, &queue) {
                (Taken::Rows(batch), _) => batch,
                (Taken::Behind { noted }, Ok(queue)) => {
                    known = match loss::confirm(queue, &self.source, noted).await {
                        Ok(known) => known,
                        Err(error) => return Ok(Err(error)),
                    };
                    is_lost = true;
                    continue;
                }
                (Taken::Nothing | Taken::Behind { .. }, _) => return Ok(Ok(Ended::Drained)),
            };
            is_lost = false;
            self.shared.step(Step::Taken);
            match &queue {
                Err(error) => batch.refuse_all(error),
                Ok(queue) => match self.send(queue, &mut batch, known).await? {
                    Ok(Some(stands)) => known = stands,
                    Ok(None) => return Ok(Ok(Ended::Drained)),
                    Err(error) => return Ok(Err(error)),
                },
            }
            if !batch.set_aside(&self.shared, &self.queue).await? {
                return Ok(Ok(Ended::Drained));
            }
            self.shared.step(Step::Fed);
        }
        Ok(Ok(Ended::TurnOver))
    }

    /// Where the queue stands then; `None` if another relay is at it by now.
    async fn send(
        &self,
        queue: &Queue,
        batch: &mut Batch,
        known: Option<u64>,
    ) -> Result<Result<Option<Option<u64>>, oxcart::Error>, Error> {
        loop {
            // What is left of the batch is sent only once the others are safely aside: the queue takes no earlier position later.
            if !batch.set_aside(&self.shared, &self.queue).await? {
                return Ok(Ok(None));
            }
            self.shared.step(Step::SetAside);
            match batch.feed(queue, &self.source, known).await {
                Ok(stands) => return Ok(Ok(Some(stands))),
                Err(error) if batch.refused(&error) => {}
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    /// Notes in the table why the rows wait, for a person who looks there.
    async fn note(&self, error: &Error) -> Result<(), Error> {
        let text: String = error.to_string().chars().take(TROUBLE_BYTES).collect();
        let note = "INSERT INTO oxcart.outbox_stream AS stream (queue, trouble, trouble_since) VALUES ($1, $2, now())
                    ON CONFLICT (queue) DO UPDATE SET trouble = $2, trouble_since = coalesce(stream.trouble_since, now())
                    WHERE stream.trouble IS DISTINCT FROM $2";
        let note = sqlx::query(note).bind(&self.queue).bind(text);
        let tried = "noting why rows wait";
        let noted = ask(&self.shared.pool, tried, async |asked| {
            note.execute(asked).await
        });
        noted.await.map(drop)
    }
}
