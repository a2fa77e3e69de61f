//! Answers that say no.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::pages;
use crate::reading::NotRead;

/// Why a request is not carried out.
#[derive(Debug, Clone)]
pub(super) enum Refusal {
    /// Nobody knows who it is.
    Unknown(String),
    /// It is known who it is, and they may not.
    Forbidden(String),
    /// It may come from another site.
    Foreign,
    /// Too many wrong tokens came from there.
    TooMany,
    /// There is no such thing, or it is not to be seen.
    Missing(String),
    /// It is not understood.
    Wrong(String),
    /// The body is too large.
    TooLarge,
    /// The body did not come in time.
    TooSlow,
    /// Nothing was changed: the thing is in another state.
    Conflict(String),
    /// Redis does not answer.
    Lost(String),
    /// Something cannot be read.
    Broken(String),
    /// Too many streams are open, or too many pages are asked for.
    Crowded(String),
}

impl From<NotRead> for Refusal {
    fn from(why: NotRead) -> Self {
        match why {
            NotRead::Missing(text) => Self::Missing(text),
            NotRead::Wrong(text) => Self::Wrong(text),
            NotRead::Lost(text) => Self::Lost(text),
            NotRead::Broken(text) => Self::Broken(text),
            crowded @ NotRead::Crowded => Self::Crowded(crowded.into_text()),
        }
    }
}

impl From<oxcart::Error> for Refusal {
    fn from(error: oxcart::Error) -> Self {
        NotRead::from(error).into()
    }
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unknown(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::Foreign => StatusCode::FORBIDDEN,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::Wrong(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Lost(_) | Self::Crowded(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The name of its kind, in the API.
    fn kind(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "not-signed-in",
            Self::Forbidden(_) => "forbidden",
            Self::Foreign => "foreign",
            Self::TooMany => "too-many",
            Self::Missing(_) => "not-found",
            Self::Wrong(_) => "invalid",
            Self::TooLarge => "too-large",
            Self::TooSlow => "too-slow",
            Self::Conflict(_) => "conflict",
            Self::Lost(_) => "redis-lost",
            Self::Broken(_) => "unreadable",
            Self::Crowded(_) => "crowded",
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "Not signed in",
            Self::Forbidden(_) => "No access",
            Self::Foreign => "Refused",
            Self::TooMany => "Too many wrong tokens",
            Self::Missing(_) => "Not found",
            Self::Wrong(_) | Self::TooLarge | Self::TooSlow => "Not understood",
            Self::Conflict(_) => "Nothing was changed",
            Self::Lost(_) => "Redis does not answer",
            Self::Broken(_) => "Not readable",
            Self::Crowded(_) => "Too many viewers",
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Foreign => {
                "The request may come from another site: it has no matching origin, or the form is old. Reload the page and try again."
            }
            Self::TooMany => "Too many wrong tokens came from your address. Wait for a minute.",
            Self::TooLarge => "The request is too large.",
            Self::TooSlow => "The request did not come in time.",
            Self::Unknown(text)
            | Self::Forbidden(text)
            | Self::Missing(text)
            | Self::Wrong(text)
            | Self::Conflict(text)
            | Self::Lost(text)
            | Self::Broken(text)
            | Self::Crowded(text) => text,
        }
    }

    /// A page, or JSON.
    pub(super) fn answer(&self, base: &str, is_page: bool) -> Response {
        let mut answer = match is_page {
            true => pages::trouble(base, self.title(), self.text()).into_response(),
            false => Json(json!({ "error": { "kind": self.kind(), "message": self.text() } }))
                .into_response(),
        };
        *answer.status_mut() = self.status();
        let headers = answer.headers_mut();
        match self {
            Self::Unknown(_) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::TooMany => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
            }
            Self::Lost(_) | Self::Crowded(_) => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
            }
            _ => {}
        }
        answer
    }
}
