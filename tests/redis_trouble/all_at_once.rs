//! Everything goes wrong, one thing right after the other.

use std::collections::HashSet;
use std::time::Duration;

use futures::future::join_all;

use crate::support::jobs::{Scene, Work};
use crate::support::workers::{WorkerProcess, drained, queue_at};
use crate::support::{Process, Proxy, Server, eventually};

const SECOND: Duration = Duration::from_secs(1);

/// A worker process, and a new one when it is killed.
struct Mortal {
    process: Process,
    settings: WorkerProcess,
    scene: Scene,
}

impl Mortal {
    fn new(settings: &WorkerProcess, scene: &Scene) -> Self {
        Self {
            process: settings.spawn(scene),
            settings: settings.clone(),
            scene: scene.clone(),
        }
    }

    fn kill(&mut self) -> u32 {
        self.process.kill();
        let dead = self.process.id();
        self.process = self.settings.spawn(&self.scene);
        dead
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_g2_g3_g9_all_at_once() {
    const CALLERS: usize = 40;
    const EACH: usize = 80;
    const ROUNDS: usize = 2;
    let server = Server::options().aof_always().start();
    let proxy = Proxy::start(server.tcp_addr());
    let direct = queue_at(&server.url()).await;
    let proxied = queue_at(&proxy.url()).await;
    let scene = Scene::new();
    let settings = WorkerProcess {
        url: proxy.url(),
        concurrency: 40,
        // Longer than all of a round's troubles together, however slow the machine.
        lease: 10 * SECOND,
        max_stalls: 50,
        ..WorkerProcess::of(&server)
    };
    let mut mortals = [(); 2].map(|()| Mortal::new(&settings, &scene));

    let caller = async |_| {
        for _ in 0..EACH {
            let mut request = proxied.enqueue(Work::sleep(SECOND / 50));
            while let Err(error) = (&mut request).await {
                assert!(error.is_retryable(), "{error:?}");
            }
        }
    };
    let troubles = async {
        let mut killed = HashSet::new();
        for round in 1..=ROUNDS {
            let progress = || scene.runs().len() >= round * CALLERS * EACH / 4;
            eventually(30 * SECOND, progress).await;
            proxy.drop_reply_every(4);
            tokio::time::sleep(SECOND / 2).await;
            tokio::task::block_in_place(|| killed.insert(mortals[round % 2].kill()));
            proxy.swallow_every(6);
            tokio::time::sleep(SECOND / 2).await;
            tokio::task::block_in_place(|| {
                server.kill();
                killed.insert(mortals[(round + 1) % 2].kill());
                server.restart();
                server.cli(&["SCRIPT", "FLUSH"]);
            });
            proxy.drop_reply_every(0);
            tokio::time::sleep(SECOND / 2).await;
            proxy.cut_all();
            server.pause();
            tokio::time::sleep(SECOND / 2).await;
            server.resume();
        }
        killed
    };
    let (_, killed) = tokio::join!(join_all((0..CALLERS).map(caller)), troubles);
    let counts = drained(&direct, 60 * SECOND).await;

    let all = (CALLERS * EACH) as u64;
    let totals = counts.totals;
    assert_eq!((totals.added, totals.completed), (all, all));
    assert_eq!(counts.dead, 0);
    for runs in scene.runs_by_job().values() {
        assert_eq!(runs.last().unwrap().how, "ok", "{runs:?}");
        for pair in runs.windows(2) {
            assert!(pair[0].fence < pair[1].fence, "{pair:?}");
            assert!(killed.contains(&pair[0].pid), "nobody killed it: {pair:?}");
        }
    }
}
