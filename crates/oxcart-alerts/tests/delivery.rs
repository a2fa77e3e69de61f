//! Notifications on their way to receivers that answer well, badly, late, or never.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use oxcart::{AlertNotification, Job, Outcome, Oxcart, Worker};
use oxcart_alerts::{
    DELIVERY_HEADER, ErrorKind, SIGNATURE_HEADER, Slack, TIMESTAMP_HEADER, Webhook, verify,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SECRET: &[u8] = b"a long random text";
const SOON: Duration = Duration::from_secs(60);

/// What a receiver does with a request.
#[derive(Clone)]
enum Answer {
    Text(String),
    /// And then without end.
    Endless(&'static str, &'static str),
    Never,
    Close,
}

fn status(line: &str) -> Answer {
    Answer::Text(format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n"))
}

#[derive(Clone, Debug)]
struct Received {
    head: String,
    body: String,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }
}

/// A receiver: its answers, one for each request, the last one for all that follow.
struct Receiver {
    url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?a=b", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&received);
        tokio::spawn(async move {
            for n in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let answer = answers[n.min(answers.len() - 1)].clone();
                tokio::spawn(serve(stream, answer, Arc::clone(&keep)));
            }
        });
        Self { url, received }
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    fn webhook(&self) -> Webhook {
        let webhook = Webhook::new(&self.url).unwrap();
        webhook.allow_private_addresses().secret(SECRET)
    }
}

async fn serve(mut stream: TcpStream, answer: Answer, keep: Arc<Mutex<Vec<Received>>>) {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    let request = loop {
        let read = stream.read(&mut buffer).await.unwrap();
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let received = Received {
                head: head.to_owned(),
                body: body.to_owned(),
            };
            if received.header("content-length").parse() == Ok(body.len()) {
                break received;
            }
        }
        assert!(read > 0, "the request is cut off: {text}");
    };
    keep.lock().unwrap().push(request);
    match answer {
        Answer::Text(text) => drop(stream.write_all(text.as_bytes()).await),
        Answer::Endless(first, then) => {
            let mut sent = stream.write_all(first.as_bytes()).await;
            while sent.is_ok() {
                sent = stream.write_all(then.as_bytes()).await;
            }
        }
        Answer::Never => std::future::pending().await,
        Answer::Close => {}
    }
}

fn notification(rule: &str) -> AlertNotification {
    let fields = json!({
        "event": "fired", "rule": rule, "queue": "mail", "namespace": "oxcart",
        "condition": "more than 10 jobs wait", "value": 12.0, "threshold": 10.0, "unit": "jobs",
        "since_ms": 1_795_230_000_000_u64, "at_ms": 1_795_230_060_000_u64,
    });
    serde_json::from_value(fields).unwrap()
}

/// Delivers one notification by a worker; how each of its attempts ended.
async fn deliver(webhook: Webhook, attempts: usize) -> Vec<Outcome> {
    let oxcart = Oxcart::in_memory();
    let alerts = oxcart.queue("alerts").unwrap();
    let worker = Worker::builder(&alerts).handle(webhook).build().unwrap();
    alerts.enqueue(notification("deep")).await.unwrap();
    let mut outcomes = Vec::new();
    for _ in 0..attempts {
        outcomes.extend(worker.drain().await.into_iter().map(|ran| ran.outcome));
        oxcart.advance_time(Duration::from_secs(3_600));
    }
    outcomes
}

async fn fails(webhook: Webhook) -> oxcart_alerts::Error {
    let began = Instant::now();
    let error = webhook.send(&notification("deep"), "id").await.unwrap_err();
    assert!(began.elapsed() < SOON, "{error}");
    error
}

#[tokio::test]
async fn a_delivery_that_fails_is_tried_again_and_the_receiver_knows_it_and_its_sender() {
    let answers = vec![status("500 Oh no"), status("200 OK")];
    let receiver = Receiver::start(answers).await;
    let outcomes = deliver(receiver.webhook(), 3).await;
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
    assert!(outcomes[1].is_completed(), "{outcomes:?}");
    let received = receiver.received();
    assert_eq!(received.len(), 2);
    let sent = serde_json::to_value(notification("deep")).unwrap();
    for request in &received {
        assert!(request.head.starts_with("POST /hook?a=b HTTP/1.1\r\n"));
        assert_eq!(request.header("content-type"), "application/json");
        let body: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(body, sent);
        let (timestamp, signature) = (
            request.header(TIMESTAMP_HEADER),
            request.header(SIGNATURE_HEADER),
        );
        let is_signed =
            |body: &str| verify(SECRET, timestamp, signature, body.as_bytes(), 2 * SOON);
        assert!(is_signed(&request.body), "{request:?}");
        assert!(!is_signed(&request.body.replace("mail", "bulk")));
    }
    let ids = received
        .iter()
        .map(|request| request.header(DELIVERY_HEADER));
    let ids: Vec<_> = ids.collect();
    assert!(!ids[0].is_empty() && ids[0] == ids[1], "{ids:?}");
}

#[tokio::test]
async fn a_receiver_that_hangs_is_given_up() {
    let receiver = Receiver::start(vec![Answer::Never]).await;
    let webhook = receiver.webhook().timeout(Duration::from_millis(300));
    let error = fails(webhook.clone()).await;
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let outcomes = deliver(webhook, 1).await;
    assert!(!outcomes[0].is_completed());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Receiver::start(vec![status("200 OK")]).await;
    for line in ["301 Moved", "302 Found", "307 There", "308 There"] {
        let answer = format!(
            "HTTP/1.1 {line}\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
            other.url
        );
        let receiver = Receiver::start(vec![Answer::Text(answer)]).await;
        let error = fails(receiver.webhook()).await;
        assert!(matches!(error.kind(), ErrorKind::Status(301..=308)));
        assert!(error.to_string().contains("not followed"), "{error}");
    }
    assert!(other.received().is_empty());
}

#[tokio::test]
async fn private_addresses_are_refused_unless_they_are_allowed() {
    let receiver = Receiver::start(vec![status("200 OK")]).await;
    let error = fails(Webhook::new(&receiver.url).unwrap()).await;
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
    assert!(receiver.received().is_empty());
    let allowed = receiver.webhook();
    assert!(allowed.send(&notification("deep"), "id").await.is_ok());
}

#[tokio::test]
async fn an_answer_without_end_does_no_harm() {
    let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let receiver = Receiver::start(vec![Answer::Endless(endless, "1\r\nx\r\n")]).await;
    let sent = receiver.webhook().send(&notification("deep"), "id").await;
    assert!(sent.is_ok(), "{sent:?}");
    // A head without end is no answer.
    let head = Answer::Endless("HTTP/1.1 200 OK\r\n", "x: y\r\n");
    let receiver = Receiver::start(vec![head]).await;
    let error = fails(receiver.webhook()).await;
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
}

#[tokio::test]
async fn what_is_no_answer_is_an_error_that_shows_no_url() {
    for answer in [
        Answer::Close,
        Answer::Text("SSH-2.0-OpenSSH\r\n".to_owned()),
        Answer::Text("\0".repeat(100)),
    ] {
        let receiver = Receiver::start(vec![answer]).await;
        let error = fails(receiver.webhook()).await;
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        assert!(!format!("{error} {error:?}").contains("hook"), "{error}");
    }
    let nobody = Webhook::new("http://127.0.0.1:1/").unwrap();
    let error = fails(nobody.allow_private_addresses()).await;
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
}

#[tokio::test]
async fn slack_is_told_a_line_of_plain_text() {
    let receiver = Receiver::start(vec![status("200 OK")]).await;
    let slack = Slack::new(&receiver.url).unwrap().allow_private_addresses();
    let oxcart = Oxcart::in_memory();
    let alerts = oxcart.queue("alerts").unwrap();
    let worker = Worker::builder(&alerts)
        .handle(slack.clone())
        .build()
        .unwrap();
    alerts.enqueue(notification("deep")).await.unwrap();
    assert!(worker.drain().await[0].outcome.is_completed());
    let nasty = "<!channel>&<b>\u{202e}x</b>\n\0\u{1b}[31m";
    slack.send(&notification(nasty)).await.unwrap();
    let received = receiver.received();
    let text = |at: usize| {
        let body: Value = serde_json::from_str(&received[at].body).unwrap();
        body["text"].as_str().unwrap().to_owned()
    };
    let since = "2026-11-21T03:00:00.000Z";
    let rest = format!("on mail: more than 10 jobs wait (12 jobs), since {since}");
    assert_eq!(text(0), format!("FIRING: deep {rest}"));
    let plain = "&lt;!channel&gt;&amp;&lt;b&gt;x&lt;/b&gt;[31m";
    assert_eq!(text(1), format!("FIRING: {plain} {rest}"));
    // The URL is a secret.
    assert!(!format!("{slack:?}").contains("hook"));
}

/// The names that a version of the library stores stay what receivers know.
#[test]
fn the_name_of_the_job_stays() {
    assert_eq!(AlertNotification::NAME, "oxcart-alert");
}
