//! Everyday work for a long time: what grows, leaks.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use oxcart::Backoff;
use plotters::prelude::*;

use crate::field::{Field, SECOND};
use crate::support::jobs::{Scene, Work};
use crate::support::workers::{WorkerProcess, drained};
use crate::support::{Process, Server};

const SAMPLE_EVERY: Duration = Duration::from_secs(2);
/// What is measured before this part of the time has passed is warming up.
const WARM_UP: f64 = 0.25;
/// How much the mean of the last quarter may be above that of the second.
const GROWTH_MAX: f64 = 0.05;
const MIB: f64 = 1024.0 * 1024.0;

/// What is drawn of a sample.
type Value = fn(&Sample) -> f64;

/// A moment of the soak.
#[derive(Clone, Copy)]
struct Sample {
    minutes: f64,
    worker_mib: f64,
    producer_mib: f64,
    redis_mib: f64,
    commands: f64,
    jobs: f64,
}

/// `MINUTES` of work; draws `target/soak.svg`, and fails if a line is not flat.
pub(crate) fn run(seed: u64) -> ExitCode {
    let minutes = std::env::var("MINUTES")
        .ok()
        .filter(|text| !text.is_empty());
    let minutes: f64 = minutes.map_or(30.0, |text| text.parse().expect("MINUTES is a number"));
    println!("\nSoak for {minutes} minutes, SEED={seed}\n");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("threads can be started");
    let samples = runtime.block_on(soak(minutes, seed));
    let plot = plot_path();
    draw(&samples, &plot).expect("the plot can be drawn");
    println!("\n{}", plot.display());
    let mut flat = true;
    let lines: [(&str, Value); 3] = [
        ("worker process", |sample| sample.worker_mib),
        ("producer process", |sample| sample.producer_mib),
        ("Redis", |sample| sample.redis_mib),
    ];
    for (name, value) in lines {
        let (early, late) = means(&samples, value);
        // A small process may keep a page or two more.
        let is_flat = late <= early * (1.0 + GROWTH_MAX) + 1.0;
        flat &= is_flat;
        let mark = if is_flat { "✔" } else { "✘" };
        println!("{mark} {name}: {early:.1} MiB in the second quarter, {late:.1} MiB in the last");
    }
    let (early, late) = means(&samples, |sample| sample.jobs);
    println!("  {early:.0} jobs a second in the second quarter, {late:.0} in the last");
    let (early, late) = means(&samples, |sample| sample.commands);
    println!("  {early:.0} commands a second in the second quarter, {late:.0} in the last");
    if flat {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The means of the second quarter and of the last.
fn means(samples: &[Sample], value: Value) -> (f64, f64) {
    let end = samples.last().expect("a soak has samples").minutes;
    let mean = |from: f64, to: f64| {
        let within = |sample: &&Sample| (from * end..=to * end).contains(&sample.minutes);
        let values: Vec<f64> = samples.iter().filter(within).map(&value).collect();
        values.iter().sum::<f64>() / values.len().max(1) as f64
    };
    (mean(WARM_UP, 0.5), mean(0.75, 1.0))
}

async fn soak(minutes: f64, seed: u64) -> Vec<Sample> {
    let field = Field::new(Server::options()).await;
    // What the handlers did is not asked for here, and would fill the disk.
    let nowhere = Scene::open(Path::new("/dev/null"));
    let settings = WorkerProcess {
        concurrency: 50,
        lease: 5 * SECOND,
        ..WorkerProcess::of(&field.server)
    };
    let mut worker = settings.spawn(&nowhere);
    let time = Duration::from_secs_f64(minutes * 60.0);
    let everyday = tokio::spawn(everyday(field.direct.clone(), seed, time));
    let mut samples = Vec::new();
    let started = Instant::now();
    let (mut commands, mut completed, mut at) = (0.0, 0.0, Instant::now());
    while started.elapsed() < time {
        tokio::time::sleep(SAMPLE_EVERY).await;
        let info = |field_name: &str| {
            let text = field.blocking(|server| server.info(field_name));
            text.trim().parse::<f64>().expect("a number")
        };
        let totals = field.direct.counts().await.expect("it is there").totals;
        let (before, done) = (commands, completed);
        commands = info("total_commands_processed");
        completed = totals.completed as f64;
        let passed = at.elapsed().as_secs_f64();
        at = Instant::now();
        if before > 0.0 {
            samples.push(Sample {
                minutes: started.elapsed().as_secs_f64() / 60.0,
                worker_mib: resident(worker.id()),
                producer_mib: resident(std::process::id()),
                redis_mib: info("used_memory") / MIB,
                commands: (commands - before) / passed,
                jobs: (completed - done) / passed,
            });
        }
    }
    everyday.await.expect("producers do not panic");
    drained(&field.direct, 120 * SECOND).await;
    end(&mut worker);
    samples
}

fn end(worker: &mut Process) {
    worker.terminate();
    tokio::task::block_in_place(|| worker.wait(60 * SECOND));
}

/// Jobs of every kind, for so long: quick ones, slow ones, delayed, failing, large ones, and
/// some whose result is waited for.
async fn everyday(queue: oxcart::Queue, seed: u64, time: Duration) {
    let started = Instant::now();
    let mut rng = fastrand::Rng::with_seed(seed);
    let callers = (0..40).map(|_| {
        let (queue, mut rng) = (queue.clone(), rng.fork());
        async move {
            while started.elapsed() < time {
                let at_once = Backoff::fixed(Duration::from_millis(rng.u64(0..200)));
                let request = match rng.u8(0..20) {
                    0 => queue.enqueue(Work::carry(rng.usize(0..16_384))),
                    1 => queue.enqueue(Work::Fail { times: 1 }).backoff(at_once),
                    2 => queue.enqueue(Work::Report),
                    3..6 => queue.enqueue(Work::Sleep {
                        ms: rng.u64(0..100),
                    }),
                    6..8 => queue.enqueue(Work::Quick).delay(SECOND / 2),
                    _ => queue.enqueue(Work::Quick),
                };
                if rng.u8(0..20) == 0 {
                    request.result().await.expect("it succeeds in the end");
                } else {
                    request.await.expect("it is there");
                }
                tokio::time::sleep(Duration::from_millis(rng.u64(5..15))).await;
            }
        }
    });
    futures::future::join_all(callers).await;
}

/// The memory of a process that is in use, in MiB.
fn resident(pid: u32) -> f64 {
    let output = std::process::Command::new("ps")
        .args(["-o", "rss=", "-p", &pid.to_string()])
        .output()
        .expect("ps is everywhere");
    let kib = String::from_utf8_lossy(&output.stdout);
    kib.trim().parse::<f64>().expect("a size in KiB") / 1024.0
}

fn plot_path() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target"),
        PathBuf::from,
    );
    target.join("soak.svg")
}

/// Memory above, pace below.
fn draw(samples: &[Sample], path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::new(path, (900, 600)).into_drawing_area();
    root.fill(&WHITE)?;
    let (above, below) = root.split_vertically(380);
    let memory: &[Line] = &[
        ("worker process, MiB", RED, |sample| sample.worker_mib),
        ("producer process, MiB", GREEN, |sample| sample.producer_mib),
        ("Redis, MiB", BLUE, |sample| sample.redis_mib),
    ];
    chart(&above, "Memory in use", samples, memory)?;
    let pace: &[Line] = &[
        ("jobs a second", RED, |sample| sample.jobs),
        (
            "Redis commands, scripts' own included, hundreds a second",
            BLUE,
            |sample| sample.commands / 100.0,
        ),
    ];
    chart(&below, "Pace", samples, pace)?;
    root.present()?;
    Ok(())
}

type Line = (&'static str, RGBColor, Value);

fn chart(
    area: &DrawingArea<SVGBackend, plotters::coord::Shift>,
    title: &str,
    samples: &[Sample],
    lines: &[Line],
) -> Result<(), Box<dyn std::error::Error>> {
    let most = samples
        .iter()
        .flat_map(|sample| lines.iter().map(move |(_, _, value)| value(sample)))
        .fold(1.0, f64::max);
    let end = samples.last().map_or(1.0, |sample| sample.minutes);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..end, 0.0..most * 1.5)?;
    chart
        .configure_mesh()
        .x_desc("minutes")
        .light_line_style(WHITE)
        .draw()?;
    for (name, color, value) in lines.iter().copied() {
        let points = samples.iter().map(|sample| (sample.minutes, value(sample)));
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()?;
    Ok(())
}
