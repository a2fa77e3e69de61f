//! A folder and a store in memory: what oxcart asks of a store, and jobs whose payloads are there.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use object_store::memory::InMemory;
use oxcart::{
    ClaimCheck, Failure, Job, ObjectPages, Oxcart, PayloadStore, Retention, StoredObject, Worker,
};
use oxcart_object_store::ObjectPayloads;
use serde::{Deserialize, Serialize};

const SECOND: Duration = Duration::from_secs(1);

async fn all(mut pages: Box<dyn ObjectPages>) -> Vec<StoredObject> {
    let mut all = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        all.extend(page);
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

async fn names(store: &ObjectPayloads, prefix: &str) -> Vec<String> {
    let all = all(store.list(prefix)).await;
    all.into_iter().map(|object| object.name).collect()
}

/// All that is asked of a store.
async fn check(store: ObjectPayloads, many: usize) {
    assert!(all(store.list("a/b/")).await.is_empty());
    let began = SystemTime::now() - SECOND;
    for (name, bytes) in [
        ("a/b/1/x", &b"one"[..]),
        ("a/b/2/_2e_e4/y", b""),
        ("a/bb/3/z", b"three"),
        ("a/b.c/4/z", b"four"),
    ] {
        store.put(name, bytes.to_vec()).await.unwrap();
    }
    let large = vec![7; 3 * 1024 * 1024];
    store.put("a/large", large.clone()).await.unwrap();

    assert_eq!(store.get("a/b/1/x", 9).await.unwrap().unwrap(), b"one");
    assert_eq!(store.get("a/b/1/x", 3).await.unwrap().unwrap(), b"one");
    assert_eq!(store.get("a/b/1/x", 2).await.unwrap().unwrap(), b"on");
    assert_eq!(store.get("a/b/2/_2e_e4/y", 9).await.unwrap().unwrap(), b"");
    assert_eq!(store.get("a/b/1/none", 9).await.unwrap(), None);
    assert_eq!(store.get("a/b/none/x", 9).await.unwrap(), None);
    let read = store.get("a/large", u64::MAX).await.unwrap().unwrap();
    assert!(read == large);
    let read = store.get("a/large", 1_000_000).await.unwrap().unwrap();
    assert_eq!(read.len(), 1_000_000);

    let listed = all(store.list("a/b/")).await;
    let shown: Vec<_> = listed
        .iter()
        .map(|one| (one.name.as_str(), one.bytes))
        .collect();
    assert_eq!(shown, [("a/b/1/x", 3), ("a/b/2/_2e_e4/y", 0)]);
    let now = SystemTime::now() + SECOND;
    assert!(
        listed
            .iter()
            .all(|one| began < one.modified && one.modified < now)
    );

    let gone = ["a/b/1/x", "a/b/none/x", "a/b.c/4/z"].map(str::to_owned);
    for _ in 0..2 {
        store.delete(&gone).await.unwrap();
    }
    assert_eq!(names(&store, "a/b/").await, ["a/b/2/_2e_e4/y"]);
    assert_eq!(names(&store, "a/b.c/").await, [""; 0]);
    let many: Vec<String> = (0..many).map(|n| format!("many/{n:04}")).collect();
    for name in &many {
        store.put(name, Vec::new()).await.unwrap();
    }
    assert_eq!(names(&store, "many/").await, many);
    for part in many.chunks(1_000) {
        store.delete(part).await.unwrap();
    }
    assert_eq!(names(&store, "many/").await, [""; 0]);
    assert!(store.put("../x", Vec::new()).await.is_err());
}

#[tokio::test]
async fn memory_keeps_the_promises_of_a_store() {
    check(ObjectPayloads::in_memory(), 2_500).await;
    let memory = Arc::new(InMemory::new());
    let prefixed = ObjectPayloads::new(memory.clone(), "shop/payloads").unwrap();
    check(prefixed, 1_000).await;
    let whole = ObjectPayloads::new(memory, "").unwrap();
    assert_eq!(
        names(&whole, "shop/payloads/a/b/").await,
        ["shop/payloads/a/b/2/_2e_e4/y"]
    );
}

#[tokio::test]
async fn a_folder_keeps_the_promises_of_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let one = ObjectPayloads::folder(folder.path().join("new/one")).unwrap();
    check(one, 30).await;
    let url = format!("file://{}/two", folder.path().display());
    check(ObjectPayloads::from_url(&url, [("", "")]).unwrap(), 30).await;
    assert!(folder.path().join("two/a/b/2/_2e_e4/y").is_file());
    // Folders that are empty are gone.
    assert!(!folder.path().join("two/many").exists());
}

#[test]
fn stores_that_cannot_be_made_are_told() {
    let none: [(&str, &str); 0] = [];
    for (url, why) in [
        ("no url", "cannot be read"),
        ("ftp://user:secret@host/x", "`ftp`"),
        ("ftp://host/x", "ftp://host/x"),
        ("file:///dev/null/x", "cannot use the folder"),
    ] {
        let error = ObjectPayloads::from_url(url, none).unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains("secret"), "{error}");
    }
    ObjectPayloads::new(Arc::new(InMemory::new()), "a//b").unwrap_err();
    ObjectPayloads::from_url("memory:///", none).unwrap();
}

#[derive(Serialize, Deserialize)]
struct Scan {
    text: String,
}

impl Job for Scan {
    const NAME: &'static str = "scan";
    type Output = usize;
}

fn files(folder: &Path) -> usize {
    let inside = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    inside
        .map(|path| if path.is_dir() { files(&path) } else { 1 })
        .sum()
}

#[tokio::test]
async fn the_payload_of_a_job_is_a_file_until_the_job_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectPayloads::folder(folder.path()).unwrap();
    let claim_check = ClaimCheck::over(10_000, store);
    let oxcart = Oxcart::builder()
        .claim_check(claim_check)
        .in_memory()
        .unwrap();
    let queue = oxcart.queue("scans").unwrap();
    let scan = |length| Scan {
        text: "x".repeat(length),
    };
    let jobs =
        [20_000, 5, 30_000].map(|length| queue.enqueue(scan(length)).keep(Retention::Nothing));
    let jobs = queue.enqueue_many(jobs).await.unwrap();
    assert_eq!(files(folder.path()), 2);
    let worker =
        Worker::builder(&queue).handle(async |scan: Scan| Ok::<_, Failure>(scan.text.len()));
    let stop = tokio::sync::Notify::new();
    let worker = worker.build().unwrap();
    let checks = async {
        for job in &jobs {
            // It is forgotten as soon as it has completed, so its end is seen by that.
            while queue.job(job.id()).await.unwrap().is_some() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        while files(folder.path()) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.notify_one();
    };
    let (ran, ()) = tokio::join!(worker.run_until(stop.notified()), checks);
    ran.unwrap();
}

#[tokio::test]
async fn what_killed_puts_have_left_in_a_folder_is_deleted_with_the_next_list() {
    let folder = tempfile::tempdir().unwrap();
    let store = ObjectPayloads::folder(folder.path()).unwrap();
    let name = "oxcart/scans/1/0123456789abcdefghjkmnpqrs";
    store.put(name, b"whole".to_vec()).await.unwrap();
    let file = |name: &str| folder.path().join(name);
    let hour = Duration::from_secs(3600);
    let left = |name: &str, age: Duration| {
        fs::create_dir_all(file(name).parent().unwrap()).unwrap();
        let made = fs::File::create(file(name)).unwrap();
        made.set_modified(SystemTime::now() - age).unwrap();
    };
    let [old, young, other, note] = [
        "oxcart/scans/1/0123456789abcdefghjkmnpqrs#1",
        "oxcart/scans/2/0123456789abcdefghjkmnpqrs#12",
        "oxcart/other/1/0123456789abcdefghjkmnpqrs#1",
        "oxcart/scans/notes#old",
    ];
    left(old, hour + SECOND);
    left(young, hour - 60 * SECOND);
    left(other, hour + SECOND);
    left(note, hour + SECOND);
    let whole = fs::File::options().append(true).open(file(name)).unwrap();
    whole.set_modified(SystemTime::now() - 2 * hour).unwrap();
    let listed = names(&store, "oxcart/scans/").await;
    assert!(listed.contains(&name.to_owned()), "{listed:?}");
    assert!(!file(old).exists());
    for stays in [name, young, other, note] {
        assert!(file(stays).exists(), "{stays}");
    }
    assert!(names(&store, "oxcart/none/").await.is_empty());
}
