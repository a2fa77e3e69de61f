//! Flows: jobs that wait for other jobs.

use clap::Subcommand;
use console::measure_text_width;
use oxcart::{Ended, FlowNode, FlowTree, JobId};
use serde::Serialize;

use crate::jobs::view::EndedView;
use crate::noun::job::Which;
use crate::session::Session;
use crate::term::look::{Tint, jobs};
use crate::term::out::Out;
use crate::term::table::one_line;
use crate::text::when::{ago, now};
use crate::trouble::Trouble;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// A job and the jobs for which it waits, as a tree, with their states
    Show(Which),
}

/// See `schema/flow-job.json`.
#[derive(Serialize)]
struct View<'a> {
    queue: &'a str,
    id: &'a str,
    name: &'a str,
    /// 0 is the job that was asked for.
    depth: usize,
    parent: Option<&'a str>,
    state: Option<&'static str>,
    enqueued_at: Option<String>,
    ended_at: Option<String>,
    ended: Option<EndedView>,
    /// It is not there any more: this is what its parent knows of it.
    removed: bool,
}

pub(crate) async fn run(verb: Verb, session: &mut Session) -> Result<(), Trouble> {
    let Verb::Show(which) = verb;
    let queue = session.queue(&which.queue).await?;
    let Some(flow) = queue.flow(&which.id).await? else {
        return Err(session.no_job(&queue, &which.id).await);
    };
    match session.out.json {
        true => objects(&mut session.out, &flow)?,
        false => tree(&mut session.out, &flow)?,
    }
    session.out.flush()?;
    if flow.is_cut() {
        session.out.note(format_args!(
            "only the first {} are shown; `oxcart flow show` of one of them shows what is below it",
            jobs(flow.len() as u64)
        ));
    }
    Ok(())
}

fn objects(out: &mut Out, flow: &FlowTree) -> Result<(), Trouble> {
    // The jobs above the job that is shown, from the first job of the flow on.
    let mut above: Vec<&JobId> = Vec::new();
    for node in flow.iter() {
        above.truncate(node.depth);
        out.json(&View {
            queue: &node.queue,
            id: node.id.as_str(),
            name: &node.name,
            depth: node.depth,
            parent: parent(node, &above),
            state: node.state.map(|state| state.as_str()),
            enqueued_at: node.enqueued_at.map(|at| at.to_string()),
            ended_at: node.ended_at.map(|at| at.to_string()),
            ended: node.ended.as_ref().map(EndedView::from),
            removed: node.job.is_none(),
        })?;
        above.push(&node.id);
    }
    Ok(())
}

/// Of the job that was asked for, the parent is not in the tree.
fn parent<'a>(node: &'a FlowNode, above: &[&'a JobId]) -> Option<&'a str> {
    let own = node.job.as_ref().and_then(|job| job.parent.as_ref());
    above.last().copied().or(own).map(JobId::as_str)
}

fn tree(out: &mut Out, flow: &FlowTree) -> Result<(), Trouble> {
    let name = |node: &FlowNode| format!("{}{}", "  ".repeat(node.depth), one_line(&node.name));
    let widths = flow.iter().map(|node| measure_text_width(&name(node)));
    let widest = widths.max().unwrap_or_default();
    for node in flow.iter() {
        let name = name(node);
        let gap = " ".repeat(widest - measure_text_width(&name));
        let name = out.paint(Tint::Strong, name);
        let state = match node.state {
            Some(state) => out.paint(Tint::of_state(state), format!("{:<9}", state.as_str())),
            None => out.paint(Tint::Faint, format!("{:<9}", without_state(node))),
        };
        let elsewhere = (node.queue != flow.root().queue).then(|| format!("in {}", node.queue));
        let what = [elsewhere.unwrap_or_default(), what(node)];
        let what = what.iter().filter(|part| !part.is_empty());
        let what = what.map(String::as_str).collect::<Vec<_>>().join(": ");
        let line = format!("{name}{gap}  {}  {state}  {what}", node.id);
        out.line(line.trim_end())?;
    }
    let parent = flow.root().job.as_ref().and_then(|job| job.parent.as_ref());
    match parent {
        Some(parent) => out.line(format_args!(
            "\nThe job that waits for the first one: {parent}"
        )),
        None => Ok(()),
    }
}

/// What a job is that is in no state.
fn without_state(node: &FlowNode) -> &'static str {
    match &node.child {
        Some(child) if child.refused.is_some() => "refused",
        Some(child) if !child.removed => "on its way",
        _ => "removed",
    }
}

/// Why and when it ended, as far as that is known.
fn what(node: &FlowNode) -> String {
    let when = node.ended_at.map(|at| ago(at, now()));
    let why = match &node.ended {
        Some(Ended::Cancelled(reason)) => Some(reason.clone()),
        Some(Ended::Compensated(reason)) => Some(format!("undone: {reason}")),
        Some(Ended::Expired) => Some("expired before it started".to_owned()),
        Some(Ended::Dead(reason)) => {
            let error = node.job.as_ref().map(|job| job.last_error());
            let error = error.filter(|error| !error.is_empty());
            Some(error.map_or_else(|| reason.to_string(), str::to_owned))
        }
        _ => node.child.as_ref().and_then(|child| child.refused.clone()),
    };
    let waits = node.job.as_ref().filter(|job| job.ended.is_none());
    let waits = waits.filter(|job| job.children > 0 && job.state == oxcart::JobState::Blocked);
    let waits = waits.map(|job| format!("has {} below it", jobs(job.children)));
    let parts = when.into_iter().chain(why).chain(waits);
    one_line(&parts.collect::<Vec<_>>().join(": "))
}
