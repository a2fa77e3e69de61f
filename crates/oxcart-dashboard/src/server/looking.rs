//! What is shown of a place: as a page, or as JSON.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;

use axum::extract::{RawPathParams, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::{Json, RequestPartsExt};
use maud::Markup;
use percent_encoding::percent_decode_str;

use crate::access::Role;
use crate::chrome::{Chrome, name_in_path};
use crate::model::{Moment, TaskLine};
use crate::pages;
use crate::place::{Asked, Make, Place};
use crate::reading::{NotRead, Reading, View};
use crate::server::answer::Refusal;
use crate::server::gate::{Proof, Viewer};
use crate::server::{App, Shared, cookies};

pub(super) type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

/// The names in the path, by what they are names of.
pub(super) async fn path_parts(parts: &mut Parts) -> HashMap<String, String> {
    let Ok(found) = parts.extract::<RawPathParams>().await else {
        return HashMap::new();
    };
    let pairs = found.iter();
    pairs
        .map(|(name, value)| (name.to_owned(), name_in_path(value).to_owned()))
        .collect()
}

/// Who asks, for which place; refused if the place is not for them.
pub(super) async fn asked(
    app: &Shared,
    parts: &mut Parts,
    make: Make,
) -> Result<(Viewer, Place), Refusal> {
    let viewer = viewer(parts)?;
    let found = path_parts(parts).await;
    let place = make(&Asked {
        parts: &found,
        uri: &parts.uri,
    })
    .map_err(Refusal::Wrong)?;
    if let Place::Task(id) = place {
        task_of(app, &viewer, id)?;
    }
    if let Some(queue) = place.queue() {
        sees(&viewer, queue)?;
    }
    Ok((viewer, place))
}

/// A task, for somebody who may see its queue. Others do not learn that it is there.
pub(super) fn task_of(app: &Shared, viewer: &Viewer, id: u64) -> Result<TaskLine, Refusal> {
    let task = app.tasks.view(id).map(|view| view.task);
    let seen = task.filter(|task| viewer.access.may(Role::Viewer, &task.queue));
    Ok(seen.ok_or_else(|| NotRead::no_task(id))?)
}

pub(super) fn viewer(parts: &Parts) -> Result<Viewer, Refusal> {
    let viewer = parts.extensions.get::<Viewer>().cloned();
    viewer.ok_or_else(|| Refusal::Forbidden("Nobody is let in here.".to_owned()))
}

/// Somebody who may not see a queue does not learn whether it is there.
pub(super) fn sees(viewer: &Viewer, queue: &str) -> Result<(), Refusal> {
    match viewer.access.may(Role::Viewer, queue) {
        true => Ok(()),
        false => Err(Refusal::Missing(format!("there is no queue `{queue}`"))),
    }
}

pub(super) fn json(make: Make) -> impl Fn(State<App>, Request) -> Answer + Clone + Send + 'static {
    move |State(app), request| {
        Box::pin(async move {
            let (mut parts, _) = request.into_parts();
            let shown = async {
                let (viewer, place) = asked(&app, &mut parts, make).await?;
                Ok((app.reader.read(&place).await?, viewer))
            };
            match shown.await {
                Ok((reading, viewer)) => as_json(&reading, &viewer),
                Err(refusal) => Refusal::answer(&refusal, "", false),
            }
        })
    }
}

fn as_json(reading: &Reading, viewer: &Viewer) -> Response {
    let mut answer = Json(&*reading.seen_by(&viewer.access)).into_response();
    let headers = answer.headers_mut();
    let mut header = |name, value: Option<String>| {
        if let Some(Ok(value)) = value.map(|value| value.parse()) {
            headers.insert(name, value);
        }
    };
    header("oxcart-read-at", reading.read_at.map(|at| at.to_string()));
    let is_lost = reading.lost.is_some();
    header("oxcart-redis-lost", is_lost.then(|| "true".to_owned()));
    answer
}

/// What is known of the queues that the viewer sees, for Prometheus.
pub(super) async fn metrics(State(app): State<App>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let shown = async {
        let viewer = viewer(&parts)?;
        let reading = app.reader.read(&Place::Overview).await?;
        match reading.lost {
            // Old values would look like new ones.
            Some(why) => Err(Refusal::Lost(why)),
            None => Ok(reading.seen_by(&viewer.access)),
        }
    };
    match shown.await.as_deref() {
        Ok(View::Overview(overview)) => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            ([(CONTENT_TYPE, kind)], crate::metrics::text(overview)).into_response()
        }
        Ok(_) => ().into_response(),
        Err(refusal) => Refusal::answer(refusal, "", false),
    }
}

pub(super) fn page(make: Make) -> impl Fn(State<App>, Request) -> Answer + Clone + Send + 'static {
    move |State(app), request| {
        Box::pin(async move {
            let (mut parts, _) = request.into_parts();
            let base = viewer(&parts).map(|viewer| viewer.base).unwrap_or_default();
            let shown = async {
                let (viewer, place) = asked(&app, &mut parts, make).await?;
                Ok((app.reader.read(&place).await?, viewer))
            };
            match shown.await {
                Ok((reading, viewer)) => as_page(&reading, viewer, app.reader.now(), &parts),
                Err(refusal) => Refusal::answer(&refusal, &base, true),
            }
        })
    }
}

fn as_page(reading: &Reading, viewer: Viewer, now: Moment, parts: &Parts) -> Response {
    let here = parts.uri.path_and_query().map_or("/", |here| here.as_str());
    let known = cookies::cookie(&parts.headers, cookies::CSRF);
    let csrf = known
        .filter(|text| text.len() == 32)
        .map_or_else(fresh, str::to_owned);
    // The script of a page that is just left must not take what the next page is to tell.
    let fetch = parts.headers.get("sec-fetch-dest");
    let is_opened = fetch.is_none_or(|what| what == "document");
    let notice = cookies::cookie(&parts.headers, cookies::NOTICE).filter(|_| is_opened);
    let chrome = Chrome {
        here: here.to_owned(),
        can_sign_out: viewer.proof == Proof::Session,
        csrf: csrf.clone(),
        now,
        read_at: reading.read_at,
        lost: reading.lost.clone(),
        notice: notice.map(|text| percent_decode_str(text).decode_utf8_lossy().into_owned()),
        base: viewer.base,
        access: viewer.access,
    };
    let mut answer = drawn(&reading.seen_by(&chrome.access), &chrome).into_response();
    let headers = answer.headers_mut();
    if known != Some(&csrf) {
        let cookie = (cookies::CSRF, csrf.as_str());
        cookies::set(headers, parts, &chrome.base, cookie, None);
    }
    if notice.is_some() {
        let cookie = (cookies::NOTICE, "");
        cookies::set(headers, parts, &chrome.base, cookie, Some(0));
    }
    answer
}

/// 128 bits that nobody can guess.
pub(super) fn fresh() -> String {
    let mut bytes = [0_u8; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        // No form is accepted with an empty one.
        Err(_) => String::new(),
    }
}

fn drawn(view: &View, chrome: &Chrome) -> Markup {
    match view {
        View::Overview(shown) => pages::overview(shown, chrome),
        View::Alerts(shown) => pages::alerts(shown, chrome),
        View::Queue(shown) => pages::queue(shown, chrome),
        View::Jobs(shown) => pages::job_list(shown, chrome),
        View::Job(shown) => pages::job(shown, chrome),
        View::Running(shown) => pages::running(shown, chrome),
        View::Dead(shown) => pages::dead_groups(shown, chrome),
        View::Schedules(shown) => pages::schedules(shown, chrome),
        View::Workers(shown) => pages::workers(shown, chrome),
        View::Audit(shown) => pages::audit(shown, chrome),
        View::Tasks(shown) => pages::tasks(shown, chrome),
        View::Task(shown) => pages::task(shown, chrome),
    }
}
