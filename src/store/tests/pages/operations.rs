//! What random sequences look for.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::job::state::State;
use crate::store::list::{Direction, Wanted};
use crate::store::tests::random::op::{NAMES, Op};
use crate::store::tests::random::reads::Page;

/// One page of all jobs in a state.
pub(in crate::store::tests) fn operation() -> impl Strategy<Value = Op> {
    let bytes = select(&[0, 3_000, 1 << 20][..]);
    let what = (
        select(State::ALL),
        1..6usize,
        bytes,
        prop::bool::weighted(0.7),
    );
    what.prop_map(|(state, limit, bytes, goes_on)| {
        Op::List(Page {
            state,
            direction: Direction::Forward,
            limit,
            look_at: limit,
            only: None,
            bytes,
            goes_on,
        })
    })
}

/// One page of some jobs in a state, in either direction.
pub(in crate::store::tests) fn wanted() -> impl Strategy<Value = Op> {
    let direction = select(&[Direction::Forward, Direction::Backward][..]);
    let bytes = prop_oneof![1 => Just(30), 4 => Just(1 << 20)];
    let sizes = (1..4usize, 3..9usize, bytes, prop::bool::weighted(0.4));
    (
        select(State::ALL),
        direction,
        sizes,
        option::weighted(0.8, only()),
    )
        .prop_map(
            |(state, direction, (limit, look_at, bytes, goes_on), only)| {
                Op::List(Page {
                    state,
                    direction,
                    limit,
                    look_at,
                    only,
                    bytes,
                    goes_on,
                })
            },
        )
}

fn only() -> impl Strategy<Value = Wanted> {
    let ages = || option::weighted(0.25, select(&[0, 1, 50, 1_000, 60_000][..]));
    let text = |texts: &'static [&'static str]| {
        option::weighted(0.2, select(texts).prop_map(str::to_owned))
    };
    let names = option::weighted(0.2, select(&[NAMES[0], NAMES[1], "test", "tes"][..]));
    let parts = (
        text(&["job-1", "job-", "b-1"]),
        names.prop_map(|name| name.map(str::to_owned)),
        text(&["a", "a%20b", "b"]),
        option::weighted(0.2, 0..3u32),
        text(&["broken", "rok", "kind", "no `mail"]),
        (ages(), ages()),
    );
    parts.prop_map(
        |(id_prefix, name, group, failed, error, (older_ms, newer_ms))| Wanted {
            id_prefix,
            name,
            group,
            failed,
            error,
            older_ms,
            newer_ms,
        },
    )
}
