//! Whether Redis has lost what it had confirmed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use oxcart::Queue;
use tokio::time::timeout;

use super::Shared;
use crate::ask::ask;
use crate::error::Error;

/// If a queue does not say by then where it stands, it is asked again soon.
const PATIENCE: Duration = Duration::from_millis(500);
/// So many queues are asked at a time.
const AT_A_TIME: usize = 16;
const TRIED: &str = "looking for rows that Redis has lost";

/// What is known of a queue that no relay is at.
const STREAMS: &str = "SELECT queue, fed FROM oxcart.outbox_stream WHERE held_until <= clock_timestamp() ORDER BY queue";
const IS_THERE_MORE: &str =
    "SELECT EXISTS (SELECT FROM oxcart.outbox_sent WHERE queue = $1 AND position > $2)";

/// The queues that a relay has to look at: Redis has lost what it had confirmed, or has more than is noted, or a relay has died with rows that it had
/// taken. Queues at which a relay is are left out: that relay sees all of this by itself.
pub(super) async fn unsent(shared: Arc<Shared>, source: String) -> Result<Vec<String>, Error> {
    let streams: Vec<(String, i64)> = ask(&shared.pool, TRIED, async |asked| {
        sqlx::query_as(STREAMS).fetch_all(asked).await
    })
    .await?;
    let asked = stream::iter(streams).map(|(queue, fed)| {
        let (shared, source) = (&shared, &source);
        async move {
            let is_unsent = is_unsent(shared, source, &queue, fed.cast_unsigned()).await;
            is_unsent.map(|is_unsent| is_unsent.then_some(queue))
        }
    });
    let mut asked = asked.buffer_unordered(AT_A_TIME);
    let mut unsent = Vec::new();
    while let Some(queue) = asked.next().await {
        unsent.extend(queue?);
    }
    Ok(unsent)
}

async fn is_unsent(shared: &Shared, source: &str, queue: &str, fed: u64) -> Result<bool, Error> {
    let Ok(handle) = shared.oxcart.queue(queue) else {
        return Ok(false);
    };
    let Ok(Ok(stands)) = timeout(PATIENCE, handle.fed(source)).await else {
        return Ok(false);
    };
    let stands = stands.unwrap_or(0);
    // Until it is noted that the queue has more, its rows count as under way, and none of them is dropped.
    if stands != fed {
        return Ok(true);
    }
    let more = sqlx::query_scalar(IS_THERE_MORE)
        .bind(queue)
        .bind(stands.cast_signed());
    ask(&shared.pool, TRIED, async |asked| {
        more.fetch_one(asked).await
    })
    .await
}

/// Asks a queue once more that seems to have lost something, and tells if it has: where it stands.
pub(super) async fn confirm(
    queue: &Queue,
    source: &str,
    noted: u64,
) -> Result<Option<u64>, oxcart::Error> {
    let stands = queue.fed(source).await?;
    let position = stands.unwrap_or(0);
    if position < noted {
        let queue = queue.name();
        tracing::warn!(
            queue,
            stands = position,
            noted,
            "Redis has lost jobs that it had confirmed: those of the rows behind `stands`, up to `noted`. The rows that are still kept are sent again"
        );
        crate::metrics::lost(queue, noted - position);
    }
    Ok(stands)
}
