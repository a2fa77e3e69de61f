//! Who is let in, and what they see.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::http::request::Parts;
use oxcart_dashboard::{Access, Dashboard, Role};

use crate::rig::{ADMIN, BILLING, Browser, HOST_NAME, Program, Rig, VIEWER, ask};

fn bare(path: &str) -> Request<Body> {
    let request = Request::builder().uri(path).header("host", HOST_NAME);
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn without_access_nobody_is_let_in() {
    let rig = Rig::new().await;
    let router = Dashboard::new(&rig.oxcart).router();
    let page = ask(&router, bare("/")).await.expect(403);
    assert!(page.text.contains("Dashboard::access"), "{}", page.text);
    for path in [
        "/api/overview",
        "/live/overview",
        "/metrics",
        "/queues/mail",
    ] {
        let answer = ask(&router, bare(path)).await.expect(403);
        assert!(!answer.text.contains("waiting"));
    }
}

#[tokio::test]
async fn with_tokens_a_browser_signs_in_and_out_and_a_program_shows_its_token() {
    let rig = Rig::new().await;
    let router = rig.router();
    let browser = Browser::new(&router);
    let login = browser.get("/queues/mail?x=1").await.expect(303);
    assert_eq!(
        login.header("location"),
        "/login?back=%2Fqueues%2Fmail%3Fx%3D1"
    );
    browser
        .get("/login?back=%2Fqueues%2Fmail")
        .await
        .expect(200);
    ask(&router, bare("/api/overview")).await.expect(401);
    ask(&router, bare("/metrics")).await.expect(401);
    ask(&router, bare("/live/overview")).await.expect(401);

    let browser = Browser::signed_in(&router, "", VIEWER).await;
    let page = browser.get("/").await.expect(200);
    assert!(page.text.contains("vera"));
    browser.get("/api/queues/mail").await.expect(200);
    browser.submit("/logout", &[]).await.expect(303);
    browser.get("/").await.expect(303);

    let program = Program::new(&router, ADMIN);
    let overview = program.get("/api/overview").await.expect(200).json();
    assert_eq!(overview["queues"][0]["queue"], "mail");
}

#[tokio::test]
async fn a_wrong_token_is_refused_late() {
    let rig = Rig::new().await;
    let router = rig.router();
    let since = Instant::now();
    let wrong = Program::new(&router, "wrong-0123456789abcdef");
    wrong.get("/api/overview").await.expect(401);
    let browser = Browser::new(&router);
    let fields = [
        ("token", "wrong-0123456789abcdef"),
        ("back", "//evil.example"),
    ];
    let answer = browser.post("/login", &fields).await.expect(401);
    assert!(since.elapsed() > Duration::from_millis(500));
    assert!(!answer.text.contains("wrong-0123") && !answer.text.contains("evil"));
    assert_eq!(browser.cookie("oxcart_session"), None);
    // Others are not slowed down, and nobody is led to another site.
    let fields = [("token", VIEWER), ("back", "//evil.example")];
    let answer = browser.post("/login", &fields).await.expect(303);
    assert_eq!(answer.header("location"), "/");
}

#[tokio::test]
async fn cookies_and_headers_are_strict() {
    let rig = Rig::new().await;
    let router = rig.router();
    let browser = Browser::new(&router);
    let answer = browser
        .post("/login", &[("token", VIEWER)])
        .await
        .expect(303);
    let cookie = answer.header("set-cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"));
    for path in [
        "/",
        "/api/overview",
        "/login",
        "/assets/dashboard.css",
        "/nowhere",
    ] {
        let answer = browser.get(path).await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{path}"
        );
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(!answer.header("cache-control").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn somebody_with_one_queue_sees_that_one_alone() {
    let rig = Rig::new().await;
    rig.enqueue("billing").await;
    let router = rig.router();
    let bob = Program::new(&router, BILLING);
    let overview = bob.get("/api/overview").await.expect(200).json();
    let queues = overview["queues"].as_array().unwrap();
    assert_eq!(queues.len(), 1, "{overview}");
    assert_eq!(queues[0]["queue"], "billing");
    bob.get("/api/queues/billing").await.expect(200);
    bob.get("/api/queues/mail").await.expect(404);
    bob.get("/queues/mail/jobs").await.expect(404);
    bob.get("/live/queues/mail").await.expect(404);
    bob.post("/api/queues/mail/pause", serde_json::json!({}))
        .await
        .expect(404);
    for page in [
        "/",
        "/running",
        "/schedules",
        "/workers",
        "/alerts",
        "/tasks",
        "/metrics",
    ] {
        let page = bob.get(page).await.expect(200);
        assert!(!page.text.contains("mail"), "{}", page.text);
    }
}

#[tokio::test]
async fn somebody_with_one_queue_learns_nothing_of_the_tasks_of_another() {
    let rig = Rig::new().await;
    rig.enqueue("billing").await;
    let router = rig.router();
    let count = serde_json::json!({"action": "cancel", "state": "waiting", "dry_run": true});
    let admin = Program::new(&router, ADMIN);
    let begun = admin.post("/api/queues/mail/bulk", count).await.expect(200);
    assert_eq!(begun.json()["task"], 1);
    let bob = Program::new(&router, BILLING);
    for path in ["/api/tasks/", "/tasks/", "/live/tasks/"] {
        let of_another = bob.get(&format!("{path}1")).await.expect(404);
        let of_nobody = bob.get(&format!("{path}2")).await.expect(404);
        assert_eq!(
            of_another.text.replace('1', "2"),
            of_nobody.text.replace('1', "2")
        );
    }
    let stop = bob.post("/api/tasks/1/stop", serde_json::json!({})).await;
    assert!(!stop.expect(404).text.contains("mail"));
}

#[tokio::test]
async fn the_application_can_say_who_asks_and_mount_it_anywhere() {
    let rig = Rig::new().await;
    let dashboard = Dashboard::new(&rig.oxcart).access(|request: Parts| async move {
        let user = request.headers.get("x-user")?.to_str().ok()?.to_owned();
        Some(Access::new(user, Role::Viewer))
    });
    let inner = Router::new().nest("/queues", dashboard.router());
    let app = Router::new().nest("/admin", inner);
    ask(&app, bare("/admin/queues")).await.expect(403);
    for path in [
        "/admin/queues",
        "/admin/queues/running",
        "/admin/queues/queues/mail",
    ] {
        let mut request = bare(path);
        let user = "vera".parse().unwrap();
        request.headers_mut().insert("x-user", user);
        let page = ask(&app, request).await.expect(200).text;
        let links = page
            .split("href=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap());
        for link in links.filter(|link| !link.starts_with('#') && !link.starts_with("data:")) {
            assert!(link.starts_with("/admin/queues"), "{link} on {path}");
        }
        assert!(page.contains("data-live=\"/admin/queues/live/"), "{page}");
    }
}

#[tokio::test]
async fn without_tokens_this_machine_alone_is_served() {
    let rig = Rig::new().await;
    let access = Access::new("me", Role::Admin);
    let router = Dashboard::new(&rig.oxcart)
        .open_to_loopback(access)
        .router();
    let request = |peer: Option<&str>, host: &str| {
        let mut request = Request::builder().uri("/api/overview").header("host", host);
        if let Some(peer) = peer {
            let peer: SocketAddr = peer.parse().unwrap();
            request = request.extension(ConnectInfo(peer));
        }
        request.body(Body::empty()).unwrap()
    };
    for (peer, host, status) in [
        (Some("127.0.0.1:1"), "localhost:7474", 200),
        (Some("[::1]:1"), "[::1]:7474", 200),
        (Some("[::ffff:127.0.0.1]:1"), "127.0.0.1", 200),
        // A page of another site made its name lead here.
        (Some("127.0.0.1:1"), "evil.example:7474", 403),
        (Some("192.0.2.7:1"), "localhost:7474", 403),
        (None, "localhost:7474", 403),
    ] {
        ask(&router, request(peer, host)).await.expect(status);
    }
    // A proxy on this machine passes it on for somebody else.
    for header in ["x-forwarded-for", "x-real-ip", "forwarded"] {
        let mut passed_on = request(Some("127.0.0.1:1"), "localhost:7474");
        let headers = passed_on.headers_mut();
        headers.insert(header, "for=192.0.2.7".parse().unwrap());
        ask(&router, passed_on).await.expect(403);
    }
}
