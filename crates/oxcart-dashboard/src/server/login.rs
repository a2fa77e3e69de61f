//! Signing in with a token, and out again.

use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::chrome::under;
use crate::pages;
use crate::server::acting::{check_form, is_own_path};
use crate::server::answer::Refusal;
use crate::server::body::{Fields, SMALL};
use crate::server::gate::{self, Gate, peer};
use crate::server::looking::viewer;
use crate::server::tokens::{Checked, SESSION};
use crate::server::{App, Shared, cookies, origin};

#[derive(Deserialize)]
struct Back {
    #[serde(default)]
    back: String,
}

fn base(app: &Shared, parts: &axum::http::request::Parts) -> String {
    app.base.clone().unwrap_or_else(|| gate::base(parts))
}

fn no_tokens(base: &str) -> Response {
    Refusal::Missing("Nobody signs in here: no tokens are configured.".to_owned())
        .answer(base, true)
}

pub(super) async fn page(State(app): State<App>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let base = base(&app, &parts);
    if !matches!(app.gate, Gate::Tokens(_)) {
        return no_tokens(&base);
    }
    let back = Query::<Back>::try_from_uri(&parts.uri);
    let back = back.map_or_else(|_| String::new(), |Query(Back { back })| back);
    let back = if is_own_path(&back) { &back } else { "/" };
    pages::login(&base, back, None).into_response()
}

pub(super) async fn enter(State(app): State<App>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let base = base(&app, &parts);
    let Gate::Tokens(tokens) = &app.gate else {
        return no_tokens(&base);
    };
    // Another site is not to sign somebody in either.
    if origin::may_be_foreign(&parts) {
        return Refusal::Foreign.answer(&base, true);
    }
    let fields = match Fields::read(&parts.headers, body, SMALL).await {
        Ok(fields) => fields,
        Err(refusal) => return refusal.answer(&base, true),
    };
    let back = Some(fields.get("back")).filter(|back| is_own_path(back));
    let back = back.unwrap_or("/");
    let token = fields.get("token").trim();
    match tokens.check(token, peer(&parts)).await {
        Checked::Right(_) => {}
        Checked::Wrong => {
            let page = pages::login(&base, back, Some("This token is not known."));
            return (StatusCode::UNAUTHORIZED, page).into_response();
        }
        Checked::TooMany => return Refusal::TooMany.answer(&base, true),
    }
    let mut answer = Redirect::to(&under(&base, back)).into_response();
    if let Some(session) = tokens.session_of(token) {
        let cookie = (cookies::SESSION, session.as_str());
        let seconds = Some(SESSION.as_secs());
        cookies::set(answer.headers_mut(), &parts, &base, cookie, seconds);
    }
    answer
}

pub(super) async fn leave(State(_): State<App>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let left = async {
        let viewer = viewer(&parts)?;
        let fields = Fields::read(&parts.headers, body, SMALL).await?;
        check_form(&parts, &viewer, &fields)?;
        Ok(viewer.base)
    };
    match left.await {
        Ok(base) => {
            let mut answer = Redirect::to(&format!("{base}/login")).into_response();
            let cookie = (cookies::SESSION, "");
            cookies::set(answer.headers_mut(), &parts, &base, cookie, Some(0));
            answer
        }
        Err(refusal) => Refusal::answer(&refusal, "", true),
    }
}
