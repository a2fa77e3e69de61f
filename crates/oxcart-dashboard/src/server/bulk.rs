//! Actions on all jobs that match.

use crate::access::Role;
use crate::model::{JobQuery, JobState};
use crate::server::acting::{Acting, Done};
use crate::server::answer::Refusal;
use crate::tasks::{Action, Order};

pub(super) const FIELDS: [&str; 13] = [
    "action",
    "state",
    "name",
    "id",
    "group",
    "error",
    "failed",
    "older",
    "newer",
    "fingerprint",
    "dry_run",
    "per_second",
    "stop_if_failing_percent",
];

/// Begins a task, of which the caller is told the number.
pub(super) fn begin(acting: &Acting<'_>) -> Result<Done, Refusal> {
    let fields = acting.fields;
    let unknown = || {
        Refusal::Wrong("`action` is one of `replay`, `cancel`, `promote` and `remove`".to_owned())
    };
    let action = Action::parse(fields.get("action")).ok_or_else(unknown)?;
    if action == Action::Remove {
        acting.needs(Role::Admin, acting.queue_name())?;
    }
    let per_second = fields.number("per_second")?;
    if per_second == Some(0) {
        return Err(Refusal::Wrong("`per_second` is 1 or more".to_owned()));
    }
    let stop_if_failing_percent = fields.number("stop_if_failing_percent")?;
    if stop_if_failing_percent > Some(100) {
        return Err(Refusal::Wrong(
            "`stop_if_failing_percent` is 0 to 100".to_owned(),
        ));
    }
    let order = Order {
        queue: acting.queue_name().to_owned(),
        action,
        query: query(acting)?,
        is_dry: !matches!(fields.get("dry_run"), "" | "no" | "false"),
        per_second,
        stop_if_failing_percent,
        operator: acting.viewer.access.name().to_owned(),
    };
    let text = match order.is_dry {
        true => "It is counted which jobs match; nothing is changed yet.",
        false => "It is under way.",
    };
    let app = acting.app;
    let id = app.tasks.begin(&app.oxcart, order, app.reader.now())?;
    Ok(Done {
        text: text.to_owned(),
        page: format!("/tasks/{id}"),
        task: Some(id),
    })
}

fn query(acting: &Acting<'_>) -> Result<JobQuery, Refusal> {
    let field = |name| acting.fields.get(name).trim().to_owned();
    let state = match acting.fields.get("state") {
        // What is meant is said: nothing is done to a state that was forgotten.
        "" => return Err(Refusal::Wrong("`state` says which jobs".to_owned())),
        name => name.parse::<JobState>()?,
    };
    Ok(JobQuery {
        state,
        name: acting.fields.get("name").to_owned(),
        id: field("id"),
        group: acting.fields.get("group").to_owned(),
        error: acting.fields.get("error").to_owned(),
        failed: field("failed"),
        older: field("older"),
        newer: field("newer"),
        fingerprint: field("fingerprint"),
        after: String::new(),
    })
}
