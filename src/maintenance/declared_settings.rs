//! The settings of the queue that a worker's code declares: stored when the worker starts, before it
//! claims anything, and again if they were lost (deleted, or a Redis emptied under running workers).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::maintenance::{Duty, Left};
use crate::policy::pauses::Pauses;
use crate::policy::settings::{QueueSettings, Values};
use crate::service::WorkerShared;
use crate::service::trouble::CallKind;
use crate::store::backend::{Connection, Trouble};
use crate::store::configure::{By, Configure};

/// Before what failed is tried again.
const PAUSES: Pauses = Pauses::between(Duration::from_millis(50), Duration::from_secs(1));
/// A worker that cannot store what it declares claims nothing for this long. Then the settings that are
/// in force must do, and it goes on trying beside its work.
const CLAIMS_WAIT: Duration = Duration::from_secs(10);

/// What one worker declares.
pub(crate) struct DeclaredSettings {
    said: Option<Values>,
    stored: AtomicBool,
    /// The worker may claim.
    begun: OnceCell<()>,
}

impl DeclaredSettings {
    pub(crate) fn new(settings: Option<QueueSettings>) -> Self {
        Self {
            said: settings.map(|settings| settings.values()),
            stored: AtomicBool::new(false),
            begun: OnceCell::new(),
        }
    }

    /// Stores it, for the first time; a lane claims nothing before that. Done at once if nothing is declared.
    pub(crate) async fn begin(&self, shared: &WorkerShared) {
        if self.said.is_some() {
            let begin = async || {
                let _ = timeout(CLAIMS_WAIT, self.store_patiently(shared)).await;
            };
            self.begun.get_or_init(begin).await;
        }
    }

    async fn store_patiently(&self, shared: &WorkerShared) {
        let (mut pauses, mut connection) = (PAUSES, shared.store().shared_connection());
        while let Err(trouble) = self.store(shared, &mut connection).await {
            if pauses.is_fresh() {
                let queue = shared.queue.name();
                warn!(queue, %trouble, "storing the declared settings is held up");
            }
            sleep(pauses.next(fastrand::f64())).await;
        }
    }

    /// Stores it, or looks whether it is still there.
    pub(crate) async fn store(
        &self,
        shared: &WorkerShared,
        connection: &mut Connection,
    ) -> Result<(), Trouble> {
        let Some(said) = &self.said else {
            return Ok(());
        };
        let by = match self.stored.load(Ordering::Relaxed) {
            true => By::Again,
            false => By::Code,
        };
        let configured = connection.call(&Configure { by, said }).await?;
        if configured.in_force(&shared.queue).is_none() && by == By::Code {
            warn!(
                queue = shared.queue.name(),
                "what the code declares is not stored: a newer version wrote the settings of the queue"
            );
        }
        self.stored.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Looks whether they are there. A worker that declares none makes no calls for this.
pub(super) struct SettingsUpkeep {
    settings: Arc<DeclaredSettings>,
}

impl SettingsUpkeep {
    pub(super) fn new(settings: Arc<DeclaredSettings>) -> Self {
        Self { settings }
    }
}

impl Duty for SettingsUpkeep {
    const KIND: CallKind = CallKind::SettingsUpkeep;

    fn period(&self, _: &WorkerShared) -> Duration {
        Duration::from_secs(30)
    }

    async fn call(
        &mut self,
        shared: &WorkerShared,
        connection: &mut Connection,
    ) -> Result<Left, Trouble> {
        if self.settings.said.is_none() {
            return Ok(Left::NoCall);
        }
        self.settings.store(shared, connection).await?;
        Ok(Left::Nothing)
    }
}
