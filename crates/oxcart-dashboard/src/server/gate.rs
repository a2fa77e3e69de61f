//! Who asks: found before anything else is done with a request.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{ConnectInfo, OriginalUri, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use crate::access::Access;
use crate::chrome::encoded;
use crate::server::answer::Refusal;
use crate::server::tokens::{Checked, Tokens};
use crate::server::{App, cookies, origin};

type Asked = Pin<Box<dyn Future<Output = Option<Access>> + Send>>;

/// How it is found out who asks.
#[derive(Clone)]
pub(crate) enum Gate {
    /// Nothing is configured: nobody is let in.
    Closed,
    /// The application decides.
    Hook(Arc<dyn Fn(Parts) -> Asked + Send + Sync>),
    /// Tokens that were given out.
    Tokens(Arc<Tokens>),
    /// Everybody on this machine.
    Loopback(Access),
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Hook(_) => "hook",
            Self::Tokens(_) => "tokens",
            Self::Loopback(_) => "loopback",
        })
    }
}

/// Who asks, as the handlers get it.
#[derive(Debug, Clone)]
pub(super) struct Viewer {
    pub(super) access: Access,
    pub(super) proof: Proof,
    /// Where the dashboard is mounted.
    pub(super) base: String,
}

/// By what somebody was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// A header that no other site can make a browser send.
    Bearer,
    /// Our cookie.
    Session,
    /// What the application knows, or where the request comes from.
    Given,
}

/// The mount path: what stands in the address before the path that our router sees.
pub(super) fn base(parts: &Parts) -> String {
    let original = parts.extensions.get::<OriginalUri>();
    let whole = original.map_or_else(|| parts.uri.path(), |OriginalUri(uri)| uri.path());
    let inner = parts.uri.path();
    let base = whole.strip_suffix(inner).or_else(|| {
        // The mount path itself is the path `/`.
        (inner == "/").then_some(whole)
    });
    base.unwrap_or_default().trim_end_matches('/').to_owned()
}

pub(super) fn peer(parts: &Parts) -> Option<IpAddr> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map(|ConnectInfo(address)| address.ip())
}

/// Whether a proxy says that it passes the request on, for somebody who may be anywhere.
fn is_passed_on(parts: &Parts) -> bool {
    let of_proxies = ["forwarded", "x-forwarded-for", "x-real-ip"];
    of_proxies
        .iter()
        .any(|name| parts.headers.contains_key(*name))
}

fn bearer(parts: &Parts) -> Option<&str> {
    let header = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl Gate {
    async fn let_in(&self, parts: &Parts) -> Result<(Access, Proof), Refusal> {
        match self {
            Self::Closed => Err(Refusal::Forbidden(
                "No access is configured, so nobody is let in. The application says who may see what by `Dashboard::access`, or gives \
                 tokens by `Dashboard::token`."
                    .to_owned(),
            )),
            Self::Hook(hook) => match hook(parts.clone()).await {
                Some(access) => Ok((access, Proof::Given)),
                None => Err(Refusal::Forbidden(
                    "The application does not let you see its queues.".to_owned(),
                )),
            },
            Self::Tokens(tokens) => by_token(tokens, parts).await,
            Self::Loopback(access) => {
                let is_near = peer(parts).is_some_and(|address| address.to_canonical().is_loopback());
                let is_named = origin::host(parts).is_some_and(origin::is_local_name);
                match is_near && is_named && !is_passed_on(parts) {
                    true => Ok((access.clone(), Proof::Given)),
                    false => Err(Refusal::Forbidden(
                        "Without tokens, only requests of this machine to `localhost` or `127.0.0.1` are answered, and none that a proxy passes on."
                            .to_owned(),
                    )),
                }
            }
        }
    }
}

async fn by_token(tokens: &Tokens, parts: &Parts) -> Result<(Access, Proof), Refusal> {
    if let Some(token) = bearer(parts) {
        return match tokens.check(token, peer(parts)).await {
            Checked::Right(access) => Ok((access, Proof::Bearer)),
            Checked::Wrong => Err(Refusal::Unknown("This token is not known.".to_owned())),
            Checked::TooMany => Err(Refusal::TooMany),
        };
    }
    let cookie = cookies::cookie(&parts.headers, cookies::SESSION);
    match cookie.and_then(|cookie| tokens.signed_in(cookie)) {
        Some(access) => Ok((access, Proof::Session)),
        None => Err(Refusal::Unknown(
            "Sign in with a token: `Authorization: Bearer ..`, or on the login page.".to_owned(),
        )),
    }
}

/// Whether a person reads the answer.
fn is_page(parts: &Parts) -> bool {
    let path = parts.uri.path();
    !(path.starts_with("/api/") || path.starts_with("/live/") || path == "/metrics")
}

/// Lets in, or answers why not.
pub(super) async fn gate(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let base = app.base.clone().unwrap_or_else(|| base(&parts));
    let is_page = is_page(&parts);
    let (access, proof) = match app.gate.let_in(&parts).await {
        Ok(found) => found,
        Err(Refusal::Unknown(_)) if is_page && parts.method == Method::GET => {
            let here = parts.uri.path_and_query().map_or("/", |here| here.as_str());
            let login = format!("{base}/login?back={}", encoded(here));
            return Redirect::to(&login).into_response();
        }
        Err(refusal) => return refusal.answer(&base, is_page),
    };
    let changes = parts.method != Method::GET && parts.method != Method::HEAD;
    if changes && proof != Proof::Bearer && origin::may_be_foreign(&parts) {
        return Refusal::Foreign.answer(&base, is_page);
    }
    parts.extensions.insert(Viewer {
        access,
        proof,
        base,
    });
    next.run(Request::from_parts(parts, body)).await
}

/// Nothing else may be tried where no route is.
pub(super) async fn nowhere(State(app): State<App>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let base = app.base.clone().unwrap_or_else(|| base(&parts));
    let is_page = is_page(&parts);
    let mut answer = Refusal::Missing("There is no such page.".to_owned()).answer(&base, is_page);
    *answer.status_mut() = StatusCode::NOT_FOUND;
    answer
}
