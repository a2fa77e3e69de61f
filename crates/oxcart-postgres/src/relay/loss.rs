//! Whether Redis has lost what it had confirmed.

use std::time::Duration;

use tokio::time::timeout;

use super::Shared;
use crate::error::Error;

/// If a queue does not say by then where it stands, it is asked again soon.
const PATIENCE: Duration = Duration::from_millis(500);

/// The queues for which there are rows that were taken and that Redis does not have: because a relay died, or because Redis has lost them. Also those
/// that have more than is noted here.
pub(super) async fn unsent(shared: &Shared, source: &str) -> Result<Vec<String>, Error> {
    let streams: Vec<(String, bool)> = sqlx::query_as(
        "SELECT queue, held_until > clock_timestamp() FROM oxcart.outbox_stream ORDER BY queue",
    )
    .fetch_all(&shared.pool)
    .await
    .map_err(failed)?;
    let mut unsent = Vec::new();
    for (queue, is_held) in streams {
        // Who is at it sees it as well.
        if !is_held && is_unsent(shared, source, &queue).await? {
            unsent.push(queue);
        }
    }
    Ok(unsent)
}

/// Whether there are rows that the queue does not have; tells if it had them. Also whether the queue has more than is noted here, because a relay
/// ended between sending and noting it: who takes from it next notes it. Until then its rows count as under way, and none of them is dropped.
pub(super) async fn is_unsent(shared: &Shared, source: &str, queue: &str) -> Result<bool, Error> {
    let Ok(handle) = shared.oxcart.queue(queue) else {
        return Ok(false);
    };
    let Ok(Ok(stands)) = timeout(PATIENCE, handle.fed(source)).await else {
        return Ok(false);
    };
    let stands = stands.unwrap_or(0);
    let found: Option<(i64, Option<i64>)> = sqlx::query_as(
        "SELECT stream.fed,
           (SELECT position FROM oxcart.outbox_sent WHERE queue = $1 AND position > $2 ORDER BY position LIMIT 1)
         FROM oxcart.outbox_stream AS stream WHERE stream.queue = $1",
    )
    .bind(queue)
    .bind(stands.cast_signed())
    .fetch_optional(&shared.pool)
    .await
    .map_err(failed)?;
    let Some((fed, first)) = found else {
        return Ok(false);
    };
    let fed = fed.unsigned_abs();
    let Some(first) = first else {
        return Ok(stands > fed);
    };
    if stands < fed {
        tracing::warn!(
            queue,
            stands,
            fed,
            first,
            "Redis has lost jobs that it had confirmed: their rows are sent again, from position `first` on; any between `stands` and that are kept no \
             longer"
        );
        crate::metrics::lost(queue, fed - stands);
    }
    Ok(true)
}

fn failed(error: sqlx::Error) -> Error {
    Error::sql("looking for rows that Redis has lost", error)
}
