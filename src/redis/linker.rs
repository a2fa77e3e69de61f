//! Puts a script together: the file of its verb, the fragments (`lua/lib/<name>.lua`) that this file needs,
//! and the fragments that these need.
//!
//! Each file says in its head, the comment it begins with, which fragments it uses:
//!
//! ```lua
//! -- needs: meta, count        these are made when the script begins
//! -- rarely: attempts          these are made when one of their functions is called for the first time
//! -- with all: offers          like `rarely`, but only in the script of the verb that is made `with` this part
//! -- shares: meta              locals of this file that others use: such a file is always made when the script begins
//! ```
//!
//! Lua makes each function of a script anew in each call, for about 1,000 instructions of the server. So fragments that most
//! calls do not use are `rarely`: when a call uses a name that `queue` does not have yet, one function makes the fragment
//! that has this name, alone. Each key costs every call of a script; keys that few calls need are kept out of the others by `with`.
//!
//! `tests/architecture/lua.rs` compares each head with what the file uses.

/// `(name, text)` of every file in `lua/lib`.
macro_rules! fragments {
    ($($name:ident)*) => {
        &[$((
            stringify!($name),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/lua/lib/", stringify!($name), ".lua")),
        )),*]
    };
}

/// Every fragment there is.
pub(crate) const FRAGMENTS: &[(&str, &str)] = fragments! {
    active add admission admit again alert_round arguments arm aside attempts batch begun blocked breaker breaker_window bury callbacks
    cancel cancelled cap cap_dead change child_fields children claim claim_types claims count debounce delayed
    deliver describe digits draft drained due duplicate emit emit_value enter expire expiry far_types find find_job
    finish fitting flow forget forget_attempts freed gate gated gates_left group_limit group_pace group_share head
    heads held hold hold_queue holds_parent idle job_log job_name job_replies jobs_of_call judge kept lease leave leaving limit
    line_up lines lists lost lost_places message meta missing_children moment news next_blocked now offers once
    opening optional order outbox outcome outlook overdue owns paces pass paused_names places promote rate readable
    receive_cancel receive_child receive_children receive_expand receive_forward receive_jobs record refuse
    remembered reply requests resumed room running saga said schedules sentinel set_aside settings settle shown
    spawned stamp started steps subscribed subscription successor suspects suspended take_out tally tell tell_far
    tend_gates tick timer told topic_log turn types unhandled unique unplace unset upcoming waits wake wanted watched whole
    window
};

/// Reads the clock. It comes first in every script, because a user who may not read the clock must be stopped before
/// anything is written.
const CLOCK: &str = "now";

/// What the head of a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    pub(crate) needs: Vec<&'a str>,
    pub(crate) rarely: Vec<&'a str>,
    /// The part of a verb, and the fragment.
    pub(crate) with: Vec<(&'a str, &'a str)>,
    pub(crate) shares: Vec<&'a str>,
}

impl<'a> Head<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        let mut head = Self::default();
        let comments = text.lines().skip_while(|line| line.starts_with("#!"));
        for line in comments.map_while(|line| line.strip_prefix("--")) {
            let Some((what, names)) = line.trim_start().split_once(": ") else {
                continue;
            };
            let names = names.split(',').map(str::trim);
            match what {
                "needs" => head.needs.extend(names),
                "rarely" => head.rarely.extend(names),
                "shares" => head.shares.extend(names),
                _ => {
                    let part = what.strip_prefix("with ");
                    let part = part.filter(|part| !part.contains(' '));
                    head.with
                        .extend(names.filter_map(|name| Some((part?, name))));
                }
            }
        }
        head
    }

    /// The fragments that the file uses in a script that is made with this part.
    fn uses(&self, part: Option<&str>) -> impl Iterator<Item = &'a str> {
        let with = self.with.iter().filter(move |(of, _)| Some(*of) == part);
        let with = with.map(|(_, name)| *name);
        self.needs.iter().chain(&self.rarely).copied().chain(with)
    }
}

/// The names that a fragment adds to `queue`.
pub(crate) fn defined_in(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| {
        let function = line.strip_prefix("function queue.");
        let function = function.and_then(|rest| rest.split('(').next());
        let values = line
            .strip_prefix("queue.")
            .and_then(|_| line.split_once(" = "));
        let values = values.map_or("", |(names, _)| names).split(", ");
        let values = values.filter_map(|name| name.strip_prefix("queue."));
        function.into_iter().chain(values)
    })
}

/// A fragment's text; empty for a name that there is not.
fn text_of(name: &str) -> &'static str {
    let named = FRAGMENTS.iter().find(|(other, _)| *other == name);
    named.map_or("", |(_, text)| text)
}

/// The fragments of a script.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fragments<'a> {
    /// Made when the script begins, each behind the fragments that it needs.
    pub(crate) always: Vec<&'a str>,
    /// Made when they are used.
    pub(crate) rarely: Vec<&'a str>,
}

impl<'a> Fragments<'a> {
    /// The fragments that a verb's file uses.
    pub(crate) fn of(verb: &'a str, part: Option<&str>) -> Self {
        let head = Head::of(verb);
        let mut all: Vec<&str> = Vec::new();
        let mut found: Vec<&str> = head.uses(part).collect();
        while !found.is_empty() {
            found.retain(|name| !all.contains(name));
            found.dedup();
            all.extend(&found);
            let next = found.iter().flat_map(|name| {
                let head = Head::of(text_of(name));
                head.uses(part).collect::<Vec<_>>()
            });
            let mut next: Vec<&str> = next.collect();
            next.sort_unstable();
            found = next;
        }
        let shares = |name: &&&str| !Head::of(text_of(name)).shares.is_empty();
        let mut always = Vec::new();
        let first = [CLOCK]
            .into_iter()
            .chain(all.iter().filter(shares).copied());
        for name in first.chain(head.needs) {
            add_with_needs(name, &mut always);
        }
        let mut rarely = Vec::new();
        for name in all {
            if !always.contains(&name) && !rarely.contains(&name) {
                rarely.push(name);
            }
        }
        Self { always, rarely }
    }
}

/// Adds a fragment behind all that it needs. Fragments that need each other are added in any order.
fn add_with_needs<'a>(name: &'a str, always: &mut Vec<&'a str>) {
    fn add<'a>(name: &'a str, under_way: &mut Vec<&'a str>, always: &mut Vec<&'a str>) {
        if always.contains(&name) || under_way.contains(&name) {
            return;
        }
        under_way.push(name);
        for needed in Head::of(text_of(name)).needs {
            add(needed, under_way, always);
        }
        always.push(name);
    }
    add(name, &mut Vec::new(), always);
}

/// The first line of a verb's file: what Redis has to know of the script.
pub(crate) fn shebang(verb: &str) -> &str {
    verb.lines().next().unwrap_or_default()
}

/// Puts a script together, but for its first line and the names of its keys. `verb` is the text of its own file, `part` the part
/// with which the script is made, if it is.
pub(crate) fn link(verb: &str, part: Option<&str>) -> String {
    let own = verb.split_once('\n').map_or("", |(_, own)| own);
    let fragments = Fragments::of(verb, part);
    let mut body = "local queue = {}\n".to_owned();
    for name in fragments.always {
        body.extend(["\n-- lib/", name, ".lua\n"]);
        push_code(&mut body, text_of(name));
    }
    let mut word = "\nsetmetatable(queue, { __index = function(_, wanted)\nif ";
    for name in &fragments.rarely {
        let text = text_of(name);
        let names = defined_in(text).map(|name| format!("wanted == '{name}'"));
        let names = names.collect::<Vec<_>>().join(" or ");
        body.extend([word, names.as_str(), " then\n\n-- lib/", name, ".lua\n"]);
        push_code(&mut body, text);
        word = "\nelseif ";
    }
    if !fragments.rarely.is_empty() {
        body.push_str("\nend\nreturn rawget(queue, wanted)\nend })\n");
    }
    body.push_str("\n-- the verb\n");
    push_code(&mut body, own);
    body
}

/// Without comments, which are for readers of the files: a third of what Redis would have to be sent.
pub(crate) fn push_code(body: &mut String, text: &str) {
    for line in text.lines() {
        if !line.trim_start().starts_with("--") {
            body.push_str(line);
            body.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_what_a_file_uses() {
        let text = "#!lua\n-- What it does: this. needs: nothing\n--\n-- needs: meta, whole\n-- rarely: room\n\
                    -- with parts: offers\n-- with other words: no\n-- shares: A, b\nlocal A, b = 1\n-- needs: no\n";
        let head = Head {
            needs: vec!["meta", "whole"],
            rarely: vec!["room"],
            with: vec![("parts", "offers")],
            shares: vec!["A", "b"],
        };
        assert_eq!(Head::of(text), head);
    }

    #[test]
    fn names_are_defined_by_functions_and_by_values() {
        let text = "function queue.one(a)\n  function queue.no() end\nend\nqueue.TWO, queue.THREE = 2, 3\n\
                    queue.four(5)\nlocal x = queue.five\n";
        assert_eq!(
            defined_in(text).collect::<Vec<_>>(),
            ["one", "TWO", "THREE"]
        );
    }

    #[test]
    fn what_is_needed_comes_before_what_needs_it_and_the_clock_first() {
        let fragments = Fragments::of("#!lua\n-- needs: count\n-- rarely: attempts\n", None);
        assert_eq!(fragments.always[0], CLOCK);
        let at = |name: &str| fragments.always.iter().position(|other| *other == name);
        assert!(at("meta") < at("count") && at("whole") < at("count"));
        assert!(at("meta").is_some() && at("attempts").is_none());
        assert!(fragments.rarely.contains(&"attempts"));
    }

    #[test]
    fn what_belongs_to_a_part_is_in_scripts_with_that_part_alone() {
        let verb = "#!lua\n-- needs: claim\n";
        let has_offers = |part| Fragments::of(verb, part).rarely.contains(&"offers");
        assert!(!has_offers(None) && !has_offers(Some("other")) && has_offers(Some("all")));
    }
}
