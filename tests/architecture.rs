//! The rules of the house, as docs/architecture.md states them: arrows point down (`layers.rs`), files stay
//! small, Lua and Rust keep the same names, and nothing of Lua stands twice.

#[path = "architecture/layers.rs"]
mod layers;
#[path = "architecture/lua.rs"]
mod lua;
#[path = "architecture/uses.rs"]
mod uses;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn stems(folder: &str, extension: &str) -> BTreeSet<String> {
    fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect()
}

/// One place decides what is compiled: no other file asks for a feature.
#[test]
fn only_the_face_has_features() {
    let src = root().join("src");
    for file in files(&src, "rs") {
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            !text.contains("feature = \"") || file.ends_with("src/lib.rs"),
            "{} asks for a feature; only lib.rs does",
            file.display()
        );
    }
}

#[test]
fn only_one_file_calls_scripts() {
    let src = root().join("src");
    for file in files(&src, "rs") {
        if file.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        let inside = file
            .strip_prefix(&src)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&file).unwrap();
        let scripts = text.contains("EVALSHA") || text.contains("\"EVAL\"");
        assert!(
            !scripts || ["redis/script.rs", "redis/server.rs"].contains(&&*inside),
            "{inside} calls scripts; only redis/script.rs does, and redis/server.rs asks by one what the user may run"
        );
    }
}

#[test]
fn files_stay_small() {
    let limit = |folder: &str, extension: &str, most: usize| {
        for file in files(&root().join(folder), extension) {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            assert!(
                lines <= most,
                "{} has {lines} lines; {most} at most",
                file.display()
            );
        }
    };
    limit("src", "rs", 500);
    limit("tests", "rs", 500);
    limit("examples", "rs", 500);
    limit("benches", "rs", 500);
    limit("lua", "lua", 120);
}

#[test]
fn lua_and_store_have_the_same_verbs() {
    let mut rust = stems("src/store", "rs");
    rust.remove("mod");
    assert_eq!(stems("lua", "lua"), rust);
}
