//! What the pages are of: a private Redis, queues with jobs in every state, a worker, and a server with the dashboard.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use oxcart::{Context, Failure, JobId, Oxcart, Queue, Worker};
use oxcart_dashboard::{Access, Dashboard, Role};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::devtools::Devtools;
use crate::page::{Page, Screen};
use crate::support::{Server, eventually_async};

const PATIENCE: Duration = Duration::from_secs(30);
/// Where the application has put the dashboard.
pub(crate) const BASE: &str = "/ops";

/// What a job does when it runs.
#[derive(Serialize, Deserialize, Clone, Copy)]
pub(crate) enum How {
    End,
    Fail,
    /// It runs until it is told to end.
    Stay,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Letter {
    pub(crate) to: String,
    pub(crate) text: String,
    pub(crate) how: How,
}

impl oxcart::Job for Letter {
    const NAME: &'static str = "send-letter";
    type Output = ();
}

pub(crate) fn letter(how: How) -> Letter {
    let [to, text] = ["ada@example.org", "See you at ten."].map(str::to_owned);
    Letter { to, text, how }
}

async fn send(letter: Letter, context: Context) -> Result<(), Failure> {
    context.log(format!("to {}", letter.to));
    match letter.how {
        How::End => Ok(()),
        How::Fail => Err(Failure::retry(format!(
            "550 no such mailbox: {}",
            letter.text
        ))),
        How::Stay => {
            // What is said of it is not what the test is about.
            let _ = context
                .progress(&serde_json::json!({ "done": 3, "of": 10 }))
                .await;
            context.cancellation().cancelled().await;
            Ok(())
        }
    }
}

/// A worker of a queue, for as long as this value lives.
pub(crate) struct Working(JoinHandle<()>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) fn work(queue: &Queue) -> Working {
    let worker = Worker::builder(queue).concurrency(8).handle(send);
    let worker = worker.build().unwrap();
    Working(tokio::spawn(async move {
        worker.run_until(std::future::pending()).await.unwrap();
    }))
}

/// Tokens by which a test signs in.
pub(crate) fn token(role: Role) -> String {
    format!("the token of the {role} of the tests")
}

/// A server with the dashboard of some queues. It ends when this value is dropped.
pub(crate) struct Served {
    pub(crate) origin: String,
    serving: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Served {
    pub(crate) async fn of(oxcart: &Oxcart) -> Self {
        let mut dashboard = Dashboard::new(oxcart);
        for (name, role) in [
            ("vera", Role::Viewer),
            ("otto", Role::Operator),
            ("ada", Role::Admin),
        ] {
            let access = Access::new(name, role);
            dashboard = dashboard.token(&token(role), access).unwrap();
        }
        let app = Router::new().nest(BASE, dashboard.router());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { origin, serving }
    }

    /// A page on which somebody with this role has signed in.
    pub(crate) async fn page(&self, devtools: &Devtools, role: Role) -> Page {
        let page = Page::open(devtools, &self.origin, Screen::Wide).await;
        page.go(&format!("{BASE}/login")).await;
        page.sign_in(&token(role)).await;
        page.until("document.querySelector('input[name=token]') === null")
            .await;
        page
    }
}

pub(crate) struct Site {
    pub(crate) redis: Server,
    pub(crate) oxcart: Oxcart,
    pub(crate) served: Served,
}

impl Site {
    pub(crate) async fn start() -> Self {
        let redis = Server::start();
        let oxcart = Oxcart::connect(&redis.url()).await.unwrap();
        let served = Served::of(&oxcart).await;
        Self {
            redis,
            oxcart,
            served,
        }
    }

    pub(crate) fn queue(&self, name: &str) -> Queue {
        self.oxcart.queue(name).unwrap()
    }

    /// A queue with jobs in every state: two of each, and `worker` keeps those that run running.
    pub(crate) async fn fill(&self, name: &str) -> Working {
        let queue = self.queue(name);
        let later = Duration::from_secs(3_600);
        for number in 0..2 {
            let id = |state: &str| JobId::new(format!("{state}-{number}")).unwrap();
            let request = |how, state| queue.enqueue(letter(how)).id(id(state));
            request(How::End, "completed").await.unwrap();
            request(How::Fail, "dead").attempts(1).await.unwrap();
            request(How::Stay, "active")
                .header("trace", "7")
                .await
                .unwrap();
            request(How::End, "delayed").delay(later).await.unwrap();
        }
        let schedule = queue.schedule("nightly").cron("0 3 * * *");
        schedule.job(letter(How::End)).await.unwrap();
        let working = work(&queue);
        let is_there = eventually_async(PATIENCE, async || {
            let counts = queue.counts().await.unwrap();
            (counts.completed, counts.dead, counts.active) == (2, 2, 2)
        });
        is_there.await;
        // Nobody has a handler for these.
        for number in 0..2 {
            let id = JobId::new(format!("waiting-{number}")).unwrap();
            let request = queue.enqueue(letter(How::End)).named("print-letter");
            request.any_queue().id(id).await.unwrap();
        }
        working
    }

    pub(crate) async fn page(&self, devtools: &Devtools, role: Role) -> Page {
        self.served.page(devtools, role).await
    }
}
