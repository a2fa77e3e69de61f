//! Without a feature for TLS, only a pool that the application made can connect by `rediss://`.

use std::convert::Infallible;
use std::error::Error as StdError;

use redis::ConnectionInfo;

use crate::error::Error;
use crate::redis::tls::{Secured, Tls};

pub(crate) struct Listener(Infallible);

impl Listener {
    pub(crate) async fn hear(&self) -> Option<String> {
        match self.0 {}
    }
}

pub(crate) fn offered() -> Result<(), Error> {
    Err(not_built_in())
}

pub(crate) fn prepare() {}

pub(crate) fn secured(_: ConnectionInfo, _: &Tls) -> Result<Secured, Error> {
    Err(not_built_in())
}

fn not_built_in() -> Error {
    Error::invalid(
        "the Redis URL means a connection with TLS, which this build of oxcart cannot make: enable its \
         feature `tls-rustls` (or `tls-native`)",
    )
}

pub(crate) fn refusal(_: &(dyn StdError + 'static)) -> Option<String> {
    None
}
