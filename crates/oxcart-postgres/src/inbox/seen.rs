//! When a row was last used.

/// Sets that the row `held` is in use, so that it is not forgotten ([`Inbox::prune`](crate::Inbox::prune)). To ten minutes: a row whose indexed columns stay is
/// changed without touching an index.
macro_rules! seen_now {
    () => {
        "seen_at = CASE WHEN held.seen_at < clock_timestamp() - interval '10 min' THEN clock_timestamp() ELSE held.seen_at END"
    };
}

pub(super) use seen_now;
