//! A store of payloads for tests: in memory, and as bad as it is told to be.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use oxcart::{ObjectPages, PayloadStore, StoreFuture, StoredObject};
use tokio::time::sleep;

/// Two objects in a page, so that there are several.
const PAGE: usize = 2;

/// How the store is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    #[default]
    Well,
    Fails,
    /// It stores, and says that it has failed.
    FailsAfterwards,
    Hangs,
    /// It gives only the first half of each object.
    Cuts,
    /// It gives one more byte than there is, as far as that is asked for.
    Adds,
    /// It gives other bytes.
    Garbles,
    Slow(Duration),
}

#[derive(Clone, Default)]
pub(crate) struct Objects(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    objects: BTreeMap<String, (SystemTime, Vec<u8>)>,
    mood: Mood,
    gets: usize,
}

impl Objects {
    pub(crate) fn be(&self, mood: Mood) {
        self.0.lock().unwrap().mood = mood;
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().objects.keys().cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.names().len()
    }

    pub(crate) fn gets(&self) -> usize {
        self.0.lock().unwrap().gets
    }

    /// All that is there now was put so long ago.
    pub(crate) fn age(&self, by: Duration) {
        for (modified, _) in self.0.lock().unwrap().objects.values_mut() {
            *modified -= by;
        }
    }

    /// Somebody takes them away.
    pub(crate) fn lose(&self) {
        self.0.lock().unwrap().objects.clear();
    }

    /// Something that is not of oxcart.
    pub(crate) fn add_foreign(&self, name: &str) {
        let object = (SystemTime::UNIX_EPOCH, Vec::new());
        self.0
            .lock()
            .unwrap()
            .objects
            .insert(name.to_owned(), object);
    }

    async fn mood(&self) -> io::Result<Mood> {
        let mood = self.0.lock().unwrap().mood;
        match mood {
            Mood::Fails => return Err(io::Error::other("503 from the store")),
            Mood::Hangs => std::future::pending().await,
            Mood::Slow(time) => sleep(time).await,
            _ => {}
        }
        Ok(mood)
    }
}

impl PayloadStore for Objects {
    fn put<'a>(&'a self, name: &'a str, bytes: Vec<u8>) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let mood = self.mood().await?;
            let object = (SystemTime::now(), bytes);
            let before = self
                .0
                .lock()
                .unwrap()
                .objects
                .insert(name.to_owned(), object);
            assert!(before.is_none(), "{name} was put twice");
            match mood {
                Mood::FailsAfterwards => Err("the answer was lost".into()),
                _ => Ok(()),
            }
        })
    }

    fn get<'a>(&'a self, name: &'a str, limit: u64) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            self.0.lock().unwrap().gets += 1;
            let mood = self.mood().await?;
            let found = self.0.lock().unwrap().objects.get(name).cloned();
            let mut bytes = match found {
                Some((_, bytes)) => bytes,
                None => return Ok(None),
            };
            match mood {
                Mood::Cuts => bytes.truncate(bytes.len() / 2),
                Mood::Adds => bytes.push(0),
                Mood::Garbles => bytes.iter_mut().for_each(|byte| *byte ^= 1),
                _ => {}
            }
            bytes.truncate(usize::try_from(limit).unwrap());
            Ok(Some(bytes))
        })
    }

    fn delete<'a>(&'a self, names: &'a [String]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.mood().await?;
            let mut inner = self.0.lock().unwrap();
            inner.objects.retain(|name, _| !names.contains(name));
            Ok(())
        })
    }

    fn list(&self, prefix: &str) -> Box<dyn ObjectPages> {
        let inner = self.0.lock().unwrap();
        let found = inner
            .objects
            .iter()
            .filter(|(name, _)| name.starts_with(prefix));
        let found = found.map(|(name, (modified, bytes))| StoredObject {
            name: name.clone(),
            bytes: bytes.len() as u64,
            modified: *modified,
        });
        let left = found.collect();
        let of = self.clone();
        Box::new(Pages { of, left })
    }
}

struct Pages {
    of: Objects,
    left: Vec<StoredObject>,
}

impl ObjectPages for Pages {
    fn next(&mut self) -> StoreFuture<'_, Option<Vec<StoredObject>>> {
        Box::pin(async move {
            self.of.mood().await?;
            let page = self.left.len().min(PAGE);
            let page: Vec<_> = self.left.drain(..page).collect();
            Ok(Some(page).filter(|page| !page.is_empty()))
        })
    }
}
