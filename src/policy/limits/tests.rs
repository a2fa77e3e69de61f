use fastrand::Rng;

use super::*;

/// Starts of a random run: moments, and how much each of them counts.
struct Run {
    window: String,
    rate: Rate,
    now_ms: u64,
    starts: Vec<(u64, u64)>,
}

impl Run {
    fn of(rate: Rate) -> Self {
        Self {
            window: String::new(),
            rate,
            now_ms: 1_795_000_000_000,
            starts: Vec::new(),
        }
    }

    fn window(&self) -> RateWindow {
        RateWindow::at(self.rate, self.now_ms, &self.window)
    }

    /// One call that starts at most so many jobs; how many it started.
    fn call(&mut self, at_most: u64, mut weight: impl FnMut() -> u64) -> u64 {
        let mut window = self.window();
        let limit = window.free().min(at_most);
        let mut started = 0;
        for _ in 0..limit {
            let weight = weight();
            if !window.start(weight) {
                break;
            }
            self.starts.push((self.now_ms, window.units(weight)));
            started += 1;
        }
        if let Some(text) = window.changed() {
            self.window = text;
        }
        started
    }

    /// No window of one period has more starts than are allowed, wherever it begins.
    fn assert_kept(&self) {
        let period_ms = millis(self.rate.period);
        let (mut from, mut sum) = (0, 0);
        for (at_ms, units) in &self.starts {
            sum += units;
            while self.starts[from].0 + period_ms <= *at_ms {
                sum -= self.starts[from].1;
                from += 1;
            }
            assert!(
                sum <= u64::from(self.rate.starts),
                "{sum} in the period until {at_ms} of {}",
                self.rate
            );
        }
    }
}

fn random_rate(rng: &mut Rng) -> Rate {
    let period = Duration::from_millis([100, 250, 1_000, 7_000, 60_000][rng.usize(..5)]);
    let starts = [1, 2, 5, 7, 100, 1_000][rng.usize(..6)];
    match rng.bool() {
        true => Rate::burst(starts, period),
        false => Rate::smooth(starts, period),
    }
}

#[test]
fn no_window_of_one_period_has_more_starts_than_are_allowed() {
    for seed in 0..200 {
        let mut rng = Rng::with_seed(seed);
        let mut run = Run::of(random_rate(&mut rng));
        let period_ms = millis(run.rate.period);
        let heavy = rng.bool();
        for _ in 0..400 {
            run.now_ms += match rng.u8(..4) {
                0 => 0,
                1 => 1,
                2 => rng.u64(..period_ms / 10),
                _ => rng.u64(..period_ms),
            };
            let at_most = [1, 3, 50, 256][rng.usize(..4)];
            run.call(at_most, || if heavy { rng.u64(1..12) } else { 1 });
            let entries = run.window().log.len();
            assert!(entries <= 52, "{entries} entries of {}", run.rate);
        }
        run.assert_kept();
    }
}

/// A worker that sleeps until the next job may start comes a little late, and finds all the work that it wants.
#[test]
fn at_least_95_percent_are_reached_however_few_jobs_a_call_starts() {
    const PERIODS: u64 = 12;
    for seed in 0..40 {
        let mut rng = Rng::with_seed(seed);
        let period = Duration::from_millis([1_000, 5_000, 60_000][rng.usize(..3)]);
        let starts = [5, 100, 1_000][rng.usize(..3)];
        let rate = match rng.bool() {
            true => Rate::burst(starts, period),
            false => Rate::smooth(starts, period),
        };
        let mut run = Run::of(rate);
        let (begin, period_ms) = (run.now_ms, millis(period));
        // Each job keeps its slot for a while: the slots alone allow half as much again.
        let slots = [1, 8, 256][rng.usize(..3)];
        let busy_ms = period_ms as f64 * 2.0 / (f64::from(starts) * 3.0);
        while run.now_ms < begin + PERIODS * period_ms {
            let opens_ms = run.window().opens_at(1).max(run.now_ms);
            run.now_ms = opens_ms + rng.u64(0..3);
            let started = run.call(slots, || 1);
            run.now_ms += (started as f64 * busy_ms) as u64;
        }
        run.assert_kept();
        let reached: u64 = run.starts.iter().map(|(_, units)| units).sum();
        let all = PERIODS * u64::from(starts);
        assert!(
            reached * 100 >= all * 95,
            "{reached} of {all} with {rate} and {slots} at once"
        );
    }
}

#[test]
fn a_smooth_rate_is_even_and_catches_up_a_little() {
    let mut run = Run::of(Rate::smooth(100, Duration::from_secs(1)));
    let begin = run.now_ms;
    // At first as many as could have been caught up, not a whole period's.
    assert_eq!(run.call(256, || 1), 4);
    let mut longest = 0;
    while run.now_ms < begin + 5_000 {
        let opens_ms = run.window().opens_at(1);
        longest = longest.max(opens_ms - run.now_ms);
        run.now_ms = opens_ms;
        assert!((1..=4).contains(&run.call(256, || 1)));
    }
    assert!(longest <= 40, "{longest} ms between two starts");
    for tenth in (begin..begin + 5_000).step_by(100) {
        let starts = run.starts.iter();
        let starts = starts
            .filter(|(at, _)| (tenth..tenth + 100).contains(at))
            .count();
        assert!(
            (6..=14).contains(&starts),
            "{starts} in a tenth of a second"
        );
    }
    // Half a second without work, of which a 32nd of a period is caught up.
    run.now_ms += 500;
    assert!(run.call(256, || 1) <= 4);
}

#[test]
fn a_burst_opens_again_when_it_has_left_the_window() {
    let mut run = Run::of(Rate::burst(100, Duration::from_secs(1)));
    let begin = run.now_ms;
    assert_eq!(run.call(256, || 1), 100);
    assert_eq!(run.window, format!("0 {begin} {begin} 100"));
    assert_eq!(run.window().opens_at(1), begin + 1_020);
    run.now_ms = begin + 1_019;
    assert_eq!(run.call(256, || 1), 0);
    run.now_ms = begin + 1_020;
    assert_eq!(run.call(3, || 1), 3);
    assert_eq!(run.window().in_window(), 3);
    assert_eq!(run.window().opens_at(1), 0, "97 more, at once");
}

#[test]
fn a_heavy_job_waits_until_there_is_room_and_one_beyond_the_limit_runs_alone() {
    let mut run = Run::of(Rate::burst(10, Duration::from_secs(1)));
    let begin = run.now_ms;
    assert_eq!(run.call(256, || 4), 2);
    assert_eq!(run.window().opens_at(2), 0);
    assert_eq!(run.window().opens_at(3), begin + 1_020);
    run.now_ms += 500;
    assert_eq!(run.call(256, || 2), 1);
    assert_eq!(run.window().opens_at(8), begin + 1_020);
    assert_eq!(run.window().opens_at(10), begin + 1_520);
    assert_eq!(run.window().opens_at(1_000), begin + 1_520);
    run.now_ms = begin + 1_520;
    assert_eq!(run.call(256, || 1_000), 1);
    assert_eq!(run.window().free(), 0);
    run.assert_kept();
}

/// A clock that was set back must not stop the queue until it shows the old time again.
#[test]
fn after_a_step_of_the_clock_nothing_waits_for_longer_than_one_window() {
    for rate in [
        Rate::burst(10, Duration::from_secs(1)),
        Rate::smooth(10, Duration::from_secs(1)),
    ] {
        let mut run = Run::of(rate);
        for _ in 0..20 {
            run.call(256, || 1);
            run.now_ms += 60;
        }
        run.now_ms -= 3_600_000;
        let opens_ms = run.window().opens_at(10);
        assert!(opens_ms <= run.now_ms + 1_041, "{opens_ms} {}", run.now_ms);
        assert!(
            run.window().log.len() <= 1,
            "one entry for what is no longer known"
        );
        // It counts from the first look on, also when nothing starts.
        let later_ms = (run.now_ms + 1_041).max(opens_ms);
        for _ in 0..20 {
            run.call(256, || 10);
            run.now_ms += 50;
        }
        run.now_ms = later_ms;
        assert!(run.window().opens_at(10) <= later_ms, "{rate}");
        // Forward: everything has left the window.
        run.now_ms += 7_200_000;
        assert_eq!(run.window().in_window(), 0);
    }
}

#[test]
fn what_another_program_wrote_is_no_log_and_holds_up_nothing_for_long() {
    let now_ms = 1_795_000_000_000;
    for rate in [
        Rate::burst(3, Duration::from_secs(1)),
        Rate::smooth(3, Duration::from_secs(1)),
    ] {
        for text in [
            "",
            "x",
            "nan 5",
            "inf",
            "1e300 5 6 7",
            "0 9 1 4 2 2 2",
            "-5 18446744073709551615 18446744073709551615 18446744073709551615",
            "0 9007199254740991 9007199254740991 9007199254740991 1",
            "0 1795000000000 1795000000000 1 7 1795000000000 1",
        ] {
            let window = RateWindow::at(rate, now_ms, text);
            let opens_ms = window.opens_at(1);
            assert!(opens_ms <= now_ms + 2_000, "{text:?} until {opens_ms}");
        }
    }
}
