//! What operators did to a queue.

use clap::Args;
use oxcart::{AuditEntry, AuditPhase};
use serde::Serialize;

use crate::session::Session;
use crate::term::look::Tint;
use crate::term::table::{Cell, Table, text};
use crate::text::when::{ago, now};
use crate::trouble::Trouble;

/// The last entry first. Programs that do not say who they are leave none.
#[derive(Args)]
pub(crate) struct Audit {
    queue: String,
    /// So many entries at most; about 1,000 are kept
    #[arg(long, short = 'n', default_value_t = 20, value_name = "ENTRIES")]
    limit: usize,
    /// Only entries before this number
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    before: Option<u64>,
}

/// See `schema/audit-entry.json`.
#[derive(Serialize)]
struct View<'a> {
    queue: &'a str,
    number: u64,
    at: String,
    operator: &'a str,
    action: &'a str,
    target: &'a str,
    phase: &'static str,
    jobs: Option<u64>,
}

fn phase(entry: &AuditEntry) -> &'static str {
    match entry.phase {
        AuditPhase::Asked => "asked",
        AuditPhase::Began => "began",
        AuditPhase::Ended => "ended",
        _ => "other",
    }
}

pub(crate) async fn run(audit: Audit, session: &mut Session) -> Result<(), Trouble> {
    let queue = session.queue(&audit.queue).await?;
    let mut entries: Vec<AuditEntry> = Vec::new();
    while entries.len() < audit.limit {
        let mut page = queue.audit().limit(audit.limit - entries.len());
        if let Some(before) = entries.last().map(|entry| entry.number).or(audit.before) {
            page = page.before(before);
        }
        let page = page.await?;
        if page.is_empty() {
            break;
        }
        entries.extend(page);
    }
    let out = &mut session.out;
    if out.json {
        return entries.iter().try_for_each(|entry| {
            out.json(&View {
                queue: &audit.queue,
                number: entry.number,
                at: entry.at.to_string(),
                operator: &entry.operator,
                action: &entry.action,
                target: &entry.target,
                phase: phase(entry),
                jobs: entry.jobs,
            })
        });
    }
    if entries.is_empty() {
        out.note(format_args!("nothing was noted in `{}`", audit.queue));
        return Ok(());
    }
    let mut table = Table::new([text("WHEN"), text("WHO"), text("WHAT"), text("TO")]);
    for entry in &entries {
        let what = match (entry.phase, entry.jobs) {
            (AuditPhase::Ended, Some(jobs)) => format!("{}: {}", entry.action, out.count(jobs)),
            (AuditPhase::Began, _) => format!("{} began", entry.action),
            _ => entry.action.clone(),
        };
        table.row([
            Cell::new(Tint::Faint, ago(entry.at, now())),
            Cell::plain(&*entry.operator),
            Cell::new(Tint::Strong, what),
            Cell::plain(&*entry.target),
        ]);
    }
    table.print(out)
}
