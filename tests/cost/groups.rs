//! What jobs of groups and orders cost beside plain ones: a call looks at each group once, however many of its jobs it ends or claims.

use oxcart::{Enqueue, Queue, QueueSettings, Retention};

use crate::meter::{Budget, Meter, Used};
use crate::{JOBS, Nothing, nothing, server_and_queue, work_off_what_is_there};

/// One call of `enqueue_many` for jobs of one group, of ten, and of as many as jobs. Exact.
const ENQUEUE_A_GROUP: Budget = Budget {
    calls: 0.004,
    commands: 0.086,
    received: 220.0,
    sent: 0.15,
};

/// A backlog of one group, worked off at a concurrency of 100. How large the batches grow depends on timing, a little: a call
/// executes some 40 commands, and one of plain jobs some 20. It names each group of which it ends jobs.
const PROCESS_A_GROUP: Budget = Budget {
    calls: 0.03,
    commands: 1.2,
    received: 84.0,
    sent: 230.0,
};

/// The same of ten groups: ten further looks, at what each of them holds back.
const PROCESS_TEN_GROUPS: Budget = Budget {
    commands: 1.9,
    received: 88.0,
    ..PROCESS_A_GROUP
};

/// The same of as many groups, or orders, as there are jobs: all stand in line.
const PROCESS_MANY: Budget = Budget {
    commands: 1.1,
    received: 93.0,
    ..PROCESS_A_GROUP
};

async fn enqueue(queue: &Queue, with: impl Fn(Enqueue<Nothing>, usize) -> Enqueue<Nothing>) {
    let jobs = (0..JOBS).map(|n| with(queue.enqueue(nothing()), n));
    queue.enqueue_many(jobs).await.unwrap();
}

/// As in `process`, at a concurrency of 100; and what enqueueing took.
async fn process(with: impl Fn(Enqueue<Nothing>, usize) -> Enqueue<Nothing>) -> (Used, Used) {
    const RUNS: usize = 8;
    let (server, queue) = server_and_queue().await;
    let settings = QueueSettings::new().keep_completed(Retention::Nothing);
    let mut runs = Vec::new();
    while runs.len() < RUNS {
        let meter = Meter::start(&server);
        enqueue(&queue, &with).await;
        let enqueued = meter.stop();
        let used = work_off_what_is_there(&server, &queue, 100, settings).await;
        if used.of("eval") + enqueued.of("eval") == 0 {
            runs.push((enqueued, used));
        }
    }
    // Batches are smaller on a machine that is busy.
    let run = runs.into_iter().min_by_key(|(_, used)| used.of("evalsha"));
    run.unwrap()
}

#[tokio::test]
async fn a_group_that_is_alone() {
    let (_, plain) = process(|job, _| job).await;
    let (enqueued, used) = process(|job, _| job.group("tenant-7")).await;
    enqueued.assert_within("enqueue a group", &ENQUEUE_A_GROUP);
    used.assert_within("a group at 100", &PROCESS_A_GROUP);
    let ratio = used.cpu_us / plain.cpu_us;
    println!("Redis takes {ratio:.2} times as long for a job of a group that is alone");
}

#[tokio::test]
async fn ten_groups() {
    let (_, used) = process(|job, n| job.group(format!("tenant-{}", n % 10))).await;
    used.assert_within("ten at 100", &PROCESS_TEN_GROUPS);
}

#[tokio::test]
async fn many_groups_and_orders() {
    let (_, used) = process(|job, n| job.group(format!("tenant-{n}"))).await;
    used.assert_within("groups at 100", &PROCESS_MANY);
    let (_, used) = process(|job, n| job.ordered_by(format!("order-{n}"))).await;
    used.assert_within("orders at 100", &PROCESS_MANY);
}
