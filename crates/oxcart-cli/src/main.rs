//! The command `oxcart`: the person on call sees what is stuck, and why, and repairs it.
//!
//! ```text
//! args       what can be typed
//! run        from what was typed to the exit code
//! session    the connection, and queues by name
//! noun/      one file for each noun, with its verbs and what they print
//! jobs/      what several nouns do with jobs: filter, read page by page, change many in steps, show
//! term/      the terminal: colours, width, tables, questions, progress
//! text/      times, values, names and errors as text
//! trouble    what went wrong, and its exit code
//! ```

mod args;
mod jobs;
mod noun;
mod run;
mod session;
mod term;
mod text;
mod trouble;

use std::process::ExitCode;

fn main() -> ExitCode {
    run::run()
}
