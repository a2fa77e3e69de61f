//! Asking before something is done that cannot be undone.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::session::Session;
use crate::trouble::Trouble;

/// Goes on if the person says yes, now or by `--yes`. `what` says what will be done, and to how many jobs.
pub(crate) fn confirm(session: &Session, what: &str) -> Result<(), Trouble> {
    if session.yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(
            Trouble::usage(format!("not done, because nobody can be asked: {what}"))
                .hint("add --yes if that is meant"),
        );
    }
    let mut stderr = io::stderr();
    write!(stderr, "{what}? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Trouble::error("nothing was changed")),
    }
}
