//! Lists of objects, page by page.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::stream::{BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use oxcart::{ObjectPages, StoreFuture, StoredObject};

/// As clouds give them.
const PAGE: usize = 1_000;

type Listed = BoxStream<'static, object_store::Result<ObjectMeta>>;

/// The list begins with the first page that is asked for.
pub(crate) struct Pages {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    listed: Option<Listed>,
}

impl Pages {
    pub(crate) fn new(store: &Arc<dyn ObjectStore>, prefix: &str) -> Self {
        Self {
            store: Arc::clone(store),
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
