//! The experiments: what is run, and which rows of the table come out of it.

use Target::{BullMq, Everyone, Own};

/// Which way is better.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

/// What a row is held against.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// So many times better than the better of the two BullMQ.
    BullMq(f64),
    /// So many times better than the best of all queues.
    Everyone(f64),
    /// Our own figure, in the row's unit.
    Own(f64),
    /// Our own figure, as a multiple of that in another row.
    Row(&'static str, f64),
}

/// A row of the table. Names are stable: other tools read them.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) targets: &'static [Target],
}

/// What to run.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Add jobs to an empty queue for a while: `seq`, `callers` or `bulk`.
    Add(&'static str),
    /// Work off a backlog that was there before the worker.
    Process {
        concurrency: usize,
        keep: bool,
        wait_ms: u64,
    },
    /// One job at a time into an idle queue.
    Pickup,
    /// Memory of jobs that wait.
    Memory,
    /// CPU of a job's whole way: bulk add, then process at 100.
    Cost,
    /// CPU of processing a job while so many others wait.
    Backlog(u64),
    /// So many jobs due at one moment.
    Due(u64),
}

pub(crate) struct Experiment {
    pub(crate) kind: Kind,
    pub(crate) rows: &'static [Row],
    pub(crate) quick: bool,
}

const fn rate(name: &'static str, targets: &'static [Target]) -> Row {
    Row {
        name,
        unit: "jobs/s",
        better: Better::More,
        targets,
    }
}

const fn cost(name: &'static str, unit: &'static str, targets: &'static [Target]) -> Row {
    Row {
        name,
        unit,
        better: Better::Less,
        targets,
    }
}

const fn process(concurrency: usize, keep: bool, wait_ms: u64) -> Kind {
    Kind::Process {
        concurrency,
        keep,
        wait_ms,
    }
}

const fn slow(kind: Kind, rows: &'static [Row]) -> Experiment {
    Experiment {
        kind,
        rows,
        quick: false,
    }
}

const fn quick(kind: Kind, rows: &'static [Row]) -> Experiment {
    Experiment {
        kind,
        rows,
        quick: true,
    }
}

pub(crate) const ALL: &[Experiment] = &[
    slow(Kind::Add("seq"), &[rate("enqueue-seq", &[])]),
    quick(Kind::Add("callers"), &[rate("enqueue-100", &[BullMq(4.0)])]),
    quick(
        Kind::Add("bulk"),
        &[rate("enqueue-bulk", &[BullMq(6.0), Everyone(1.8)])],
    ),
    slow(
        process(1, false, 0),
        &[rate("process-noop-1", &[BullMq(1.1)])],
    ),
    slow(
        process(10, false, 0),
        &[rate("process-noop-10", &[BullMq(1.5)])],
    ),
    quick(
        process(100, false, 0),
        &[rate("process-noop-100", &[BullMq(5.0)])],
    ),
    quick(
        process(500, false, 0),
        &[rate("process-noop-500", &[BullMq(7.0)])],
    ),
    slow(process(1, true, 0), &[rate("process-noop-1-kept", &[])]),
    slow(process(10, true, 0), &[rate("process-noop-10-kept", &[])]),
    slow(process(100, true, 0), &[rate("process-noop-100-kept", &[])]),
    slow(process(500, true, 0), &[rate("process-noop-500-kept", &[])]),
    slow(process(100, false, 1), &[rate("process-1ms-100", &[])]),
    slow(
        Kind::Pickup,
        &[
            cost("pickup-p50", "ms", &[Own(1.0)]),
            cost("pickup-p99", "ms", &[Own(3.0)]),
            cost("pickup-p99.9", "ms", &[]),
        ],
    ),
    slow(
        Kind::Memory,
        &[cost("bytes-per-waiting-job", "bytes", &[Everyone(1.0)])],
    ),
    slow(
        Kind::Cost,
        &[
            cost("redis-cpu-per-job", "µs", &[BullMq(6.0)]),
            cost("client-cpu-per-job", "µs", &[]),
        ],
    ),
    slow(
        Kind::Backlog(10_000),
        &[cost("redis-cpu-backlog-10k", "µs", &[])],
    ),
    slow(
        Kind::Backlog(1_000_000),
        &[cost(
            "redis-cpu-backlog-1m",
            "µs",
            &[Target::Row("redis-cpu-backlog-10k", 1.2)],
        )],
    ),
    slow(
        Kind::Due(1_000_000),
        &[
            rate("due-1m", &[]),
            cost("due-1m-slowest-script", "ms", &[Own(10.0)]),
        ],
    ),
];

/// The rows of all experiments, in the order of the table.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    ALL.iter().flat_map(|experiment| experiment.rows)
}

/// Those that `ROWS` names, or those of `QUICK`, or all.
pub(crate) fn chosen(quick: bool) -> anyhow::Result<Vec<&'static Experiment>> {
    let Some(names) = crate::setting("ROWS") else {
        return Ok(ALL.iter().filter(|one| one.quick || !quick).collect());
    };
    if names == "none" {
        return Ok(Vec::new());
    }
    for name in names.split(',') {
        if !rows().any(|row| row.name == name) {
            let known: Vec<_> = rows().map(|row| row.name).collect();
            anyhow::bail!("no row is called `{name}`; there are {}", known.join(", "));
        }
    }
    let named = |row: &Row| names.split(',').any(|name| name == row.name);
    Ok(ALL
        .iter()
        .filter(|experiment| experiment.rows.iter().any(named))
        .collect())
}
