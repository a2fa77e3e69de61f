//! The names in a Lua file: those that it makes, those that the files after it can use, and those that
//! have to be there before.

use std::collections::BTreeSet;

/// What Lua and Redis give to a script.
const GIVEN: &[&str] = &[
    "ARGV",
    "KEYS",
    "assert",
    "bit",
    "cjson",
    "cmsgpack",
    "error",
    "getmetatable",
    "ipairs",
    "math",
    "next",
    "pairs",
    "pcall",
    "rawget",
    "rawset",
    "redis",
    "select",
    "setmetatable",
    "string",
    "struct",
    "table",
    "tonumber",
    "tostring",
    "type",
    "unpack",
];
const KEYWORDS: &[&str] = &[
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local",
    "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
];

/// The names of one file.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Locals of the file itself, outside of all functions.
    pub(crate) shared: BTreeSet<String>,
    /// What is used and made nowhere in the file.
    pub(crate) wanted: BTreeSet<String>,
    /// What is used or made of the table `queue`.
    pub(crate) of_queue: BTreeSet<String>,
}

struct Word<'a> {
    text: &'a str,
    /// It begins its line.
    is_first: bool,
}

/// Words and signs, without comments and texts.
fn words(source: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let at = source.len() - rest.len();
        let is_first = at == 0 || source[..at].ends_with('\n');
        let length = if at == 0 && rest.starts_with("#!") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(comment) = rest.strip_prefix("--") {
            match comment.starts_with("[[") {
                true => rest.find("]]").map_or(rest.len(), |end| end + 2),
                false => rest.find('\n').unwrap_or(rest.len()),
            }
        } else if rest.starts_with("[[") {
            rest.find("]]").map_or(rest.len(), |end| end + 2)
        } else if first == '\'' || first == '"' {
            end_of_text(rest, first)
        } else if first.is_ascii_alphanumeric() || first == '_' {
            let of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            rest.find(|c| !of_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let text = &rest[..length];
        let is_quoted = text.starts_with(['\'', '"']) || text.starts_with("[[");
        if !is_quoted
            && !text.starts_with("--")
            && !text.starts_with("#!")
            && !text.trim().is_empty()
        {
            words.push(Word { text, is_first });
        }
        rest = &rest[length..];
    }
    words
}

fn end_of_text(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn is_name(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && !KEYWORDS.contains(&text)
}

/// The names of a file.
pub(crate) fn names(source: &str) -> Names {
    let words = words(source);
    let text = |at: usize| words.get(at).map_or("", |word| word.text);
    let mut names = Names::default();
    let mut made = BTreeSet::new();
    let mut used = BTreeSet::new();
    let mut brackets = Vec::new();
    for at in 0..words.len() {
        match text(at) {
            sign @ ("{" | "(" | "[") => brackets.push(sign),
            "}" | ")" | "]" => drop(brackets.pop()),
            "local" => {
                let is_function = text(at + 1) == "function";
                for name in list(&words, at + 1 + usize::from(is_function)) {
                    if words[at].is_first {
                        names.shared.insert(name.clone());
                    }
                    made.insert(name);
                }
            }
            "for" => made.extend(list(&words, at + 1)),
            "function" => {
                let mut open = at + 1;
                while !matches!(text(open), "(" | "") {
                    open += 1;
                }
                made.extend(list(&words, open + 1));
            }
            name if is_name(name) => {
                // `a.name`, but not `a .. name`.
                let before = |signs: usize| at.checked_sub(signs).map_or("", text);
                let is_part = before(1) == ":" || (before(1) == "." && before(2) != ".");
                let is_set = text(at + 1) == "=" && text(at + 2) != "=";
                let is_key = is_set && brackets.last() == Some(&"{");
                if is_part && before(2) == "queue" {
                    names.of_queue.insert(name.to_owned());
                }
                if !is_part && !is_key {
                    used.insert(name.to_owned());
                }
            }
            _ => {}
        }
    }
    names.wanted = &used - &made;
    names.wanted.retain(|name| !GIVEN.contains(&name.as_str()));
    names
}

/// Names with commas between them.
fn list(words: &[Word<'_>], from: usize) -> Vec<String> {
    let mut names = Vec::new();
    let mut at = from;
    while let Some(word) = words.get(at).filter(|word| is_name(word.text)) {
        names.push(word.text.to_owned());
        if words.get(at + 1).map(|word| word.text) != Some(",") {
            break;
        }
        at += 2;
    }
    names
}

#[test]
fn what_a_file_makes_and_wants_is_seen() {
    let names = names(
        "#!lua flags=not-this\nlocal LIMIT, other = 5, 'not.this' -- nor this\n\
         local function shared(a, b)\n  local inner = { key = a, [wanted_index] = b }\n\
         \n  for i, v in ipairs(inner) do inner[i] = v .. wanted.part:method(\"x \\\" y\") end\n\
           return inner == LIMIT and wanted_too\nend\n\
         function queue.verb(c) return shared(c) + redis.call('GET', KEYS[1]) end\n\
         --[[ no\nno ]] wanted_set = 1\n",
    );
    let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(list(&names.shared), "LIMIT other shared");
    assert_eq!(
        list(&names.wanted),
        "queue wanted wanted_index wanted_set wanted_too"
    );
    assert_eq!(list(&names.of_queue), "verb");
}
