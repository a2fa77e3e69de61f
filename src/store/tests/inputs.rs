//! Whatever comes from outside never panics: what Redis holds, what it answers, what people type.
//! Each decoder gets noise, and good bytes of which some are changed, cut off or put in.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use redis::Value;
use serde_bytes::ByteBuf;

use super::register::{Visitor, each, tags};
use crate::codec;
use crate::events::event::parse_fields;
use crate::events::stream::EventCursor;
use crate::id::JobId;
use crate::job::history::{AttemptEntry, AttemptKind, Counters, FailedAttempt};
use crate::job::options::JobOptions;
use crate::job::outcome::{DeadReason, Ending};
use crate::job::record::{EncodedRecord, Record};
use crate::job::state::State;
use crate::memory::{Apply, stamp, stored_record};
use crate::name::{Namespace, QueueName};
use crate::policy::about::About;
use crate::policy::backoff::Backoff;
use crate::policy::minute::Minute;
use crate::queue::info::{Counts as Counted, JobInfo};
use crate::queue::jobs::JobCursor;
use crate::redis::connection::Connector;
use crate::redis::credentials::SignIn;
use crate::redis::reply::Reply;
use crate::schedule::info::ScheduleInfo;
use crate::store::Verb;
use crate::store::counts::Counts;
use crate::store::get::Found;
use crate::store::schedules::StoredSchedule;

/// Something that happens to bytes on the way.
#[derive(Debug, Clone)]
enum Damage {
    Set(Index, u8),
    Insert(Index, u8),
    Cut(Index),
}

fn damaged(good: &'static [Vec<u8>]) -> impl Strategy<Value = Vec<u8>> {
    let damage = prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        1 => any::<Index>().prop_map(Damage::Cut),
    ];
    let damaged = (any::<Index>(), vec(damage, 0..5)).prop_map(|(which, damages)| {
        let mut bytes = which.get(good).clone();
        for damage in damages {
            match damage {
                Damage::Set(at, byte) if !bytes.is_empty() => {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
                Damage::Insert(at, byte) => bytes.insert(at.index(bytes.len() + 1), byte),
                Damage::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
                Damage::Set(..) => {}
            }
        }
        bytes
    });
    prop_oneof![3 => damaged, 1 => vec(any::<u8>(), 0..80)]
}

/// Good ones of everything that is decoded.
fn samples() -> &'static [Vec<u8>] {
    static SAMPLES: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    SAMPLES.get_or_init(|| {
        let mut samples = Vec::new();
        for options in [
            JobOptions::new(),
            JobOptions::new()
                .attempts(3)
                .backoff(Backoff::default())
                .timeout(std::time::Duration::from_secs(1)),
            JobOptions::new().backoff(Backoff::named("steps")),
        ] {
            let headers = vec![("trace".to_owned(), "abc".to_owned())];
            let record = EncodedRecord::new("hi", vec![1; 9], &options, headers);
            samples.push(stored_record(&record, 1_700_000_000_000, 17));
        }
        for ending in [
            Ending::Ok(ByteBuf::from(vec![0x2a])),
            Ending::Cancelled("moot".into()),
            Ending::Expired,
            Ending::Dead(DeadReason::Poisoned),
        ] {
            samples.push([&stamp(7), &codec::encode_plain(&ending)[..]].concat());
        }
        let entry = AttemptEntry::new(AttemptKind::Panic, "boom".into());
        let entry = codec::encode_plain(&entry);
        samples.push([&stamp(7), &stamp(8), &entry[..]].concat());
        samples.push(codec::encode_plain(&[0_u64; 9]));
        for text in ["added", "a b:17 c:poisoned", "17-3.2", "12", "1e300", "-1"] {
            samples.push(text.as_bytes().to_vec());
        }
        samples
    })
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    damaged(samples())
}

/// Answers of any shape; many begin as a script's do.
fn answers() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<i64>().prop_map(Value::Int),
        (-2..20i64).prop_map(Value::Int),
        bytes().prop_map(Value::BulkString),
        "[a-z]{0,9}".prop_map(Value::SimpleString),
        any::<f64>().prop_map(Value::Double),
        any::<bool>().prop_map(Value::Boolean),
    ];
    leaf.prop_recursive(3, 40, 8, |inner| {
        let tag = proptest::sample::select(tags());
        let tag = tag.prop_map(|tag| Value::BulkString(tag.as_bytes().to_vec()));
        let tagged = (tag, 0..9i64, vec(inner.clone(), 0..12)).prop_map(|(tag, now, rest)| {
            Value::Array([tag, Value::Int(now)].into_iter().chain(rest).collect())
        });
        prop_oneof![
            3 => tagged,
            2 => vec(inner.clone(), 0..8).prop_map(Value::Array),
            1 => vec((inner.clone(), inner), 0..4).prop_map(Value::Map),
        ]
    })
}

/// Reads an answer as if it was that of each verb.
struct Reading<'a>(&'a Value);

impl Visitor for Reading<'_> {
    fn visit<V: Apply>(&mut self) {
        if let Ok(reply) = Reply::new(V::script().name, self.0.clone()) {
            let _ = V::answer(reply);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn stored_values_are_decoded_or_refused(bytes in bytes(), payload in proptest::option::of(bytes())) {
        let _ = Record::decode(&bytes, payload);
        let _ = Ending::decode(&bytes);
        let _ = FailedAttempt::decode(&bytes);
        let _ = Counters::decode(&bytes);
        let _ = About::decode(&bytes);
        let _ = Minute::parse(&String::from_utf8_lossy(&bytes));
        let _ = codec::decode_plain::<(String, Vec<u64>, f64)>("noise", &bytes);
    }

    #[test]
    fn whatever_is_held_of_a_job_is_shown_or_refused(
        state in proptest::sample::select(State::ALL),
        (score, record, payload, claim) in
            ("[0-9.e+-]{0,9}", bytes(), proptest::option::of(bytes()), proptest::option::of(bytes())),
        (stalls, counters, history, outcome, progress, position) in (
            proptest::option::of(bytes()),
            proptest::option::of(bytes()),
            vec(bytes(), 0..3),
            proptest::option::of(bytes()),
            proptest::option::of(bytes()),
            proptest::option::of(bytes()),
        ),
    ) {
        let state = state.as_str().to_owned();
        let found = Found {
            state, score, record, payload, claim, stalls, counters, history, outcome, progress, position,
        };
        if let Ok(info) = JobInfo::decode(&JobId::stored("job"), found) {
            let _ = info.payload::<Vec<String>>();
            let _ = info.progress::<u8>();
        }
    }

    #[test]
    fn whatever_is_held_of_a_schedule_is_shown_and_never_taken_for_a_good_one(
        (rule, state, job_bytes) in (bytes(), bytes(), 0..2u64),
        tick_ms in proptest::option::of(any::<u64>()),
    ) {
        let info = ScheduleInfo::new(&StoredSchedule {
            name: "s".to_owned(), tick_ms, lost: false, rule, state, job_bytes, last_job_state: None,
        });
        prop_assert!(info.unreadable.is_some());
        let _ = info.next_tick.map(|tick| tick.to_string());
    }

    #[test]
    fn entries_of_the_event_stream_are_read_or_left_out(
        fields in vec(("[a-z-]{0,10}|progress|value|retrying|dead", bytes()), 0..6),
    ) {
        for kind in parse_fields(&fields) {
            let _ = (kind.name(), kind.job_id());
        }
    }

    #[test]
    fn answers_are_read_or_refused(answer in answers()) {
        each(&mut Reading(&answer));
        if let Ok(reply) = Reply::new("counts", answer.clone())
            && let Ok(counted) = Counts::answer(reply)
        {
            let _ = Counted::from_counted(&counted);
        }
        for entry in crate::redis::stream::entries(answer) {
            let _ = parse_fields(&entry.fields);
        }
    }

    #[test]
    fn what_people_type_is_taken_or_refused(text in "\\PC{0,140}|.{0,20}|[0-9]{1,22}-[0-9.]{0,22}") {
        let taken = JobId::new(&text).is_ok();
        prop_assert_eq!(taken, QueueName::new(&text).is_ok());
        prop_assert_eq!(taken, Namespace::new(&text).is_ok());
        if let Ok(cursor) = text.parse::<EventCursor>() {
            prop_assert_eq!(cursor.to_string().parse::<EventCursor>().unwrap(), cursor);
        }
        for text in [text.clone(), format!("waiting:1:17:{text}"), format!("dead:{text}:a")] {
            if let Ok(cursor) = text.parse::<JobCursor>() {
                prop_assert_eq!(cursor.to_string().parse::<JobCursor>().unwrap(), cursor);
            }
        }
        let _ = Connector::from_url(&text, SignIn::default());
        let _ = Connector::from_url(&format!("redis://{text}"), SignIn::default());
        let _ = Connector::from_url(&format!("redis+sentinel://{text}"), SignIn::default());
        let _ = Connector::from_url(&format!("redis+cluster://{text}"), SignIn::default());
        prop_assert_eq!(State::parse(&text).is_some(), State::ALL.iter().any(|s| s.as_str() == text));
    }

    #[test]
    fn waits_are_finite_whatever_is_stored(bytes in bytes(), failures: u32, random in 0.0..1.0f64) {
        if let Ok(backoff) = rmp_serde::from_slice::<Backoff>(&bytes) {
            let _ = (backoff.check(), backoff.wait(failures, random));
        }
    }
}
