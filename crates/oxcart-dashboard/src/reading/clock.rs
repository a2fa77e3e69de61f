//! The clock of the Redis server, as it is known here.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::SystemTime;

use oxcart::{Error, Oxcart, Timestamp};

use crate::model::Moment;

/// Commands that asking for it takes.
pub(super) const COMMANDS: usize = 12;

#[derive(Default)]
pub(super) struct Clock {
    ahead_ms: AtomicI64,
    is_known: AtomicBool,
}

impl Clock {
    pub(super) fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Relaxed)
    }

    pub(super) async fn ask(&self, oxcart: &Oxcart) -> Result<(), Error> {
        let server = oxcart.server().await?;
        if let Some(time) = server.time {
            let (there, here) = (time.as_millis() as i64, server.asked_at.as_millis() as i64);
            self.ahead_ms.store(there - here, Ordering::Relaxed);
        }
        self.is_known.store(true, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn now(&self) -> Moment {
        let here = Timestamp::from(SystemTime::now()).as_millis();
        Moment::from_millis(here.saturating_add_signed(self.ahead_ms.load(Ordering::Relaxed)))
    }
}
