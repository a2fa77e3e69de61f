//! A server, a queue with something in it, and a browser that keeps its cookies.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use axum::http::{HeaderMap, Request, StatusCode};
use oxcart::{Context, Failure, Job, JobId, Oxcart, Queue, Worker};
use oxcart_dashboard::{Access, Dashboard, Role};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower::ServiceExt;

use crate::support::{Server, eventually_async};

/// Plenty, so that a loaded machine fails no test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const HOST_NAME: &str = "ops.example";
pub(crate) const VIEWER: &str = "viewer-0123456789abcdef";
pub(crate) const OPERATOR: &str = "operator-0123456789abcdef";
pub(crate) const ADMIN: &str = "admin-0123456789abcdef";
/// An admin of the queue `billing`, who sees no other.
pub(crate) const BILLING: &str = "billing-0123456789abcdef";

/// It does what its payload says.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Send {
    pub(crate) to: String,
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) error: Option<String>,
}

impl Send {
    pub(crate) fn to(to: &str) -> Self {
        Self {
            to: to.to_owned(),
            key: "s3cret".to_owned(),
            error: None,
        }
    }

    pub(crate) fn failing(error: &str) -> Self {
        Self {
            error: Some(error.to_owned()),
            ..Self::to("ada")
        }
    }
}

impl Job for Send {
    const NAME: &'static str = "send";
    const SECRET: &'static [&'static str] = &["key"];
    type Output = String;
}

async fn send(job: Send, context: Context) -> Result<String, Failure> {
    context.log(format!("to {}", job.to));
    match job.error {
        Some(error) => Err(Failure::dead(error)),
        None => Ok("sent".to_owned()),
    }
}

pub(crate) struct Rig {
    pub(crate) server: Server,
    pub(crate) oxcart: Oxcart,
    pub(crate) queue: Queue,
}

impl Rig {
    /// With a queue `mail` in which one job waits.
    pub(crate) async fn new() -> Self {
        let server = Server::start();
        let oxcart = Oxcart::connect(&server.url()).await.unwrap();
        let queue = oxcart.queue("mail").unwrap();
        let rig = Self {
            server,
            oxcart,
            queue,
        };
        rig.enqueue("mail").await;
        rig
    }

    /// A job in a queue that is on the list of queues afterwards.
    pub(crate) async fn enqueue(&self, queue: &str) -> JobId {
        let handle = self.oxcart.queue(queue).unwrap().enqueue(Send::to("ada"));
        let id = handle.await.unwrap().id().clone();
        eventually_async(PATIENCE, async || {
            let names = self.oxcart.queues().await.unwrap();
            names.iter().any(|name| name == queue)
        })
        .await;
        id
    }

    /// Runs jobs until so many are dead.
    pub(crate) async fn until_dead(&self, dead: u64) {
        let worker = Worker::builder(&self.queue).handle(send);
        let reached = eventually_async(PATIENCE, async || {
            let counts = self.queue.counts().await.unwrap();
            counts.dead >= dead && counts.active + counts.waiting == 0
        });
        worker.build().unwrap().run_until(reached).await.unwrap();
    }

    /// With four tokens.
    pub(crate) fn dashboard(&self) -> Dashboard {
        let admin_of_billing = Access::nowhere("bob").in_queue("billing", Role::Admin);
        let mut dashboard = Dashboard::new(&self.oxcart);
        for (token, access) in [
            (VIEWER, Access::new("vera", Role::Viewer)),
            (OPERATOR, Access::new("oda", Role::Operator)),
            (ADMIN, Access::new("ada", Role::Admin)),
            (BILLING, admin_of_billing),
        ] {
            dashboard = dashboard.token(token, access).unwrap();
        }
        dashboard
    }

    pub(crate) fn router(&self) -> Router {
        self.dashboard().router()
    }
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?}\n{}", self.headers, self.text);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

/// Sends one request.
pub(crate) async fn ask(router: &Router, request: Request<Body>) -> Answer {
    let answer = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    let bytes = to_bytes(body, 64 * 1024 * 1024).await.unwrap();
    Answer {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

/// A program that shows a token.
pub(crate) struct Program {
    pub(crate) router: Router,
    pub(crate) token: &'static str,
}

impl Program {
    pub(crate) fn new(router: &Router, token: &'static str) -> Self {
        Self {
            router: router.clone(),
            token,
        }
    }

    fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        let request = Request::builder().method(method).uri(path);
        request
            .header("authorization", format!("Bearer {}", self.token))
            .header(HOST, HOST_NAME)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let request = self.request("GET", path).body(Body::empty()).unwrap();
        ask(&self.router, request).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        let request = self.request("POST", path);
        let request = request.header(CONTENT_TYPE, "application/json");
        let request = request.body(Body::from(body.to_string())).unwrap();
        ask(&self.router, request).await
    }

    /// Waits until a task has ended, and gives it.
    pub(crate) async fn task(&self, id: u64) -> Value {
        let path = format!("/api/tasks/{id}");
        eventually_async(PATIENCE, async || {
            self.get(&path).await.json()["task"]["state"] != "running"
        })
        .await;
        self.get(&path).await.json()["task"].clone()
    }
}

/// A browser: it keeps cookies, and says where its requests come from.
pub(crate) struct Browser {
    router: Router,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl Browser {
    pub(crate) fn new(router: &Router) -> Self {
        Self {
            router: router.clone(),
            cookies: Mutex::default(),
        }
    }

    /// One that has signed in.
    pub(crate) async fn signed_in(router: &Router, base: &str, token: &str) -> Self {
        let browser = Self::new(router);
        let login = format!("{base}/login");
        let answer = browser
            .post(&login, &[("token", token), ("back", "/")])
            .await
            .expect(303);
        assert_eq!(answer.header("location"), format!("{base}/"));
        browser
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(name).cloned()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, String::new(), "same-origin").await
    }

    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = serde_urlencoded::to_string(fields).unwrap();
        self.send("POST", path, body, "same-origin").await
    }

    /// A form that says what the cookie says, as our pages do.
    pub(crate) async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.cookie("oxcart_csrf").unwrap_or_default();
        let mut fields = fields.to_vec();
        fields.push(("csrf", &csrf));
        self.post(path, &fields).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: String, site: &str) -> Answer {
        let cookies: Vec<String> = self
            .cookies
            .lock()
            .unwrap()
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, HOST_NAME)
            .header(COOKIE, cookies.join("; "))
            .header("sec-fetch-site", site)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(body))
            .unwrap();
        let answer = ask(&self.router, request).await;
        for cookie in answer.headers.get_all(SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            let (pair, rest) = text.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            let mut cookies = self.cookies.lock().unwrap();
            match rest.contains("Max-Age=0") {
                true => cookies.remove(name),
                false => cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }
}
