//! What puts that were killed have left in a folder.
//!
//! A put writes a file `<name>#<number>` first, and then gives it its name (`object_store::local`). Lists do not show such files, so no sweep
//! would ever find one whose put was killed. No name of oxcart has a `#`.

use std::fs::{self, DirEntry};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// A put that takes longer is none.
const OLD: Duration = Duration::from_secs(60 * 60);

/// Deletes the old ones below this folder. What cannot be read or deleted is left to the next time.
pub(crate) fn delete(below: PathBuf) {
    let Some(until) = SystemTime::now().checked_sub(OLD) else {
        return;
    };
    let mut folders = vec![below];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            // Of a link it says that it is one: nothing outside is deleted.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() && is_leftover(&entry, until) => {
                    fs::remove_file(entry.path()).ok();
                }
                _ => {}
            }
        }
    }
}

fn is_leftover(entry: &DirEntry, until: SystemTime) -> bool {
    let name = entry.file_name();
    let parts = name.to_str().and_then(|name| name.split_once('#'));
    let is_draft = parts.is_some_and(|(name, number)| {
        !name.is_empty() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    let modified = || entry.metadata().and_then(|about| about.modified());
    is_draft && modified().is_ok_and(|modified| modified < until)
}
