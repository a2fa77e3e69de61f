//! The web service: `POST /orders/{number}` with a customer and cents.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use oxcart::{Oxcart, Queue};
use oxcart_postgres::{EventStore, Inbox, Outbox};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::net::TcpListener;

use crate::Result;
use crate::order::{Charge, Command, Order};

#[derive(Serialize, Deserialize)]
pub(crate) struct NewOrder {
    pub(crate) customer: String,
    pub(crate) cents: i64,
}

struct Shop {
    pool: PgPool,
    inbox: Inbox,
    payments: Queue,
}

pub(crate) async fn run(oxcart: Oxcart, pool: PgPool) -> Result<()> {
    let shop = Shop {
        inbox: Inbox::new(&pool),
        pool,
        payments: oxcart.queue("payments")?,
    };
    let router = Router::new()
        .route("/orders/{number}", post(place))
        .with_state(Arc::new(shop));
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    axum::serve(listener, router)
        .with_graceful_shutdown(oxcart::shutdown_signal())
        .await?;
    Ok(())
}

/// A client that gets no answer asks again. It gets the first answer then, and there is one order.
async fn place(
    State(shop): State<Arc<Shop>>,
    Path(number): Path<String>,
    Json(order): Json<NewOrder>,
) -> (StatusCode, String) {
    match shop.place(&number, order).await {
        Ok(job) => (StatusCode::ACCEPTED, job),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

impl Shop {
    /// The order, the job that charges it, and the note that this was asked: all of it is committed, or nothing.
    async fn place(&self, number: &str, order: NewOrder) -> Result<String> {
        let mut tx = self.pool.begin().await?;
        let job = self
            .inbox
            .once(&mut tx, "orders", number, async |tx| {
                let cents = order.cents;
                let place = Command::Place {
                    customer: order.customer,
                    cents,
                };
                let store = EventStore::new();
                store.execute::<Order>(tx, number, place).await?;
                let charge = Charge {
                    order: number.to_owned(),
                    cents,
                };
                let job = Outbox::new().enqueue(tx, &self.payments, charge).await?;
                Result::Ok(job.to_string())
            })
            .await?;
        tx.commit().await?;
        Ok(job)
    }
}
