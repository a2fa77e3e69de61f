//! What is stored has to be read by later versions. `formats/<n>.txt` hold a queue as some version stored it, with one of
//! each thing that is stored, as the commands that make it. This version must read all of them. If it writes
//! anything in another form, the last file is not what it writes any more, and a new file is added beside it:
//! `OXCART_WRITE_FORMAT=<n> cargo test --lib formats` writes one. A file that is there is never changed.

mod newer;
mod text;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use redis::{Value, cmd};

use super::flows;
use super::subject::{InRedis, START_US, Subject};
use super::{Rig, completed, job, settlement};
use crate::codec;
use crate::events::event::{EventKind, parse_fields};
use crate::id::JobId;
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::options::JobOptions;
use crate::job::outcome::{DeadReason, Outcome};
use crate::job::record::{EncodedRecord, Record};
use crate::job::state::State;
use crate::policy::alert::condition::AlertUnit;
use crate::policy::alert::standing::{Acknowledged, AlertState, Standing};
use crate::policy::alert::window::Sample;
use crate::policy::backoff::Backoff;
use crate::policy::retention::Retention;
use crate::policy::settings::{QueueSettings, SettingsInForce};
use crate::policy::unique::{OnDuplicate, Unique};
use crate::queue::info::{Ended, JobInfo};
use crate::schedule::info::ScheduleInfo;
use crate::schedule::rule::Rule;
use crate::store::alert::{Alert, Change};
use crate::store::alert_round::AlertRound;
use crate::store::alerts::Alerts;
use crate::store::audit::Audit;
use crate::store::configure::{By, Configure};
use crate::store::enqueue::{Due, NewJob};
use crate::store::get::Get;
use crate::store::group::{self, Group};
use crate::store::log::{Line, Log};
use crate::store::logs::Logs;
use crate::store::progress::Progress;
use crate::store::promote::Promote;
use crate::store::recover::{Doubt, Recover};
use crate::store::schedule::{Definition, NextTick, Schedule};
use crate::store::schedules::Schedules;
use crate::store::settings::Settings;
use crate::store::watch::{Watch, Watched};
use text::{commands, load};

const FORMATS: [&str; 2] = [include_str!("formats/1.txt"), include_str!("formats/2.txt")];
const NOW_MS: u64 = START_US / 1_000;
const SECOND: Duration = Duration::from_secs(1);

fn entry(error: &str) -> AttemptEntry {
    AttemptEntry::new(AttemptKind::Error, error.to_owned())
}

fn rich() -> JobOptions {
    JobOptions::new()
        .attempts(3)
        .backoff(Backoff::fixed(2 * SECOND))
        .timeout(9 * SECOND)
        .keep(Retention::For(60 * SECOND))
}

fn rare() -> Unique {
    let unique = Unique::by("request 17").for_time(7_200 * SECOND);
    unique.on_duplicate(OnDuplicate::Replace)
}

fn with(id: &str, payload: Vec<u8>, options: &JobOptions) -> NewJob {
    let headers = vec![("trace".to_owned(), "abc".to_owned())];
    let record = EncodedRecord::new("mail", payload, options, headers);
    NewJob { record, ..job(id) }
}

/// A queue with one of each thing that is stored.
fn everything() -> Rig {
    let mut rig = Rig::in_redis();
    rig.set(QueueSettings::new().keep_at_most(50).max_stalls(7));
    rig.call(&Configure {
        by: By::Code,
        said: &QueueSettings::new().keep_events(1_000).values(),
    });
    // Each claim takes what is in line: one job at a time.
    let claim = |rig: &mut Rig, new: NewJob| {
        rig.enqueue(&[new]);
        rig.claim_one().expect("it is in line")
    };
    let done = claim(&mut rig, with("completed", vec![0xc0], &JobOptions::new()));
    rig.settle(&done.id, &done.receipt, completed());
    let moot = claim(&mut rig, with("cancelled", vec![0xc0], &rich()));
    let mut ended = settlement(&moot.id, &moot.receipt, Outcome::Cancelled("moot".into()));
    ended.keep = rich().keep;
    rig.advance(&[ended], 0);
    let awaited = claim(&mut rig, job("awaited"));
    rig.call(&Watch {
        id: "awaited",
        await_ms: 60_000,
    });
    rig.settle(&awaited.id, &awaited.receipt, completed());
    let dead = claim(&mut rig, job("dead"));
    let (reason, entry_of) = (DeadReason::Declared, entry("no such customer"));
    rig.settle(
        &dead.id,
        &dead.receipt,
        Outcome::Dead {
            reason,
            entry: entry_of,
        },
    );
    let retried = claim(&mut rig, job("retried"));
    let (after, entry_of) = (60 * SECOND, entry("no answer"));
    rig.settle(
        &retried.id,
        &retried.receipt,
        Outcome::Retry {
            after,
            entry: entry_of,
        },
    );
    let snoozed = claim(&mut rig, job("snoozed"));
    let after = 60 * SECOND;
    rig.settle(&snoozed.id, &snoozed.receipt, Outcome::Snoozed { after });
    let stepped = claim(&mut rig, job("stepped"));
    super::steps::suspend_for_an_answer(&mut rig, &stepped);
    let other = claim(&mut rig, job("unhandled"));
    let name = Some("report".to_owned());
    rig.settle(
        &other.id,
        &other.receipt,
        Outcome::Bounced {
            after,
            entry: entry("no handler"),
            name,
        },
    );
    rig.ask_for("another name");
    rig.lease_ms = 1;
    claim(&mut rig, job("suspect"));
    rig.wait(Duration::from_millis(2));
    let recover = Recover {
        expected_ms: NOW_MS + 2,
        tolerance_ms: 0,
        limit: 10,
        lease_ms: 60_000,
        gap_ms: u64::from(u32::MAX) * 1_000,
        quiet_ms: 0,
        doubt: Doubt::None,
    };
    rig.call(&recover);
    rig.lease_ms = 60_000;
    let mut urgent = with("active", vec![b'x'; 2_100], &rich());
    (urgent.priority, urgent.front) = (Some(3), true);
    let active = claim(&mut rig, urgent);
    let (id, receipt) = (&active.id, &active.receipt);
    rig.call(&Progress {
        id,
        receipt,
        value: b"\x2a",
    });
    rig.call(&Log {
        id,
        receipt,
        attempt: 1,
        fence: active.fence,
        first: 1,
        lines: &[Line {
            age_ms: 0,
            text: "half of it is done".to_owned(),
        }],
    });
    rig.send_replies(&active, 1, &[b"one".to_vec()]);
    rig.cancel(&["active"]);
    let mut again = job("again");
    again.priority = Some(3);
    let again = claim(&mut rig, again);
    rig.settle(
        &again.id,
        &again.receipt,
        Outcome::Retry {
            after: Duration::ZERO,
            entry: entry("no answer"),
        },
    );
    rig.enqueue(&[with("waiting", vec![0xc0], &rich())]);
    let mut later = with("delayed", vec![0xc0], &JobOptions::new());
    (later.due, later.priority, later.await_ms) =
        (Due::After { ms: 5_000 }, Some(900), Some(60_000));
    rig.enqueue(&[later]);
    // It runs: an urgent one comes first.
    let latest = Unique::by("user 9").on_duplicate(OnDuplicate::KeepLatest);
    let alone = JobOptions::new().group("tenant 2").unique(latest);
    let runs = with("runs", vec![0xc0], &alone);
    rig.call(&Group {
        group: "tenant%202",
        change: BTreeMap::from([(group::RATE, "5/1000/burst".to_owned())]),
        resume: false,
    });
    let priority = Some(0);
    rig.enqueue(&[NewJob { priority, ..runs }]);
    rig.traits = true;
    assert_eq!(rig.claim_one().unwrap().id.as_str(), "runs");
    rig.traits = false;
    // What is due and not promoted when a job is added leaves room for itself.
    let due = NewJob {
        due: Due::After { ms: 1 },
        ..job("due")
    };
    rig.enqueue(&[due]);
    rig.wait(Duration::from_millis(2));
    rig.enqueue(&[job("behind")]);
    let ordered = JobOptions::new().ordered_by("order 1");
    rig.enqueue(&[
        with("first", vec![0xc0], &ordered),
        with("second", vec![0xc0], &ordered),
        with("of-a-group", vec![0xc0], &JobOptions::new().group("tenant")),
        with(
            "unique",
            vec![0xc0],
            &JobOptions::new().unique(rare()).expires_in(7_200 * SECOND),
        ),
        with("successor", vec![0xc0], &alone),
    ]);
    let rule = Rule {
        every_ms: Some(60_000),
        job: "report".to_owned(),
        ..Rule::default()
    };
    let record = EncodedRecord::new("report", vec![0xc0], &rich(), Vec::new());
    rig.call(&Schedule {
        name: "minutely",
        revision: 0,
        paused: false,
        tick: NextTick::At {
            ms: NOW_MS + 60_000,
        },
        seen: None,
        define: Some(Definition {
            rule: &rule.encode(),
            job: &record,
        }),
    });
    let entry = [
        ("operator", "ann"),
        ("action", "pause"),
        ("target", ""),
        ("phase", "asked"),
    ];
    rig.call(&Audit {
        note: Some(&codec::encode_plain(&BTreeMap::from(entry))),
        limit: 0,
        before: None,
    });
    rig.call(&AlertRound { every_ms: 15_000 });
    let fires = Change {
        name: "deep mail".to_owned(),
        seen: Vec::new(),
        stands: firing().encode(),
        job: None,
    };
    rig.call(&Alert {
        round: None,
        changes: &[fires],
    });
    rig.send_stage_and_feed("waiting");
    rig.publish_and_subscribe();
    rig.enqueue(&flows::flow());
    rig.break_and_probe();
    rig
}

/// An alert that fires, and of which somebody knows.
fn firing() -> Standing {
    Standing {
        state: AlertState::Firing,
        since_ms: NOW_MS,
        judged_ms: NOW_MS + 5_000,
        value: Some(12.0),
        threshold: 10.0,
        unit: AlertUnit::Jobs,
        condition: "more than 10 jobs wait".to_owned(),
        told_ms: Some(NOW_MS),
        acknowledged: Some(Acknowledged {
            by: "ann".to_owned(),
            at_ms: NOW_MS + 1_000,
        }),
        samples: vec![Sample {
            at_ms: NOW_MS,
            totals: [1, 2],
        }],
    }
}

fn in_redis(rig: &mut Rig) -> &mut InRedis {
    match &mut rig.subject {
        Subject::Redis(redis) => redis,
        Subject::Memory(_) => panic!("only Redis stores bytes"),
    }
}

#[test]
fn this_version_writes_what_the_last_file_holds() {
    let mut rig = everything();
    let now = commands(in_redis(&mut rig));
    if let Some(number) = super::random::setting("OXCART_WRITE_FORMAT") {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/tests/formats");
        return std::fs::write(folder.join(format!("{number}.txt")), now).unwrap();
    }
    let last = FORMATS.last().unwrap();
    for (was, is) in last.lines().zip(now.lines()) {
        assert_eq!(
            was,
            is,
            "stored in another form than before: see the head of {}",
            file!()
        );
    }
    assert_eq!(last.lines().count(), now.lines().count());
}

fn info(rig: &mut Rig, id: &str) -> JobInfo {
    let found = rig
        .call(&Get { id })
        .unwrap_or_else(|| panic!("{id} is not there"));
    JobInfo::decode(&JobId::stored(id), found).unwrap()
}

#[test]
fn every_format_there_ever_was_is_read() {
    for (number, format) in (1..).zip(FORMATS) {
        let mut rig = Rig::in_redis();
        load(in_redis(&mut rig), format);
        jobs_are_read(&mut rig);
        the_rest_is_read(&mut rig);
        if number >= 2 {
            assert_eq!(info(&mut rig, "snoozed").snoozes, 1);
            assert_eq!(info(&mut rig, "first").order.as_deref(), Some("order 1"));
            assert_eq!(info(&mut rig, "second").state, State::Blocked);
            assert_eq!(
                info(&mut rig, "of-a-group").group.as_deref(),
                Some("tenant")
            );
            assert_eq!(
                info(&mut rig, "unique").unique.as_deref(),
                Some("request 17")
            );
            assert_eq!(info(&mut rig, "successor").state, State::Blocked);
            assert_eq!(info(&mut rig, "parent").children, 1);
            assert_eq!(info(&mut rig, "child").parent.unwrap().as_str(), "parent");
            let log = rig.call(&Logs {
                id: "active",
                after: 0,
            });
            assert_eq!(log.len(), 1);
            assert!(log[0].1.ends_with(b" half of it is done"));
            assert_eq!(rig.all_replies("active"), ["one"]);
            let (cursor, limit) = (Alerts::ALL, 9);
            let (name, stands) = &rig.call(&Alerts::page(cursor, limit)).alerts[0];
            assert_eq!(name, "deep mail");
            assert_eq!(Standing::decode(stands), Some(firing()));
        }
        // And worked with: everything that can run is claimed.
        rig.wait(3_600 * SECOND);
        rig.call(&Promote {
            limit: 10,
            worker: "worker",
            hold: true,
        });
        rig.traits = true;
        let claimed = rig.advance(&[], 20).claimed;
        let mut ids: Vec<&str> = claimed.iter().map(|job| job.id.as_str()).collect();
        ids.sort_unstable();
        let mut expected = vec![
            "again",
            "behind",
            "delayed",
            "due",
            "retried",
            "suspect",
            "unhandled",
            "waiting",
        ];
        if number >= 2 {
            expected.extend(["child", "first", "of-a-group", "snoozed", "unique"]);
            expected.sort_unstable();
        }
        assert_eq!(ids, expected);
        for job in &claimed {
            let record = Record::decode(&job.record, job.payload.clone()).unwrap();
            assert!(["mail", "test"].contains(&record.name.as_str()));
        }
    }
}

fn jobs_are_read(rig: &mut Rig) {
    let states = [
        ("completed", State::Completed),
        ("cancelled", State::Cancelled),
        ("awaited", State::Completed),
        ("dead", State::Dead),
        ("retried", State::Delayed),
        ("unhandled", State::Waiting),
        ("suspect", State::Waiting),
        ("active", State::Active),
        ("waiting", State::Waiting),
        ("delayed", State::Delayed),
        ("due", State::Delayed),
        ("behind", State::Waiting),
    ];
    for (id, state) in states {
        assert_eq!(info(rig, id).state, state, "{id}");
    }
    let active = info(rig, "active");
    assert_eq!(
        (active.name.as_str(), active.attempts, active.priority),
        ("mail", 3, 3)
    );
    assert_eq!(active.timeout, Some(9 * SECOND));
    assert_eq!(active.headers, [("trace".to_owned(), "abc".to_owned())]);
    assert_eq!(active.progress::<u8>().unwrap(), Some(42));
    assert_eq!(active.worker.as_deref(), Some("worker"));
    let ended = |rig: &mut Rig, id| info(rig, id).ended.unwrap();
    assert_eq!(ended(rig, "completed"), Ended::Completed);
    assert_eq!(ended(rig, "cancelled"), Ended::Cancelled("moot".into()));
    assert_eq!(ended(rig, "dead"), Ended::Dead(DeadReason::Declared));
    assert_eq!(info(rig, "dead").history[0].error, "no such customer");
    let retried = info(rig, "retried");
    assert_eq!((retried.failed, retried.history.len()), (1, 1));
    assert_eq!(
        (info(rig, "suspect").stalls, info(rig, "unhandled").bounces),
        (1, 1)
    );
    assert_eq!(
        info(rig, "delayed").due_at.unwrap().as_millis(),
        NOW_MS + 5_002
    );
    let record = rig.call(&Get { id: "waiting" }).unwrap().record;
    let record = Record::decode(&record, None).unwrap();
    assert_eq!((record.keep, record.backoff), (rich().keep, rich().backoff));
    let outcome = rig.call(&Watch {
        id: "awaited",
        await_ms: 1,
    });
    assert!(matches!(outcome, Watched::Finished { .. }));
}

fn the_rest_is_read(rig: &mut Rig) {
    let set = rig.call(&Settings);
    let set = SettingsInForce::read(&set.settings, &set.declared).unwrap();
    assert_eq!(
        (set.keep_at_most, set.max_stalls, set.keep_events),
        (50, 7, 1_000)
    );
    let found = rig.call(&Schedules::Named { name: "minutely" });
    let schedule = ScheduleInfo::new(&found.schedules[0]);
    assert_eq!(
        (
            schedule.unreadable,
            schedule.next_tick.map(|at| at.as_millis())
        ),
        (None, Some(NOW_MS + 60_000))
    );
    assert!(found.job.is_some());
    let redis = in_redis(rig);
    let key = redis.key("events");
    let events: Value = redis.ask(cmd("XREAD").arg("STREAMS").arg(key).arg(0));
    let kinds = crate::redis::stream::entries(events).into_iter();
    let kinds: Vec<EventKind> = kinds
        .flat_map(|entry| parse_fields(&entry.fields))
        .collect();
    for name in [
        "added",
        "active",
        "completed",
        "cancelled",
        "dead",
        "retrying",
        "bounced",
        "stalled",
        "progress",
        "delayed",
    ] {
        assert!(
            kinds.iter().any(|kind| kind.name() == name),
            "{name} of {kinds:?}"
        );
    }
    assert_eq!(rig.total("completed"), 2);
}
