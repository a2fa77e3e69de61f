//! The web service: `POST /orders/7` orders, `GET /orders/7` says how far it is, `DELETE /orders/7` cancels it.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use oxcart::{Changed, Error, JobId, Queue};
use serde::{Deserialize, Serialize};

use crate::jobs::{Charge, Payment};

/// What there is, for a shop whose payments go through this queue.
pub fn router(payments: Queue) -> Router {
    Router::new()
        .route("/orders/{number}", post(order).get(look).delete(cancel))
        .with_state(payments)
}

/// What is told of an order.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Where its payment is: waiting, delayed, active, completed, cancelled or dead.
    pub state: String,
    /// The payment, once it was made.
    pub payment: Option<Payment>,
    /// What went wrong last.
    pub problem: Option<String>,
}

/// The number of an order is the id of its job: a customer who presses the button twice orders once.
async fn order(
    State(payments): State<Queue>,
    Path(number): Path<u64>,
    Json(charge): Json<Charge>,
) -> Result<(StatusCode, Json<Order>), Problem> {
    payments.enqueue(charge).id(job_of(number)?).await?;
    Ok((StatusCode::ACCEPTED, found(&payments, number).await?))
}

async fn look(
    State(payments): State<Queue>,
    Path(number): Path<u64>,
) -> Result<Json<Order>, Problem> {
    found(&payments, number).await
}

/// An attempt to take the money that is under way is told to stop, and may be faster.
async fn cancel(
    State(payments): State<Queue>,
    Path(number): Path<u64>,
) -> Result<(StatusCode, Json<Order>), Problem> {
    let changed = payments
        .cancel(&job_of(number)?)
        .reason("by the customer")
        .await?;
    let status = match changed {
        Changed::Done => StatusCode::OK,
        Changed::Requested => StatusCode::ACCEPTED,
        _ => StatusCode::CONFLICT,
    };
    Ok((status, found(&payments, number).await?))
}

async fn found(payments: &Queue, number: u64) -> Result<Json<Order>, Problem> {
    let job = payments.job(&job_of(number)?).await?;
    let job = job.ok_or(Problem::NoSuchOrder)?;
    Ok(Json(Order {
        state: job.state.to_string(),
        payment: job.result()?,
        problem: job.history.last().map(|attempt| attempt.error.clone()),
    }))
}

fn job_of(order: u64) -> Result<JobId, Error> {
    JobId::new(format!("order-{order}"))
}

enum Problem {
    NoSuchOrder,
    Queue(Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Queue(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match self {
            Self::NoSuchOrder => StatusCode::NOT_FOUND.into_response(),
            // The customer may try again: the same order is not enqueued twice.
            Self::Queue(error) => {
                tracing::error!(%error, "the queue cannot be used");
                StatusCode::SERVICE_UNAVAILABLE.into_response()
            }
        }
    }
}
