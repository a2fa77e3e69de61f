//! Signals: what jobs wait for.

use serde::Serialize;

use crate::codec;
use crate::error::{Error, ErrorKind};
use crate::id::JobId;
use crate::job::Job;
use crate::policy::steps::check_name;
use crate::queue::Queue;
use crate::queue::handle::JobHandle;
use crate::store::signal as store;

/// What became of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signalled {
    /// The value is stored. If the job was put aside, it is in line now.
    Stored,
    /// The job had a value for this name before, which stays.
    Already,
}

impl Queue {
    /// Gives a job the value that it waits for ([`Context::wait_for`](crate::Context::wait_for)), from any process. The job gets in line at once.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # #[derive(serde::Serialize)] struct Approval { by: String }
    /// # async fn example(posts: Queue, id: JobId) -> Result<(), Error> {
    /// let approval = Approval { by: "Ana".to_owned() };
    /// match posts.signal(&id, "approved", &approval).await {
    ///     Ok(_) => {}
    ///     Err(error) if error.kind() == ErrorKind::NotWaiting => println!("not yet, or too late"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if there is no such job; [`ErrorKind::NotWaiting`] if it does not wait for a signal of this name: it
    /// has not come there yet, the time was over, or it has ended; [`ErrorKind::Invalid`] for a
    /// value larger than a payload may be; [`ErrorKind::Codec`]; and if Redis does not answer; see [`Queue`]. None of them has written anything, but
    /// [`ErrorKind::Unknown`] may have.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out. It is harmless to repeat: the first value stays.
    pub async fn signal<T: Serialize + Sync + ?Sized>(
        &self,
        id: &JobId,
        name: &str,
        value: &T,
    ) -> Result<Signalled, Error> {
        check_name(name)?;
        let value = codec::encode("a signal's value", value)?;
        let max = self.inner.setup.payload_max;
        if value.len() > max {
            return Err(Error::invalid(format!(
                "the value of signal `{name}` has {} bytes; {max} are allowed (OxcartBuilder::payload_max)",
                value.len()
            ))
            .with_job(id));
        }
        let value = &value[..];
        self.inner.asked("signal", format!("{id} {name}")).await?;
        let answer = self.inner.call(&store::Signal { id, name, value }).await?;
        let not_waiting = |why: &str| {
            let message = format!("job {id} does not wait for the signal `{name}`: {why}");
            Err(Error::new(ErrorKind::NotWaiting, message).with_job(id))
        };
        match answer {
            store::Signalled::Yes => Ok(Signalled::Stored),
            store::Signalled::Already => Ok(Signalled::Already),
            store::Signalled::NotWaiting => {
                not_waiting("its handler has not come there yet, or the time was over")
            }
            store::Signalled::Ended(state) => not_waiting(&format!("it is {state}")),
            store::Signalled::Missing => {
                let message = format!("there is no job {id} in queue `{}`", self.name());
                Err(Error::new(ErrorKind::NotFound, message).with_job(id))
            }
        }
    }
}

impl<J: Job> JobHandle<J> {
    /// Gives the job the value that it waits for; see [`Queue::signal`].
    ///
    /// # Errors
    ///
    /// Those of [`Queue::signal`].
    ///
    /// # Cancel safety
    ///
    /// That of [`Queue::signal`].
    pub async fn signal<T: Serialize + Sync + ?Sized>(
        &self,
        name: &str,
        value: &T,
    ) -> Result<Signalled, Error> {
        self.queue().signal(self.id(), name, value).await
    }
}
