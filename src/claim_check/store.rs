//! A store for payloads that are too large for Redis, as an application gives it.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::SystemTime;

/// What a [`PayloadStore`] is doing, and what comes of it. An error may be of any kind: the caller of oxcart gets it as the source of an
/// [`ErrorKind::PayloadStore`](crate::ErrorKind::PayloadStore).
pub type StoreFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, Box<dyn StdError + Send + Sync>>> + Send + 'a>>;

/// Where payloads are kept that are too large for Redis: an object store, a folder, a database. See [`ClaimCheck`](crate::ClaimCheck). The crate
/// `oxcart-object-store` has one for local folders, S3, Google Cloud Storage and Azure.
///
/// The name of an object is made of parts with `/` between them. Each part has 1 to 200 characters of `a-z`, `0-9`, `-`, `_` and `.`, and does
/// not begin with a point. No two objects get the same name, and an object is never written again.
///
/// Every call may be dropped before it is done. A call need not try again by itself: oxcart does. Keep a time limit of your own short enough
/// for that; see [`ClaimCheck::timeout`](crate::ClaimCheck::timeout).
///
/// ```
/// use std::collections::BTreeMap;
/// use std::sync::Mutex;
/// use std::time::SystemTime;
///
/// use oxcart::{ObjectPages, PayloadStore, StoreFuture, StoredObject};
///
/// #[derive(Default)]
/// struct InMemory(Mutex<BTreeMap<String, (SystemTime, Vec<u8>)>>);
///
/// impl PayloadStore for InMemory {
///     fn put<'a>(&'a self, name: &'a str, bytes: Vec<u8>) -> StoreFuture<'a, ()> {
///         let object = (SystemTime::now(), bytes);
///         self.0.lock().unwrap().insert(name.to_owned(), object);
///         Box::pin(async { Ok(()) })
///     }
///
///     fn get<'a>(&'a self, name: &'a str, limit: u64) -> StoreFuture<'a, Option<Vec<u8>>> {
///         let found = self.0.lock().unwrap().get(name).map(|(_, bytes)| bytes.clone());
///         let cut = move |bytes: Vec<u8>| bytes.into_iter().take(limit as usize).collect();
///         Box::pin(async move { Ok(found.map(cut)) })
///     }
///
///     fn delete<'a>(&'a self, names: &'a [String]) -> StoreFuture<'a, ()> {
///         let mut objects = self.0.lock().unwrap();
///         objects.retain(|name, _| !names.contains(name));
///         Box::pin(async { Ok(()) })
///     }
///
///     fn list(&self, prefix: &str) -> Box<dyn ObjectPages> {
///         let objects = self.0.lock().unwrap();
///         let objects = objects.iter().filter(|(name, _)| name.starts_with(prefix));
///         let objects = objects.map(|(name, (modified, bytes))| StoredObject {
///             name: name.clone(),
///             bytes: bytes.len() as u64,
///             modified: *modified,
///         });
///         Box::new(OnePage(Some(objects.collect())))
///     }
/// }
///
/// struct OnePage(Option<Vec<StoredObject>>);
///
/// impl ObjectPages for OnePage {
///     fn next(&mut self) -> StoreFuture<'_, Option<Vec<StoredObject>>> {
///         let page = self.0.take();
///         Box::pin(async { Ok(page) })
///     }
/// }
/// # let _ = oxcart::ClaimCheck::over(64 * 1024, InMemory::default());
/// ```
pub trait PayloadStore: Send + Sync + 'static {
    /// Stores an object under a name that no other has. When this is done without an error, every later [`get`](Self::get) finds all of it.
    fn put<'a>(&'a self, name: &'a str, bytes: Vec<u8>) -> StoreFuture<'a, ()>;

    /// Reads an object; `None` if there is none of this name. Of one with more than `limit` bytes only so many are read, so that nobody has to keep
    /// room for what nobody expects.
    fn get<'a>(&'a self, name: &'a str, limit: u64) -> StoreFuture<'a, Option<Vec<u8>>>;

    /// Deletes these objects, up to 1,000. One that is not there is no error.
    fn delete<'a>(&'a self, names: &'a [String]) -> StoreFuture<'a, ()>;

    /// Finds the objects whose names begin with these parts, page by page; `prefix` ends with a `/`. The order does not matter. What is
    /// stored or deleted meanwhile may be missing or not.
    fn list(&self, prefix: &str) -> Box<dyn ObjectPages>;
}

/// The pages of a list of objects. See [`PayloadStore::list`].
pub trait ObjectPages: Send {
    /// The next objects, in pages of about 1,000; `None` if there are no more. A page may be empty.
    fn next(&mut self) -> StoreFuture<'_, Option<Vec<StoredObject>>>;
}

/// An object in a [`PayloadStore`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// Its name, as it was [put](PayloadStore::put).
    pub name: String,
    /// How large it is.
    pub bytes: u64,
    /// When it was put, by the clock of the store.
    pub modified: SystemTime,
}

impl fmt::Debug for dyn PayloadStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PayloadStore")
    }
}
