//! The rules of the house, as docs/architecture.md states them: arrows point down, files stay
//! small, Lua and Rust keep the same names, and nothing of Lua stands twice.

#[path = "architecture/lua.rs"]
mod lua;
#[path = "architecture/uses.rs"]
mod uses;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use uses::uses;

/// From the bottom to the top; a file may use its own layer and those below.
const LAYERS: &[&[&str]] = &[
    &[
        "job", "policy", "cron", "id", "name", "codec", "time", "error", "runtime",
    ],
    &["redis", "tls_library", "tls_advice"],
    &["store", "memory"],
    &[
        "queue",
        "worker",
        "events",
        "maintenance",
        "schedule",
        "oxcart",
    ],
    &["testing"],
];

/// What points up, and is to be moved: the file, what it uses, and why that is so.
const UPWARDS: &[(&str, &str, &str)] = &[];

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

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The path of the module that a file of `src` is.
fn module(inside: &Path) -> Vec<String> {
    let parts = inside.with_extension("");
    let parts = parts.iter().map(|part| part.to_string_lossy().into_owned());
    let mut parts: Vec<String> = parts.filter(|part| part != "mod").collect();
    // It lies among the verbs, and is a module of the crate.
    if parts.starts_with(&["store".to_owned(), "memory".to_owned()]) {
        parts.remove(0);
    }
    parts
}

/// For each name that the face gives to users, the module where it comes from.
fn names_of_the_face() -> BTreeMap<String, String> {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let named = uses(&text, &[]).into_iter();
    let named = named.filter_map(|used| Some((used.name, used.path.first()?.clone())));
    named.collect()
}

#[test]
fn arrows_point_down() {
    let src = root().join("src");
    let face = names_of_the_face();
    assert!(face.contains_key("Worker"), "{face:?}");
    let mut upwards = BTreeSet::new();
    for file in files(&src, "rs") {
        let inside = file.strip_prefix(&src).unwrap();
        let own = module(inside);
        if own == ["lib"] || inside.iter().any(|part| part == "tests") {
            continue;
        }
        let layer = rank(&own[0]).unwrap_or_else(|| panic!("`{}` is in no layer", own[0]));
        let text = fs::read_to_string(&file).unwrap();
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        for used in uses(&text, &own) {
            let first = used.path.first().map_or("", String::as_str);
            let above = match rank(first).or_else(|| rank(face.get(first)?)) {
                Some(other) => other > layer,
                // Everything at once, or the crate by another name: nobody can tell what is used.
                None => matches!(first, "" | "*"),
            };
            if above {
                upwards.insert((inside.display().to_string(), used.path.join("::")));
            }
        }
    }
    let known = UPWARDS.iter().map(|(file, path, _)| (*file, *path));
    let known: BTreeSet<_> = known
        .map(|(file, path)| (file.to_owned(), path.to_owned()))
        .collect();
    let new: Vec<_> = upwards.difference(&known).collect();
    assert!(new.is_empty(), "these use what is above them: {new:#?}");
    let mended: Vec<_> = known.difference(&upwards).collect();
    assert!(
        mended.is_empty(),
        "no exceptions any more, take them out: {mended:#?}"
    );
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
            !scripts || inside == "redis/script.rs",
            "{inside} calls scripts; only redis/script.rs does"
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
