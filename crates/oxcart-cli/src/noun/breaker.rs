//! Breakers: how they stand, and forcing them.

use clap::{Args, Subcommand};
use oxcart::{Breaker, BreakerInfo, BreakerState, Timestamp};
use serde::Serialize;

use crate::session::Session;
use crate::term::confirm::confirm;
use crate::term::look::Tint;
use crate::term::table::{Cell, Table, number, text};
use crate::text::nearest::nearest;
use crate::text::when::{ago, now};
use crate::trouble::Trouble;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// All breakers that were ever used, those that are not closed first
    #[command(visible_alias = "list")]
    Ls,
    /// One breaker: its state, since when, and why
    Show(Which),
    /// Force it open: no call goes, in no process, until you say otherwise
    Open(Which),
    /// Force it closed: all calls go, whatever fails, until you say otherwise
    Close(Which),
    /// Force it no more: it opens and closes by itself
    Auto(Which),
}

#[derive(Args)]
pub(crate) struct Which {
    breaker: String,
}

/// See `schema/breaker.json`.
#[derive(Serialize)]
struct View<'a> {
    breaker: &'a str,
    state: &'static str,
    forced: bool,
    since: Option<String>,
    until: Option<String>,
    why: &'a str,
    calls: u64,
    failures: u64,
    probes: u64,
    opened: u64,
}

fn view<'a>(breaker: &'a str, info: &'a BreakerInfo) -> View<'a> {
    View {
        breaker,
        state: info.state.name(),
        forced: info.forced,
        since: since(info).map(|time| time.to_string()),
        until: info.until.map(|time| time.to_string()),
        why: &info.why,
        calls: info.calls,
        failures: info.failures,
        probes: info.probes,
        opened: info.opened,
    }
}

/// One that was closed from the beginning has no moment.
fn since(info: &BreakerInfo) -> Option<Timestamp> {
    Some(info.since).filter(|since| since.as_millis() > 0)
}

fn state(info: &BreakerInfo) -> (Tint, String) {
    let tint = match info.state {
        BreakerState::Closed => Tint::Good,
        BreakerState::Open => Tint::Bad,
        _ => Tint::Held,
    };
    let forced = if info.forced { ", forced" } else { "" };
    (tint, format!("{}{forced}", info.state.name()))
}

pub(crate) async fn run(verb: Verb, session: &mut Session) -> Result<(), Trouble> {
    match verb {
        Verb::Ls => list(session).await,
        Verb::Show(which) => {
            let info = find(session, &which).await?.info().await?;
            show(session, &which.breaker, &info)
        }
        Verb::Open(which) => {
            let breaker = find(session, &which).await?;
            let name = &which.breaker;
            let what = format!(
                "Force the breaker `{name}` open: no call of it goes until `oxcart breaker auto {name}`"
            );
            confirm(session, &what).await?;
            let info = breaker.force_open().await?;
            show(session, name, &info)
        }
        Verb::Close(which) => {
            let breaker = find(session, &which).await?;
            let name = &which.breaker;
            let what = format!(
                "Force the breaker `{name}` closed: it does not open until `oxcart breaker auto {name}`"
            );
            confirm(session, &what).await?;
            let info = breaker.force_closed().await?;
            show(session, name, &info)
        }
        Verb::Auto(which) => {
            let info = find(session, &which).await?.automatic().await?;
            show(session, &which.breaker, &info)
        }
    }
}

/// A breaker that was used.
async fn find(session: &Session, which: &Which) -> Result<Breaker, Trouble> {
    let name = &which.breaker;
    let names = session.oxcart.breakers().await?;
    if names.iter().any(|known| known == name) {
        return Ok(session.oxcart.breaker(name)?);
    }
    let trouble = Trouble::not_found(format!("there is no breaker `{name}`"));
    Err(trouble.nearest(nearest(name, names.iter().map(String::as_str))))
}

async fn list(session: &mut Session) -> Result<(), Trouble> {
    let mut found = Vec::new();
    for name in session.oxcart.breakers().await? {
        let info = session.oxcart.breaker(&name)?.info().await?;
        found.push((name, info));
    }
    found.sort_by_key(|(_, info)| info.state == BreakerState::Closed);
    let out = &mut session.out;
    if out.json {
        let mut found = found.iter();
        return found.try_for_each(|(name, info)| out.json(&view(name, info)));
    }
    if found.is_empty() {
        out.note("no breaker was ever used");
        return Ok(());
    }
    let mut table = Table::new([
        text("BREAKER"),
        text("STATE"),
        text("SINCE"),
        number("CALLS"),
        number("FAILED"),
        number("OPENED"),
        text("WHY IT OPENED LAST"),
    ]);
    let now = now();
    for (name, info) in &found {
        let (tint, state) = state(info);
        table.row([
            Cell::new(Tint::Strong, name.as_str()),
            Cell::new(tint, state),
            Cell::plain(since(info).map_or("-".to_owned(), |since| ago(since, now))),
            Cell::plain(out.count(info.calls)),
            Cell::plain(out.count(info.failures)),
            Cell::plain(out.count(info.opened)),
            Cell::plain(if info.why.is_empty() { "-" } else { &info.why }),
        ]);
    }
    table.print(out)
}

fn show(session: &mut Session, name: &str, info: &BreakerInfo) -> Result<(), Trouble> {
    let out = &mut session.out;
    if out.json {
        return out.json(&view(name, info));
    }
    let (tint, state) = state(info);
    out.fact("breaker", name)?;
    let state = out.paint(tint, state);
    out.fact("state", state)?;
    let now = now();
    out.fact(
        "since",
        since(info).map_or("-".to_owned(), |since| ago(since, now)),
    )?;
    if let Some(until) = info.until {
        out.fact("probes from", until)?;
    }
    let (calls, failures) = (out.count(info.calls), out.count(info.failures));
    out.fact(
        "lately",
        format!(
            "{calls} calls, {failures} failed; {} probes under way",
            info.probes
        ),
    )?;
    let opened = out.count(info.opened);
    out.fact("times opened", opened)?;
    if !info.why.is_empty() {
        out.fact("why", &info.why)?;
    }
    Ok(())
}
