//! What is on the screen, line by line.

use std::time::{Duration, Instant};

use oxcart::{Counts, Fingerprint, Rate, Timestamp};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;

use super::draw::{self, Pen, rate, short};
use super::reading::{Group, Inside, Reading, Run, Worker};
use super::state::{Key, State};
use super::watched::tests::watched;

/// 03:00:00 of a day.
const NOW_MS: u64 = 1_795_230_000_000;

fn pen(colours: bool) -> Pen {
    Pen {
        now: Timestamp::from_millis(NOW_MS),
        instant: Instant::now(),
        colours,
    }
}

fn drawn(state: &mut State, (width, height): (u16, u16), pen: Pen) -> Buffer {
    state.resize(height);
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| draw::draw(frame, state, pen))
        .unwrap();
    terminal.backend().buffer().clone()
}

fn lines(state: &mut State, size: (u16, u16)) -> Vec<String> {
    let buffer = drawn(state, size, pen(true));
    let line = |y| {
        let line: String = (0..size.0).map(|x| buffer[(x, y)].symbol()).collect();
        line.trim_end().to_owned()
    };
    (0..size.1).map(line).collect()
}

fn counts(waiting: u64) -> Counts {
    let mut counts = Counts::default();
    counts.waiting = waiting;
    counts
}

/// Four queues: one that is busy, one whose rate is used up, one that is paused, one of which nothing is known yet.
fn some_queues() -> State {
    let names = ["billing", "imports", "mail-of-all-customers", "new"];
    let mut state = State::new("oxcart");
    let now = Instant::now();
    state.take(
        Reading {
            names: names.map(str::to_owned).to_vec(),
            counts: Vec::new(),
            inside: None,
        },
        now,
    );
    let mut busy = counts(1_234);
    (busy.blocked, busy.delayed, busy.active, busy.dead) = (2, 3, 4, 5);
    let mut limited = counts(1_234_567);
    limited.rate = Some(Rate::burst(2, Duration::from_secs(60)));
    limited.started = 2;
    let mut paused = counts(1);
    paused.paused = true;
    for (name, counts, ended) in [
        (names[0], busy, &[5, 5, 5, 10, 0, 5][..]),
        (names[1], limited, &[0, 0]),
        (names[2], paused, &[1]),
    ] {
        let of = watched(counts, ended, now);
        state.watched.insert(name.to_owned(), of);
    }
    state
}

fn look_into_the_first(state: &mut State) {
    state.press(Key::Enter);
    let ago = |seconds: u64| Timestamp::from_millis(NOW_MS - seconds * 1_000);
    let group = |count, seconds, error: &str| Group {
        fingerprint: Fingerprint::of_error("charge", error),
        name: "charge".to_owned(),
        count,
        last_at: ago(seconds),
        sample: error.to_owned(),
    };
    let long = "cannot connect to 10.0.0.7:5432: the other side\nhas refused it \u{1b}[2J";
    let inside = Inside {
        runs: vec![Run {
            id: "01m8c32rxkfapa248rrw8ngqg7".to_owned(),
            name: "charge".to_owned(),
            since: Some(ago(90)),
        }],
        workers: Some(vec![Worker {
            host: "web-1".to_owned(),
            process: 4711,
            runs: 1,
            concurrency: 20,
        }]),
        groups: Some(vec![
            group(3, 180, "card 4111 was declined"),
            group(2, 7_200, long),
        ]),
        minutes: Some(vec![10, 20, 40]),
    };
    let counts = state.watched["billing"].counts.clone();
    state.take(
        Reading {
            names: state.names.clone(),
            counts: vec![("billing".to_owned(), counts)],
            inside: Some(("billing".to_owned(), inside)),
        },
        Instant::now(),
    );
}

#[test]
fn the_queues_at_80_columns() {
    let mut state = some_queues();
    let shown = lines(&mut state, (80, 24));
    let expected = [
        " oxcart  oxcart                                          4 queues  03:00:00 UTC",
        "",
        " QUEUE          WAITING BLOCKED DELAYED ACTIVE  DEAD  IN/S OUT/S LAST MINUTE",
        " billing           1234       2       3      4     5   6.0   5.0           ▅▅█▁▅",
        " imports           1.2M       0       0      0     0   1.0     0 rate 2/1m used…",
        " mail-of-all-c…       1       0       0      0     0     ·     · paused",
        " new",
    ];
    assert_eq!(shown[..7], expected, "\n{}", shown.join("\n"));
    assert_eq!(shown[23], " ↑ ↓ choose  Enter look into  p pause  q quit");
    // A question, and what was lost, are told in the line above the keys.
    state.press(Key::Letter('p'));
    let shown = lines(&mut state, (80, 24));
    let question = " Pause `billing`: no worker takes a job of it? [y/N]";
    assert_eq!(shown[22..], [question, " y yes  any other key no"]);
    state.press(Key::Letter('n'));
    state.lose("it does not answer", Instant::now());
    let shown = lines(&mut state, (80, 24));
    assert!(
        shown[22].starts_with(" ✗ no connection for "),
        "{}",
        shown[22]
    );
    assert!(shown[22].ends_with("trying again: it does not answer"));
}

#[test]
fn one_queue_at_80_columns_and_wider() {
    let mut state = some_queues();
    look_into_the_first(&mut state);
    let shown = lines(&mut state, (80, 24));
    let expected = [
        " oxcart  oxcart  ›  billing                                        03:00:00 UTC",
        " open",
        " waiting 1234  blocked 2  delayed 3  active 4  dead 5  kept 0",
    ];
    assert_eq!(shown[..3], expected, "\n{}", shown.join("\n"));
    let whole = shown.join("\n");
    for part in [
        " ended, last hour                              ▃▅█  70 in all",
        " What runs  1 worker for up to 20 jobs",
        " charge                              01m8c32rxkfapa248rrw8ngqg7          1 m ago",
        " Dead letters  by what they died of",
        "      3 charge               3 m ago   card 4111 was declined",
        "      2 charge               2 h ago   cannot connect to 10.0.0.7:5432: the oth…",
        " r replay it  p pause  Esc back  q quit",
    ] {
        assert!(whole.contains(part), "{part}\n{whole}");
    }
    let wide = lines(&mut state, (120, 40)).join("\n");
    assert!(wide.contains("web-1") && wide.contains("1 of 20"), "{wide}");
    assert!(wide.contains("has refused it [2J"), "{wide}");
}

#[test]
fn no_size_is_too_small_and_nothing_is_drawn_outside() {
    let mut state = some_queues();
    for inside in [false, true] {
        if inside {
            look_into_the_first(&mut state);
        }
        for width in (1..200).step_by(23) {
            for height in (1..30).step_by(4) {
                lines(&mut state, (width, height));
            }
        }
    }
    let small = lines(&mut state, (39, 24));
    assert_eq!(small[0], "40 columns and 10 lines are needed; q q");
}

#[test]
fn without_colours_there_is_none() {
    let mut state = some_queues();
    let colours = |buffer: &Buffer| {
        let cells = buffer.content.iter();
        cells
            .filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
            .count()
    };
    assert!(colours(&drawn(&mut state, (80, 24), pen(true))) > 10);
    assert_eq!(colours(&drawn(&mut state, (80, 24), pen(false))), 0);
    look_into_the_first(&mut state);
    assert!(colours(&drawn(&mut state, (120, 40), pen(true))) > 10);
    assert_eq!(colours(&drawn(&mut state, (120, 40), pen(false))), 0);
}

#[test]
fn numbers_have_five_columns_at_most() {
    for (number, shown) in [
        (0, "0"),
        (99_999, "99999"),
        (123_456, "123k"),
        (1_234_567, "1.2M"),
        (9_999_999, "10.0M"),
        (123_456_789, "123M"),
        (u64::MAX, "2e19"),
    ] {
        assert_eq!(short(number), shown);
    }
    assert_eq!(
        [0.0, 0.04, 99.9, 1_234.4].map(rate),
        ["0", "0.0", "99.9", "1234"]
    );
}
