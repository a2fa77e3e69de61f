//! The global order.
//!
//! An event gets its id while its transaction is open, so an event with a smaller id may be committed later: a reader that goes by ids skips it. So a position
//! is given to events that are committed already, by a transaction that does nothing else, and one such transaction after the other. A reader that sees a
//! position sees all smaller ones, and nothing is ever put between them. Nobody waits for a transaction that stays open: its events get their positions
//! when it has ended.
//!
//! Within a stream the order is that of the versions: the next version begins when the transaction of the one before has ended, so it has a larger
//! id, and nobody sees it without the one before.

use std::time::Duration;

use sqlx::PgConnection;

use crate::error::Error;

/// So many events get their positions in one transaction.
const BATCH: i32 = 2_000;

/// On a standby, another process has to do it.
const ORDER: &str = "SELECT CASE WHEN pg_is_in_recovery() OR current_setting('transaction_read_only')::bool THEN 0 \
    ELSE oxcart.order_events($1) END";

/// Where the isolation level is higher than `READ COMMITTED`, one of two that do it at once is refused, and tries again.
const TRIES: u32 = 20;

/// Gives positions to events that have none, in transactions of their own: a position that is seen before it is committed might be given again. So the
/// connection has no transaction.
pub(super) async fn order(connection: &mut PgConnection) -> Result<(), Error> {
    let mut refused = 0;
    loop {
        let ordered = sqlx::query_scalar(ORDER).bind(BATCH);
        let ordered: Result<i32, _> = ordered.fetch_one(&mut *connection).await;
        match ordered.map_err(|error| Error::sql("giving events their positions", error)) {
            Ok(ordered) if ordered < BATCH => return Ok(()),
            Ok(_) => {}
            Err(error) if error.is_retry() && refused < TRIES => {
                refused += 1;
                tokio::time::sleep(Duration::from_millis(fastrand::u64(..20))).await;
            }
            Err(error) => return Err(error),
        }
    }
}
