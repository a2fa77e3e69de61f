//! The whole shop without Redis: the routes, the workers and the handlers.

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use oxcart::{Context, JobState, Oxcart, Queue, State, Worker};
use shop::bank::Bank;
use shop::jobs::{Charge, SendReceipt};
use shop::metrics::Metrics;
use shop::web::{Order, router};
use shop::work::{Mail, charge, payments};
use tower::ServiceExt;

/// The shop with its workers, which run only when a test says so.
struct Shop {
    payments: Queue,
    mail: Queue,
    worker: Worker,
    metrics: Metrics,
}

impl Shop {
    fn open() -> Self {
        let oxcart = Oxcart::in_memory();
        let metrics = Metrics::default();
        Self {
            payments: oxcart.queue("payments").unwrap(),
            mail: oxcart.queue("mail").unwrap(),
            worker: payments(&oxcart, Bank, &metrics).unwrap(),
            metrics,
        }
    }

    async fn ask(&self, method: Method, order: u64, body: &str) -> (StatusCode, Option<Order>) {
        let request = Request::builder()
            .method(method)
            .uri(format!("/orders/{order}"))
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        let router = router(self.payments.clone());
        let response = router.oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).ok())
    }

    async fn order(&self, order: u64, card: &str) -> StatusCode {
        let body = format!(r#"{{"customer":"Ada","card":"{card}","cents":995}}"#);
        self.ask(Method::POST, order, &body).await.0
    }

    async fn look(&self, order: u64) -> Order {
        self.ask(Method::GET, order, "").await.1.unwrap()
    }
}

#[tokio::test]
async fn an_order_is_charged_once_and_its_receipt_is_sent() {
    let shop = Shop::open();
    for _ in 0..2 {
        assert_eq!(shop.order(7, "4111").await, StatusCode::ACCEPTED);
    }
    assert_eq!(shop.look(7).await.state, "waiting");
    assert_eq!(shop.worker.drain().await.len(), 1);
    let order = shop.look(7).await;
    assert_eq!(order.state, "completed");
    assert_eq!(order.payment.unwrap().cents, 995);
    shop.mail
        .assert_enqueued(|receipt: &SendReceipt| receipt.customer == "Ada");
    let metrics = shop.metrics.to_string();
    let counted = r#"shop_attempts_total{job="charge",outcome="completed"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn a_declined_card_ends_the_order_and_an_absent_bank_does_not() {
    let shop = Shop::open();
    shop.order(1, "0000").await;
    shop.order(2, "9999").await;
    shop.worker.drain().await;
    let (declined, later) = (shop.look(1).await, shop.look(2).await);
    assert_eq!(declined.state, "dead");
    assert!(declined.problem.unwrap().contains("the card was declined"));
    assert_eq!(later.state, "delayed");
    assert!(later.problem.unwrap().contains("cannot be reached"));
    let dead = shop.payments.jobs(JobState::Dead).await.unwrap();
    assert_eq!(dead.jobs.len(), 1);
}

#[tokio::test]
async fn an_order_can_be_cancelled_until_its_payment_begins() {
    let shop = Shop::open();
    shop.order(7, "4111").await;
    let (status, order) = shop.ask(Method::DELETE, 7, "").await;
    assert_eq!(
        (status, &*order.unwrap().state),
        (StatusCode::OK, "cancelled")
    );
    assert!(shop.worker.drain().await.is_empty());
    let (status, order) = shop.ask(Method::DELETE, 7, "").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(order.unwrap().state, "cancelled");
    assert_eq!(shop.ask(Method::GET, 8, "").await.0, StatusCode::NOT_FOUND);
}

/// A handler is a function: no worker is needed to call it.
#[tokio::test]
async fn the_handler_sends_the_receipt_of_an_order_once() {
    let mail = Oxcart::in_memory().queue("mail").unwrap();
    let context = Context::builder().build();
    for _attempt in 0..2 {
        let job = Charge {
            customer: "Ada".to_owned(),
            card: "4111".to_owned(),
            cents: 995,
        };
        let states = (State::new(Bank), State::new(Mail(mail.clone())));
        let payment = charge(job, states.0, states.1, context.clone()).await;
        assert_eq!(payment.unwrap().cents, 995);
    }
    assert_eq!(mail.enqueued::<SendReceipt>().len(), 1);
}
