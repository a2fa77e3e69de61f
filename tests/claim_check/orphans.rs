//! What a sweep must not take for an orphan, and what is not sent any more because a sweep may have done so.

use std::fs;
use std::future::{IntoFuture, pending};
use std::path::{Path, PathBuf};
use std::time::Duration;

use oxcart::{ClaimCheck, ErrorKind, JobId, JobInfo, Oxcart, Queue};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::folder::Folder;
use crate::support::{Proxy, Server, SteppedClock, child_of_test, spawn_self};
use crate::{HOUR, OVER, PATIENCE, Rig, large, of_bytes};

const URL: &str = "ORPHANS_URL";
const FOLDER: &str = "ORPHANS_FOLDER";

async fn queue_at(url: &str, folder: &Path) -> Queue {
    let store = Folder(folder.join("objects"));
    let builder = Oxcart::builder().claim_check(ClaimCheck::over(OVER, store));
    builder.connect(url).await.unwrap().queue("scans").unwrap()
}

/// What two processes tell each other: a file of this name is there.
struct Signals(PathBuf);

impl Signals {
    fn give(&self, name: &str, text: &str) {
        let draft = self.0.join("draft");
        fs::write(&draft, text).unwrap();
        fs::rename(draft, self.0.join(name)).unwrap();
    }

    async fn awaited(&self, name: &str) -> String {
        loop {
            match fs::read_to_string(self.0.join(name)) {
                Ok(text) => return text,
                Err(_) => sleep(Duration::from_millis(5)).await,
            }
        }
    }
}

/// Its caller is dropped while Redis is away.
#[test]
fn producer_process() {
    if !child_of_test() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let [url, folder] = [URL, FOLDER].map(|name| std::env::var(name).unwrap());
        let signals = Signals(folder.clone().into());
        let queue = queue_at(&url, Path::new(&folder)).await;
        queue.enqueue(of_bytes(1)).await.unwrap();
        signals.give("connected", "");
        signals.awaited("away").await;
        let request = queue.enqueue(large());
        let id = request.job_id().clone();
        let caller = timeout(Duration::from_millis(500), request.into_future());
        assert!(caller.await.is_err(), "it is not dropped");
        signals.give("dropped", id.as_str());
        signals.awaited("back").await;
        // It is sent behind the other one.
        while queue.enqueue(of_bytes(2)).await.is_err() {}
        signals.give("done", "");
        pending::<()>().await
    });
}

/// Whether a job is added whose caller was dropped, after Redis was away for so long.
async fn is_added_after(away: Duration) -> bool {
    let (server, folder, clock) = (
        Server::start(),
        TempDir::new().unwrap(),
        SteppedClock::new(),
    );
    let proxy = Proxy::start(server.tcp_addr());
    let signals = Signals(folder.path().to_owned());
    fs::create_dir(folder.path().join("objects")).unwrap();
    let (url, path) = (proxy.url(), folder.path().display().to_string());
    let [file, library] = clock.environment();
    let env = [
        (URL, url.as_str()),
        (FOLDER, path.as_str()),
        (&file.0, &file.1),
        (&library.0, &library.1),
    ];
    let _producer = spawn_self("orphans::producer_process", &env);
    let awaited = async |name: &str| timeout(PATIENCE, signals.awaited(name)).await.unwrap();
    awaited("connected").await;
    proxy.refuse(true);
    proxy.cut_all();
    signals.give("away", "");
    let id = JobId::new(awaited("dropped").await).unwrap();
    clock.step(i64::try_from(away.as_millis()).unwrap());
    proxy.refuse(false);
    signals.give("back", "");
    awaited("done").await;
    let queue = queue_at(&server.url(), folder.path()).await;
    let Some(info) = queue.job(&id).await.unwrap() else {
        return false;
    };
    queue.load_payload(info).await.unwrap();
    true
}

#[tokio::test]
#[cfg_attr(not(target_os = "linux"), ignore = "it needs LD_PRELOAD")]
async fn a_job_whose_caller_is_gone_is_not_added_when_its_payload_may_be_gone() {
    assert!(is_added_after(Duration::ZERO).await);
    assert!(!is_added_after(HOUR).await);
}

#[tokio::test]
async fn a_sweep_believes_no_replica() {
    let rig = Rig::new().await;
    let job = rig.queue.enqueue(large()).await.unwrap();
    rig.objects.age(HOUR);
    // As if the job had not come to this server.
    let id = job.id().as_str();
    let removed: u64 = rig.server.ask(&["HDEL", &jobs_key(&rig), id]);
    assert_eq!(removed, 1);
    let nobody = Server::start();
    rig.server.replica_of(&nobody);
    nobody.kill();
    let error = rig.queue.sweep_payloads(HOUR).await.unwrap_err();
    assert!(error.to_string().contains("READONLY"), "{error}");
    assert_eq!(rig.objects.len(), 1);
    rig.server.cli(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(rig.queue.sweep_payloads(HOUR).await.unwrap().deleted, 1);
}

fn jobs_key(rig: &Rig) -> String {
    let keys: Vec<String> = rig.server.ask(&["KEYS", "*:jobs"]);
    keys[0].clone()
}

#[tokio::test]
async fn a_sweep_leaves_the_payloads_of_a_queue_whose_name_begins_as_its_own() {
    let rig = Rig::new().await;
    // Each letter is six characters in the name of an object, so a part is full behind 33 of them.
    for letters in 31..36 {
        let name = "я".repeat(letters);
        let queue = |name: &str| rig.oxcart.queue(name).unwrap();
        let (short, long) = (queue(&name), queue(&format!("{name}ы")));
        let job = long.enqueue(large()).await.unwrap();
        rig.objects.age(HOUR);
        let swept = short.sweep_payloads(HOUR).await.unwrap();
        assert_eq!((swept.objects, swept.deleted), (0, 0), "{name}");
        let info = long.job(job.id()).await.unwrap().unwrap();
        long.load_payload(info).await.unwrap();
    }
}

#[tokio::test]
async fn a_ticket_never_leads_out_of_its_queue() {
    let rig = Rig::new().await;
    let job = rig.queue.enqueue(large()).await.unwrap();
    let name = rig.objects.names().remove(0);
    let (_, fresh) = name.rsplit_once('/').unwrap();
    // As long as the true one, for the record says how long it is.
    let out = format!("../../elsewhere{:x<11}", "");
    let hostile = format!("oxcart/scans/{out}/{fresh}");
    assert_eq!(hostile.len(), name.len());
    rig.objects.add_foreign(&hostile);
    let client = redis::Client::open(rig.server.socket_url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let (key, id) = (jobs_key(&rig), job.id().as_str());
    let mut get = redis::cmd("HGET");
    let mut record: Vec<u8> = get.arg(&key).arg(id).query(&mut connection).unwrap();
    let at = record
        .windows(name.len())
        .position(|part| part == name.as_bytes());
    record[at.unwrap()..][..name.len()].copy_from_slice(hostile.as_bytes());
    let mut set = redis::cmd("HSET");
    let () = set
        .arg(&key)
        .arg(id)
        .arg(record)
        .query(&mut connection)
        .unwrap();

    let info: JobInfo = rig.info(job.id()).await;
    assert_eq!(info.ticket().unwrap().object, hostile);
    let error = rig.queue.load_payload(info).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PayloadLost);
    assert_eq!(rig.objects.gets(), 0, "the store is not even asked");
    let edited = rig.queue.edit(job.id()).payload(&of_bytes(5)).await;
    assert!(edited.is_ok(), "{edited:?}");
    rig.objects.age(HOUR);
    rig.queue.sweep_payloads(HOUR).await.unwrap();
    assert_eq!(rig.objects.names(), [hostile]);
}
