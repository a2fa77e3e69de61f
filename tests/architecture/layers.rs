//! Which module may use which: arrows between layers point down, nothing above the seam knows what is
//! behind it, and modules of one folder do not go in circles.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::uses::uses;
use super::{files, root};

/// From the bottom to the top; a file may use its own layer and those below.
const LAYERS: &[&[&str]] = &[
    &[
        "job",
        "policy",
        "cron",
        "id",
        "name",
        "codec",
        "time",
        "error",
        "runtime",
        "metrics",
        "propagation",
    ],
    &["redis", "tls_library", "tls_advice", "tls_certified"],
    &["store", "memory"],
    &["queue", "events", "oxcart", "topic", "breaker", "gauges"],
    &["service"],
    &["schedule"],
    &["alerts"],
    &["maintenance"],
    &["worker"],
    &["testing"],
];

/// Above the layer `store` nothing knows where queues live: in Redis or in memory.
const BEHIND_THE_SEAM: &[&str] = &["redis", "memory"];
/// The doors through which an application chooses where they live.
const DOORS: &[(&str, &str)] = &[("testing", "memory")];

/// Modules of one folder that need one another, and why that is so. Others never do.
const CIRCLES: &[(&str, &[&str], &str)] = &[
    (
        "",
        &["error", "id", "name", "time"],
        "an error names a job, and what is wrong with an id, a name or a time is an error",
    ),
    (
        "",
        &["memory", "store"],
        "a verb is in one, and its second implementation in the other",
    ),
    (
        "events",
        &["event", "stream"],
        "what is read, and the cursor that it carries",
    ),
    (
        "memory",
        &[
            "alerts",
            "attempts",
            "breaker",
            "children",
            "delayed",
            "emit",
            "gate",
            "lease",
            "leave",
            "log",
            "once",
            "order",
            "recover",
            "saga",
            "schedules",
            "state",
            "steps",
            "subscribed",
            "tally",
            "topic",
            "unhandled",
            "unique",
            "workers",
        ],
        "one value, the state of a queue, of which each file has a part",
    ),
    (
        "queue",
        &["awaited", "enqueue", "handle"],
        "a request becomes a handle, and a handle waits for the result of a request",
    ),
    (
        "redis",
        &["cluster", "connection", "reconnecting"],
        "the connector makes connections, and keeps the shared one; a cluster gives each node a connector, by which connections to its slots are made",
    ),
    (
        "schedule",
        &["builder", "edit"],
        "what is built is stored by the other, which says what it did",
    ),
    (
        "schedule",
        &["info", "rule"],
        "the stored form, and what is told of it",
    ),
    (
        "worker",
        &["context", "extract", "saga", "steps"],
        "the context is an argument like others, holds what they are made from, and is what steps and sagas are called on",
    ),
];

/// What points up, and is to be moved: the file, what it uses, and why that is so.
const UPWARDS: &[(&str, &str, &str)] = &[];

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
        if own == ["lib"] || own.iter().any(|part| part == "tests") {
            continue;
        }
        let layer = rank(&own[0]).unwrap_or_else(|| panic!("`{}` is in no layer", own[0]));
        let text = fs::read_to_string(&file).unwrap();
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        for used in uses(&text, &own).iter().filter(|used| !used.in_tests) {
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

/// Every module of the crate, and what it names, but for tests.
fn modules() -> BTreeMap<Vec<String>, Vec<Vec<String>>> {
    let src = root().join("src");
    let face = names_of_the_face();
    let mut modules = BTreeMap::new();
    for file in files(&src, "rs") {
        let inside = file.strip_prefix(&src).unwrap();
        let own = module(inside);
        if own == ["lib"] || own.iter().any(|part| part == "tests") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let path: Vec<&str> = own.iter().map(String::as_str).collect();
        let used = uses(&text, &path).into_iter().filter(|used| !used.in_tests);
        // A name of the face stands for the module where it comes from.
        let used = used.map(
            |used| match used.path.first().and_then(|name| face.get(name)) {
                Some(module) => vec![module.clone()],
                None => used.path,
            },
        );
        modules.insert(own, used.collect());
    }
    modules
}

/// What is above the seam (`store/backend`) would otherwise not run on another backend.
#[test]
fn nothing_above_the_seam_knows_where_queues_live() {
    let above = rank("store").unwrap() + 1;
    let mut faults = BTreeSet::new();
    for (own, used) in modules() {
        let is_above = rank(&own[0]).is_some_and(|rank| rank >= above);
        for path in used.iter().filter(|path| !path.is_empty()) {
            let is_door = DOORS.contains(&(own[0].as_str(), path[0].as_str()));
            if is_above && BEHIND_THE_SEAM.contains(&path[0].as_str()) && !is_door {
                faults.insert(format!("{}: {}", own.join("::"), path.join("::")));
            }
        }
    }
    assert!(faults.is_empty(), "these know it: {faults:#?}");
}

/// Modules of one folder that need one another can only be read, tested and moved together. A module and
/// those inside of it belong together, and are no circle.
#[test]
fn no_modules_of_one_folder_go_in_circles() {
    let modules = modules();
    let exists = |path: &[String]| modules.keys().any(|known| known.starts_with(path));
    // Of each folder: which of its modules needs which.
    let mut needs: BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (own, used) in &modules {
        for path in used {
            let shared = own.iter().zip(path).take_while(|(a, b)| a == b).count();
            if let (Some(from), Some(to)) = (own.get(shared), path.get(shared))
                && exists(&path[..=shared])
            {
                let folder = needs.entry(own[..shared].to_vec()).or_default();
                folder.entry(from.clone()).or_default().insert(to.clone());
            }
        }
    }
    assert!(needs.len() > 5, "{needs:?}");
    let mut circles = BTreeSet::new();
    for (folder, needs) in &needs {
        for start in needs.keys() {
            let from_there = reached(needs, start);
            let back = |other: &&String| reached(needs, other).contains(start);
            let circle: Vec<String> = from_there.iter().filter(back).cloned().collect();
            if !circle.is_empty() {
                circles.insert((folder.join("::"), circle));
            }
        }
    }
    let known = CIRCLES.iter().map(|(folder, circle, _)| {
        let circle = circle.iter().map(|name| (*name).to_owned()).collect();
        ((*folder).to_owned(), circle)
    });
    let known: BTreeSet<(String, Vec<String>)> = known.collect();
    let new: Vec<_> = circles.difference(&known).collect();
    assert!(new.is_empty(), "these modules need one another: {new:#?}");
    let mended: Vec<_> = known.difference(&circles).collect();
    assert!(
        mended.is_empty(),
        "no circles any more, take them out: {mended:#?}"
    );
}

/// All that is needed from there, directly or by way of others.
fn reached(needs: &BTreeMap<String, BTreeSet<String>>, start: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut ahead = vec![start.to_owned()];
    while let Some(next) = ahead.pop() {
        for other in needs.get(&next).into_iter().flatten() {
            if reached.insert(other.clone()) {
                ahead.push(other.clone());
            }
        }
    }
    reached
}
