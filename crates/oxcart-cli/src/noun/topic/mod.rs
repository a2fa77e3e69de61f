//! Topics, and the queues that are subscribed to them.

mod publish;

use std::time::Duration;

use clap::{Args, Subcommand};
use oxcart::{EventOrder, SubscriptionInfo, Timestamp, Topic, TopicInfo};
use serde::Serialize;

use crate::session::Session;
use crate::term::confirm::confirm;
use crate::term::look::Tint;
use crate::term::table::{Cell, Table, number, text};
use crate::text::nearest::nearest;
use crate::text::when::{ago, now, rough};
use crate::trouble::Trouble;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// All topics: how much is kept, and how far their subscriptions are
    #[command(visible_alias = "list")]
    Ls,
    /// One topic, and each of its subscriptions
    Show { topic: String },
    /// Publish each CloudEvent of a file
    Publish(publish::Publish),
    /// Remove a subscription; jobs that its queue has already stay
    Unsubscribe(Which),
    /// Delete a topic: its events and its subscriptions; jobs that queues have already stay
    #[command(visible_alias = "rm")]
    Delete { topic: String },
}

#[derive(Args)]
pub(crate) struct Which {
    topic: String,
    subscription: String,
}

/// See `schema/topic.json`.
#[derive(Serialize)]
struct View<'a> {
    topic: &'a str,
    kept: u64,
    bytes: u64,
    published: u64,
    first: Option<String>,
    last: Option<String>,
    subscriptions: Vec<Subscription<'a>>,
}

#[derive(Serialize)]
struct Subscription<'a> {
    name: &'a str,
    queue: &'a str,
    since: String,
    behind: u64,
    behind_seconds: f64,
    missed: u64,
    wants: Option<String>,
    order: Option<&'static str>,
}

/// See `schema/topic-done.json`.
#[derive(Serialize)]
struct Done<'a> {
    topic: &'a str,
    subscription: Option<&'a str>,
    removed: bool,
}

fn order(it: &SubscriptionInfo) -> Option<&'static str> {
    it.wants.as_ref().map(|(_, order)| match order {
        EventOrder::AsPublished => "as_published",
        EventOrder::OfSubject => "of_subject",
        EventOrder::OneByOne => "one_by_one",
        _ => "other",
    })
}

fn wants(it: &SubscriptionInfo) -> Option<String> {
    it.wants.as_ref().map(|(filter, _)| filter.to_string())
}

fn view<'a>(topic: &'a str, info: &'a TopicInfo) -> View<'a> {
    let time = |time: Timestamp| time.to_string();
    let subscription = |it: &'a SubscriptionInfo| Subscription {
        name: &it.name,
        queue: &it.queue,
        since: time(it.since),
        behind: it.behind,
        behind_seconds: it.behind_for.as_secs_f64(),
        missed: it.missed,
        wants: wants(it),
        order: order(it),
    };
    View {
        topic,
        kept: info.kept,
        bytes: info.bytes,
        published: info.published,
        first: info.first.map(time),
        last: info.last.map(time),
        subscriptions: info.subscriptions.iter().map(subscription).collect(),
    }
}

pub(crate) async fn run(verb: Verb, session: &mut Session) -> Result<(), Trouble> {
    match verb {
        Verb::Ls => list(session).await,
        Verb::Show { topic } => show(session, &topic).await,
        Verb::Publish(publish) => publish.run(session).await,
        Verb::Unsubscribe(which) => unsubscribe(session, &which).await,
        Verb::Delete { topic } => delete(session, &topic).await,
    }
}

/// A topic that is there.
async fn find(session: &Session, name: &str) -> Result<Topic, Trouble> {
    let names = session.oxcart.topics().await?;
    if names.iter().any(|known| known == name) {
        return Ok(session.oxcart.topic(name)?);
    }
    let trouble = Trouble::not_found(format!("there is no topic `{name}`"));
    Err(trouble.nearest(nearest(name, names.iter().map(String::as_str))))
}

async fn list(session: &mut Session) -> Result<(), Trouble> {
    let mut found = Vec::new();
    for name in session.oxcart.topics().await? {
        let info = session.oxcart.topic(&name)?.info().await?;
        found.push((name, info));
    }
    let out = &mut session.out;
    if out.json {
        let mut found = found.iter();
        return found.try_for_each(|(name, info)| out.json(&view(name, info)));
    }
    if found.is_empty() {
        out.note("nothing was ever published, and no queue is subscribed to a topic");
        return Ok(());
    }
    let mut table = Table::new([
        text("TOPIC"),
        number("EVENTS"),
        number("KIB"),
        text("LAST"),
        number("SUBSCRIPTIONS"),
        number("BEHIND"),
        number("MISSED"),
    ]);
    let now = now();
    for (name, info) in &found {
        let all = &info.subscriptions;
        let behind = all.iter().map(|it| it.behind).max().unwrap_or(0);
        let missed = all.iter().map(|it| it.missed).sum();
        table.row([
            Cell::new(Tint::Strong, name.as_str()),
            Cell::plain(out.count(info.kept)),
            Cell::plain(out.count(info.bytes.div_ceil(1024))),
            Cell::plain(info.last.map_or("-".to_owned(), |last| ago(last, now))),
            Cell::plain(out.count(all.len() as u64)),
            Cell::new(tint(behind, Tint::Held), out.count(behind)),
            Cell::new(tint(missed, Tint::Bad), out.count(missed)),
        ]);
    }
    table.print(out)
}

fn tint(number: u64, if_any: Tint) -> Tint {
    if number > 0 { if_any } else { Tint::Plain }
}

async fn show(session: &mut Session, name: &str) -> Result<(), Trouble> {
    let info = find(session, name).await?.info().await?;
    let out = &mut session.out;
    if out.json {
        return out.json(&view(name, &info));
    }
    let now = now();
    let when = |time: Option<Timestamp>| time.map_or("-".to_owned(), |time| ago(time, now));
    out.fact("topic", name)?;
    let kept = out.count(info.kept);
    out.fact(
        "events",
        format!("{kept}, {} KiB", info.bytes.div_ceil(1024)),
    )?;
    out.fact("first", when(info.first))?;
    out.fact("last", when(info.last))?;
    let published = out.count(info.published);
    out.fact("published", format!("{published} ever"))?;
    if info.subscriptions.is_empty() {
        out.note("no queue is subscribed to it");
        return Ok(());
    }
    out.line("")?;
    let mut table = Table::new([
        text("SUBSCRIPTION"),
        text("QUEUE"),
        number("BEHIND"),
        text("FOR"),
        number("MISSED"),
        text("WANTS"),
    ]);
    for it in &info.subscriptions {
        let behind_for = match it.behind_for {
            Duration::ZERO => "-".to_owned(),
            length => rough(length),
        };
        let order = match order(it) {
            Some("of_subject") => ", in order of a subject",
            Some("one_by_one") => ", one by one",
            _ => "",
        };
        let wants = wants(it).unwrap_or_else(|| "what only a newer version can read".to_owned());
        table.row([
            Cell::new(Tint::Strong, it.name.as_str()),
            Cell::plain(it.queue.as_str()),
            Cell::new(tint(it.behind, Tint::Held), out.count(it.behind)),
            Cell::plain(behind_for),
            Cell::new(tint(it.missed, Tint::Bad), out.count(it.missed)),
            Cell::plain(format!("{wants}{order}")),
        ]);
    }
    table.print(out)
}

async fn unsubscribe(session: &mut Session, which: &Which) -> Result<(), Trouble> {
    let Which {
        topic: name,
        subscription,
    } = which;
    let topic = find(session, name).await?;
    let info = topic.info().await?;
    let names = || info.subscriptions.iter().map(|it| it.name.as_str());
    if !names().any(|known| known == subscription) {
        let trouble = Trouble::not_found(format!("`{name}` has no subscription `{subscription}`"));
        return Err(trouble.nearest(nearest(subscription, names())));
    }
    let what = format!(
        "Remove the subscription `{subscription}` of `{name}` (jobs that its queue has stay)"
    );
    confirm(session, &what).await?;
    let removed = topic.unsubscribe(subscription).await?;
    let done = Done {
        topic: name,
        subscription: Some(subscription),
        removed,
    };
    let text = format!(
        "the subscription `{subscription}` is removed; a program that asks for it makes it anew"
    );
    session.out.done(&done, text)
}

async fn delete(session: &mut Session, name: &str) -> Result<(), Trouble> {
    let topic = find(session, name).await?;
    let info = topic.info().await?;
    let (events, subscriptions) = (info.kept, info.subscriptions.len());
    let what =
        format!("Delete the topic `{name}` with {events} events and {subscriptions} subscriptions");
    confirm(session, &what).await?;
    topic.delete().await?;
    let done = Done {
        topic: name,
        subscription: None,
        removed: true,
    };
    session
        .out
        .done(&done, format!("the topic `{name}` is deleted"))
}
