//! Which scenarios run, in which form and with which seed; and the table at the end.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use comfy_table::{ContentArrangement, Table, presets};
use futures::FutureExt;

use crate::findings::{Findings, thousands};
use crate::soak;

/// Each process of a scenario has a runtime of its own; this one drives it.
const THREADS: usize = 2;
/// Wide enough for the table, whatever the terminal.
const WIDTH: u16 = 140;

type Running = Pin<Box<dyn Future<Output = Findings>>>;

/// One kind of trouble, done to the whole of oxcart.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The guarantees that it puts to the test.
    pub(crate) guarantees: &'static str,
    pub(crate) run: fn(Stage) -> Running,
}

/// How a scenario is to be run.
pub(crate) struct Stage {
    full: bool,
    /// The choices of the scenario: the same seed makes the same ones.
    pub(crate) rng: fastrand::Rng,
}

impl Stage {
    /// The number for this form.
    pub(crate) fn pick<T>(&self, short: T, full: T) -> T {
        if self.full { full } else { short }
    }

    /// A time between these two.
    pub(crate) fn time(&mut self, from_ms: u64, to_ms: u64) -> Duration {
        Duration::from_millis(self.rng.u64(from_ms..=to_ms))
    }
}

/// What was asked for, by the environment (`make chaos`) and by arguments (`cargo test`).
struct Wish {
    full: bool,
    soak: bool,
    none: bool,
    seed: u64,
    only: Vec<String>,
    exact: bool,
    list: bool,
}

impl Wish {
    fn read() -> Self {
        let setting = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let form = setting("CHAOS").unwrap_or_default();
        let seed = setting("SEED").map(|seed| seed.parse().expect("SEED is a number"));
        let mut only: Vec<String> = setting("ONLY")
            .map(|names| names.split(',').map(str::to_owned).collect())
            .unwrap_or_default();
        let (mut exact, mut list) = (false, false);
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--exact" => exact = true,
                "--list" => list = true,
                "--skip" | "--format" | "--test-threads" | "--color" => drop(arguments.next()),
                flag if flag.starts_with('-') => {}
                name => only.push(name.to_owned()),
            }
        }
        Self {
            full: form == "full",
            soak: form == "soak",
            none: form == "none",
            seed: seed.unwrap_or_else(|| fastrand::u64(0..1_000_000_000)),
            only,
            exact,
            list,
        }
    }

    fn wants(&self, scenario: &Scenario) -> bool {
        let named = |wanted: &String| match self.exact {
            true => scenario.name == wanted,
            false => scenario.name.contains(wanted.as_str()),
        };
        self.only.is_empty() || self.only.iter().any(named)
    }
}

/// Runs what is wanted; fails if any figure that must be zero is not.
pub(crate) fn run(all: &[Scenario]) -> ExitCode {
    let wish = Wish::read();
    if wish.list {
        let names = all.iter().map(|scenario| scenario.name);
        let children = ["worker_process", "producer_process"];
        names
            .chain(children)
            .for_each(|name| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    if wish.none {
        println!("the fault battery is left out: CHAOS=none");
        return ExitCode::SUCCESS;
    }
    if wish.soak {
        return soak::run(wish.seed);
    }
    let wanted: Vec<&Scenario> = all.iter().filter(|scenario| wish.wants(scenario)).collect();
    if wanted.is_empty() {
        println!("no scenario of the fault battery is called that");
        return ExitCode::SUCCESS;
    }
    let form = if wish.full { "full" } else { "short" };
    println!(
        "\nThe fault battery, {form} form, {} scenarios, SEED={}\n",
        wanted.len(),
        wish.seed
    );
    let started = Instant::now();
    let results: Vec<(&Scenario, Findings, Duration)> = wanted
        .into_iter()
        .map(|scenario| perform(scenario, &wish))
        .collect();
    println!("\n{}", table(&results));
    let failed: Vec<_> = results
        .iter()
        .filter(|(_, findings, _)| !findings.hold())
        .collect();
    println!(
        "{} scenarios in {} s, SEED={}; the same choices again: make chaos SEED={}{}",
        results.len(),
        started.elapsed().as_secs(),
        wish.seed,
        wish.seed,
        if wish.full { "" } else { " SHORT=1" },
    );
    if failed.is_empty() {
        println!("Every figure is what it must be.\n");
        return ExitCode::SUCCESS;
    }
    // Once more and last: of a long log often only the end is kept.
    for (scenario, findings, _) in failed {
        println!("NOT as promised: {}", scenario.name);
        println!(
            "    lost {}, duplicated {}, recovery {}",
            thousands(findings.lost),
            findings.duplicated(),
            findings.recovered()
        );
        for broken in &findings.broken {
            println!("    ✘ {broken}");
        }
    }
    ExitCode::FAILURE
}

fn perform<'a>(scenario: &'a Scenario, wish: &Wish) -> (&'a Scenario, Findings, Duration) {
    let mut hasher = DefaultHasher::new();
    (wish.seed, scenario.name).hash(&mut hasher);
    let stage = Stage {
        full: wish.full,
        rng: fastrand::Rng::with_seed(hasher.finish()),
    };
    println!("· {} ({})", scenario.name, scenario.guarantees);
    let limit = Duration::from_secs(if wish.full { 900 } else { 120 });
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .expect("threads can be started");
    let ended = runtime.block_on(async {
        let running = AssertUnwindSafe((scenario.run)(stage)).catch_unwind();
        tokio::time::timeout(limit, running).await
    });
    // Whatever a failed scenario has left behind must not hold up the next one.
    runtime.shutdown_background();
    let findings = match ended {
        Ok(Ok(findings)) => findings,
        Ok(Err(panic)) => Findings::failed(&message(panic.as_ref())),
        Err(_) => Findings::failed(&format!("did not end within {limit:?}")),
    };
    let took = started.elapsed();
    let mark = if findings.hold() { "✔" } else { "✘" };
    println!("  {mark} {:.1} s", took.as_secs_f64());
    for note in &findings.notes {
        println!("    {note}");
    }
    for broken in &findings.broken {
        println!("    ✘ {broken}");
    }
    (scenario, findings, took)
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("panicked").to_owned()
}

fn table(results: &[(&Scenario, Findings, Duration)]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH)
        .set_header([
            "scenario",
            "load",
            "faults injected",
            "lost",
            "duplicated",
            "worst recovery",
            "verdict",
        ]);
    for (scenario, findings, took) in results {
        let took = format!("{} ({:.0} s)", findings.verdict(), took.as_secs_f64());
        table.add_row([
            scenario.name.to_owned(),
            findings.load.clone(),
            findings.faults.clone(),
            thousands(findings.lost),
            findings.duplicated(),
            findings.recovered(),
            took,
        ]);
    }
    table
}
