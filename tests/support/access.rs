//! The access rules of `docs/security.md`.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use super::server::Server;

/// What the page says is not missed.
pub const NOT_MISSED: [&str; 2] = ["command config|get", "command client|setinfo"];

/// The commands of the page, each as its words.
pub fn documented() -> Vec<Vec<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/security.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let page = page.replace("\\\n", " ");
    page.lines()
        .filter(|line| line.starts_with("ACL SETUSER"))
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .collect()
}

/// What the server denied to the user, each as its command or key.
pub fn denied(server: &Server, user: &str) -> BTreeSet<String> {
    let log: Vec<HashMap<String, String>> = server.ask(&["ACL", "LOG", "1000"]);
    let of_user = log.iter().filter(|entry| entry["username"] == user);
    of_user
        .map(|entry| format!("{} {}", entry["reason"], entry["object"]))
        .collect()
}
