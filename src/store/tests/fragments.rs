//! Fragments alone, on a real Redis: a few lines of Lua name in their head what they try, as the file of a verb does.

use redis::{FromRedisValue, Value};

use super::subject::InRedis;
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
