//! Lists of objects, page by page.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::stream::{BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use oxcart::{ObjectPages, StoreFuture, StoredObject};
use tokio::task::spawn_blocking;

use crate::leftovers;

/// As clouds give them.
const PAGE: usize = 1_000;

type Listed = BoxStream<'static, object_store::Result<ObjectMeta>>;

/// The list begins with the first page that is asked for.
pub(crate) struct Pages {
    store: Arc<dyn ObjectStore>,
    folder: Option<Arc<PathBuf>>,
    prefix: String,
    listed: Option<Listed>,
}

impl Pages {
    pub(crate) fn new(
        store: &Arc<dyn ObjectStore>,
        folder: Option<&Arc<PathBuf>>,
        prefix: &str,
    ) -> Self {
        Self {
            store: Arc::clone(store),
            folder: folder.cloned(),
            prefix: prefix.to_owned(),
            listed: None,
        }
    }
}

impl ObjectPages for Pages {
    fn next(&mut self) -> StoreFuture<'_, Option<Vec<StoredObject>>> {
        Box::pin(async move {
            let listed = match &mut self.listed {
                Some(listed) => listed,
                None => {
                    let prefix = Path::parse(&self.prefix)?;
                    if let Some(folder) = &self.folder {
                        let below = folder.join(prefix.as_ref());
                        spawn_blocking(|| leftovers::delete(below)).await?;
                    }
                    self.listed.insert(self.store.list(Some(&prefix)))
                }
            };
            let mut page = Vec::new();
            while page.len() < PAGE
                && let Some(object) = listed.next().await
            {
                let object = match object {
                    Ok(object) => object,
                    // Deleted while the list is made.
                    Err(object_store::Error::NotFound { .. }) => continue,
                    Err(error) => return Err(error.into()),
                };
                page.push(StoredObject {
                    name: object.location.into(),
                    bytes: object.size,
                    modified: SystemTime::from(object.last_modified),
                });
            }
            Ok(Some(page).filter(|page| !page.is_empty()))
        })
    }
}
