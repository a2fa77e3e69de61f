//! Dead letters.

use crate::rig::Rig;

#[tokio::test]
async fn they_are_grouped_by_what_they_died_of_and_replayed_by_group() {
    let rig = Rig::filled().await;
    let groups = rig
        .run(&["dead", "groups", "billing", "--json"])
        .expect(0)
        .objects();
    assert_eq!(groups.len(), 2);
    assert_eq!(
        (&groups[0]["count"], &groups[1]["count"]),
        (&3.into(), &1.into())
    );
    assert_eq!(groups[0]["sample"], "card 4333 was declined");
    let mark = groups[0]["fingerprint"].as_str().unwrap();

    let replay = ["dead", "replay", "billing", "--fingerprint", mark, "--json"];
    let dry = rig
        .run(&[&replay[..], &["--dry-run"]].concat())
        .expect(0)
        .object();
    assert_eq!(
        (&dry["asked"], &dry["done"], &dry["dry_run"]),
        (&3.into(), &0.into(), &true.into())
    );
    let told = rig
        .run(&["dead", "replay", "billing", "--all", "--dry-run"])
        .expect(0)
        .out;
    assert!(
        told.contains("4 jobs of `billing` would be replayed"),
        "{told}"
    );
    assert_eq!(rig.queue.counts().await.unwrap().dead, 4);
    let done = rig
        .run(&[&replay[..], &["--yes"]].concat())
        .expect(0)
        .object();
    assert_eq!((&done["asked"], &done["done"]), (&3.into(), &3.into()));
    assert_eq!(rig.queue.counts().await.unwrap().dead, 1);
}

#[tokio::test]
async fn filters_choose() {
    let rig = Rig::filled().await;
    let chosen = |filter: &[&str]| {
        let args = [&["dead", "ls", "billing", "--json"], filter].concat();
        rig.run(&args).expect(0).objects().len()
    };
    let all = rig.ids("dead");
    for (filter, expected) in [
        (&["--error", "DECLINED"][..], 3),
        (&["--error", "declined", "--older-than", "1h"], 0),
        (&["--newer-than", "1h"], 4),
        (&["--name", "charge"], 4),
        (&["--name", "refund"], 0),
        (&["--id-prefix", &all[3]], 1),
        (&["--header", "trace=abc"], 0),
        (&["--group", "tenant-7"], 0),
        (&["--order", "a"], 0),
        (&["--limit", "2"], 2),
        (&["--failed", "1"], 4),
        (&["--failed", "2"], 0),
        (&["--newest", "--error", "declined", "--limit", "2"], 2),
    ] {
        assert_eq!(chosen(filter), expected, "{filter:?}");
    }
    let newest = rig.run(&["dead", "ls", "billing", "--json", "--newest"]);
    let newest = newest.expect(0).objects();
    let newest = newest.iter().map(|job| job["id"].as_str().unwrap());
    assert!(newest.eq(all.iter().rev().map(String::as_str)));
    let waiting = rig
        .run(&["job", "ls", "billing", "--json", "--header", "trace=abc"])
        .expect(0);
    assert_eq!(waiting.objects().len(), 3);
}

#[tokio::test]
async fn a_listing_goes_on_where_another_has_ended() {
    let rig = Rig::new().await;
    let errors: Vec<String> = (0..30)
        .map(|n| format!("error {}", if n % 3 == 0 { "a" } else { "b" }))
        .collect();
    rig.die(&errors.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    for filter in [&[][..], &["--error", "error b"]] {
        let all = [&["dead", "ls", "billing", "--json", "--all"], filter].concat();
        let all = rig.run(&all).expect(0);
        assert_eq!(all.err, "");
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let mut args = [&["dead", "ls", "billing", "--json", "-n", "7"], filter].concat();
            let cursor: String;
            if let Some(next) = after.take() {
                cursor = next;
                args.extend(["--cursor", &cursor]);
            }
            let said = rig.run(&args).expect(0);
            assert!(said.objects().len() <= 7);
            seen.extend(said.objects());
            if said.err.is_empty() {
                break;
            }
            let next: serde_json::Value = serde_json::from_str(&said.err).unwrap();
            after = Some(next["next"].as_str().unwrap().to_owned());
        }
        assert_eq!(seen, all.objects(), "{filter:?}");
    }
}

#[tokio::test]
async fn a_job_that_was_replayed_meanwhile_is_not_removed() {
    let rig = Rig::filled().await;
    let dead = rig.ids("dead");
    rig.run(&["dead", "replay", "billing", &dead[0]]).expect(0);
    rig.run(&["dead", "remove", "billing", &dead[0], &dead[1], "--yes"])
        .expect(1);
    assert_eq!(rig.ids("dead"), dead[2..]);
    assert!(rig.ids("waiting").contains(&dead[0]));
}

#[tokio::test]
async fn old_ones_are_purged() {
    let rig = Rig::filled().await;
    rig.run(&["dead", "purge", "billing", "--older-than", "1h", "--yes"])
        .expect(0);
    assert_eq!(rig.queue.counts().await.unwrap().dead, 4);
    rig.run(&[
        "dead",
        "purge",
        "billing",
        "--older-than",
        "0s",
        "--name",
        "charge",
        "--yes",
    ])
    .expect(0);
    assert_eq!(rig.queue.counts().await.unwrap().dead, 0);
}

#[tokio::test]
async fn they_are_exported_and_come_back_as_they_were() {
    let rig = Rig::filled().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dead.jsonl");
    let file = file.to_str().unwrap();
    rig.run(&["dead", "export", "billing", file]).expect(0);
    let shown = |rig: &Rig| rig.run(&["dead", "ls", "billing", "--json"]).expect(0).out;
    let before = shown(&rig);
    let import = ["dead", "import", "billing", file, "--json"];
    let there = rig.run(&import).expect(0).object();
    assert_eq!(
        (&there["done"], &there["in_other_state"]),
        (&0.into(), &4.into())
    );
    rig.run(&["dead", "remove", "billing", "--all", "--yes"])
        .expect(0);
    assert_eq!(rig.queue.counts().await.unwrap().dead, 0);
    let back = rig.run(&import).expect(0).object();
    assert_eq!((&back["asked"], &back["done"]), (&4.into(), &4.into()));
    assert_eq!(shown(&rig), before);

    // Of a part, through a pipe, into another queue.
    let part = ["dead", "export", "billing", "--error", "declined"];
    let part = rig.run(&part).expect(0);
    assert_eq!(
        (part.objects().len(), &*part.err),
        (3, "note: 3 jobs exported\n")
    );
    rig.run_with(&["dead", "import", "biling", "-"], &part.out)
        .expect(3);
    let other = ["dead", "import", "other", "-", "--new-queue"];
    rig.run_with(&other, &part.out).expect(0);
    assert_eq!(
        rig.oxcart
            .queue("other")
            .unwrap()
            .counts()
            .await
            .unwrap()
            .dead,
        3
    );
    let bad = rig.run_with(&other, "{\"format\": 1,\n").expect(2);
    assert!(bad.err.contains("line 1 is no dead letter"), "{}", bad.err);
}

#[tokio::test]
async fn a_payload_that_is_edited_keeps_its_shape() {
    let rig = Rig::filled().await;
    let dead = rig.ids("dead");
    let edit = |payload: &str, more: &[&str], exit| {
        let args = ["dead", "edit", "billing", &dead[0], "--payload", payload];
        rig.run(&[&args, more].concat()).expect(exit)
    };
    let job = rig.run(&["dead", "show", "billing", &dead[0], "--json"]);
    let mut payload = job.expect(0).object()["payload"].clone();
    payload["order"] = 4711.into();
    edit(&payload.to_string(), &[], 0);
    let wrong = edit("{\"order\": \"x\"}", &[], 1);
    assert!(
        wrong.err.contains("a text where a whole number was"),
        "{}",
        wrong.err
    );
    edit("{\"order\": \"x\"}", &["--force"], 0);
    edit(&payload.to_string(), &["--force", "--attempts", "3"], 0);
    assert_eq!(rig.ids("dead"), dead);
    let waiting = rig.ids("waiting");
    let args = ["dead", "edit", "billing", &waiting[0], "--attempts", "3"];
    rig.run(&args).expect(1);
}

#[tokio::test]
async fn what_operators_did_is_noted() {
    let rig = Rig::filled().await;
    let dead = rig.ids("dead");
    rig.run(&["dead", "replay", "billing", &dead[0], "--operator", "ada"])
        .expect(0);
    rig.run(&["dead", "remove", "billing", "--error", "declined", "--yes"])
        .expect(0);
    let entries = rig.run(&["audit", "billing", "--json"]).expect(0).objects();
    let said: Vec<_> = entries
        .iter()
        .map(|it| (&it["action"], &it["phase"], &it["jobs"]))
        .collect();
    assert_eq!(
        said,
        [
            (&"remove".into(), &"ended".into(), &2.into()),
            (&"remove".into(), &"began".into(), &serde_json::Value::Null),
            (&"replay".into(), &"asked".into(), &serde_json::Value::Null),
        ]
    );
    assert_eq!(entries[2]["operator"], "ada");
    assert_eq!(entries[2]["target"], *dead[0]);
    let before = entries[1]["number"].to_string();
    let page = rig.run(&["audit", "billing", "--json", "--before", &before]);
    assert_eq!(page.expect(0).objects(), entries[2..]);
    let table = rig.run(&["audit", "billing", "-n", "1"]).expect(0).out;
    assert!(
        table.contains("remove: 2") && !table.contains("ada"),
        "{table}"
    );
}
