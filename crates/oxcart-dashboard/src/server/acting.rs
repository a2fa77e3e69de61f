//! What can be done: each action is a form of a page, and a call of the API with the same fields.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use oxcart::{Acknowledge, Alerts, Changed, JobId, Queue};
use serde_json::{Value, json};

use crate::access::Role;
use crate::chrome::{encoded, path_part, under};
use crate::server::answer::Refusal;
use crate::server::body::{Fields, LARGE, SMALL};
use crate::server::gate::{Proof, Viewer};
use crate::server::looking::{Answer, path_parts, sees, task_of, viewer};
use crate::server::origin::{are_same, is_json};
use crate::server::{App, Shared, bulk, cookies, durable};
use crate::value::{MASK, Stored, Typed, cut, has_new_mask, restored};

/// Longest notice, in characters.
const NOTICE_MAX: usize = 300;
/// How long a notice waits to be shown, in seconds.
const NOTICE_SECONDS: u64 = 30;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    PauseQueue,
    ResumeQueue,
    Bulk,
    ReplayJob,
    CancelJob,
    PromoteJob,
    RemoveJob,
    EditJob,
    SignalJob,
    SkipUndo,
    PauseSchedule,
    ResumeSchedule,
    RunSchedule,
    RemoveSchedule,
    StopTask,
    AcknowledgeAlert,
}

/// Where each is, below the mount path and below `/api`; always by POST.
pub(crate) const ACTIONS: [(&str, Deed); 16] = [
    ("/queues/{queue}/pause", Deed::PauseQueue),
    ("/queues/{queue}/resume", Deed::ResumeQueue),
    ("/queues/{queue}/bulk", Deed::Bulk),
    ("/queues/{queue}/jobs/{job}/replay", Deed::ReplayJob),
    ("/queues/{queue}/jobs/{job}/cancel", Deed::CancelJob),
    ("/queues/{queue}/jobs/{job}/promote", Deed::PromoteJob),
    ("/queues/{queue}/jobs/{job}/remove", Deed::RemoveJob),
    ("/queues/{queue}/jobs/{job}/edit", Deed::EditJob),
    ("/queues/{queue}/jobs/{job}/signal", Deed::SignalJob),
    ("/queues/{queue}/jobs/{job}/skip", Deed::SkipUndo),
    (
        "/queues/{queue}/schedules/{schedule}/pause",
        Deed::PauseSchedule,
    ),
    (
        "/queues/{queue}/schedules/{schedule}/resume",
        Deed::ResumeSchedule,
    ),
    (
        "/queues/{queue}/schedules/{schedule}/run",
        Deed::RunSchedule,
    ),
    (
        "/queues/{queue}/schedules/{schedule}/remove",
        Deed::RemoveSchedule,
    ),
    ("/tasks/{task}/stop", Deed::StopTask),
    ("/alerts/acknowledge", Deed::AcknowledgeAlert),
];

impl Deed {
    /// Who may do it. Bulk actions need more if they remove.
    fn role(self) -> Role {
        match self {
            Self::RemoveJob | Self::EditJob | Self::RemoveSchedule => Role::Admin,
            _ => Role::Operator,
        }
    }

    /// The fields that it has.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::PauseQueue | Self::ResumeQueue => &["name", "group"],
            Self::Bulk => &bulk::FIELDS,
            Self::CancelJob => &["reason"],
            Self::EditJob => &["payload", "priority", "attempts"],
            Self::SignalJob => &["name", "payload"],
            Self::SkipUndo => &["step"],
            Self::AcknowledgeAlert => &["rule", "queue"],
            _ => &[],
        }
    }
}

/// What was done, and the page that shows it.
pub(super) struct Done {
    pub(super) text: String,
    pub(super) page: String,
    pub(super) task: Option<u64>,
}

impl Done {
    pub(super) fn new(text: impl Into<String>, page: String) -> Self {
        Self {
            text: text.into(),
            page,
            task: None,
        }
    }
}

pub(super) fn act(deed: Deed) -> impl Fn(State<App>, Request) -> Answer + Clone + Send + 'static {
    move |State(app), request| {
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let is_page = !parts.uri.path().starts_with("/api/");
            let base = viewer(&parts).map(|viewer| viewer.base).unwrap_or_default();
            let acted = async {
                let viewer = viewer(&parts)?;
                let at_most = match deed {
                    Deed::EditJob | Deed::SignalJob => LARGE,
                    _ => SMALL,
                };
                let fields = Fields::read(&parts.headers, body, at_most).await?;
                check_form(&parts, &viewer, &fields)?;
                let names = path_parts(&mut parts).await;
                let done = Acting {
                    app: &app,
                    viewer: &viewer,
                    names: &names,
                    fields: &fields,
                };
                let done = done.act(deed).await?;
                if let Some(queue) = names.get("queue") {
                    app.reader.changed(queue).await;
                }
                Ok((done, fields))
            };
            match acted.await {
                Ok((done, fields)) if is_page => redirect(&parts, &base, &done, &fields),
                Ok((done, _)) => {
                    Json(json!({ "message": done.text, "task": done.task })).into_response()
                }
                Err(refusal) => Refusal::answer(&refusal, &base, is_page),
            }
        })
    }
}

/// A form of a browser says what our cookie says.
pub(super) fn check_form(parts: &Parts, viewer: &Viewer, fields: &Fields) -> Result<(), Refusal> {
    let needs_none = viewer.proof == Proof::Bearer || is_json(&parts.headers);
    let cookie = cookies::cookie(&parts.headers, cookies::CSRF);
    match needs_none || are_same(cookie, Some(fields.get("csrf"))) {
        true => Ok(()),
        false => Err(Refusal::Foreign),
    }
}

/// A path below the mount path, and nothing that leads elsewhere.
pub(super) fn is_own_path(path: &str) -> bool {
    let mut letters = path.chars();
    letters.next() == Some('/')
        && !matches!(letters.next(), Some('/' | '\\'))
        && path.chars().all(|letter| letter.is_ascii_graphic())
}

fn redirect(parts: &Parts, base: &str, done: &Done, fields: &Fields) -> Response {
    let back = fields.get("back");
    let page = if is_own_path(back) { back } else { &done.page };
    let mut answer = Redirect::to(&under(base, page)).into_response();
    let notice = encoded(&cut(&done.text, NOTICE_MAX));
    let cookie = (cookies::NOTICE, notice.as_str());
    cookies::set(
        answer.headers_mut(),
        parts,
        base,
        cookie,
        Some(NOTICE_SECONDS),
    );
    answer
}

pub(super) struct Acting<'a> {
    pub(super) app: &'a Shared,
    pub(super) viewer: &'a Viewer,
    names: &'a HashMap<String, String>,
    pub(super) fields: &'a Fields,
}

impl Acting<'_> {
    fn name(&self, part: &str) -> &str {
        self.names.get(part).map_or("", String::as_str)
    }

    pub(super) fn queue_name(&self) -> &str {
        self.name("queue")
    }

    /// The queue, with which the viewer works under their name.
    pub(super) fn queue(&self) -> Result<Queue, Refusal> {
        let oxcart = self.app.oxcart.as_operator(self.viewer.access.name());
        Ok(oxcart.queue(self.queue_name())?)
    }

    /// Refuses what the viewer may not do in a queue.
    pub(super) fn needs(&self, role: Role, queue: &str) -> Result<(), Refusal> {
        sees(self.viewer, queue)?;
        match self.viewer.access.may(role, queue) {
            true => Ok(()),
            false => Err(Refusal::Forbidden(format!(
                "Only {role}s of `{queue}` may do that."
            ))),
        }
    }

    pub(super) fn page(&self, rest: &str) -> String {
        format!("/queues/{}{rest}", path_part(self.queue_name()))
    }

    async fn act(&self, deed: Deed) -> Result<Done, Refusal> {
        // Somebody who may not do it hears that first. These two find out themselves which queue they are about.
        if !matches!(deed, Deed::StopTask | Deed::AcknowledgeAlert) {
            self.needs(deed.role(), self.queue_name())?;
        }
        self.fields.are_among(deed.fields())?;
        match deed {
            Deed::StopTask => self.stop_task(),
            Deed::AcknowledgeAlert => self.acknowledge().await,
            Deed::PauseQueue => self.pause(true).await,
            Deed::ResumeQueue => self.pause(false).await,
            Deed::Bulk => bulk::begin(self),
            Deed::PauseSchedule
            | Deed::ResumeSchedule
            | Deed::RunSchedule
            | Deed::RemoveSchedule => self.schedule(deed).await,
            Deed::SignalJob => durable::signal(self, &self.job_id()?).await,
            Deed::SkipUndo => durable::skip(self, &self.job_id()?).await,
            _ => self.job(deed).await,
        }
    }

    /// The queue, or the jobs of the field `name`, or of the field `group`.
    async fn pause(&self, pauses: bool) -> Result<Done, Refusal> {
        let queue = self.queue()?;
        let (name, group) = (self.fields.get("name"), self.fields.get("group"));
        let what = if !name.is_empty() {
            let jobs = queue.jobs_named(name)?;
            match pauses {
                true => jobs.pause().await?,
                false => jobs.resume().await?,
            };
            format!("Jobs named {name} are")
        } else if !group.is_empty() {
            let jobs = queue.group(group)?;
            match pauses {
                true => jobs.pause().await?,
                false => jobs.resume().await?,
            };
            format!("The group {group} is")
        } else {
            match pauses {
                true => queue.pause().await?,
                false => queue.resume().await?,
            };
            "The queue is".to_owned()
        };
        let text = match pauses {
            true => format!("{what} paused."),
            false => format!("{what} no longer paused."),
        };
        Ok(Done::new(text, self.page("")))
    }

    fn job_id(&self) -> Result<JobId, Refusal> {
        Ok(JobId::new(self.name("job"))?)
    }

    async fn job(&self, deed: Deed) -> Result<Done, Refusal> {
        let (queue, id) = (self.queue()?, self.job_id()?);
        let (changed, what) = match deed {
            Deed::ReplayJob => (queue.replay(&id).await?, "replayed"),
            Deed::PromoteJob => (queue.edit(&id).now().await?, "due now"),
            Deed::RemoveJob => (queue.remove(&id).await?, "removed"),
            Deed::CancelJob => {
                let mut cancel = queue.cancel(&id);
                if self.fields.has("reason") {
                    cancel = cancel.reason(self.fields.get("reason"));
                }
                (cancel.await?, "cancelled")
            }
            _ => (self.edit(&queue, &id).await?, "changed"),
        };
        let page = match deed {
            Deed::RemoveJob => self.page("/jobs"),
            _ => self.page(&format!("/jobs/{}", path_part(id.as_str()))),
        };
        match changed {
            Changed::Done => Ok(Done::new(format!("The job is {what}."), page)),
            Changed::Requested => Ok(Done::new("The job runs, and was asked to end.", page)),
            Changed::InState(state) => Err(Refusal::Conflict(format!(
                "The job is {state}, so it cannot be {what}."
            ))),
            Changed::Duplicate => Err(Refusal::Conflict(
                "Another job has its unique key.".to_owned(),
            )),
            Changed::NotFound => Err(Refusal::Missing(format!("There is no job {id} any more."))),
            _ => Err(Refusal::Conflict("The job was not changed.".to_owned())),
        }
    }

    /// What is said: another payload, priority or number of attempts.
    async fn edit(&self, queue: &Queue, id: &JobId) -> Result<Changed, Refusal> {
        let mut edit = queue.edit(id);
        if self.fields.has("payload") {
            let typed: Value = serde_json::from_str(self.fields.get("payload"))
                .map_err(|error| Refusal::Wrong(format!("the payload is no JSON: {error}")))?;
            let Some(job) = queue.job(id).await? else {
                return Ok(Changed::NotFound);
            };
            let name = job.name.clone();
            let Stored(masked) = job.payload()?;
            // A form sends the payload also if only the priority was changed.
            if typed != masked {
                if job.ticket().is_some() {
                    return Err(Refusal::Wrong(
                        "the payload is in a store of objects, and this is its ticket, which cannot be changed".to_owned(),
                    ));
                }
                if !job.secret.is_empty() && has_new_mask(&typed, &masked) {
                    return Err(Refusal::Wrong(format!(
                        "`{MASK}` stands in the payload where no secret was; type what it is to be (in a list that becomes longer or shorter, \
                         all secrets)"
                    )));
                }
                let Stored(whole) = job.reveal().payload()?;
                let typed = Typed(restored(typed, &masked, &whole));
                edit = edit.payload(&typed).named(name);
            }
        }
        if let Some(priority) = self.fields.number("priority")? {
            edit = edit.priority(priority);
        }
        if let Some(attempts) = self.fields.number("attempts")? {
            edit = edit.attempts(attempts);
        }
        Ok(edit.await?)
    }

    async fn schedule(&self, deed: Deed) -> Result<Done, Refusal> {
        let name = self.name("schedule");
        let schedule = self.queue()?.schedule(name);
        let text = match deed {
            Deed::PauseSchedule => match schedule.pause().await? {
                true => "The schedule is paused.".to_owned(),
                false => return Err(no_schedule(name)),
            },
            Deed::ResumeSchedule => match schedule.resume().await? {
                true => "The schedule is no longer paused.".to_owned(),
                false => return Err(no_schedule(name)),
            },
            Deed::RemoveSchedule => match schedule.remove().await? {
                true => "The schedule is removed.".to_owned(),
                false => return Err(no_schedule(name)),
            },
            _ => format!(
                "The schedule has made the job {}.",
                schedule.trigger().await?
            ),
        };
        Ok(Done::new(text, self.page("/schedules")))
    }

    /// The viewer knows of the alert of the fields `rule` and `queue`.
    async fn acknowledge(&self) -> Result<Done, Refusal> {
        let (rule, queue) = (self.fields.get("rule"), self.fields.get("queue"));
        self.needs(Role::Operator, queue)?;
        let who = self.viewer.access.name();
        let oxcart = self.app.oxcart.as_operator(who);
        let alerts = Alerts::new(&oxcart, &self.app.alerts)?;
        match alerts.acknowledge(rule, queue, who).await? {
            Acknowledge::Done => {
                self.app.reader.changed(queue).await;
                let text =
                    format!("The alert {rule} on {queue} is not told again until it is resolved.");
                Ok(Done::new(text, "/alerts".to_owned()))
            }
            Acknowledge::Already { by } => Err(Refusal::Conflict(format!(
                "{by} has acknowledged it before."
            ))),
            _ => Err(Refusal::Conflict(format!(
                "The alert {rule} on {queue} does not fire."
            ))),
        }
    }

    fn stop_task(&self) -> Result<Done, Refusal> {
        let id = self.name("task").parse();
        let id = id.map_err(|_| Refusal::Missing("There is no such task.".to_owned()))?;
        let task = task_of(self.app, self.viewer, id)?;
        self.needs(Role::Operator, &task.queue)?;
        self.app.tasks.stop(id);
        Ok(Done {
            text: "The task stops after its next step.".to_owned(),
            page: format!("/tasks/{id}"),
            task: Some(id),
        })
    }
}

fn no_schedule(name: &str) -> Refusal {
    Refusal::Missing(format!(
        "There is no schedule `{name}`, or it is so already."
    ))
}

#[cfg(test)]
mod tests {
    use super::is_own_path;

    #[test]
    fn nothing_leads_to_another_site() {
        for own in ["/", "/queues/mail/jobs?state=dead"] {
            assert!(is_own_path(own), "{own}");
        }
        for other in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\r\nb",
            "/a b",
        ] {
            assert!(!is_own_path(other), "{other:?}");
        }
    }
}
