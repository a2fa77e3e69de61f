//! The rules of the house, as docs/architecture.md states them: arrows point down (`layers.rs`), files stay
//! small, Lua and Rust keep the same names, and nothing of Lua stands twice.

#[path = "architecture/layers.rs"]
mod layers;
#[path = "architecture/lua.rs"]
mod lua;
#[path = "architecture/uses.rs"]
mod uses;

use std::collections::{BTreeMap, BTreeSet};
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

#[test]
fn every_fragment_is_used_and_names_are_defined_once() {
    let store: String = files(&root().join("src/store"), "rs")
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let mut defined: BTreeMap<String, PathBuf> = BTreeMap::new();
    for file in files(&root().join("lua/lib"), "lua") {
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(
            store.contains(&format!("\"{stem}\"")),
            "lib/{stem}.lua is not used"
        );
        for line in fs::read_to_string(&file).unwrap().lines() {
            let Some(rest) = line.strip_prefix("function queue.") else {
                continue;
            };
            let name = rest.split('(').next().unwrap().to_owned();
            if let Some(other) = defined.insert(name.clone(), file.clone()) {
                panic!(
                    "`{name}` is defined in {} and {}",
                    other.display(),
                    file.display()
                );
            }
        }
    }
    assert!(defined.len() > 20, "{defined:?}");
}

/// What a script is made of.
struct Made {
    by: PathBuf,
    verb: String,
    fragments: Vec<(String, String)>,
    /// So many of them, the last, are made on first use, inside of a function.
    rare: usize,
    /// The verb has a second script with more fragments, which this one does without: what they
    /// define is called only in calls of the second.
    elsewhere: String,
}

/// Every script, with the text of its own file and of each fragment it lists.
fn scripts() -> Vec<Made> {
    let lua = |name: &str| fs::read_to_string(root().join("lua").join(name)).unwrap();
    let made = |by: PathBuf| {
        let source = fs::read_to_string(&by).unwrap();
        let lists: Vec<&str> = source.split("= script!(").skip(1).collect();
        let texts = |list: &str| {
            let list = list.split_once(");").unwrap().0;
            // `"verb" as "name"`: the name is no fragment.
            let named = usize::from(list.contains("\" as \""));
            let mut quoted = list.split('"').skip(1).step_by(2);
            let verb = lua(&format!("{}.lua", quoted.next().unwrap()));
            let fragments: Vec<_> = quoted
                .skip(named)
                .map(|name| (name.to_owned(), lua(&format!("lib/{name}.lua"))))
                .collect();
            let rare = list.split_once("rarely [").map_or("", |(_, rare)| rare);
            (verb, fragments, rare.matches('"').count() / 2)
        };
        let made = lists.iter().enumerate().map(|(at, list)| {
            let (verb, fragments, rare) = texts(list);
            let others = lists[at + 1..].iter().flat_map(|list| texts(list).1);
            Made {
                by: by.clone(),
                verb,
                fragments,
                rare,
                elsewhere: others.map(|(_, text)| text).collect(),
            }
        });
        made.collect::<Vec<_>>()
    };
    let scripts: Vec<_> = files(&root().join("src/store"), "rs")
        .into_iter()
        .flat_map(made)
        .collect();
    assert!(scripts.len() > 10);
    scripts
}

/// A fragment that is missing would be noticed only when the script gets to the call.
#[test]
fn every_script_is_made_of_all_it_calls() {
    let names = |text: &str, before: &str| -> BTreeSet<String> {
        let after = text.split(before).skip(1);
        after
            .filter_map(|rest| rest.split_once('('))
            .map(|(name, _)| name.to_owned())
            .filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
            .collect()
    };
    for script in scripts() {
        let mut text = script.verb;
        for (_, fragment) in &script.fragments {
            text.push_str(fragment);
        }
        let mut defined = names(&text, "function queue.");
        defined.extend(names(&script.elsewhere, "function queue."));
        let missing: Vec<_> = names(&text, "queue.")
            .into_iter()
            .filter(|name| !defined.contains(name))
            .collect();
        assert!(missing.is_empty(), "{}: {missing:?}", script.by.display());
    }
}

/// Fragments share locals with those after them. One that is missing, or comes too late, would be
/// noticed only when the script gets to the line; one of two with the same name hides the other.
#[test]
fn every_local_that_fragments_share_is_there_before_and_is_one() {
    let mut faults = BTreeSet::new();
    for script in scripts() {
        let by = script
            .by
            .file_stem()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let rare_from = script.fragments.len() - script.rare;
        let mut there: BTreeMap<String, &str> = ["key", "queue"]
            .map(|name| (name.to_owned(), "every script"))
            .into();
        let mut of_all = there.clone();
        for (at, (fragment, text)) in script.fragments.iter().enumerate() {
            let names = lua::names(text);
            for name in names
                .wanted
                .iter()
                .filter(|name| !there.contains_key(*name))
            {
                faults.insert(format!("{by}: `{name}` of {fragment} is not there"));
            }
            for name in names.shared {
                if let Some(other) = there.insert(name.clone(), fragment) {
                    faults.insert(format!("{by}: `{name}` is in {other} and in {fragment}"));
                }
                // What is made in a function is not there for the verb.
                if at < rare_from {
                    of_all.insert(name, fragment);
                }
            }
        }
        let names = lua::names(&script.verb);
        for name in names
            .wanted
            .iter()
            .filter(|name| !of_all.contains_key(*name))
        {
            faults.insert(format!("{by}: `{name}` of the verb is not there"));
        }
        for name in names.shared {
            if let Some(other) = of_all.get(&name) {
                faults.insert(format!("{by}: `{name}` is in {other} and in the verb"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Lua makes what stands in a script in each call, needed or not.
#[test]
fn no_script_has_a_fragment_it_does_not_use() {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for script in scripts() {
        for (name, text) in &script.fragments {
            let defined = text.lines().filter_map(|line| {
                line.strip_prefix("function queue.")
                    .or_else(|| line.strip_prefix("local "))
            });
            let names: Vec<&str> = defined
                .flat_map(|line| line.split(['(', '=']).next().unwrap().split(','))
                .map(str::trim)
                .collect();
            let others = script.fragments.iter().filter(|(other, _)| other != name);
            let used = others
                .map(|(_, text)| text)
                .chain([&script.verb])
                .flat_map(|text| text.lines())
                .filter(|line| !line.trim_start().starts_with("--"))
                .flat_map(|line| line.split(|c| !word(c)))
                .any(|used| names.contains(&used));
            assert!(used, "{}: \"{name}\"", script.by.display());
        }
    }
}

/// Six lines that stand in two scripts are a fragment that has not been made yet.
#[test]
fn no_lua_is_copied() {
    const WINDOW: usize = 6;
    let mut seen: BTreeMap<Vec<String>, PathBuf> = BTreeMap::new();
    for file in files(&root().join("lua"), "lua") {
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<String> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with("--") && *line != "end")
            .map(str::to_owned)
            .collect();
        for window in lines.windows(WINDOW) {
            if let Some(other) = seen.insert(window.to_vec(), file.clone())
                && other != file
            {
                panic!(
                    "{} and {} share {window:#?}",
                    other.display(),
                    file.display()
                );
            }
        }
    }
}

/// A user who may not read the clock is stopped there, and it is known that nothing was written before.
#[test]
fn a_script_reads_the_clock_before_anything_else() {
    let mut scripts = 0;
    for file in files(&root().join("src/store"), "rs") {
        let text = fs::read_to_string(&file).unwrap();
        for script in text.split(" script!(").skip(1) {
            let fragments = script.split_once('[').unwrap().1.trim_start();
            let is_first = fragments.starts_with("\"now\"");
            assert!(is_first, "a script of {} begins otherwise", file.display());
            scripts += 1;
        }
    }
    assert!(scripts >= 20, "only {scripts} scripts were found");
    let now = fs::read_to_string(root().join("lua/lib/now.lua")).unwrap();
    let calls: Vec<_> = now.matches("redis.call(").collect();
    assert_eq!(calls.len(), 1);
    assert!(now.contains("redis.call('TIME')"));
}
