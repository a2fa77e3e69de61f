//! Reads scripts, as Redis gets them, with the lints of selene: `lua-lint file.lua ..`. What is found is told by the file in
//! `lua/` that the line comes from, once, however many scripts have it.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::{env, fs};

use selene_lib::lints::Severity;
use selene_lib::standard_library::StandardLibrary;
use selene_lib::{Checker, CheckerConfig, CheckerDiagnostic};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let scripts: Vec<_> = env::args()
        .skip(1)
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap_or_else(|why| panic!("{path}: {why}"));
            let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
            (name, text)
        })
        .collect();
    let mut found: BTreeMap<Fault, usize> = BTreeMap::new();
    for (name, text) in &scripts {
        for fault in lint(name, text) {
            *found.entry(fault).or_default() += 1;
        }
    }
    // What one script does not use of a file another one may.
    let has = |file: &str| {
        scripts
            .iter()
            .filter(|(name, text)| name == file || text.contains(&format!("-- {file}\n")))
            .count()
    };
    found.retain(|fault, times| !fault.is_unused || *times == has(&fault.file));
    for fault in found.keys() {
        eprintln!("lua/{}:{}: {}", fault.file, fault.line, fault.what);
    }
    if found.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Fault {
    file: String,
    line: usize,
    what: String,
    is_unused: bool,
}

/// Lua as Redis runs it.
fn standard_library() -> StandardLibrary {
    let any = json!({ "any": true });
    let names = [
        "redis", "cmsgpack", "cjson", "struct", "bit", "KEYS", "ARGV",
    ];
    let globals: serde_json::Map<String, Value> = names
        .map(|name| (name.to_owned(), any.clone()))
        .into_iter()
        .collect();
    let of_redis = serde_json::from_value(json!({ "globals": globals })).expect("a library");
    let mut library = StandardLibrary::from_name("lua51").expect("Lua 5.1 is known");
    library.extend(of_redis);
    library
}

fn lint(script: &str, text: &str) -> Vec<Fault> {
    let ast = match full_moon::parse(text) {
        Ok(ast) => ast,
        Err(errors) => panic!("{script}: {errors:?}"),
    };
    let checker = Checker::new(CheckerConfig::<Value>::default(), standard_library());
    let checker = checker.expect("the lints are known");
    let faults = checker
        .test_on(&ast)
        .into_iter()
        .filter(|fault| fault.severity != Severity::Allow);
    let fault = |fault: CheckerDiagnostic| {
        let fault = fault.diagnostic;
        let (file, line) = place(script, &text[..fault.start_position() as usize])?;
        let is_unused = fault.code == "unused_variable";
        let what = format!(
            "{} ({}) {}",
            fault.message,
            fault.code,
            fault.notes.join("; ")
        );
        Some(Fault {
            file,
            line,
            what,
            is_unused,
        })
    };
    faults.filter_map(fault).collect()
}

/// The file and the line to which a script has got after `before`. The linker says in front of each file which it is;
/// what comes before the first is its own.
fn place(script: &str, before: &str) -> Option<(String, usize)> {
    let mut place = None;
    for line in before.split('\n') {
        place = match line.strip_prefix("-- ") {
            Some(file) if file.starts_with("lib/") && file.ends_with(".lua") => {
                Some((file.to_owned(), 0))
            }
            // The first line of its file is the first one of the script.
            Some("the verb") => Some((script.to_owned(), 1)),
            _ => place.map(|(file, line)| (file, line + 1)),
        };
    }
    place
}
