//! Whether Redis has lost what it had confirmed.

use super::Shared;
use crate::error::Error;

/// The queues for which there are rows that were taken and that Redis does not have: because a relay died, or because Redis has lost them.
pub(super) async fn unsent(shared: &Shared, source: &str) -> Result<Vec<String>, Error> {
    let failed = |error| Error::sql("looking for rows that Redis has lost", error);
    let streams: Vec<(String, i64, bool)> = sqlx::query_as(
        "SELECT s.queue, s.fed, s.held_until > clock_timestamp() FROM oxcart.outbox_stream s ORDER BY s.queue",
    )
    .fetch_all(&shared.pool)
    .await
    .map_err(failed)?;
    let mut unsent = Vec::new();
    for (queue, fed, is_held) in streams {
        // Who is at it sees it as well.
        if is_held {
            continue;
        }
        let Ok(handle) = shared.oxcart.queue(&queue) else {
            continue;
        };
        // If Redis does not answer, it is asked again soon.
        let Ok(stands) = handle.fed(source).await else {
            continue;
        };
        let stands = stands.unwrap_or(0);
        let (first, last): (Option<i64>, Option<i64>) = sqlx::query_as(
            "SELECT (SELECT position FROM oxcart.outbox_sent WHERE queue = $1 AND position > $2 ORDER BY position LIMIT 1),
                    (SELECT position FROM oxcart.outbox_sent WHERE queue = $1 ORDER BY position DESC LIMIT 1)",
        )
        .bind(&queue)
        .bind(stands.cast_signed())
        .fetch_one(&shared.pool)
        .await
        .map_err(failed)?;
        let (Some(first), Some(last)) = (first, last) else {
            continue;
        };
        if stands < fed.unsigned_abs() {
            tracing::warn!(
                queue,
                stands,
                known = fed,
                first,
                last,
                "Redis has lost jobs that it had confirmed; the rows of the outbox from `first` to `last` are sent again, and any between `stands` and `first` are kept no longer"
            );
            crate::metrics::lost(&queue, fed.unsigned_abs() - stands);
        }
        unsent.push(queue);
    }
    Ok(unsent)
}
