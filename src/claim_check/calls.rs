//! What is asked of a store, within its time limit; and what goes wrong with it.

use std::error::Error as StdError;
use std::time::Duration;

use tokio::time::timeout;

use crate::claim_check::ClaimCheck;
use crate::claim_check::store::{ObjectPages, StoreFuture, StoredObject};
use crate::claim_check::ticket::Ticket;
use crate::error::{Error, ErrorKind, chain};

impl ClaimCheck {
    /// Stores a payload under this name, which no other object has. `most`: the caller waits no longer.
    pub(crate) async fn put(
        &self,
        object: String,
        payload: Vec<u8>,
        most: Duration,
    ) -> Result<Ticket, Error> {
        // Its sum takes a while: it is known before the store begins, whose limit it is not part of.
        let ticket = Ticket::of(object, &payload);
        let put = self.store.put(&ticket.object, payload);
        let put = within(self.timeout.min(most), put).await;
        put.map_err(|error| {
            error.within(format_args!(
                "a payload of {} bytes could not be put into the store of payloads",
                ticket.bytes
            ))
        })?;
        Ok(ticket)
    }

    /// Reads the payload to which this ticket belongs. Not more of it is kept than the ticket says.
    pub(crate) async fn fetch(&self, ticket: &Ticket) -> Result<Vec<u8>, Error> {
        let most = self.payload_max as u64;
        if ticket.bytes > most {
            return Err(Error::invalid(format!(
                "the payload in the object `{}` has {} bytes; {most} are allowed (ClaimCheck::payload_max)",
                ticket.object, ticket.bytes
            )));
        }
        // One more: so a longer object is not taken for a whole one.
        let get = self.store.get(&ticket.object, ticket.bytes + 1);
        let found = within(self.timeout, get).await.map_err(|error| {
            let object = &ticket.object;
            error.within(format_args!(
                "the payload in the object `{object}` could not be read"
            ))
        })?;
        let Some(payload) = found else {
            let what = format!("there is no payload in the object `{}`", ticket.object);
            return Err(Error::new(ErrorKind::PayloadLost, what));
        };
        ticket.check(&payload)?;
        Ok(payload)
    }

    pub(crate) async fn delete(&self, objects: &[String]) -> Result<(), Error> {
        for objects in objects.chunks(1000) {
            let deleted = within(self.timeout, self.store.delete(objects)).await;
            deleted.map_err(|error| {
                let n = objects.len();
                error.within(format_args!(
                    "{n} objects could not be deleted in the store of payloads"
                ))
            })?;
        }
        Ok(())
    }

    pub(crate) fn list(&self, prefix: &str) -> Box<dyn ObjectPages> {
        self.store.list(prefix)
    }

    /// The next objects of a list.
    pub(crate) async fn next_page(
        &self,
        pages: &mut dyn ObjectPages,
    ) -> Result<Option<Vec<StoredObject>>, Error> {
        let page = within(self.timeout, pages.next()).await;
        page.map_err(|error| error.within("the store of payloads could not be listed"))
    }
}

async fn within<T>(limit: Duration, request: StoreFuture<'_, T>) -> Result<T, Error> {
    match timeout(limit, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(failed(source)),
        Err(_) => Err(Error::new(
            ErrorKind::PayloadStore,
            format!("no answer came within {limit:?} (ClaimCheck::timeout)"),
        )),
    }
}

fn failed(source: Box<dyn StdError + Send + Sync>) -> Error {
    Error::new(ErrorKind::PayloadStore, chain(&*source)).with_source(source)
}
