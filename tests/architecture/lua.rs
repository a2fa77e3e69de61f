//! The rules for Lua: each file says in its head what it uses, and scripts are made of no more and no less.

#[path = "../../src/redis/linker.rs"]
#[allow(dead_code, reason = "the library uses more of it")]
mod linker;
#[path = "lua_names.rs"]
mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use linker::{FRAGMENTS, Fragments, Head, defined_in, link};
use names::names;

use super::{root, stems};

/// Given to every script.
const GIVEN: [&str; 2] = ["key", "queue"];

type Texts = BTreeMap<String, String>;

fn texts(folder: &str) -> Texts {
    let text = |name: String| {
        let file = root().join(folder).join(format!("{name}.lua"));
        (name, fs::read_to_string(file).unwrap())
    };
    stems(folder, "lua").into_iter().map(text).collect()
}

fn verbs() -> Texts {
    texts("lua")
}

fn fragments() -> Texts {
    texts("lua/lib")
}

/// The parts with which a verb has scripts: none, and those that its fragments or it name.
fn parts(verb: &str) -> Vec<Option<String>> {
    let fragments = Fragments::of(verb, None);
    let all = fragments.always.into_iter().chain(fragments.rarely);
    let heads = all.map(|name| Head::of(text_of(name)));
    let named = heads.chain([Head::of(verb)]).flat_map(|head| head.with);
    let named: BTreeSet<String> = named.map(|(part, _)| part.to_owned()).collect();
    [None]
        .into_iter()
        .chain(named.into_iter().map(Some))
        .collect()
}

fn text_of(name: &str) -> &'static str {
    let found = FRAGMENTS.iter().find(|(other, _)| *other == name);
    found
        .unwrap_or_else(|| panic!("there is no lua/lib/{name}.lua"))
        .1
}

fn set<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn the_linker_knows_every_fragment() {
    let known = FRAGMENTS
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    assert_eq!(known.collect::<Texts>(), fragments());
    assert!(FRAGMENTS.is_sorted());
}

/// A fragment that is missing would be noticed only when the script gets to the call; one too many is paid for in each call.
#[test]
fn heads_say_what_files_use() {
    let fragments = fragments();
    let mut makes: BTreeMap<String, &str> = BTreeMap::new();
    for (name, text) in &fragments {
        let shared = set(Head::of(text).shares);
        for made in shared.into_iter().chain(set(defined_in(text))) {
            let other = makes.insert(made.clone(), name);
            assert!(other.is_none(), "`{made}` is in {name} and in {other:?}");
        }
    }
    let mut faults = Vec::new();
    let mut shared_used = BTreeSet::new();
    for (name, text) in fragments.iter().chain(&verbs()) {
        let head = Head::of(text);
        let with = head.with.iter().map(|(_, name)| *name);
        let said: Vec<&str> = head
            .needs
            .iter()
            .chain(&head.rarely)
            .copied()
            .chain(with)
            .collect();
        let own: BTreeSet<String> = set(defined_in(text))
            .into_iter()
            .chain(set(GIVEN))
            .collect();
        let names = names(text);
        let mut used = BTreeSet::new();
        for word in names
            .wanted
            .union(&names.of_queue)
            .filter(|word| !own.contains(*word))
        {
            match makes.get(word) {
                Some(&maker) => {
                    shared_used.insert(word.clone());
                    used.insert(maker.to_owned());
                }
                None => faults.push(format!("{name}: nothing makes `{word}`")),
            }
        }
        // Every script has it.
        used.remove("now");
        if set(said.iter().copied()) != used || said.len() != used.len() {
            faults.push(format!("{name}: the head says {said:?}, used are {used:?}"));
        }
    }
    for (name, text) in &fragments {
        for shared in Head::of(text).shares {
            if !shared_used.contains(shared) {
                faults.push(format!("{name}: no other file uses `{shared}`"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// A local that is missing, or made too late, would be noticed only when the script gets to the line; one of two with the
/// same name hides the other.
#[test]
fn every_local_that_files_share_is_there_before_and_is_one() {
    let mut faults = BTreeSet::new();
    let mut used = BTreeSet::new();
    for (verb, text) in &verbs() {
        for part in parts(text) {
            let Fragments { always, rarely } = Fragments::of(text, part.as_deref());
            used.extend(always.iter().chain(&rarely).map(|name| (*name).to_owned()));
            let mut there: BTreeMap<String, &str> =
                GIVEN.map(|name| (name.to_owned(), "all")).into();
            let mut check = |name: &'static str, text: &str, there: &BTreeMap<String, &str>| {
                let names = names(text);
                for wanted in names
                    .wanted
                    .iter()
                    .filter(|wanted| !there.contains_key(*wanted))
                {
                    faults.insert(format!("{verb}: `{wanted}` of {name} is not there"));
                }
                for made in names.shared {
                    if let Some(other) = there.get(&made) {
                        faults.insert(format!("{verb}: `{made}` is in {other} and in {name}"));
                    }
                }
            };
            for name in always {
                let text = text_of(name);
                check(name_of(name), text, &there);
                there.extend(names(text).shared.into_iter().map(|made| (made, name)));
            }
            for name in rarely {
                check(name_of(name), text_of(name), &there);
            }
            check("the verb", text, &there);
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(
        used,
        fragments().into_keys().collect(),
        "each fragment is used"
    );
}

fn name_of(name: &str) -> &'static str {
    let found = FRAGMENTS.iter().find(|(other, _)| *other == name);
    found.map_or("", |(name, _)| name)
}

/// Six lines that stand in two files are a fragment that has not been made yet.
#[test]
fn no_lua_is_copied() {
    const WINDOW: usize = 6;
    let mut seen: BTreeMap<Vec<String>, String> = BTreeMap::new();
    for (name, text) in verbs().into_iter().chain(fragments()) {
        let lines: Vec<String> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with("--") && *line != "end")
            .map(str::to_owned)
            .collect();
        for window in lines.windows(WINDOW) {
            if let Some(other) = seen.insert(window.to_vec(), name.clone())
                && other != name
            {
                panic!("{other} and {name} share {window:#?}");
            }
        }
    }
}

/// A user who may not read the clock is stopped there, and it is known that nothing was written before.
#[test]
fn a_script_reads_the_clock_before_anything_else() {
    for (verb, text) in verbs() {
        for part in parts(&text) {
            let script = link(&text, part.as_deref());
            let (_, call) = script.split_once("redis.").unwrap();
            assert!(call.starts_with("call('TIME')"), "{verb} begins otherwise");
        }
    }
    assert_eq!(text_of("now").matches("redis.").count(), 1);
}
