//! A store of payloads that several processes share: a folder.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use oxcart::{ObjectPages, PayloadStore, StoreFuture, StoredObject};

#[derive(Clone)]
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    /// The files below a folder of it, with their names.
    pub(crate) fn files(&self, below: &str) -> Vec<StoredObject> {
        let mut found = Vec::new();
        find(&self.0.join(below), &mut found);
        let name = |path: &Path| path.strip_prefix(&self.0).unwrap().display().to_string();
        let object = |path: PathBuf| {
            let about = fs::metadata(&path).ok()?;
            Some(StoredObject {
                name: name(&path),
                bytes: about.len(),
                // So old that nothing but its job keeps it.
                modified: about.modified().ok()? - 2 * crate::HOUR,
            })
        };
        found.into_iter().filter_map(object).collect()
    }
}

fn find(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => find(&path, found),
            path => found.push(path),
        }
    }
}

fn gone(error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}

impl PayloadStore for Folder {
    fn put<'a>(&'a self, name: &'a str, bytes: Vec<u8>) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let path = self.0.join(name);
            fs::create_dir_all(path.parent().ok_or("no folder")?)?;
            let part = self.0.join(name.replace('/', "-"));
            fs::write(&part, bytes)?;
            Ok(fs::rename(part, path)?)
        })
    }

    fn get<'a>(&'a self, name: &'a str, _: u64) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            match fs::read(self.0.join(name)) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) => Ok(gone(error).map(|()| None)?),
            }
        })
    }

    fn delete<'a>(&'a self, names: &'a [String]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            for name in names {
                fs::remove_file(self.0.join(name)).or_else(gone)?;
            }
            Ok(())
        })
    }

    fn list(&self, prefix: &str) -> Box<dyn ObjectPages> {
        Box::new(Page(Some(self.files(prefix))))
    }
}

struct Page(Option<Vec<StoredObject>>);

impl ObjectPages for Page {
    fn next(&mut self) -> StoreFuture<'_, Option<Vec<StoredObject>>> {
        let page = self.0.take();
        Box::pin(async { Ok(page) })
    }
}
