//! The payload of a job that was looked up: as it is stored, as its type, and what of it is shown.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use crate::claim_check::ticket::Ticket;
use crate::error::{Error, ErrorKind};
use crate::job::Job;
use crate::job::reader::Reader;
use crate::job::secret::masked;
use crate::queue::info::{Encoded, JobInfo};

impl JobInfo {
    /// The payload, as the type it was enqueued as (or any other that can be read from it). In the place of each
    /// [secret](crate::Job::SECRET) field there is the text `(secret)`, unless it was [revealed](Self::reveal).
    ///
    /// Of a payload that is in a [store](crate::ClaimCheck) this reads the [ticket](Self::ticket), a map of three fields, as viewers show it:
    /// [`Queue::load_payload`](crate::Queue::load_payload) gets the payload.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] if it cannot be read as a `T`: a secret field may be no text there, or the payload is in a store.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let read = self.shown_payload()?.read("a job's payload");
        let read = read.map_err(|error| match self.is_ticket {
            false => error,
            true => self.is_elsewhere().with_source(error),
        });
        read.map_err(|error| error.with_job(&self.id))
    }

    /// The job as its handler gets it: a payload of an older version goes through the [upcasters](Job::upcasters) of the type. Secret fields
    /// are as in [`payload`](Self::payload).
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # async fn example<Charge: Job>(billing: Queue, id: JobId) -> Result<(), Error> {
    /// if let Some(info) = billing.job(&id).await? {
    ///     let charge: Charge = info.job()?;
    /// #   drop(charge);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Incompatible`] if the payload is of a version that `J` does not read; [`ErrorKind::Invalid`] if the upcasters of `J` do not lead to its version;
    /// [`ErrorKind::Codec`] if it cannot be read as a `J`, or is in a [store](crate::ClaimCheck): [`Queue::load_payload`](crate::Queue::load_payload) gets it.
    pub fn job<J: Job>(&self) -> Result<J, Error> {
        let read = || {
            let (reader, payload) = (Reader::<J>::new(), self.shown_payload()?);
            reader.check()?;
            if self.is_ticket {
                return Err(self.is_elsewhere());
            }
            reader.read_payload(&payload.bytes, payload.dialect, self.version)
        };
        read().map_err(|error| error.with_job(&self.id))
    }

    /// The same as [`payload`](Self::payload), and never a ticket.
    pub(crate) fn whole_payload<T: DeserializeOwned>(&self) -> Result<T, Error> {
        match self.is_ticket {
            false => self.payload(),
            true => Err(self.is_elsewhere().with_job(&self.id)),
        }
    }

    /// What Redis holds in the place of the payload, if that is in a [store](crate::ClaimCheck).
    #[must_use]
    pub fn ticket(&self) -> Option<&Ticket> {
        self.ticket.as_ref()
    }

    /// The ticket of a payload that was not loaded.
    pub(crate) fn open_ticket(&self) -> Result<Option<Ticket>, Error> {
        if !self.is_ticket {
            return Ok(None);
        }
        let read = Ticket::decode(&self.payload.bytes);
        read.map(Some).map_err(|error| error.with_job(&self.id))
    }

    /// The payload was loaded.
    pub(crate) fn with_payload(mut self, payload: Vec<u8>) -> Self {
        self.payload.bytes = payload;
        self.is_ticket = false;
        self
    }

    /// The payload, if it was loaded from a store.
    pub(crate) fn loaded_payload(&self) -> Option<&[u8]> {
        let is_loaded = self.ticket.is_some() && !self.is_ticket;
        is_loaded.then_some(&self.payload.bytes[..])
    }

    fn is_elsewhere(&self) -> Error {
        let what = format!(
            "the payload of job {} is in a store, and this is its ticket; read it by `queue.load_payload(info)`",
            self.id
        );
        Error::new(ErrorKind::Codec, what)
    }

    /// The same job, whose [`payload`](Self::payload) shows secret fields. Who may see them is up to the program; see
    /// [`Queue::note_in_audit`](crate::Queue::note_in_audit).
    #[must_use]
    pub fn reveal(mut self) -> Self {
        self.revealed = true;
        self
    }

    fn shown_payload(&self) -> Result<Cow<'_, Encoded>, Error> {
        let Some(masked) = self.masked_payload()? else {
            return Ok(Cow::Borrowed(&self.payload));
        };
        let dialect = self.payload.dialect;
        let bytes = masked;
        Ok(Cow::Owned(Encoded { bytes, dialect }))
    }

    /// The payload with its secret fields masked; `None` if there are none, or they were revealed, or the payload is elsewhere.
    pub(crate) fn masked_payload(&self) -> Result<Option<Vec<u8>>, Error> {
        if self.secret.is_empty() || self.revealed || self.is_ticket {
            return Ok(None);
        }
        let masked = masked(&self.payload.bytes, &self.secret).ok_or_else(|| {
            let what = "a job's payload has secret fields, and is not as oxcart writes payloads";
            Error::new(ErrorKind::Codec, what).with_job(&self.id)
        });
        masked.map(Some)
    }
}
