//! Streams that tell a browser when what it shows has changed. Each is pulled by its browser, so a slow one holds nobody up.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};

use crate::place::{Make, Place};
use crate::reading::NotRead;
use crate::server::App;
use crate::server::answer::Refusal;
use crate::server::gate::Viewer;
use crate::server::looking::{Answer, asked};

/// How often it is looked whether something has changed.
const LOOK: Duration = Duration::from_secs(1);
/// After this time the browser has to come again, and to show who it is.
const ENDS: Duration = Duration::from_secs(10 * 60);
const CROWDED: &str = "Too many streams are open. Reload the page to see new values.";
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// One browser that watches one place.
struct Watching {
    app: App,
    viewer: Viewer,
    place: Place,
    /// What it knows of.
    version: Option<u64>,
    lost: Option<String>,
    ends_at: Instant,
    _permit: OwnedSemaphorePermit,
}

pub(super) fn stream(
    make: Make,
) -> impl Fn(State<App>, Request) -> Answer + Clone + Send + 'static {
    move |State(app), request| {
        Box::pin(async move {
            let (mut parts, _) = request.into_parts();
            let (viewer, place) = match asked(&app, &mut parts, make).await {
                Ok(found) => found,
                Err(refusal) => return refusal.answer("", false),
            };
            match app.streams.clone().try_acquire_owned() {
                Ok(permit) => begin(Watching {
                    viewer,
                    place,
                    version: None,
                    lost: None,
                    ends_at: Instant::now() + ENDS,
                    app,
                    _permit: permit,
                }),
                Err(_) => Refusal::Crowded(CROWDED.to_owned()).answer("", false),
            }
        })
    }
}

fn begin(watching: Watching) -> Response {
    let events = stream::unfold(watching, |mut watching| async move {
        let event = watching.next().await?;
        Some((Ok::<_, Infallible>(event), watching))
    });
    let alive = KeepAlive::new().interval(KEEP_ALIVE);
    Sse::new(events).keep_alive(alive).into_response()
}

impl Watching {
    /// `changed`: the page is to be fetched again. `lost`, with the reason: Redis does not answer, and what is shown is old. `back`: it
    /// answers again. `gone`: there is no such thing any more.
    async fn next(&mut self) -> Option<Event> {
        let mut is_first = self.version.is_none() && self.lost.is_none();
        while Instant::now() < self.ends_at {
            if !std::mem::take(&mut is_first) {
                sleep(LOOK).await;
            }
            match self.app.reader.read(&self.place).await {
                Ok(reading) => {
                    if reading.lost != self.lost {
                        self.lost.clone_from(&reading.lost);
                        return Some(match &self.lost {
                            Some(why) => lost(why),
                            None => Event::default().event("back").data("back"),
                        });
                    }
                    let version = reading.version_for(&self.viewer.access);
                    if self.version.replace(version) != Some(version) {
                        return Some(Event::default().event("changed").data(version.to_string()));
                    }
                }
                Err(NotRead::Lost(why)) if self.lost.is_none() => {
                    self.lost = Some(why.clone());
                    return Some(lost(&why));
                }
                Err(NotRead::Missing(_)) if self.version != Some(0) => {
                    self.version = Some(0);
                    return Some(Event::default().event("gone").data("gone"));
                }
                Err(_) => {}
            }
        }
        None
    }
}

/// A line break would end the data.
fn lost(why: &str) -> Event {
    Event::default()
        .event("lost")
        .data(why.replace(['\r', '\n'], " "))
}
