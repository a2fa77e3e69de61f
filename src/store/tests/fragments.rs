//! Fragments alone, on a real Redis: a few lines of Lua name in their head what they try, as the file of a verb does.

use redis::{FromRedisValue, Value};

use super::subject::InRedis;
use crate::job::options::JobOptions;
use crate::job::record::{EncodedRecord, name_of};
use crate::policy::retention::Retention;
use crate::redis::script::Script;

impl InRedis {
    /// What these lines answer. `head` is the line that says what they need.
    fn lua<T: FromRedisValue>(&mut self, head: &str, lines: &str) -> T {
        let verb = format!("#!lua\n-- {head}\n{lines}\n");
        let script = Script::new("alone", Box::leak(verb.into_boxed_str()), None);
        let answer: Value = self.run_alone(Box::leak(Box::new(script)));
        redis::from_redis_value(answer).unwrap()
    }
}

#[test]
fn order_counts_up_for_the_back_and_down_for_the_front_of_each_priority() {
    let mut redis = InRedis::start(None);
    let places: Vec<i64> = redis.lua(
        "needs: order, meta",
        "local options = { b = { front = true }, c = { priority = 501 } }
         local places = queue.take_places({ 'a', 'b', 'c', 'd' }, options)
         queue.save_meta()
         return places",
    );
    assert_eq!(places, [1, -1, (1 << 43) + 2, 3]);
    let next: Vec<i64> = redis.lua("needs: order", "return queue.take_places({ 'e' }, {})");
    assert_eq!(next, [4], "the sequence is stored");
}

#[test]
fn a_fragment_that_is_rarely_needed_is_made_when_it_is_called_and_alone() {
    let mut redis = InRedis::start(None);
    let made: Vec<bool> = redis.lua(
        "rarely: attempts, lines, delayed, room",
        "local before = rawget(queue, 'first_delayed')
         queue.first_delayed('-inf')
         local function is_made(name) return rawget(queue, name) ~= nil end
         return { before == nil and 1 or 0, is_made('first_delayed') and 1 or 0, is_made('LINE') and 1 or 0,
           is_made('newest_room') and 1 or 0, is_made('read_counters') and 1 or 0 }",
    );
    assert_eq!(made, [true, true, true, false, false]);
}

#[test]
fn a_score_of_kept_says_whether_the_job_moves_on_and_when_it_ended() {
    let mut redis = InRedis::start(None);
    let told: Vec<i64> = redis.lua(
        "needs: kept",
        "local moves, stays = queue.kept_score(nil, true), queue.kept_score(5, false)
         return { queue.end_of_moving(moves) - now_ms, queue.end_of_moving(stays) == nil and 1 or 0,
           queue.kept_score(5, true) - now_ms }",
    );
    assert_eq!(told, [0, 1, 60_000]);
}

/// As the rule in Rust reads it (`name_of`), in all forms of records, and in what is none.
#[test]
fn the_name_of_a_job_is_found_in_every_form_of_record() {
    let mut redis = InRedis::start(None);
    let mut name_in = |record: &[u8]| -> Option<Vec<u8>> {
        let bytes: String = record.iter().map(|byte| format!("\\{byte:03}")).collect();
        let lines = format!("return queue.name_in('{bytes}')");
        redis.lua("needs: job_name", &lines)
    };
    let stored = |version: u8, place: &str, rest: &[u8]| {
        let head = [
            &[version, 0xcf][..],
            &[0, 0, 1, 0x8b, 0xcf, 0xe5, 0x68, 0xff],
        ]
        .concat();
        [&head, place.as_bytes(), b" ", rest].concat()
    };
    let long = |length: usize| "n".repeat(length);
    let options = JobOptions::new()
        .group("a b")
        .keep(Retention::Nothing)
        .weight(3);
    for name in [
        "",
        "mail",
        "ü mail",
        &long(31),
        &long(32),
        &long(255),
        &long(256),
        &long(300),
    ] {
        for (version, options) in [(2, &JobOptions::new()), (3, &options)] {
            for payload in [vec![0xc0], vec![7; 3_000]] {
                let encoded = EncodedRecord::new(name, payload, options, Vec::new());
                let apart = encoded.external_payload.is_some();
                let version = if apart { version + 128 } else { version };
                let record = stored(version, "-4398046511104001", &encoded.record);
                assert_eq!(name_of(&record), Some(name.as_bytes()));
                assert_eq!(name_in(&record), Some(name.into()), "{name}");
            }
        }
    }
    const VERSION_1: &[u8] = b"\x82\xa4name\xa2hi\xa7payload\xc4\x01\xc0";
    let old = stored(1, "5", VERSION_1);
    assert_eq!(
        (name_of(&old), name_in(&old)),
        (Some(&b"hi"[..]), Some(b"hi".to_vec()))
    );
    const LARGE_MAP: &[u8] = b"\xde\x00\x01\xa4type\xa2hi";
    let large = stored(2, "5", LARGE_MAP);
    assert_eq!(
        (name_of(&large), name_in(&large)),
        (Some(&b"hi"[..]), Some(b"hi".to_vec()))
    );
    let cut_short = (0..old.len()).map(|length| old[..length].to_vec());
    let others = [
        b"garbage".to_vec(),
        stored(2, "5", b""),
        stored(2, "5", b"\x80"),
        stored(2, "5", b"\x81\xa4type"),
        stored(2, "5", b"\x81\xa4type\x05"),
        stored(2, "5", b"\x81\xa4type\xd9"),
        stored(2, "5", b"\x81\xa4type\xda\x01"),
        stored(2, "5", b"\x81\xa5other\xa2hi"),
    ];
    for record in cut_short.chain(others) {
        assert_eq!(
            name_in(&record).as_deref(),
            name_of(&record),
            "{}",
            record.escape_ascii()
        );
    }
}
