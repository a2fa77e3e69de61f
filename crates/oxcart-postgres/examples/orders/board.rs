//! The board: how each order stands, as a table that follows the events.

use oxcart_postgres::{Projection, ProjectionError, Recorded};
use sqlx::PgConnection;

use crate::order::OrderEvent;

pub(crate) struct Board;

impl Projection for Board {
    const NAME: &'static str = "order_board";

    async fn create(&self, tx: &mut PgConnection, table: &str) -> Result<(), ProjectionError> {
        let create = format!(
            "CREATE TABLE {table} (stream text PRIMARY KEY, customer text NOT NULL, cents bigint NOT NULL, paid bigint NOT NULL)"
        );
        sqlx::query(&create).execute(tx).await?;
        Ok(())
    }

    async fn apply(
        &self,
        tx: &mut PgConnection,
        table: &str,
        event: &Recorded,
    ) -> Result<(), ProjectionError> {
        // Events of all streams come here.
        if !event.stream.starts_with("order-") {
            return Ok(());
        }
        match event.decode()? {
            OrderEvent::Placed { customer, cents } => {
                let place = format!("INSERT INTO {table} VALUES ($1, $2, $3, 0)");
                let place = sqlx::query(&place).bind(&event.stream);
                place.bind(customer).bind(cents).execute(tx).await?;
            }
            OrderEvent::Paid { cents } => {
                let pay = format!("UPDATE {table} SET paid = paid + $2 WHERE stream = $1");
                let pay = sqlx::query(&pay).bind(&event.stream).bind(cents);
                pay.execute(tx).await?;
            }
        }
        Ok(())
    }
}
