//! A pool that the application has already.

use std::fmt;

use deadpool_redis::Manager;

/// A pool of connections that the application has already, for [`Oxcart::with_pool`](crate::Oxcart::with_pool): it
/// says how connections are made. Made from a `deadpool_redis::Pool`.
///
/// ```no_run
/// # async fn example(pool: deadpool_redis::Pool) -> Result<(), oxcart::Error> {
/// let oxcart = oxcart::Oxcart::with_pool(pool).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Pool(deadpool_redis::Pool);

impl Pool {
    pub(crate) fn manager(&self) -> &Manager {
        self.0.manager()
    }
}

impl From<deadpool_redis::Pool> for Pool {
    fn from(pool: deadpool_redis::Pool) -> Self {
        Self(pool)
    }
}

/// Without the address, which may have a password in it.
impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.0.status()).finish()
    }
}
