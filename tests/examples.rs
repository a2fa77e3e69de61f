//! Every example does what its first line says, against a Redis, and ends by itself.

mod support;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use support::{Process, Server};

/// They take seconds; the rest is for a machine that reads them from a cold disk, all at once.
const LIMIT: Duration = Duration::from_secs(120);

/// Each example, and lines of its output that show that it got to its point.
const EXAMPLES: [(&str, &[&str]); 27] = [
    ("basic", &["Hello, Ada!", "done"]),
    (
        "batch",
        &[
            "somebody is told: a letter of batch 7 cannot be sent",
            "batch 7 is over: 9 sent, 1 dead",
            "the report of batch 7: 10 letters",
        ],
    ),
    (
        "batches",
        &[
            "in 2000 statements; 1997 completed, 3 dead",
            "in batches: ",
            "by site: ",
            " times as many rows",
        ],
    ),
    (
        "breaker",
        &[
            "Breaker(Open)",
            "Breaker(HalfOpen)",
            "Breaker(Rising)",
            "100 charged; 3 attempts failed: those that opened the breaker",
        ],
    ),
    (
        "cancel",
        &[
            "was cancelled: the customer has left",
            ": the caller that waited for its result is gone",
            "3 pages, put off 2 times",
            "Done: 2 pages, at once",
            "too late: InState(Completed)",
        ],
    ),
    (
        "chain",
        &[
            "the line to https://example.com is bad",
            "counted 5 words",
            "5 words stored in `pages`",
        ],
    ),
    (
        "cron",
        &[
            "report of the last second",
            "by hand: report of yesterday",
            "pulse: 4 fired, 0 missed, ended",
            "in the hour, `25`",
        ],
    ),
    (
        "delayed",
        &["the tea is due 1s after Redis had it", "all reminded"],
    ),
    (
        "envelope",
        &[
            "the old worker: bounced",
            "order 1: 750 cents",
            "order 2: 800 cents",
            "order 3: 900 cents",
            "for request-2",
            "because of A-3, for A-3",
            "\"source\": \"https://partner.example/shop\"",
        ],
    ),
    (
        "events",
        &["in the oven", "next attempt at", "somebody else goes on"],
    ),
    (
        "extractors",
        &[
            "not built: the handler of `import`: there is no `State<extractors::Customers>`",
            "import: completed",
            "import: dead: there is no customer `8`",
            "called as a function: books.csv for ACME, Inc.",
        ],
    ),
    (
        "flow",
        &[
            "part 7 is encoded",
            "without `poster`: declared",
            "Metropolis: 8 parts, 8028 bytes, 0 posters",
        ],
    ),
    (
        "graceful_shutdown",
        &[
            " released",
            "stopped: 1 waiting, 0 active",
            "nothing is left",
        ],
    ),
    (
        "groups",
        &[
            "6 of `large` wait, paused: true",
            "small page 1\ntiny page 1\nsmall page 2\nlarge page 1",
            "all exported",
        ],
    ),
    (
        "limits",
        &[
            "429, retry after 2 s",
            "the queue is held until 20",
            "(attempt 1)",
            "all sent, within Some(Rate",
        ],
    ),
    (
        "middleware",
        &[
            "attempt 2: dead: over the limit",
            "cancelled: nobody signed it",
            "a stranger may not pay",
            "paid 250 cents",
            "1 x dead (Timeout)",
            "1 x dead (Panic)",
            "1 x retry (Error)",
        ],
    ),
    (
        "order",
        &[
            "4 are blocked",
            "order 17: the bank does not answer",
            "both orders are shipped",
        ],
    ),
    (
        "priorities",
        &[
            "treating a heart attack\ntreating a broken arm\ntreating the cough that came back\ntreating a cough",
        ],
    ),
    (
        "replies",
        &[
            "chapter 3 of 5",
            "another caller goes on with chapter 4",
            "5 chapters, 2 attempts, each chapter once",
            "is dead after 1 of them: the ink is empty",
        ],
    ),
    (
        "result",
        &[
            "17 / 5 = Quotient { quotient: 3, remainder: 2 }",
            "divided by zero",
        ],
    ),
    (
        "retries",
        &[
            "=> flaky charged",
            "was cancelled",
            "(declared)",
            "=> replayed: abroad charged",
            "the queue is deleted",
        ],
    ),
    (
        "several_queues",
        &["[mail] cat.jpg is ready", "all done in mail and photos"],
    ),
    (
        "saga",
        &[
            "the first order is on its way",
            "the third is stuck, because the truck is broken",
            "and then undone, but for what was done by hand",
        ],
    ),
    (
        "steps",
        &[
            "the job sleeps, and holds no slot and no lease",
            "published: Oxen: once upon a time (approved by Ana)",
            "drafted once in 4 attempts",
        ],
    ),
    (
        "testing",
        &["asked for a review after a week", "asked user 8", "is dead"],
    ),
    (
        "topics",
        &[
            "billing: order 1 was placed",
            "statistics: order 3 was paid, 3000 cents",
            "statistics is 0 events behind, and missed 0",
        ],
    ),
    (
        "unique",
        &[
            "charged 4200 cents",
            "the same request again",
            "receipt over 4200 cents, receipt over 4200 cents, receipt over 4200 cents",
        ],
    ),
];

#[test]
fn every_example_runs_and_ends() {
    let server = Server::start();
    let url = server.url();
    std::thread::scope(|scope| {
        // Some of them are only built where queues in memory are.
        let in_memory = ["extractors", "middleware", "saga", "steps", "testing"];
        let built = |name: &str| !in_memory.contains(&name) || cfg!(feature = "memory");
        for (name, lines) in EXAMPLES.into_iter().filter(|(name, _)| built(name)) {
            let url = &url;
            // Twice: what the first run left behind must not disturb the next.
            scope.spawn(move || (0..2).for_each(|_| check(name, lines, url)));
        }
    });
}

#[test]
fn no_example_is_left_out() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = folder.read_dir().expect("the examples can be listed");
    let there: BTreeSet<String> = files
        .map(|entry| entry.expect("a folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    let run: BTreeSet<String> = EXAMPLES.map(|(name, _)| name.to_owned()).into();
    assert_eq!(there, run);
}

fn check(name: &str, lines: &[&str], url: &str) {
    let folder = tempfile::tempdir().expect("the system's temp folder is writable");
    let path = folder.path().join("output");
    let file = File::create(&path).expect("a new folder is writable");
    let errors = file.try_clone().expect("a file can be opened twice");
    let mut command = support::example(name);
    command.env("REDIS_URL", url).stdout(file).stderr(errors);
    let status = Process::spawn(&mut command, None).wait(LIMIT);
    let output = std::fs::read_to_string(&path).expect("the output can be read");
    assert!(status.success(), "{name} ended with {status}:\n{output}");
    for line in lines {
        assert!(
            output.contains(line),
            "{name} did not say {line:?}:\n{output}"
        );
    }
}
