//! The job: what goes into the queue, what runs, and what comes back.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use oxcart::{Backoff, Context, Failure, Job, JobOptions, State};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Measure one file.
#[derive(Serialize, Deserialize)]
pub(crate) struct MeasureFile {
    pub(crate) path: String,
    /// So many attempts fail on purpose before one is allowed to work.
    pub(crate) hiccups: u32,
    /// Wait this long first, so that a small folder leaves something to watch.
    pub(crate) pause: Duration,
}

impl Job for MeasureFile {
    const NAME: &'static str = "measure-file";
    const QUEUE: &'static str = "files";
    type Output = Receipt;

    fn options() -> JobOptions {
        JobOptions::new()
            .attempts(3)
            .backoff(Backoff::fixed(Duration::from_millis(300)))
    }
}

/// What the job gives back: the result, and who produced it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) measured: Measured,
    pub(crate) worker: String,
    pub(crate) attempt: u32,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) sha256: String,
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    pub(crate) words: u64,
}

/// The name of the worker process, which its handlers sign with.
pub(crate) struct WorkerName(pub(crate) String);

/// The handler. Any error is retried; `Failure::dead` says that no retry will help.
pub(crate) async fn measure_file(
    job: MeasureFile,
    worker: State<WorkerName>,
    ctx: Context,
) -> Result<Receipt, Failure> {
    if ctx.attempt().number <= job.hiccups {
        return Err("the disk hiccups (on purpose)".into());
    }
    tokio::time::sleep(job.pause).await;
    let path = PathBuf::from(job.path);
    if path.is_dir() {
        return Err(Failure::dead("this is a folder, and will stay one"));
    }
    // Hashing keeps a processor busy, which is nothing for an async thread.
    let measured = tokio::task::spawn_blocking(move || measure(&path)).await??;
    Ok(Receipt {
        measured,
        worker: worker.0.clone(),
        attempt: ctx.attempt().number,
    })
}

/// The work itself; it knows nothing of queues.
pub(crate) fn measure(path: &Path) -> io::Result<Measured> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut hash = Sha256::new();
    let (mut bytes, mut lines, mut words) = (0, 0, 0);
    let mut within_word = false;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        let chunk = &buffer[..read];
        hash.update(chunk);
        bytes += read as u64;
        for &byte in chunk {
            lines += u64::from(byte == b'\n');
            let in_word = !byte.is_ascii_whitespace();
            words += u64::from(in_word && !within_word);
            within_word = in_word;
        }
    }
    let mut sha256 = String::with_capacity(64);
    for byte in hash.finalize() {
        let _ = write!(sha256, "{byte:02x}");
    }
    Ok(Measured {
        sha256,
        bytes,
        lines,
        words,
    })
}
