//! What happened in a queue lately.

use std::time::Duration;

use clap::Args;
use oxcart::{History as Told, NameHistory, Quantiles};
use serde::Serialize;

use crate::session::Session;
use crate::term::look::Tint;
use crate::term::out::Out;
use crate::term::table::{Cell, Table, number, text};
use crate::text::bars::sparkline;
use crate::text::duration;
use crate::text::when::exact;
use crate::trouble::Trouble;

/// A sparkline has at most so many bars.
const BARS_MAX: usize = 48;

/// Workers report once a minute: the last minute is not told yet.
#[derive(Args)]
pub(crate) struct History {
    queue: String,
    /// How far back, a day at most
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration::parse)]
    last: Duration,
}

/// See `schema/history.json`.
#[derive(Serialize)]
struct View<'a> {
    queue: &'a str,
    covers_ms: u64,
    arrivals_per_second: f64,
    departures_per_second: f64,
    waiting: u64,
    time_to_drain_ms: Option<u64>,
    names: Vec<NameView<'a>>,
    minutes: Vec<MinuteView>,
}

#[derive(Serialize)]
struct NameView<'a> {
    name: &'a str,
    completed: u64,
    failed: u64,
    retried: u64,
    dead: u64,
    cancelled: u64,
    wait: Option<QuantilesView>,
    run: Option<QuantilesView>,
}

#[derive(Serialize)]
struct QuantilesView {
    p50_us: u64,
    p95_us: u64,
    p99_us: u64,
}

#[derive(Serialize)]
struct MinuteView {
    at: String,
    arrived: u64,
    departed: u64,
    waiting: u64,
}

fn ms(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

impl QuantilesView {
    fn new(quantiles: Quantiles) -> Self {
        let us = |length: Duration| u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        Self {
            p50_us: us(quantiles.p50),
            p95_us: us(quantiles.p95),
            p99_us: us(quantiles.p99),
        }
    }
}

impl<'a> View<'a> {
    fn new(queue: &'a str, told: &'a Told) -> Self {
        let name = |of: &'a NameHistory| NameView {
            name: &of.name,
            completed: of.completed,
            failed: of.failed(),
            retried: of.retried,
            dead: of.dead,
            cancelled: of.cancelled,
            wait: of.wait.map(QuantilesView::new),
            run: of.run.map(QuantilesView::new),
        };
        let minute = |minute: &oxcart::HistoryMinute| MinuteView {
            at: minute.at.to_string(),
            arrived: minute.arrived,
            departed: minute.departed,
            waiting: minute.waiting,
        };
        Self {
            queue,
            covers_ms: ms(told.covers),
            arrivals_per_second: told.arrivals,
            departures_per_second: told.departures,
            waiting: told.waiting,
            time_to_drain_ms: told.time_to_drain().map(ms),
            names: told.names.iter().map(name).collect(),
            minutes: told.minutes.iter().map(minute).collect(),
        }
    }
}

impl History {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Trouble> {
        let told = session.queue(&self.queue).await?;
        let told = told.history(self.last).await?;
        let out = &mut session.out;
        if out.json {
            return out.json(&View::new(&self.queue, &told));
        }
        rates(out, &told)?;
        let line = |of: fn(&oxcart::HistoryMinute) -> u64| {
            let numbers: Vec<u64> = told.minutes.iter().map(of).collect();
            sparkline(&numbers, BARS_MAX)
        };
        if told.minutes.len() > 1 {
            out.fact("came", line(|minute| minute.arrived))?;
            out.fact("ended", line(|minute| minute.departed))?;
            out.fact("waited", line(|minute| minute.waiting))?;
        }
        if told.names.is_empty() {
            out.note(
                "no worker has reported an attempt in this time; workers report once a minute",
            );
            return Ok(());
        }
        out.line("")?;
        names(out, &told.names)
    }
}

/// How long the attempts of the most frequent names take.
pub(super) fn run_times(out: &mut Out, told: &Told) -> Result<(), Trouble> {
    let times = told.names.iter().take(3).filter_map(|of| {
        let run = of.run?;
        Some(format!("{} {}", of.name, short(run.p95)))
    });
    let times: Vec<String> = times.collect();
    match times.is_empty() {
        true => Ok(()),
        false => out.fact("run, p95", times.join(", ")),
    }
}

/// How many jobs come and end, and how long it takes until none waits.
pub(super) fn rates(out: &mut Out, told: &Told) -> Result<(), Trouble> {
    if told.covers.is_zero() {
        return Ok(());
    }
    let rate = |rate: f64| format!("{rate:.1} jobs a second");
    out.fact("come", rate(told.arrivals))?;
    out.fact("end", rate(told.departures))?;
    let drained = match told.time_to_drain() {
        Some(Duration::ZERO) => "nothing waits".to_owned(),
        Some(time) => format!(
            "about {}",
            exact(Duration::from_secs(time.as_secs().max(1)))
        ),
        None if rate(told.arrivals) != rate(told.departures) => {
            "never: more jobs come than end".to_owned()
        }
        None => "never: no more jobs end than come".to_owned(),
    };
    out.fact("drained in", drained)
}

fn names(out: &mut Out, names: &[NameHistory]) -> Result<(), Trouble> {
    let mut table = Table::new([
        text("NAME"),
        number("DONE"),
        number("FAILED"),
        number("DEAD"),
        number("WAIT p50").optional(2),
        number("WAIT p95"),
        number("WAIT p99").optional(1),
        number("RUN p50").optional(2),
        number("RUN p95"),
        number("RUN p99").optional(1),
    ]);
    for of in names {
        let count =
            |tint: Tint, number: u64| Cell::new(tint.unless_zero(number), out.count(number));
        let times = |quantiles: Option<Quantiles>| {
            let shown = |of: fn(&Quantiles) -> Duration| {
                Cell::plain(quantiles.map_or_else(String::new, |quantiles| short(of(&quantiles))))
            };
            [shown(|of| of.p50), shown(|of| of.p95), shown(|of| of.p99)]
        };
        let first = [
            Cell::new(Tint::Strong, of.name.as_str()),
            count(Tint::Plain, of.completed),
            count(Tint::Held, of.failed()),
            count(Tint::Bad, of.dead),
        ];
        let rest = times(of.wait).into_iter().chain(times(of.run));
        table.row(first.into_iter().chain(rest));
    }
    table.print(out)
}

/// Right to a tenth, so two digits are enough.
fn short(length: Duration) -> String {
    let us = length.as_micros();
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{:.1} ms", us as f64 / 1e3),
        10_000..1_000_000 => format!("{} ms", us / 1_000),
        1_000_000..10_000_000 => format!("{:.1} s", length.as_secs_f64()),
        _ => exact(Duration::from_secs(length.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (us, shown) in [
            (700, "700 µs"),
            (1_234, "1.2 ms"),
            (54_321, "54 ms"),
            (2_500_000, "2.5 s"),
            (90_000_000, "1 m 30 s"),
        ] {
            assert_eq!(short(Duration::from_micros(us)), shown);
        }
    }
}
