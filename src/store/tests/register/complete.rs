//! The register has every verb, and so have the folders and the page of the layout.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{NAMES, scripts};

fn names_of_files(folder: &str, extension: &str) -> BTreeSet<String> {
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|found| found == extension));
    paths
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect()
}

fn registered() -> BTreeSet<String> {
    NAMES.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn each_verb_has_a_script_and_a_file_and_is_registered() {
    let mut files = names_of_files("src/store", "rs");
    files.remove("mod");
    assert_eq!(registered(), files, "src/store");
    assert_eq!(registered(), names_of_files("lua", "lua"), "lua");
    let scripts = scripts();
    for name in NAMES {
        assert!(scripts.iter().any(|script| script.name == *name), "{name}");
    }
}

/// `make lua` shows them, and `make lua-lint` reads them.
#[test]
fn scripts_are_written_to_the_target_folder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lua");
    fs::create_dir_all(&folder).unwrap();
    for script in scripts() {
        let file = format!("{}.lua", script.name.replace(' ', "-"));
        fs::write(folder.join(file), script.with_body(script.body()).code).unwrap();
    }
}

/// The page has a row for each.
#[test]
fn the_page_of_the_layout_names_every_verb_and_every_key() {
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/redis-layout.md"));
    let page = page.unwrap();
    let rows = |heading: &str| -> BTreeSet<String> {
        let (_, table) = page.split_once(heading).unwrap();
        let rows = table
            .lines()
            .skip(2)
            .take_while(|line| line.starts_with("| "));
        let first = rows.map(|row| row.split('|').nth(1).unwrap());
        first
            .flat_map(|cell| cell.split(", "))
            .map(|name| name.trim().trim_matches('`').to_owned())
            .collect()
    };
    assert_eq!(rows("| verb |"), registered());
    let keys = crate::redis::keys::PARTS
        .iter()
        .map(|part| (*part).to_owned());
    assert_eq!(rows("| part |"), keys.collect());
}
