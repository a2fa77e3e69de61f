//! What the jobs of a flow cost, a job: the parent and nine children in one call; then they are worked off, one at a time, and forgotten.

use oxcart::{Flow, QueueSettings, Retention};

use crate::meter::{Budget, Meter};
use crate::{JOBS, nothing, server_and_queue, work_off_what_is_there};

const CHILDREN: usize = 9;

/// Of ten jobs in one call. Exact.
const ENQUEUE: Budget = Budget {
    calls: 0.1,
    commands: 2.11,
    received: 324.0,
    sent: 3.6,
};
const PROCESS: Budget = Budget {
    calls: 1.012,
    commands: 43.2,
    received: 1_307.0,
    sent: 384.0,
};

#[tokio::test]
async fn of_a_flow() {
    let (server, queue) = server_and_queue().await;
    let (added, worked_off) = loop {
        let meter = Meter::start(&server);
        for _ in 0..JOBS / (1 + CHILDREN) {
            let children = std::iter::repeat_with(|| queue.enqueue(nothing()));
            let flow = Flow::new(queue.enqueue(nothing())).children(children.take(CHILDREN));
            flow.await.unwrap();
        }
        let added = meter.stop();
        let settings = QueueSettings::new().keep_completed(Retention::Nothing);
        let worked_off = work_off_what_is_there(&server, &queue, 1, settings).await;
        if added.of("eval") + worked_off.of("eval") == 0 {
            break (added, worked_off);
        }
    };
    added.assert_within("flow: enqueue", &ENQUEUE);
    worked_off.assert_within("flow: process", &PROCESS);
}
