//! Groups of a queue.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use oxcart::{Group, GroupInfo, JobInfo, JobState, Queue, Rate};
use serde::Serialize;

use crate::jobs::filter::Filter;
use crate::jobs::scan;
use crate::noun::Pause;
use crate::session::Session;
use crate::term::look::{Tint, jobs};
use crate::term::out::Out;
use crate::term::table::{Cell, Table, number, text};
use crate::text::nearest::nearest;
use crate::text::rates;
use crate::trouble::Trouble;

/// States in which jobs of a group are open.
const OPEN: [JobState; 4] = [
    JobState::Active,
    JobState::Waiting,
    JobState::Blocked,
    JobState::Delayed,
];
/// What counts for a group that has no limit of its own.
const AS_ALL: &str = "as is set for every group";
/// Jobs in each state that are read to find a name that is nearly the same.
const READ_FOR_NAMES: u64 = 1_024;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// The groups that have open jobs, as far as these are read
    #[command(visible_alias = "list")]
    Ls(List),
    /// One group: what runs and what waits
    Show(Which),
    /// Pause a group: no worker takes its jobs; other groups do not notice
    Pause(Change),
    /// End the pause of a group, and a hold
    Resume(Change),
    /// Limit how many of a group's jobs run at a time
    Concurrency(Concurrency),
    /// Limit how many of a group's jobs start in a period
    Rate(RateOf),
}

/// Redis keeps no list of groups: the open jobs are read, and their groups counted.
#[derive(Args)]
pub(crate) struct List {
    queue: String,
    /// How many jobs in each state are read at most
    #[arg(long, default_value_t = 10_000, value_name = "JOBS")]
    read: u64,
}

#[derive(Args)]
pub(crate) struct Which {
    queue: String,
    /// The key that its jobs were enqueued with
    group: String,
}

#[derive(Args)]
pub(crate) struct Change {
    #[command(flatten)]
    which: Which,
    /// The group may be one that has no jobs yet
    #[arg(long)]
    new_group: bool,
}

#[derive(Args)]
pub(crate) struct Concurrency {
    #[command(flatten)]
    change: Change,
    /// A number, or `default`: as many as is set for every group
    #[arg(value_parser = concurrency)]
    jobs: Limit,
}

#[derive(Args)]
pub(crate) struct RateOf {
    #[command(flatten)]
    change: Change,
    /// 100/1s, 600/1m/smooth, or `default`: as is set for every group
    #[arg(value_name = "JOBS/TIME", value_parser = own_rate)]
    rate: OwnRate,
}

/// `None`: as is set for every group.
#[derive(Clone, Copy)]
struct OwnRate(Option<Rate>);

fn own_rate(text: &str) -> Result<OwnRate, String> {
    match text {
        "default" => Ok(OwnRate(None)),
        text => rates::parse(text).map(|rate| OwnRate(Some(rate))),
    }
}

#[derive(Clone, Copy)]
struct Limit(Option<u64>);

fn concurrency(text: &str) -> Result<Limit, String> {
    match (text, text.parse()) {
        ("default", _) => Ok(Limit(None)),
        (_, Ok(jobs)) if jobs > 0 => Ok(Limit(Some(jobs))),
        _ => Err("a number from 1 on, or `default`; `oxcart group pause` stops a group".to_owned()),
    }
}

/// See `schema/group.json`.
#[derive(Serialize)]
struct View<'a> {
    queue: &'a str,
    group: &'a str,
    active: u64,
    /// Ready to run: in line, or held back by the group.
    waiting: u64,
    /// Not due yet; only known in a listing.
    delayed: Option<u64>,
    paused: bool,
    concurrency: Option<u64>,
    rate: Option<String>,
    held_until: Option<String>,
}

pub(crate) async fn run(verb: Verb, session: &mut Session) -> Result<(), Trouble> {
    match verb {
        Verb::Ls(list) => self::list(session, list).await,
        Verb::Show(which) => show(session, &which).await,
        Verb::Pause(change) => pause(session, change, true).await,
        Verb::Resume(change) => pause(session, change, false).await,
        Verb::Concurrency(concurrency) => limit(session, concurrency).await,
        Verb::Rate(rate) => set_rate(session, rate).await,
    }
}

/// Whether nothing is known of a group: it is like one that never had any jobs.
fn is_unknown(info: &GroupInfo) -> bool {
    let is_set = info.paused || info.concurrency.is_some() || info.rate.is_some();
    info.active == 0 && info.waiting == 0 && !is_set
}

async fn find(
    session: &Session,
    which: &Which,
    new_group: bool,
) -> Result<(Group, GroupInfo), Trouble> {
    let queue = session.queue(&which.queue).await?;
    let group = queue.group(&which.group)?;
    let info = group.info().await?;
    if new_group || !is_unknown(&info) {
        return Ok((group, info));
    }
    // It may have delayed jobs only.
    let (names, _) = count(&queue, READ_FOR_NAMES).await?;
    if names.contains_key(&which.group) {
        return Ok((group, info));
    }
    let message = format!(
        "nothing is known of a group `{}` in `{}`",
        which.group, which.queue
    );
    Err(Trouble::not_found(message)
        .hint("it has no jobs, or was never there; `oxcart group ls` lists groups, --new-group sets it all the same")
        .nearest(nearest(&which.group, names.keys().map(String::as_str))))
}

/// How many of the open jobs that were read each group has, in each of these states; and whether all were read.
async fn count(queue: &Queue, most: u64) -> Result<(BTreeMap<String, [u64; 4]>, bool), Trouble> {
    let mut groups: BTreeMap<String, [u64; 4]> = BTreeMap::new();
    let mut all = true;
    for (position, state) in OPEN.into_iter().enumerate() {
        let all_of_them = Filter::default();
        let read = scan::each(queue, state, &all_of_them, most, |job: &JobInfo| {
            if let Some(group) = &job.group {
                groups.entry(group.clone()).or_default()[position] += 1;
            }
        });
        let (_, goes_on) = read.await?;
        all &= !goes_on;
    }
    Ok((groups, all))
}

async fn list(session: &mut Session, list: List) -> Result<(), Trouble> {
    let queue = session.queue(&list.queue).await?;
    let (groups, all) = count(&queue, list.read).await?;
    let out = &mut session.out;
    let mut table = Table::new([
        text("GROUP"),
        number("ACTIVE"),
        number("WAITING"),
        number("DELAYED"),
        number("LIMIT").optional(1),
        text(""),
    ]);
    let look = out.look;
    for (key, [.., delayed]) in &groups {
        // What Redis counts: more than was read, if not all was.
        let info = queue.group(key)?.info().await?;
        if out.json {
            out.json(&view(&list.queue, key, &info, Some(*delayed)))?;
            continue;
        }
        let number = |tint: Tint, n| Cell::new(tint.unless_zero(n), look.count(n));
        let limit = info
            .concurrency
            .map_or_else(String::new, |jobs| look.count(jobs));
        table.row([
            Cell::new(Tint::Strong, key),
            number(Tint::Busy, info.active),
            number(Tint::Plain, info.waiting),
            number(Tint::Plain, *delayed),
            Cell::plain(limit),
            Cell::new(Tint::Held, if info.paused { "paused" } else { "" }),
        ]);
    }
    if !table.is_empty() {
        table.print(out)?;
    }
    out.flush()?;
    if groups.is_empty() {
        out.note(format_args!("no open job of `{}` has a group", list.queue));
    }
    if !all {
        out.note(format_args!(
            "only the first {} in each state were read; --read reads more",
            jobs(list.read)
        ));
    }
    Ok(())
}

fn view<'a>(queue: &'a str, group: &'a str, info: &GroupInfo, delayed: Option<u64>) -> View<'a> {
    View {
        queue,
        group,
        active: info.active,
        waiting: info.waiting,
        delayed,
        paused: info.paused,
        concurrency: info.concurrency,
        rate: info.rate.as_ref().map(rates::shown),
        held_until: info.held_until.map(|until| until.to_string()),
    }
}

async fn show(session: &mut Session, which: &Which) -> Result<(), Trouble> {
    let (_, info) = find(session, which, false).await?;
    tell(&mut session.out, which, &info)
}

fn tell(out: &mut Out, which: &Which, info: &GroupInfo) -> Result<(), Trouble> {
    if out.json {
        return out.json(&view(&which.queue, &which.group, info, None));
    }
    let state = match info.paused {
        true => out.paint(Tint::Held, "paused: no worker takes its jobs"),
        false => out.paint(Tint::Good, "open"),
    };
    let title = out.paint(Tint::Strong, &which.group);
    out.line(format_args!("{title}  {state}"))?;
    out.fact("queue", &which.queue)?;
    let (active, waiting) = (out.count(info.active), out.count(info.waiting));
    out.fact("active", active)?;
    out.fact("waiting", waiting)?;
    match info.concurrency {
        Some(jobs) => out.fact("concurrency", jobs),
        None => out.fact("concurrency", AS_ALL),
    }?;
    let rate = info.rate.as_ref().map(rates::shown);
    out.fact("rate", rate.as_deref().unwrap_or(AS_ALL))?;
    match info.held_until {
        Some(until) => out.fact("held until", until),
        None => Ok(()),
    }
}

async fn pause(session: &mut Session, change: Change, paused: bool) -> Result<(), Trouble> {
    let Which { queue, group: key } = &change.which;

    let (group, before) = find(session, &change.which, change.new_group).await?;
    let info = match paused {
        true => group.pause().await?,
        false => group.resume().await?,
    };
    let text = match info.paused {
        true => format!("the group `{key}` of `{queue}` is paused"),
        false => format!("the group `{key}` of `{queue}` goes on"),
    };
    let changed = before.paused != info.paused || before.held_until != info.held_until;
    let pause = Pause {
        queue,
        group: Some(key),
        paused: info.paused,
        changed,
        ..Pause::default()
    };
    pause.tell(session, text)
}

async fn limit(session: &mut Session, concurrency: Concurrency) -> Result<(), Trouble> {
    let Concurrency {
        change,
        jobs: Limit(jobs),
    } = concurrency;
    let (group, _) = find(session, &change.which, change.new_group).await?;
    let info = group.set_concurrency(jobs).await?;
    tell(&mut session.out, &change.which, &info)
}

async fn set_rate(session: &mut Session, rate: RateOf) -> Result<(), Trouble> {
    let RateOf {
        change,
        rate: OwnRate(rate),
    } = rate;
    let (group, _) = find(session, &change.which, change.new_group).await?;
    let info = group.set_rate(rate).await?;
    tell(&mut session.out, &change.which, &info)
}
