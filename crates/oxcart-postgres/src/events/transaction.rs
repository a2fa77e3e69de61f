//! Transactions that end: a process that does nothing any more holds up nobody.

use sqlx::PgConnection;

/// Begins a transaction which PostgreSQL ends when nothing is sent in it for so long: a process that is frozen or cut off must not hold its rows
/// without end. What is set and is shorter holds.
pub(super) const BEGIN: &str = "BEGIN; SELECT CASE WHEN current_setting('idle_in_transaction_session_timeout')::interval \
    BETWEEN interval '1 ms' AND interval '60 s' THEN '' ELSE set_config('idle_in_transaction_session_timeout', '60s', true) END";

/// For the statements that follow in this transaction; what it was.
pub(super) async fn set_lock_timeout(
    tx: &mut PgConnection,
    wait: String,
) -> Result<String, sqlx::Error> {
    let set = "WITH old AS MATERIALIZED (SELECT current_setting('lock_timeout') AS wait) \
        SELECT wait, set_config('lock_timeout', $1, true) FROM old";
    let (was, _): (String, String) = sqlx::query_as(set).bind(wait).fetch_one(tx).await?;
    Ok(was)
}
