//! Reading and changing the settings of a queue.

use tracing::info;

use crate::error::{Error, ErrorKind};
use crate::policy::settings::{QueueSettings, SettingsInForce};
use crate::queue::Queue;
use crate::store::configure::{By, Configure, Configured};
use crate::store::settings::{Found, Settings};

impl Queue {
    /// What is set for this queue, and holds for all of its workers.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Incompatible`] if a newer version wrote it, in a format that this one does not know:
    /// then workers of this version go on with the defaults. Or if Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn settings(&self) -> Result<SettingsInForce, Error> {
        let Found { settings, declared } = self.inner.call(&Settings).await?;
        SettingsInForce::read(&settings, &declared).ok_or_else(|| self.unreadable())
    }

    /// Changes the given settings, and leaves all others as they are. The change holds from then on for all workers of the
    /// queue, in every process, and stays until the setting is changed again, or until code declares another value
    /// than before ([`WorkerBuilder::queue_settings`](crate::WorkerBuilder::queue_settings)). Gives what
    /// is in force now.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # async fn example(mail: Queue) -> Result<(), Error> {
    /// let now = mail.change_settings(QueueSettings::new().keep_at_most(10_000)).await?;
    /// println!("{now:?}");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a retention of more than 10 years, and for a rate or a concurrency that is out of range;
    /// [`ErrorKind::Incompatible`] if a newer version wrote the settings, in a format that this one does not know: nothing is
    /// changed then. Or if Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out; repeating it is harmless.
    pub async fn change_settings(&self, settings: QueueSettings) -> Result<SettingsInForce, Error> {
        settings.check()?;
        let verb = Configure {
            by: By::Operator,
            said: &settings.values(),
        };
        let said = settings.values();
        let said = said.iter().map(|(name, value)| format!("{name}={value}"));
        let said: Vec<String> = said.collect();
        self.inner.asked("change_settings", said.join(" ")).await?;
        let configured = self.inner.call(&verb).await?;
        configured.in_force(self).ok_or_else(|| self.unreadable())
    }

    fn unreadable(&self) -> Error {
        let queue = self.name();
        Error::new(
            ErrorKind::Incompatible,
            format!(
                "the settings of `{queue}` are in a format that this version does not know; look at them \
                 and change them with the version that wrote them, or a newer one"
            ),
        )
    }
}

impl Configured {
    /// The settings in force after a change, which is logged; `None` if the stored settings cannot be read.
    pub(crate) fn in_force(&self, queue: &Queue) -> Option<SettingsInForce> {
        let Self::Done {
            before,
            after,
            declared,
        } = self
        else {
            return None;
        };
        let before = SettingsInForce::read(before, declared)?;
        let after = SettingsInForce::read(after, declared)?;
        if after.revision != before.revision {
            let (queue, revision) = (queue.name(), after.revision);
            let changed = after.changes_since(&before);
            info!(
                queue,
                revision, changed, "the settings of the queue have changed"
            );
        }
        Some(after)
    }
}
