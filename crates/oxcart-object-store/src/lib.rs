//! Keeps payloads of [oxcart]'s jobs that are too large for Redis in an object store: a local folder, S3, Google Cloud Storage, Azure. See
//! [`ClaimCheck`](oxcart::ClaimCheck).
//!
//! ```no_run
//! use oxcart::{ClaimCheck, Oxcart};
//! use oxcart_object_store::ObjectPayloads;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let store = ObjectPayloads::folder("/var/lib/shop/payloads")?;
//! let oxcart = Oxcart::builder()
//!     .claim_check(ClaimCheck::over(64 * 1024, store))
//!     .connect("redis://127.0.0.1/")
//!     .await?;
//! # drop(oxcart);
//! # Ok(()) }
//! ```
//!
//! The features `aws`, `gcp` and `azure` bring the clients of these clouds, with TLS by rustls and aws-lc. Without them there are folders, and a store in memory for tests.

#![warn(clippy::unwrap_used, clippy::panic, missing_debug_implementations)]

mod error;
mod leftovers;
mod pages;

use std::fmt;
use std::fs;
use std::path::{Path as Folder, PathBuf};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, parse_url_opts};
use oxcart::{ObjectPages, PayloadStore, StoreFuture};
use url::Url;

pub use crate::error::Error;
use crate::pages::Pages;

/// Payloads in an object store. Cheap to clone.
///
/// What it stores has names that begin with its prefix; keep nothing else below it.
#[derive(Clone)]
pub struct ObjectPayloads {
    store: Arc<dyn ObjectStore>,
    /// Where it is, if it is a folder of this machine.
    folder: Option<Arc<PathBuf>>,
}

impl ObjectPayloads {
    /// Below this prefix of a store that the application has made, with whatever settings it needs. An empty prefix is the whole store.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use object_store::memory::InMemory;
    /// use oxcart_object_store::ObjectPayloads;
    ///
    /// let store = ObjectPayloads::new(Arc::new(InMemory::new()), "shop/payloads")?;
    /// # drop(store);
    /// # Ok::<(), oxcart_object_store::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the prefix is no path: parts with `/` between them, none of them empty, `.` or `..`.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> Result<Self, Error> {
        let prefix =
            Path::parse(prefix).map_err(|error| Error::new("the prefix is no path", error))?;
        Ok(Self::below(store, prefix))
    }

    fn below(store: Arc<dyn ObjectStore>, prefix: Path) -> Self {
        let store = match prefix.as_ref().is_empty() {
            true => store,
            false => Arc::new(PrefixStore::new(store, prefix)),
        };
        Self {
            store,
            folder: None,
        }
    }

    /// In a folder of this machine, or one that all machines see. It is made if it is not there. A payload is on the disk when it is
    /// put, and folders that become empty are deleted. Files that a put has left which was killed (`<name>#<number>`) are deleted when objects are
    /// listed, once they are an hour old.
    ///
    /// # Errors
    ///
    /// If the folder cannot be made.
    pub fn folder(folder: impl AsRef<Folder>) -> Result<Self, Error> {
        let folder = folder.as_ref();
        let what = || format!("cannot use the folder {}", folder.display());
        fs::create_dir_all(folder).map_err(|error| Error::new(what(), error))?;
        let folder = fs::canonicalize(folder).map_err(|error| Error::new(what(), error))?;
        let store = LocalFileSystem::new_with_prefix(&folder);
        let store = store.map_err(|error| Error::new(what(), error))?;
        let store = store.with_automatic_cleanup(true).with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
            folder: Some(Arc::new(folder)),
        })
    }

    /// In memory, for tests: each call makes another one.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::below(Arc::new(InMemory::new()), Path::default())
    }

    /// What a URL says: `file:///var/lib/payloads`, `memory:///`, `s3://bucket/prefix` (feature `aws`), `gs://bucket/prefix` (`gcp`),
    /// `az://container/prefix` (`azure`). The options are those of the crate `object_store`, such as `aws_region`; it passes over others, so the
    /// environment can be given as it is.
    ///
    /// ```no_run
    /// use oxcart_object_store::ObjectPayloads;
    ///
    /// let store = ObjectPayloads::from_url("s3://shop/payloads", std::env::vars())?;
    /// # drop(store);
    /// # Ok::<(), oxcart_object_store::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the URL cannot be read, its feature is missing, an option is wrong, or the folder cannot be made.
    pub fn from_url<Key, Value>(
        url: &str,
        options: impl IntoIterator<Item = (Key, Value)>,
    ) -> Result<Self, Error>
    where
        Key: AsRef<str>,
        Value: Into<String>,
    {
        // Without the URL: it may hold a password.
        let url = Url::parse(url)
            .map_err(|error| Error::new("the URL of a store cannot be read", error))?;
        if url.scheme() == "file"
            && let Ok(folder) = url.to_file_path()
        {
            return Self::folder(folder);
        }
        let made = parse_url_opts(&url, options).map_err(|error| {
            let what = format!("there can be no store at a URL of `{}`", url.scheme());
            // Some of its errors show the URL.
            match url.username().is_empty() && url.password().is_none() {
                true => Error::new(what, error),
                false => Error::new(
                    what,
                    "its settings are wrong, or the feature for it is missing",
                ),
            }
        });
        let (store, prefix) = made?;
        Ok(Self::below(Arc::from(store), prefix))
    }
}

/// The examples of the page run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/claim-check.md")]
struct Page;

impl PayloadStore for ObjectPayloads {
    fn put<'a>(&'a self, name: &'a str, bytes: Vec<u8>) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let name = Path::parse(name)?;
            self.store.put(&name, PutPayload::from(bytes)).await?;
            Ok(())
        })
    }

    fn get<'a>(&'a self, name: &'a str, limit: u64) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let found = match self.store.get(&Path::parse(name)?).await {
                Ok(found) => found,
                Err(object_store::Error::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let size = usize::try_from(found.meta.size).unwrap_or(usize::MAX);
            // No more than is said, and no more than is there.
            let mut bytes = Vec::with_capacity(size.min(limit));
            let mut stream = found.into_stream();
            while bytes.len() < limit
                && let Some(part) = stream.next().await
            {
                let part = part?;
                let wanted = part.len().min(limit - bytes.len());
                bytes.extend_from_slice(&part[..wanted]);
            }
            Ok(Some(bytes))
        })
    }

    fn delete<'a>(&'a self, names: &'a [String]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let names: Vec<_> = names.iter().map(Path::parse).collect::<Result<_, _>>()?;
            let names = stream::iter(names.into_iter().map(Ok)).boxed();
            let mut deleted = self.store.delete_stream(names);
            // All of them, also behind one that cannot be deleted.
            let mut failed = None;
            while let Some(one) = deleted.next().await {
                match one {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => failed = Some(error),
                }
            }
            match failed {
                None => Ok(()),
                Some(error) => Err(error.into()),
            }
        })
    }

    fn list(&self, prefix: &str) -> Box<dyn ObjectPages> {
        Box::new(Pages::new(&self.store, self.folder.as_ref(), prefix))
    }
}

impl fmt::Debug for ObjectPayloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ObjectPayloads")
            .field(&self.store.to_string())
            .finish()
    }
}
