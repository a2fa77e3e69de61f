//! What a newer version of oxcart has stored is left alone by this one.

use oxcart::{ErrorKind, Failure};
use tokio::time::timeout;

use crate::rig::{Number, PATIENCE, Rig, Running};

const JOBS: &str = "oxcart:{test}:jobs";

impl Rig {
    /// The record of a job gets another version byte; the rest of it, in hexadecimal.
    fn set_version(&self, id: &str, version: u8) -> String {
        let script = "local rest = string.sub(redis.call('HGET', KEYS[1], ARGV[1]), 2)
            redis.call('HSET', KEYS[1], ARGV[1], string.char(ARGV[2]) .. rest)
            return (string.gsub(rest, '.', function(c) return string.format('%02x', string.byte(c)) end))";
        self.server
            .ask(&["EVAL", script, "1", JOBS, id, &version.to_string()])
    }
}

#[tokio::test]
async fn a_job_of_a_newer_format_waits_unchanged_for_a_worker_that_can_read_it() {
    let rig = Rig::new().await;
    let job = rig.queue.enqueue(Number(5)).await.unwrap();
    let id = job.id().as_str();
    let record = rig.set_version(id, 4);
    let handler = async |Number(n): Number| Ok::<_, Failure>(n);
    let running = Running::start(rig.worker().handle(handler));
    // It is handed back, and not run, not dead and not lost.
    rig.until(|counts| counts.delayed == 1).await;
    let error = rig.queue.job(job.id()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incompatible);
    assert!(error.to_string().contains("newer version"), "{error}");
    // As a worker of that version would find it.
    assert_eq!(rig.set_version(id, 2), record);
    assert_eq!(timeout(PATIENCE, job.result()).await.unwrap().unwrap(), 5);
    running.stop().await;
}
