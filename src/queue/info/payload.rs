//! The payload of a job that was looked up: as it is stored, as its type, and what of it is shown.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind};
use crate::job::Job;
use crate::job::reader::Reader;
use crate::job::secret::masked;
use crate::queue::info::{Encoded, JobInfo};

impl JobInfo {
    /// The payload, as the type it was enqueued as (or any other that can be read from it). In the place of each
    /// [secret](crate::Job::SECRET) field there is the text `(secret)`, unless it was [revealed](Self::reveal).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] if it cannot be read as a `T`: a secret field may be no text there.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let read = self.shown_payload()?.read("a job's payload");
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
    /// [`ErrorKind::Codec`] if it cannot be read as a `J`.
    pub fn job<J: Job>(&self) -> Result<J, Error> {
        let read = || {
            let (reader, payload) = (Reader::<J>::new(), self.shown_payload()?);
            reader.check()?;
            reader.read_payload(&payload.bytes, payload.dialect, self.version)
        };
        read().map_err(|error| error.with_job(&self.id))
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

    /// The payload with its secret fields masked; `None` if there are none, or they were revealed.
    pub(crate) fn masked_payload(&self) -> Result<Option<Vec<u8>>, Error> {
        if self.secret.is_empty() || self.revealed {
            return Ok(None);
        }
        let masked = masked(&self.payload.bytes, &self.secret).ok_or_else(|| {
            let what = "a job's payload has secret fields, and is not as oxcart writes payloads";
            Error::new(ErrorKind::Codec, what).with_job(&self.id)
        });
        masked.map(Some)
    }
}
