//! What can be typed: the options that every command has, and the nouns.

#[cfg(test)]
mod pages;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::noun::{
    alert, audit, bench, breaker, dead, doctor, events, flow, group, job, outbox, queue, saga,
    schedule, serve, shell, signal, top, topic, worker,
};

const AFTER: &str = "\
Exit codes: 0 fine, 1 error, 2 wrong usage or refused, 3 not found, 4 Redis cannot be reached,
5 the doctor has found a problem, 130 interrupted.
More: https://docs.rs/oxcart, and docs/command-line.md in its sources.";

/// Looks after the queues of oxcart: what is stuck, why, and how to repair it
#[derive(Parser)]
#[command(name = "oxcart", version, after_help = AFTER, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) noun: Noun,
}

/// Options of every command.
#[derive(Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Common {
    /// redis://host:6379/0, rediss://.. or redis+unix://..; set the variable if there is a password in it
    #[arg(
        long,
        global = true,
        env = "OXCART_REDIS_URL",
        hide_env_values = true,
        default_value = "redis://127.0.0.1/"
    )]
    pub(crate) url: String,
    /// What the keys in Redis start with
    #[arg(
        long,
        global = true,
        env = "OXCART_NAMESPACE",
        default_value = "oxcart",
        value_name = "NAME"
    )]
    pub(crate) namespace: String,
    /// Trust this CA (a file in PEM) instead of those of the system
    #[arg(
        long,
        global = true,
        env = "OXCART_TLS_CA",
        value_name = "FILE",
        hide_short_help = true,
        hide_env_values = true
    )]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Sign in with this certificate (a file in PEM)
    #[arg(
        long,
        global = true,
        env = "OXCART_TLS_CERTIFICATE",
        value_name = "FILE",
        requires = "tls_key",
        hide_short_help = true,
        hide_env_values = true
    )]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// The private key of that certificate (a file in PEM)
    #[arg(
        long,
        global = true,
        env = "OXCART_TLS_KEY",
        value_name = "FILE",
        requires = "tls_certificate",
        hide_short_help = true,
        hide_env_values = true
    )]
    pub(crate) tls_key: Option<PathBuf>,
    /// Who you are, for the audit of a queue; user@host unless set
    #[arg(
        long,
        global = true,
        env = "OXCART_OPERATOR",
        value_name = "NAME",
        hide_short_help = true
    )]
    pub(crate) operator: Option<String>,
    /// Print JSON: one object in each line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Do it without asking
    #[arg(long, short, global = true)]
    pub(crate) yes: bool,
    /// Show on stderr what the library logs
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
}

/// What a command is about.
#[derive(Subcommand)]
pub(crate) enum Noun {
    /// Queues: list, look, pause, settings, drain, move, delete
    #[command(subcommand, visible_alias = "queues")]
    Queue(queue::Verb),
    /// Groups of a queue (tenants): list, look, pause, limit
    #[command(subcommand, visible_alias = "groups")]
    Group(group::Verb),
    /// Jobs: list, look, logs, enqueue, cancel, edit, move
    #[command(subcommand, visible_alias = "jobs")]
    Job(job::Verb),
    /// Dead letters: list, group by error, replay, edit, remove
    #[command(subcommand)]
    Dead(dead::Verb),
    /// Sagas: what became of each step, leave out an undo
    #[command(subcommand, visible_alias = "sagas")]
    Saga(saga::Verb),
    /// Flows: a job and the jobs for which it waits, as a tree
    #[command(subcommand, visible_alias = "flows")]
    Flow(flow::Verb),
    /// Give a job the value that its handler waits for
    Signal(signal::Signal),
    /// Outboxes: what queues have for other queues
    #[command(subcommand)]
    Outbox(outbox::Verb),
    /// Topics: how far their subscriptions are; unsubscribe, delete
    #[command(subcommand, visible_alias = "topics")]
    Topic(topic::Verb),
    /// Breakers: how they stand; force them open or closed
    #[command(subcommand, visible_alias = "breakers")]
    Breaker(breaker::Verb),
    /// Schedules: list, look, pause, trigger, remove
    #[command(subcommand, visible_alias = "schedules")]
    Schedule(schedule::Verb),
    /// Workers: who works on which queue, and what runs
    #[command(subcommand, visible_alias = "workers")]
    Worker(worker::Verb),
    /// Alerts: which fire, and that you know of one
    #[command(subcommand, visible_alias = "alerts")]
    Alert(alert::Verb),
    /// Follow what happens
    Events(events::Events),
    /// What operators did to a queue
    Audit(audit::Audit),
    /// Watch the queues live, and look into them
    Top(top::Top),
    /// Serve the dashboard: what the queues do, live, in a browser
    Serve(serve::Serve),
    /// Find out what is wrong, and what to do
    Doctor(doctor::Doctor),
    /// How many jobs a second this Redis takes, seen from here
    Bench(bench::Bench),
    /// Print completions for a shell
    Completions(shell::Completions),
    /// Print the man page
    Man(shell::Man),
}
