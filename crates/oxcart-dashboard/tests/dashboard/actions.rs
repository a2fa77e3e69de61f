//! Each action does what it says, for those who may.

use serde_json::{Value, json};

use crate::rig::{ADMIN, OPERATOR, Program, Rig, Send, VIEWER, ask};

#[tokio::test]
async fn a_viewer_changes_nothing_and_an_operator_removes_nothing() {
    let rig = Rig::new().await;
    let id = rig.enqueue("mail").await;
    let router = rig.router();
    let (viewer, operator) = (
        Program::new(&router, VIEWER),
        Program::new(&router, OPERATOR),
    );
    let bulk = json!({"action": "cancel", "state": "waiting"});
    let job = format!("/api/queues/mail/jobs/{id}");
    for (path, body) in [
        ("/api/queues/mail/pause".to_owned(), json!({})),
        ("/api/queues/mail/resume".to_owned(), json!({})),
        ("/api/queues/mail/bulk".to_owned(), bulk),
        (format!("{job}/cancel"), json!({})),
        (format!("{job}/promote"), json!({})),
        (format!("{job}/replay"), json!({})),
        (format!("{job}/remove"), json!({})),
        (format!("{job}/edit"), json!({"priority": 1})),
        (format!("{job}/signal"), json!({"name": "x"})),
        (format!("{job}/skip"), json!({"step": "x"})),
        ("/api/queues/mail/schedules/x/run".to_owned(), json!({})),
    ] {
        viewer.post(&path, body).await.expect(403);
    }
    let remove = json!({"action": "remove", "state": "waiting"});
    for (path, body) in [
        (format!("{job}/remove"), json!({})),
        (format!("{job}/edit"), json!({"priority": 1})),
        ("/api/queues/mail/bulk".to_owned(), remove),
        ("/api/queues/mail/schedules/x/remove".to_owned(), json!({})),
    ] {
        operator.post(&path, body).await.expect(403);
    }
    let counts = rig.queue.counts().await.unwrap();
    assert_eq!((counts.waiting, counts.paused), (2, false));
    assert!(rig.queue.audit().await.unwrap().is_empty());
}

#[tokio::test]
async fn jobs_are_cancelled_edited_and_removed() {
    let rig = Rig::new().await;
    let admin = Program::new(&rig.router(), ADMIN);
    let id = rig.enqueue("mail").await;
    let path = format!("/api/queues/mail/jobs/{id}");

    let shown = admin.get(&path).await.expect(200).json();
    assert_eq!(shown["payload"]["key"], "(secret)");
    let mut payload = shown["payload"].clone();
    payload["to"] = json!("bob");
    let edit = json!({"payload": payload, "priority": 7});
    admin.post(&format!("{path}/edit"), edit).await.expect(200);
    let job = rig.queue.job(&id).await.unwrap().unwrap();
    assert_eq!(job.priority, 7);
    let stored: Send = job.reveal().payload().unwrap();
    assert_eq!((&*stored.to, &*stored.key), ("bob", "s3cret"));

    let replay = admin.post(&format!("{path}/replay"), json!({})).await;
    assert!(replay.expect(409).text.contains("waiting"));
    let reason = json!({"reason": "no longer wanted"});
    admin
        .post(&format!("{path}/cancel"), reason)
        .await
        .expect(200);
    admin
        .post(&format!("{path}/remove"), json!({}))
        .await
        .expect(200);
    admin
        .post(&format!("{path}/remove"), json!({}))
        .await
        .expect(404);
    admin.get(&path).await.expect(404);
    let entries = rig.queue.audit().await.unwrap();
    assert!(entries.iter().all(|entry| entry.operator == "ada"));
}

#[tokio::test]
async fn names_and_groups_are_paused() {
    let rig = Rig::new().await;
    let operator = Program::new(&rig.router(), OPERATOR);
    let (pause, resume) = ("/api/queues/mail/pause", "/api/queues/mail/resume");
    operator
        .post(pause, json!({"name": "send"}))
        .await
        .expect(200);
    assert_eq!(rig.queue.counts().await.unwrap().paused_names, ["send"]);
    operator
        .post(resume, json!({"name": "send"}))
        .await
        .expect(200);
    assert!(rig.queue.counts().await.unwrap().paused_names.is_empty());
    operator
        .post(pause, json!({"group": "acme"}))
        .await
        .expect(200);
    let group = rig.queue.group("acme").unwrap();
    assert!(group.info().await.unwrap().paused);
    operator
        .post(resume, json!({"group": "acme"}))
        .await
        .expect(200);
    assert!(!group.info().await.unwrap().paused);
}

#[tokio::test]
async fn everything_that_matches_is_counted_first_and_then_changed() {
    let rig = Rig::new().await;
    let admin = Program::new(&rig.router(), ADMIN);
    for _ in 0..600 {
        rig.queue
            .enqueue(Send::to("x"))
            .named("bulk")
            .await
            .unwrap();
    }
    let bulk = async |body: Value| {
        let begun = admin
            .post("/api/queues/mail/bulk", body)
            .await
            .expect(200)
            .json();
        admin.task(begun["task"].as_u64().unwrap()).await
    };
    let mut order =
        json!({"action": "remove", "state": "waiting", "name": "bulk", "dry_run": true});
    let dry = bulk(order.clone()).await;
    assert_eq!(
        (&dry["matching"], &dry["done"]),
        (&json!(600), &json!(0)),
        "{dry}"
    );
    assert_eq!(rig.queue.counts().await.unwrap().waiting, 601);
    order["dry_run"] = json!(false);
    let done = bulk(order).await;
    assert_eq!(
        (&done["done"], &done["state"]),
        (&json!(600), &json!("ended")),
        "{done}"
    );
    assert_eq!(rig.queue.counts().await.unwrap().waiting, 1);
    admin
        .post(
            "/api/queues/mail/bulk",
            json!({"action": "replay", "state": "waiting"}),
        )
        .await
        .expect(400);
}

#[tokio::test]
async fn a_group_of_dead_letters_is_replayed_at_a_rate_and_stopped() {
    let rig = Rig::new().await;
    for number in 0..40 {
        let error = if number < 10 { "disk full" } else { "no route" };
        rig.queue.enqueue(Send::failing(error)).await.unwrap();
    }
    rig.until_dead(40).await;
    let admin = Program::new(&rig.router(), ADMIN);
    let dead = admin.get("/api/queues/mail/dead").await.expect(200).json();
    let group = &dead["groups"][0];
    assert_eq!(
        (&group["count"], &dead["dead"]),
        (&json!(30), &json!(40)),
        "{dead}"
    );
    let order = json!({
        "action": "replay", "state": "dead", "fingerprint": group["fingerprint"], "per_second": 1,
    });
    let begun = admin
        .post("/api/queues/mail/bulk", order)
        .await
        .expect(200)
        .json();
    let id = begun["task"].as_u64().unwrap();
    let stop = format!("/api/tasks/{id}/stop");
    Program::new(&admin.router, VIEWER)
        .post(&stop, json!({}))
        .await
        .expect(403);
    admin.post(&stop, json!({})).await.expect(200);
    let task = admin.task(id).await;
    assert_eq!(task["state"], "stopped", "{task}");
    assert!(task["done"].as_u64().unwrap() < 30, "{task}");
    let left = rig.queue.counts().await.unwrap();
    assert!(left.dead > 10, "{left:?}");
}

#[tokio::test]
async fn schedules_are_paused_run_and_removed() {
    let rig = Rig::new().await;
    let admin = Program::new(&rig.router(), ADMIN);
    let hour = std::time::Duration::from_secs(3_600);
    let schedule = rig.queue.schedule("night<ly>").every(hour);
    schedule.job(Send::to("ada")).await.unwrap();
    let path = "/api/queues/mail/schedules/night%3Cly%3E";
    admin
        .post(&format!("{path}/pause"), json!({}))
        .await
        .expect(200);
    let info = rig
        .queue
        .schedule("night<ly>")
        .info()
        .await
        .unwrap()
        .unwrap();
    assert!(info.paused);
    admin
        .post(&format!("{path}/resume"), json!({}))
        .await
        .expect(200);
    let ran = admin
        .post(&format!("{path}/run"), json!({}))
        .await
        .expect(200);
    assert!(ran.json()["message"].as_str().unwrap().contains("night"));
    assert_eq!(rig.queue.counts().await.unwrap().waiting, 2);
    admin
        .post(&format!("{path}/remove"), json!({}))
        .await
        .expect(200);
    admin
        .post(&format!("{path}/remove"), json!({}))
        .await
        .expect(404);
}

/// Browsers, proxies and libraries take dots for folders, also those that are encoded.
#[tokio::test]
async fn names_of_dots_and_slashes_lead_nowhere_else() {
    let rig = Rig::new().await;
    let admin = Program::new(&rig.router(), ADMIN);
    for name in [".", ".."] {
        let queue = rig.oxcart.queue(name).unwrap();
        let hour = std::time::Duration::from_secs(3_600);
        let schedule = queue.schedule(name).every(hour);
        schedule.job(Send::to("ada")).await.unwrap();
        let id = oxcart::JobId::new(name).unwrap();
        let request = queue.enqueue(Send::to("ada")).group(name).id(id.clone());
        request.await.unwrap();
        let path = format!("/queues/~{name}");
        admin.get(&format!("/api{path}")).await.expect(200);
        let page = admin.get(&path).await.expect(200).text;
        assert!(page.contains(&format!("\"{path}/jobs\"")), "{page}");
        assert!(!page.contains(&format!("/queues/{name}/")), "{page}");
        let page = admin.get(&format!("{path}/schedules")).await.expect(200);
        let pause = format!("{path}/schedules/~{name}/pause");
        assert!(page.text.contains(&format!("\"{pause}\"")), "{}", page.text);
        let api = format!("/api{pause}");
        admin.post(&api, json!({})).await.expect(200);
        let info = queue.schedule(name).info().await.unwrap().unwrap();
        assert!(info.paused);
        let job = format!("/api{path}/jobs/~{name}");
        assert_eq!(admin.get(&job).await.expect(200).json()["line"]["id"], name);
        let cancel = format!("{job}/cancel");
        admin.post(&cancel, json!({})).await.expect(200);
        let pause = format!("/api{path}/pause");
        let group = json!({"group": name});
        admin.post(&pause, group).await.expect(200);
        assert!(queue.group(name).unwrap().info().await.unwrap().paused);
    }
    // No name has these: the answer says so, and is no other page.
    for path in ["queues/a%2Fb", "queues/mail/jobs/a%2Fb"] {
        let answer = admin.get(&format!("/api/{path}")).await.expect(400);
        assert_eq!(answer.json()["error"]["kind"], "invalid");
    }
    let path = "/api/queues/mail/schedules/a%2F..%2Fb/pause";
    let answer = admin.post(path, json!({})).await.expect(400);
    assert_eq!(answer.json()["error"]["kind"], "invalid");
    // A group may have any name: it stands in no path.
    let pause = "/api/queues/mail/pause";
    let group = json!({"group": "a/../b"});
    admin.post(pause, group).await.expect(200);
}

/// A filter that is not understood is no filter: the action would be one on everything.
#[tokio::test]
async fn what_is_not_understood_changes_nothing() {
    let rig = Rig::new().await;
    let router = rig.router();
    let admin = Program::new(&router, ADMIN);
    let fingerprint = "0123456789abcdef";
    for body in [
        json!({"action": "remove", "state": "waiting", "nmae": "other"}),
        json!({"action": "cancel", "state": "waiting", "fingerprint": fingerprint}),
        json!({"action": "remove", "state": "waiting", "older": "yesterday"}),
        json!({"action": "remove", "state": "waiting", "failed": "many"}),
        json!({"action": "remove", "state": ["waiting"]}),
        json!({"action": "remove"}),
    ] {
        let answer = admin.post("/api/queues/mail/bulk", body.clone()).await;
        if answer.status == 200 {
            let id = answer.json()["task"].as_u64().unwrap();
            assert_eq!(admin.task(id).await["state"], "failed", "{body}");
        } else {
            answer.expect(400);
        }
    }
    // No task is begun that could only fail.
    for body in [
        json!({"action": "replay", "state": "dead", "per_second": 0}),
        json!({"action": "replay", "state": "dead", "per_second": -1}),
        json!({"action": "replay", "state": "dead", "stop_if_failing_percent": 101}),
    ] {
        admin.post("/api/queues/mail/bulk", body).await.expect(400);
    }
    let mistyped = json!({"nmae": "send"});
    let answer = admin.post("/api/queues/mail/pause", mistyped).await;
    assert!(answer.expect(400).text.contains("nmae"));
    // JSON that does not say that it is JSON.
    let request = axum::http::Request::post("/api/queues/mail/pause")
        .header("authorization", format!("Bearer {ADMIN}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(axum::body::Body::from("{\"name\": \"send\"}"));
    ask(&router, request.unwrap()).await.expect(400);
    let counts = rig.queue.counts().await.unwrap();
    assert_eq!((counts.waiting, counts.paused), (1, false));
}

#[tokio::test]
async fn a_mask_is_not_stored_in_the_place_of_a_secret() {
    let rig = Rig::new().await;
    let admin = Program::new(&rig.router(), ADMIN);
    let id = rig.enqueue("mail").await;
    let path = format!("/api/queues/mail/jobs/{id}/edit");
    for payload in [
        json!({"to": "(secret)", "key": "(secret)"}),
        json!({"to": "ada", "key": ["(secret)"]}),
    ] {
        let answer = admin.post(&path, json!({"payload": payload})).await;
        assert!(answer.expect(400).text.contains("(secret)"));
    }
    let job = rig.queue.job(&id).await.unwrap().unwrap();
    let stored: Send = job.reveal().payload().unwrap();
    assert_eq!((&*stored.to, &*stored.key), ("ada", "s3cret"));
}
