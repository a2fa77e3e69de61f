//! From what was typed to the exit code.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use console::{Term, style};

use crate::args::{Cli, Common, Noun};
use crate::noun::{
    alert, audit, bench, breaker, dead, doctor, events, flow, group, job, outbox, queue, saga,
    schedule, serve, signal, top, topic, worker,
};
use crate::session::Session;
use crate::term::look::wants_colours;
use crate::text::log;
use crate::text::wrap::wrapped;
use crate::trouble::{Exit, Trouble};

/// Where the second line of an error begins.
const HANGING: usize = 7;

pub(crate) fn run() -> ExitCode {
    let Cli { common, noun } = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and the version come this way as well.
        Err(error) if !error.use_stderr() || !asks_for_json(std::env::args_os()) => error.exit(),
        Err(error) => return tell(&not_understood(&error), true),
    };
    let as_json = common.json;
    match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => match runtime.block_on(carry_out(common, noun)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(trouble) => tell(&trouble, as_json),
        },
        Err(error) => tell(&Trouble::error(format!("cannot start: {error}")), as_json),
    }
}

async fn carry_out(common: Common, noun: Noun) -> Result<(), Trouble> {
    let noun = match noun {
        Noun::Completions(shell) => return shell.run(),
        Noun::Man(man) => return man.run(),
        noun => noun,
    };
    log::install(common.verbose);
    if matches!(noun, Noun::Top(_)) {
        top::check_terminal(&common)?;
    }
    let session = &mut Session::open(common).await?;
    match noun {
        Noun::Queue(verb) => queue::run(verb, session).await?,
        Noun::Group(verb) => group::run(verb, session).await?,
        Noun::Job(verb) => job::run(verb, session).await?,
        Noun::Dead(verb) => dead::run(verb, session).await?,
        Noun::Saga(verb) => saga::run(verb, session).await?,
        Noun::Flow(verb) => flow::run(verb, session).await?,
        Noun::Signal(signal) => signal::run(signal, session).await?,
        Noun::Outbox(verb) => outbox::run(verb, session).await?,
        Noun::Topic(verb) => topic::run(verb, session).await?,
        Noun::Breaker(verb) => breaker::run(verb, session).await?,
        Noun::Schedule(verb) => schedule::run(verb, session).await?,
        Noun::Worker(verb) => worker::run(verb, session).await?,
        Noun::Alert(verb) => alert::run(verb, session).await?,
        Noun::Events(events) => events::run(events, session).await?,
        Noun::Audit(audit) => audit::run(audit, session).await?,
        Noun::Top(top) => top::run(&top, session).await?,
        Noun::Serve(serve) => serve::run(serve, session).await?,
        Noun::Doctor(doctor) => doctor::run(doctor, session).await?,
        Noun::Bench(bench) => bench::run(bench, session).await?,
        Noun::Completions(_) | Noun::Man(_) => {}
    }
    session.out.flush()
}

/// What was typed cannot be read, but this can.
fn asks_for_json(args: impl Iterator<Item = OsString>) -> bool {
    let mut options = args.take_while(|arg| arg != "--");
    options.any(|arg| arg == "--json")
}

fn not_understood(error: &clap::Error) -> Trouble {
    let text = error.to_string();
    let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let trouble = Trouble::usage(message.trim_start_matches("error: ").trim());
    let tip = rest
        .lines()
        .find_map(|line| line.trim().strip_prefix("tip: "));
    match tip {
        Some(tip) => trouble.hint(tip),
        None => trouble,
    }
}

/// Tells it on stderr. Nobody may read that either.
fn tell(trouble: &Trouble, as_json: bool) -> ExitCode {
    let text = match as_json {
        _ if trouble.message.is_empty() => String::new(),
        true => serde_json::to_string(trouble).unwrap_or_default() + "\n",
        false => for_people(trouble),
    };
    if trouble.exit != Exit::PipeClosed {
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
    ExitCode::from(trouble.exit as u8)
}

fn for_people(trouble: &Trouble) -> String {
    let term = Term::stderr();
    let colours = wants_colours(&term);
    let width = term.size_checked().map(|(_, columns)| columns.into());
    let paint = |text: &str| style(text.to_owned()).force_styling(colours);
    let error = format!("{} {}", paint("error:").red().bold(), trouble.message);
    // What points at a place stands in lines of its own.
    let mut text = match trouble.message.contains('\n') {
        true => error,
        false => wrapped(&error, width, HANGING),
    };
    let meant = trouble.nearest.as_ref();
    let meant = meant.map(|name| format!("did you mean `{name}`?"));
    for hint in meant.iter().chain(&trouble.hint) {
        let hint = format!("{} {hint}", paint(" hint:").cyan());
        text.push('\n');
        text.push_str(&wrapped(&hint, width, HANGING));
    }
    text + "\n"
}
