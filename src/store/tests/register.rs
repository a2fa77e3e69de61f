//! Every verb there is, once, with calls of it as they are made where nothing is wrong. What is asked of all verbs is
//! asked of this list, and this list is compared with the files there are, so that no verb can be forgotten.
//!
//! (The modules of the verbs are named in `store/mod.rs` and `memory/mod.rs` all the same: modules that a macro
//! names are not formatted by rustfmt.)

mod calls;
mod complete;
mod scripts;

use std::collections::BTreeMap;
use std::time::Duration;

use calls::{
    LATER, all, bounced, call_ended, end, enqueue, entry, held, held_back, listed, look_at_breaker,
    orphans, permit, receive, recover, schedule, tick, tried,
};
pub(super) use calls::{keyed, report};
pub(super) use scripts::{not_called, scripts, tags};

use super::bad_input::{PAST, advance};
use super::subject::{InRedis, START_US};
use super::{completed, job};
use crate::id::{Fence, JobId, Receipt};
use crate::job::options::JobOptions;
use crate::job::outcome::{DeadReason, Outcome};
use crate::memory::Apply;
use crate::policy::settings::QueueSettings;
use crate::policy::steps::StepKind;
use crate::store::adopt::Adopt;
use crate::store::advance::Advance;
use crate::store::alert::{Alert, Round};
use crate::store::alert_round::AlertRound;
use crate::store::alerts::Alerts;
use crate::store::attach::Attach;
use crate::store::audit::Audit;
use crate::store::breaker::{Breaker, Force};
use crate::store::call_ended::{CallEnded, End};
use crate::store::cancel::Cancel;
use crate::store::children::Children;
use crate::store::commit::Commit;
use crate::store::configure::{By, Configure};
use crate::store::counts::Counts;
use crate::store::delete::Delete;
use crate::store::edit::Edit;
use crate::store::enqueue::{Due, Enqueue, NewJob, Novelty};
use crate::store::extend::Extend;
use crate::store::feed::Feed;
use crate::store::fire::Fire;
use crate::store::follow::Follow;
use crate::store::get::Get;
use crate::store::group::Group;
use crate::store::history::History;
use crate::store::import::Import;
use crate::store::list::{Direction, List, Wanted};
use crate::store::log::{Line, Log};
use crate::store::logs::Logs;
use crate::store::oldest::Oldest;
use crate::store::orphans::{How, Orphans};
use crate::store::outbox::Outbox;
use crate::store::owner::Owner;
use crate::store::pause::Pause;
use crate::store::pause_name::PauseName;
use crate::store::permit::Permit;
use crate::store::progress::Progress;
use crate::store::promote::Promote;
use crate::store::publish::Publish;
use crate::store::receive::Receive;
use crate::store::recover::Recover;
use crate::store::remove::Remove;
use crate::store::replay::Replay;
use crate::store::replies::Replies;
use crate::store::report::Report;
use crate::store::resume::Resume;
use crate::store::schedule::Schedule;
use crate::store::schedules::Schedules;
use crate::store::send_replies::SendReplies;
use crate::store::sent::Sent;
use crate::store::settings::Settings;
use crate::store::signal::Signal;
use crate::store::skip_undo::SkipUndo;
use crate::store::spawn::Spawn;
use crate::store::stage::Stage;
use crate::store::step::{Step, What};
use crate::store::steps::Steps;
use crate::store::subscribe::{Begin, Subscribe};
use crate::store::subscribed::Subscribed;
use crate::store::tend::Tend;
use crate::store::topic::Topic;
use crate::store::trim::Trim;
use crate::store::undo::Undo;
use crate::store::unschedule::Unschedule;
use crate::store::unsubscribe::Unsubscribe;
use crate::store::watch::Watch;
use crate::store::workers::Workers;

/// Something that is done with each verb.
pub(super) trait Visitor {
    fn visit<V: Apply>(&mut self);
}

/// What a call answered, or what went wrong.
pub(super) type Tried = Result<String, String>;

/// A call in the queue of [`Both`](super::bad_input::Both), with the receipt of the job that is held there.
pub(super) type Call = fn(&mut InRedis, &Receipt) -> Tried;

/// `verb: Type { "call" => function, .. }`.
macro_rules! verbs {
    ($($name:ident: $verb:ty { $($call:literal => $function:expr),+ $(,)? })*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        /// Calls of every verb.
        pub(super) const CALLS: &[(&str, Call)] = &[$($(($call, $function)),+),*];

        pub(super) fn each(visitor: &mut impl Visitor) {
            $(visitor.visit::<$verb>();)*
        }
    };
}

verbs! {
    adopt: Adopt<'_> {
        "adopt" => |redis, _| {
            let job = |id: &JobId| super::adopt::waiting(id, &JobOptions::new().group("g"), 3_000);
            let jobs = ["new", "held"].map(JobId::stored);
            tried(redis, &Adopt { jobs: &jobs.each_ref().map(job) })
        },
    }
    advance: Advance<'_> {
        "claim" => |redis, _| tried(redis, &advance("worker", 9, &[], 5)),
        "claim with traits" => |redis, _| {
            tried(redis, &Advance { traits: true, ..advance("worker", 9, &[], 5) })
        },
        "repeat" => |redis, _| tried(redis, &advance("worker", 1, &[], 5)),
        "complete" => |redis, receipt| end(redis, receipt, completed()),
        "cancel in a handler" => |redis, receipt| end(redis, receipt, Outcome::Cancelled("moot".into())),
        "retry" => |redis, receipt| {
            let after = Duration::from_secs(1);
            end(redis, receipt, Outcome::Retry { after, entry: entry() })
        },
        "snooze" => |redis, receipt| {
            let after = Duration::from_secs(1);
            end(redis, receipt, Outcome::Snoozed { after })
        },
        "suspend" => |redis, receipt| {
            end(redis, receipt, Outcome::Suspended { after: None, steps: vec![1, 2] })
        },
        "bounce" => |redis, receipt| end(redis, receipt, bounced(None)),
        "hand back" => |redis, receipt| end(redis, receipt, bounced(Some("other".to_owned()))),
        "release" => |redis, receipt| end(redis, receipt, Outcome::Released),
        "die" => |redis, receipt| {
            let reason = DeadReason::AttemptsSpent;
            end(redis, receipt, Outcome::Dead { reason, entry: entry() })
        },
    }
    alert: Alert<'_> {
        "judge alerts" => |redis, _| {
            let (number, every_ms) = (1, 5_000);
            let round = Some(Round { number, every_ms });
            tried(redis, &Alert { round, changes: &super::alerts::changes() })
        },
        "acknowledge an alert" => |redis, _| {
            tried(redis, &Alert { round: None, changes: &super::alerts::changes() })
        },
    }
    alert_round: AlertRound {
        "begin a round of alerts" => |redis, _| tried(redis, &AlertRound { every_ms: 5_000 }),
    }
    alerts: Alerts<'_> {
        "look at alerts" => |redis, _| tried(redis, &Alerts::page(Alerts::ALL, 5)),
        "look at one alert" => |redis, _| tried(redis, &Alerts::one("deep mail")),
    }
    attach: Attach<'_> {
        "attach" => |redis, _| {
            let (topic, since, name, start, most) = ("another", 7, "mail", Some(3), 5);
            tried(redis, &Attach { topic, since, name, start, most })
        },
        "detach" => |redis, _| {
            let (topic, since, name, start, most) = ("orders", 5, "mail", None, 5);
            tried(redis, &Attach { topic, since, name, start, most })
        },
    }
    audit: Audit<'_> {
        "look at the audit" => |redis, _| {
            let (note, limit, before) = (None, 5, Some(3));
            tried(redis, &Audit { note, limit, before })
        },
        "note in the audit" => |redis, _| {
            let (note, limit, before) = (Some(&b"entry"[..]), 5, None);
            tried(redis, &Audit { note, limit, before })
        },
    }
    breaker: Breaker<'_> {
        "look at a breaker" => |redis, _| look_at_breaker(redis, Force::Nothing),
        "force a breaker" => |redis, _| look_at_breaker(redis, Force::Closed),
    }
    call_ended: CallEnded<'_> {
        "a probe has ended" => |redis, _| call_ended(redis, End::Well, 1),
        "a call has failed" => |redis, _| call_ended(redis, End::Failed, 0),
    }
    cancel: Cancel<'_> {
        "cancel" => |redis, _| tried(redis, &Cancel { ids: &all(), reason: "moot" }),
    }
    children: Children<'_> {
        "children" => |redis, _| tried(redis, &Children { id: "held", from: 0, max_bytes: 99 }),
    }
    commit: Commit<'_> {
        "commit" => |redis, _| {
            let jobs = &[&job("new"), &keyed("keyed-too")];
            tried(redis, &Commit { queue: "rig", draft: "draft", total: 2, keep_ms: 5_000, jobs })
        },
    }
    configure: Configure<'_> {
        "configure" => |redis, _| {
            let said = &QueueSettings::new().keep_events(0).values();
            tried(redis, &Configure { by: By::Code, said })
        },
    }
    counts: Counts {
        "counts" => |redis, _| redis.call(&Counts).map(|_| String::new()),
    }
    delete: Delete {
        "delete" => |redis, _| tried(redis, &Delete { all: false, lanes_ms: 5_000 }),
        "delete all" => |redis, _| tried(redis, &Delete { all: true, lanes_ms: 5_000 }),
    }
    edit: Edit<'_> {
        "edit" => |redis, _| all().iter().map(|id| {
            let due = Some(Due::After { ms: 5 });
            tried(redis, &Edit { id, priority: Some(3), due, rewrite: None })
        }).collect(),
    }
    enqueue: Enqueue<'_> {
        "enqueue" => |redis, _| enqueue(redis),
        "enqueue with traits" => |redis, _| {
            let jobs = held_back();
            let jobs: Vec<&NewJob> = jobs.iter().collect();
            let (lane, call, novelty) = ("producer", 9, Novelty::Unsure);
            tried(redis, &Enqueue { lane, call, jobs: &jobs, novelty })
        },
        "replace" => |redis, _| {
            let (lane, call, novelty) = ("producer", 9, Novelty::Unsure);
            tried(redis, &Enqueue { lane, call, jobs: &[&keyed("other")], novelty })
        },
        "enqueue a flow" => |redis, _| tried(redis, &super::flows::call(&super::flows::flow().each_ref())),
    }
    extend: Extend<'_> {
        "extend" => |redis, receipt| {
            let leases = &[(held(), receipt.clone())];
            tried(redis, &Extend { leases, lease_ms: 5 })
        },
    }
    feed: Feed<'_> {
        "feed" => |redis, _| {
            let jobs = &[&job("fed"), &keyed("fed-too")];
            let (source, positions, token, most) = ("log", &[3, 9][..], "token", 5);
            tried(redis, &Feed { source, positions, after: None, upto: None, token, most, jobs })
        },
    }
    fire: Fire<'_> {
        "fire" => |redis, _| tried(redis, &Fire { passed_ms: None, worker: "w", hold: true, entries: &[tick()] }),
    }
    follow: Follow<'_> {
        "follow" => |redis, _| {
            let (name, since, after) = ("mail", START_US, START_US);
            tried(redis, &Follow { name, since, after, limit: 5, bytes: 99 })
        },
    }
    get: Get<'_> {
        "get" => |redis, _| all().iter().map(|id| tried(redis, &Get { id: id.as_str() })).collect(),
    }
    group: Group<'_> {
        "look at a group" => |redis, _| {
            let (group, change, resume) = ("group", BTreeMap::new(), false);
            tried(redis, &Group { group, change, resume })
        },
        "change a group" => |redis, _| {
            let change = ["concurrency", "rate"].map(|name| (name, "3/1000/smooth".to_owned()));
            let (group, change, resume) = ("group", BTreeMap::from(change), true);
            tried(redis, &Group { group, change, resume })
        },
    }
    import: Import<'_> {
        "import" => |redis, _| {
            let job = |id: &JobId| super::import::exported(id, PAST, &JobOptions::new(), 3_000);
            let jobs = &all().each_ref().map(job);
            tried(redis, &Import { jobs })
        },
    }
    history: History {
        "history" => |redis, _| tried(redis, &History { from: 9, limit: 10 }),
    }
    list: List {
        "list" => |redis, _| listed(redis, Direction::Forward, None),
        "list some of the jobs from the end" => |redis, _| listed(redis, Direction::Backward, Some(&Wanted {
            id_prefix: Some(String::new()),
            failed: Some(0),
            error: Some("no".into()),
            older_ms: Some(0),
            ..Wanted::default()
        })),
    }
    log: Log<'_> {
        "log" => |redis, receipt| {
            let (id, fence) = (&held(), Fence(7));
            let lines = &[Line { age_ms: 5, text: "half of it".to_owned() }];
            tried(redis, &Log { id, receipt, attempt: 1, fence, first: 1, lines })
        },
    }
    logs: Logs<'_> {
        "logs" => |redis, _| tried(redis, &Logs { id: "held", after: 0 }),
    }
    oldest: Oldest {
        "look for the oldest" => |redis, _| tried(redis, &Oldest { priorities: 3 }),
    }
    orphans: Orphans<'_> {
        "look for orphans" => |redis, _| orphans(redis, How::Look),
        "put orphans back" => |redis, _| orphans(redis, How::PutBack),
        "remove orphans" => |redis, _| orphans(redis, How::Remove),
    }
    outbox: Outbox<'_> {
        "look at the outbox" => |redis, _| tried(redis, &Outbox { from: "", limit: 5, bytes: 99 }),
    }
    owner: Owner<'_> {
        "owner" => |redis, _| tried(redis, &Owner { name: "test:k" }),
    }
    pause: Pause {
        "pause" => |redis, _| tried(redis, &Pause),
    }
    pause_name: PauseName<'_> {
        "pause a name" => |redis, _| {
            let (name, pause, most) = ("mail", true, 5);
            tried(redis, &PauseName { name, pause, most })
        },
        "resume a name" => |redis, _| {
            let (name, pause, most) = ("test", false, 5);
            tried(redis, &PauseName { name, pause, most })
        },
    }
    permit: Permit {
        "permit" => |redis, _| permit(redis),
    }
    progress: Progress<'_> {
        "progress" => |redis, receipt| {
            tried(redis, &Progress { id: &held(), receipt, value: &b"x"[..] })
        },
    }
    promote: Promote<'_> {
        "promote" => |redis, _| {
            redis.set_clock(LATER * 1_000);
            tried(redis, &Promote { limit: 5, worker: "w", hold: true })
        },
    }
    publish: Publish<'_> {
        "publish" => |redis, _| {
            let events = &[("placed", &b"new"[..]), ("event", b"there")];
            tried(redis, &Publish { events, keep_ms: 0, keep_bytes: 5 })
        },
    }
    receive: Receive<'_> {
        "receive jobs" => |redis, _| receive(redis, super::outbox::jobs(&["new"])),
        "receive a request to cancel" => |redis, _| receive(redis, super::outbox::cancel(&all())),
        "receive what is to be sent on" => |redis, _| receive(redis, super::outbox::forward()),
        "receive a draft that was committed" => |redis, _| receive(redis, super::outbox::expand("sent")),
    }
    recover: Recover {
        "recover" => |redis, _| recover(redis),
        "bury" => |redis, _| recover(redis),
    }
    remove: Remove<'_> {
        "remove what is dead" => |redis, _| {
            let only_in = Some("dead");
            tried(redis, &Remove { ids: &all(), only_in, seen: None })
        },
        "remove" => |redis, _| tried(redis, &Remove::of(&all())),
        "remove what has not run since" => |redis, _| {
            let ids = all();
            let seen = vec![Vec::new(); ids.len()];
            tried(redis, &Remove { ids: &ids, only_in: None, seen: Some(&seen) })
        },
    }
    replay: Replay<'_> {
        "replay" => |redis, _| tried(redis, &Replay { ids: &all() }),
    }
    replies: Replies<'_> {
        "replies" => |redis, _| {
            let (from, most, bytes, await_ms) = (1, 5, 99, 5);
            let ask = |id: &JobId| tried(redis, &Replies { id: id.as_str(), from, most, bytes, await_ms });
            all().iter().map(ask).collect()
        },
    }
    report: Report<'_> {
        "report" => |redis, _| tried(redis, &report(false)),
        "stop reporting" => |redis, _| tried(redis, &report(true)),
    }
    resume: Resume {
        "resume" => |redis, _| tried(redis, &Resume),
    }
    schedule: Schedule<'_> {
        "schedule" => |redis, _| schedule(redis),
    }
    schedules: Schedules<'_> {
        "schedules" => |redis, _| tried(redis, &Schedules::due(0, 5)),
    }
    send_replies: SendReplies<'_> {
        "send replies" => |redis, receipt| {
            let (id, first, replies) = (&held(), 1, &[b"x".to_vec(), b"y".to_vec()][..]);
            tried(redis, &SendReplies { id, receipt, first, replies })
        },
    }
    sent: Sent<'_> {
        "delete what was sent" => |redis, _| tried(redis, &Sent { target: "other", position: u64::MAX >> 11 }),
    }
    settings: Settings {
        "settings" => |redis, _| tried(redis, &Settings),
    }
    signal: Signal<'_> {
        "signal" => |redis, _| {
            let (id, name, value) = (&held(), "answer", &b"x"[..]);
            tried(redis, &Signal { id, name, value })
        },
    }
    skip_undo: SkipUndo<'_> {
        "skip an undo" => |redis, _| tried(redis, &SkipUndo { id: &held(), step: "first" }),
    }
    stage: Stage<'_> {
        "stage" => |redis, _| {
            let messages = &[("other".to_owned(), b"job ".to_vec())];
            tried(redis, &Stage { draft: "new-draft", first: 0, messages, keep_ms: 5_000 })
        },
    }
    spawn: Spawn<'_> {
        "spawn" => |redis, receipt| {
            let job = super::spawn::child_of_held();
            tried(redis, &super::spawn::one(&held(), receipt, &[&job]))
        },
    }
    step: Step<'_> {
        "store a step" => |redis, receipt| tried(redis, &super::steps::three(&held(), receipt, StepKind::Done)),
        "store a wait" => |redis, receipt| tried(redis, &super::steps::three(&held(), receipt, StepKind::Wait)),
        "store a checkpoint" => |redis, receipt| {
            let (id, what, value) = (&held(), What::Checkpoint, &b"x"[..]);
            tried(redis, &Step { id, receipt, what, value })
        },
    }
    steps: Steps<'_> {
        "steps" => |redis, _| tried(redis, &Steps { id: "held", from: 1, bytes: 99, cut: Some(9) }),
    }
    subscribe: Subscribe<'_> {
        "subscribe" => |redis, _| {
            let (name, queue, start, wants, most) = ("other", "work", Begin::Kept, &b"all"[..], 5);
            tried(redis, &Subscribe { name, queue, start, wants, most })
        },
    }
    subscribed: Subscribed<'_> {
        "subscribed" => |redis, _| {
            let without = &["other".to_owned()][..];
            tried(redis, &Subscribed { worker: Some("w"), hold_ms: 5_000, without, most: 5 })
        },
    }
    tend: Tend<'_> {
        "tend" => |redis, _| {
            let (names, cursor) = (&["nightly", "gone"][..], Schedules::ALL);
            tried(redis, &Tend { worker: "w", hold: true, names, cursor, limit: 64 })
        },
    }
    topic: Topic {
        "topic" => |redis, _| tried(redis, &Topic),
    }
    trim: Trim<'_> {
        "trim" => |redis, _| {
            redis.set_clock(LATER * 1_000);
            tried(redis, &Trim { limit: 5, lane_ttl_ms: 1, lanes_cursor: "0" })
        },
    }
    undo: Undo<'_> {
        "undo a saga" => |redis, receipt| {
            let (id, reason) = (&held(), "moot");
            tried(redis, &Undo { id, receipt, reason })
        },
    }
    unschedule: Unschedule<'_> {
        "unschedule" => |redis, _| tried(redis, &Unschedule { name: "nightly" }),
    }
    unsubscribe: Unsubscribe<'_> {
        "unsubscribe" => |redis, _| tried(redis, &Unsubscribe { name: "mail", since: None }),
    }
    watch: Watch<'_> {
        "watch" => |redis, _| {
            let watch = |id: &JobId| tried(redis, &Watch { id: id.as_str(), await_ms: 5 });
            all().iter().map(watch).collect()
        },
    }
    workers: Workers<'_> {
        "workers" => |redis, _| tried(redis, &Workers { cursor: Workers::FIRST, limit: 9 }),
    }
}
