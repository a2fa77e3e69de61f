//! User and password that change: a provider is asked for them at each connection.
//!
//! What the provider gives may be good for a time only. Then it is asked again before that time is over, and the connection signs
//! in anew, in the background: requests go on over the same connection, in their order. If that fails, the connection is used
//! as long as the server keeps it.
//!
//! A provider is the application's code, and may block. So it runs on a thread of its own, driven by the library's runtime, which
//! outlives each runtime of the application.

use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::RedisConnectionInfo;
use redis::aio::MultiplexedConnection;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::error::Error;
use crate::redis::answer::ask;
use crate::redis::tls::Tls;
use crate::redis::trouble::{Refusal, Trouble};
use crate::runtime;

/// How long a provider may take. The rest of the time for a connection is the server's.
pub(crate) const PROVIDE_WITHIN: Duration = Duration::from_secs(2);
/// Signing in anew waits behind a command that blocks on the server.
const SIGN_IN_WITHIN: Duration = Duration::from_secs(10);
/// Until a provider is asked again after it failed, and never sooner than this after it was asked.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
const AGAIN_AFTER_MIN: Duration = Duration::from_millis(500);

type Asking = Pin<Box<dyn Future<Output = Result<Credentials, Box<dyn StdError + Send + Sync>>>>>;

/// User and password, as a provider gives them to [`OxcartBuilder::credentials`](crate::OxcartBuilder::credentials).
#[derive(Clone)]
pub struct Credentials {
    user: Option<String>,
    password: String,
    valid_for: Option<Duration>,
}

impl Credentials {
    /// This user with this password, or token.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            user: Some(user.into()),
            ..Self::password(password)
        }
    }

    /// A password without a user (`requirepass`).
    pub fn password(password: impl Into<String>) -> Self {
        Self {
            user: None,
            password: password.into(),
            valid_for: None,
        }
    }

    /// For how long from now the server keeps a connection that signs in with them. After three quarters of this
    /// time the provider is asked again, and the connection signs in anew (`AUTH`). Default: for ever, as Redis itself does.
    #[must_use]
    pub fn valid_for(mut self, time: Duration) -> Self {
        self.valid_for = Some(time);
        self
    }

    pub(crate) fn signed(&self, settings: RedisConnectionInfo) -> RedisConnectionInfo {
        let settings = settings.set_password(&self.password);
        match &self.user {
            Some(user) => settings.set_username(user),
            None => settings,
        }
    }
}

/// Without the password.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .field("valid_for", &self.valid_for)
            .finish_non_exhaustive()
    }
}

/// With what connections are made, beside the address.
#[derive(Clone, Copy, Default)]
pub(crate) struct SignIn<'a> {
    pub(crate) tls: Option<&'a Tls>,
    pub(crate) provider: Option<&'a Provider>,
}

impl SignIn<'_> {
    /// Refuses a user or a password beside a provider.
    pub(crate) fn check(&self, has_login: bool) -> Result<(), Error> {
        match self.provider {
            Some(_) if has_login => Err(Error::invalid(
                "a user or a password is given, and a provider of credentials: use one of both",
            )),
            _ => Ok(()),
        }
    }
}

/// Whom to ask for credentials.
#[derive(Clone)]
pub(crate) struct Provider(Arc<dyn Fn() -> Asking + Send + Sync>);

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Provider")
    }
}

impl Provider {
    pub(crate) fn new<F, Given>(provider: F) -> Self
    where
        F: Fn() -> Given + Send + Sync + 'static,
        Given: Future<Output = Result<Credentials, Box<dyn StdError + Send + Sync>>> + 'static,
    {
        Self(Arc::new(move || Box::pin(provider())))
    }

    /// Asks for credentials for the server at this address. What takes longer than `within` is given up.
    pub(crate) async fn ask(
        &self,
        address: &str,
        within: Duration,
    ) -> Result<Credentials, Trouble> {
        let within = within.min(PROVIDE_WITHIN);
        let given_up = CancellationToken::new();
        let _gives_up = given_up.clone().drop_guard();
        let (provider, runtime) = (Arc::clone(&self.0), runtime::handle());
        let driver = runtime.clone();
        let asking = runtime.spawn_blocking(move || {
            let given = catch_unwind(AssertUnwindSafe(|| {
                driver.block_on(async {
                    tokio::select! {
                        given = async { provider().await } => given.map_err(|error| words(&*error)),
                        () = given_up.cancelled() => Err("it was not waited for".to_owned()),
                    }
                })
            }));
            given.unwrap_or_else(|payload| {
                runtime::drop_payload(payload);
                Err("it panicked".to_owned())
            })
        });
        let why = match timeout(within, asking).await {
            Ok(Ok(Ok(credentials))) => return Ok(credentials),
            Ok(Ok(Err(why))) => why,
            Ok(Err(_)) => "it was ended".to_owned(),
            Err(_) => format!("it gave none within {within:.1?}"),
        };
        Err(Trouble::NoCredentials(format!(
            "the provider of credentials for Redis at {address} failed: {why}"
        )))
    }
}

/// An error and its causes.
fn words(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause: &&dyn StdError| {
        StdError::source(*cause)
    });
    let causes = causes.map(|cause| format!(": {cause}"));
    std::iter::once(error.to_string()).chain(causes).collect()
}

/// A connection that was made, and when it has to sign in anew.
#[derive(Clone)]
pub(crate) struct SignedIn {
    pub(crate) connection: MultiplexedConnection,
    pub(crate) renewal: Option<Arc<Renewal>>,
}

impl From<MultiplexedConnection> for SignedIn {
    fn from(connection: MultiplexedConnection) -> Self {
        Self {
            connection,
            renewal: None,
        }
    }
}

/// When a connection has to sign in anew, and with what.
pub(crate) struct Renewal {
    provider: Provider,
    address: Arc<str>,
    due: Mutex<Option<Instant>>,
}

impl Renewal {
    pub(crate) fn new(provider: &Provider, address: &Arc<str>, last: &Credentials) -> Arc<Self> {
        Arc::new(Self {
            provider: provider.clone(),
            address: Arc::clone(address),
            due: Mutex::new(due_after(last)),
        })
    }

    /// Lets the connection sign in anew, in the background, if that is due.
    pub(crate) fn look(self: &Arc<Self>, connection: &MultiplexedConnection) {
        let now = Instant::now();
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        if due.is_none_or(|due| now < due) {
            return;
        }
        // Nobody else begins meanwhile.
        *due = Some(now + SIGN_IN_WITHIN + PROVIDE_WITHIN + AGAIN_AFTER);
        drop(due);
        let (renewal, connection) = (Arc::clone(self), connection.clone());
        runtime::handle().spawn(async move {
            let due = match renewal.sign_in(connection).await {
                Ok(credentials) => due_after(&credentials),
                Err(trouble) => {
                    warn!(
                        address = &*renewal.address, %trouble,
                        "a connection could not sign in anew; it is used as long as the server keeps it"
                    );
                    Some(Instant::now() + AGAIN_AFTER)
                }
            };
            *renewal.due.lock().unwrap_or_else(PoisonError::into_inner) = due;
        });
    }

    async fn sign_in(&self, mut connection: MultiplexedConnection) -> Result<Credentials, Trouble> {
        let credentials = self.provider.ask(&self.address, PROVIDE_WITHIN).await?;
        let mut command = redis::cmd("AUTH");
        if let Some(user) = &credentials.user {
            command.arg(user);
        }
        command.arg(&credentials.password);
        connection.set_response_timeout(SIGN_IN_WITHIN);
        ask(&mut connection, &command).await?;
        Ok(credentials)
    }
}

fn due_after(credentials: &Credentials) -> Option<Instant> {
    let after = credentials.valid_for?.mul_f64(0.75).max(AGAIN_AFTER_MIN);
    Instant::now().checked_add(after)
}

/// What a server says to credentials of a provider: the next ones may be accepted.
pub(crate) fn judged(trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Refused(Refusal::NotAllowed { .. }, words) if words.contains("WRONGPASS") => {
            Trouble::Refused(Refusal::Credentials, words)
        }
        trouble => trouble,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn nothing_shows_the_password() {
        let credentials = Credentials::new("app", "secret").valid_for(SECOND);
        let provider = Provider::new(move || {
            let credentials = credentials.clone();
            async move { Ok(credentials) }
        });
        let builder =
            crate::Oxcart::builder().credentials(async || Ok(Credentials::password("secret")));
        let shown = format!(
            "{:?} {provider:?} {builder:?}",
            Credentials::new("app", "secret")
        );
        assert!(
            shown.contains("app") && !shown.contains("secret"),
            "{shown}"
        );
    }

    #[tokio::test]
    async fn what_a_provider_fails_with_is_told() {
        let failing = Provider::new(async || Err("no token today".into()));
        let panicking = Provider::new(async || panic!("secret"));
        let hanging = Provider::new(std::future::pending);
        let blocking = Provider::new(async || {
            std::thread::sleep(2 * SECOND);
            Ok(Credentials::password("late"))
        });
        // Those that answer have time: a panic may print all its stack first.
        for (provider, within, says) in [
            (failing, 20 * SECOND, "no token today"),
            (panicking, 20 * SECOND, "it panicked"),
            (hanging, SECOND / 10, "none within 100.0ms"),
            (blocking, SECOND / 10, "none within 100.0ms"),
        ] {
            let trouble = provider.ask("there:1", within).await.unwrap_err();
            let text = trouble.clone().into_error("there:1").to_string();
            assert!(text.contains(says) && text.contains("there:1"), "{text}");
            assert!(!text.contains("secret"), "{text}");
            assert!(trouble.is_outage() && !trouble.may_have_run());
        }
    }

    #[test]
    fn signing_in_is_due_before_the_time_is_over() {
        let credentials = Credentials::password("secret");
        assert!(due_after(&credentials).is_none());
        let due = due_after(&credentials.clone().valid_for(100 * SECOND)).unwrap();
        let left = due.saturating_duration_since(Instant::now());
        assert!(left > 70 * SECOND && left <= 75 * SECOND, "{left:?}");
        assert!(due_after(&credentials.clone().valid_for(Duration::ZERO)).is_some());
        assert!(due_after(&credentials.valid_for(Duration::MAX)).is_none());
    }
}
