//! The dashboard in a real browser, on a real Redis: `make test-browser`. One headless Chromium shows all pages. `BROWSER=none` leaves
//! all of it out, and an argument names the cases that are wanted.
//!
//! Not run by the harness of Rust, so that the browser, which all cases share, is ended by its process id when they are over.
#![allow(
    clippy::panic,
    reason = "a helper that cannot do its duty fails the test that asked"
)]

mod acting;
mod alerts;
mod devtools;
mod hostile;
mod living;
mod looking;
mod page;
mod pausing;
mod pictures;
mod roles;
mod serving;
mod site;
mod steps;
mod support;
mod tasks;

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

use devtools::{Browser, Devtools};
use futures_util::StreamExt;
use site::Site;
use tokio::task::{LocalSet, spawn_local};

/// Cases that run at a time.
const TOGETHER: usize = 3;

type Course = Pin<Box<dyn Future<Output = ()>>>;
type Case = (&'static str, fn(Rc<Site>, Devtools) -> Course);

macro_rules! cases {
    ($($module:ident::$name:ident),* $(,)?) => {
        [$((concat!(stringify!($module), "::", stringify!($name)), |site, devtools| {
            Box::pin(async move { $module::$name(&site, &devtools).await })
        })),*]
    };
}

const CASES: [Case; 24] = cases![
    looking::every_page_opens_on_a_phone,
    looking::every_page_opens_on_a_wide_screen,
    looking::pages_are_read_without_script,
    looking::the_keyboard_is_enough,
    living::a_job_of_another_process_appears,
    living::a_lost_redis_is_told_and_the_page_recovers,
    acting::a_queue_is_paused_and_resumed,
    acting::one_job_is_changed_as_asked,
    acting::everything_that_matches_is_counted_and_then_changed,
    acting::schedules_are_paused_run_and_removed,
    alerts::an_operator_acknowledges_an_alert_and_a_viewer_does_not,
    pausing::jobs_of_a_name_are_paused_and_resumed,
    pausing::a_group_is_paused_and_resumed,
    steps::a_job_is_given_the_signal_for_which_it_waits,
    steps::a_stuck_saga_goes_on_without_an_undo,
    tasks::dead_letters_are_replayed_at_the_rate_that_was_typed,
    tasks::a_task_stops_when_it_is_told_to,
    roles::nobody_is_let_in_without_a_token,
    roles::a_viewer_can_change_nothing,
    roles::an_operator_can_not_do_what_an_admin_can,
    roles::a_form_of_another_site_is_refused,
    serving::the_program_serves_the_pages,
    hostile::texts_are_shown_as_texts,
    hostile::long_texts_break_no_layout,
];

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    if let [enqueue, url, queue, id] = arguments.as_slice()
        && enqueue == living::OTHER_PROCESS
    {
        living::enqueue(url, queue, id).await;
        return ExitCode::SUCCESS;
    }
    // What cargo and IDEs ask every test program.
    if arguments.iter().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let Some(program) = browser() else {
        println!("NOT TESTED: the dashboard in a browser; make test-browser does");
        return ExitCode::SUCCESS;
    };
    let wanted = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'));
    let wanted = wanted.collect::<Vec<_>>();
    LocalSet::new().run_until(run(&program, &wanted)).await
}

async fn run(program: &Path, wanted: &[&String]) -> ExitCode {
    let is_wanted =
        |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(*part));
    let started = Instant::now();
    let browser = Browser::start(program);
    if let Some(folder) = std::env::var_os("OXCART_PICTURES") {
        pictures::take(browser.devtools(), Path::new(&folder)).await;
        browser.end().await;
        return ExitCode::SUCCESS;
    }
    let site = Rc::new(Site::start().await);
    let running = CASES.into_iter().filter(|(name, _)| is_wanted(name));
    let running = running.map(|(name, case)| {
        let course = case(Rc::clone(&site), browser.devtools().clone());
        async move {
            let started = Instant::now();
            // A task of its own: a case that fails ends alone.
            let is_ok = spawn_local(course).await.is_ok();
            let said = if is_ok { "ok" } else { "FAILED" };
            println!(
                "{name} ... {said} ({:.1} s)",
                started.elapsed().as_secs_f64()
            );
            is_ok
        }
    });
    let results = futures_util::stream::iter(running).buffer_unordered(TOGETHER);
    let results = results.collect::<Vec<_>>().await;
    browser.end().await;
    let failed = results.iter().filter(|is_ok| !**is_ok).count();
    println!(
        "\n{} cases, {failed} failed; {:.1} s",
        results.len(),
        started.elapsed().as_secs_f64()
    );
    ExitCode::from(u8::from(failed > 0))
}

/// The browser that `make test-browser` names.
fn browser() -> Option<PathBuf> {
    let is_unwanted = std::env::var("BROWSER").is_ok_and(|browser| browser == "none");
    let program = std::env::var_os("OXCART_CHROMIUM").filter(|program| !program.is_empty());
    program.filter(|_| !is_unwanted).map(PathBuf::from)
}
