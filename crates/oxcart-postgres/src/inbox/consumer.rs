//! Messages that are no jobs of oxcart, each taken once.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{PgConnection, PgTransaction};

use crate::error::{Error, ErrorKind};
use crate::inbox::Inbox;
use crate::inbox::seen::seen_now;
use crate::inbox::stored::{decode, encode};

/// So many bytes a name may have, so that the key fits in an index.
const NAME_MAX: usize = 512;

/// Finds or makes the row of the message, and holds it until the transaction ends.
const HOLD: &str = concat!(
    "INSERT INTO oxcart.inbox_message AS held (consumer, message) VALUES ($1, $2) \
     ON CONFLICT (consumer, message) DO UPDATE SET ",
    seen_now!(),
    " RETURNING effect"
);

const KEEP_EFFECT: &str =
    "UPDATE oxcart.inbox_message SET effect = $3 WHERE consumer = $1 AND message = $2";

impl Inbox {
    /// Does something with a message, once for this consumer: a message from a broker, a webhook, a request that may be repeated. If that is committed,
    /// later calls for the same message get what it gave, and `run` is not called. Calls for one message wait for each other.
    ///
    /// `consumer` says who does it, so that several may do something with the same message. `message` is what is the same each time the message
    /// comes: the id that its sender gave it. Each has at most 512 bytes. For a job of oxcart there is [`InTransaction::once`](crate::InTransaction::once).
    ///
    /// ```no_run
    /// # use oxcart_postgres::{Error, Inbox};
    /// # struct Message { id: String, cents: i64 }
    /// # async fn example(inbox: Inbox, pool: sqlx::PgPool, message: Message) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let mut tx = pool.begin().await?;
    /// let paid: i64 = inbox.once(&mut tx, "billing", &message.id, async |tx| {
    ///     let pay = "UPDATE till SET cents = cents + $1 RETURNING cents";
    ///     let pay = sqlx::query_scalar(pay).bind(message.cents).fetch_one(tx).await?;
    ///     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(pay)
    /// }).await?;
    /// tx.commit().await?;        // and only then tell the broker that it is done
    /// # let _ = paid; Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// What `run` returns. [`ErrorKind::Invalid`] for a name that is empty or too long, [`ErrorKind::Codec`] if the value cannot be stored, or what is
    /// stored cannot be read, and whatever PostgreSQL says. After an error the transaction is to be rolled back.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, roll the transaction back, as dropping the transaction does.
    pub async fn once<T, E, F>(
        &self,
        tx: &mut PgTransaction<'_>,
        consumer: &str,
        message: &str,
        run: F,
    ) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        E: From<Error>,
        F: AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
    {
        check("consumer", consumer)?;
        check("message", message)?;
        take(tx, consumer, message, run).await
    }
}

/// Does something once for these two names.
pub(super) async fn take<T, E, F>(
    tx: &mut PgTransaction<'_>,
    consumer: &str,
    message: &str,
    run: F,
) -> Result<T, E>
where
    T: Serialize + DeserializeOwned,
    E: From<Error>,
    F: AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
{
    let hold = sqlx::query_scalar(HOLD).bind(consumer).bind(message);
    let held: Option<Vec<u8>> = hold
        .fetch_one(&mut **tx)
        .await
        .map_err(|error| Error::sql("looking whether a message was taken", error))?;
    if let Some(effect) = held {
        return Ok(decode(&effect)?);
    }
    let given = run(&mut *tx).await?;
    let keep = sqlx::query(KEEP_EFFECT)
        .bind(consumer)
        .bind(message)
        .bind(encode(&given)?);
    let kept = keep.execute(&mut **tx).await;
    kept.map_err(|error| Error::sql("storing that a message was taken", error))?;
    Ok(given)
}

pub(super) fn check(what: &str, name: &str) -> Result<(), Error> {
    let wrong = match name {
        "" => "is empty".to_owned(),
        name if name.len() > NAME_MAX => {
            format!("has {} bytes; {NAME_MAX} are allowed", name.len())
        }
        name if name.contains('\0') => "has a zero byte, which PostgreSQL cannot hold".to_owned(),
        _ => return Ok(()),
    };
    Err(Error::new(
        ErrorKind::Invalid,
        format!("the name of the {what} {wrong}"),
    ))
}
