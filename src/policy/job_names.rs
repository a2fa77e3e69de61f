//! Names of jobs, where jobs are stored, found or paused by them.

use crate::error::Error;
use crate::policy::key::decode_key;

/// A job with a longer name is not kept by its name.
pub(crate) const NAME_BYTES_MAX: usize = 256;
/// So many names may be paused at a time.
pub(crate) const PAUSED_AT_MOST: usize = 256;

/// Whether jobs of this name can be kept by their name: the store marks the end of a name with a control
/// character.
pub(crate) fn finds_its_worker(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX && !name.contains(char::is_control)
}

/// Between the name of a job and the version of its payload. No name has it (`name.rs`).
const VERSION_SIGN: char = '#';
/// A worker asks for jobs of so many versions before its own. Jobs of older versions that were handed back, by workers that are older still,
/// come back into line when they may be too old.
const VERSIONS_ASKED: u32 = 16;

/// The name under which jobs are kept whose payload is of a version that a worker does not know.
pub(crate) fn with_version(name: &str, version: u32) -> String {
    format!("{name}{VERSION_SIGN}{version}")
}

/// The names under which jobs are kept that a worker can run whose handler reads this version, and older ones.
pub(crate) fn names_up_to(name: &str, version: u32) -> impl Iterator<Item = String> + '_ {
    let versions = version.saturating_sub(VERSIONS_ASKED).max(1) + 1..=version;
    let newer = versions.map(move |version| with_version(name, version));
    std::iter::once(name.to_owned()).chain(newer)
}

/// The name of the job, of a name under which it is kept.
#[allow(
    dead_code,
    reason = "only queues in memory ask for it, and these are a feature"
)]
pub(crate) fn without_version(name: &str) -> &str {
    name.split(VERSION_SIGN).next().unwrap_or_default()
}

/// Refuses a name whose jobs cannot be paused.
pub(crate) fn check_job_name(name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::invalid(
            "the name of the jobs is empty; give the `NAME` of their type, or use `Queue::pause` for all jobs",
        ));
    }
    if !finds_its_worker(name) {
        let begins: String = name.chars().take(40).collect();
        return Err(Error::invalid(format!(
            "jobs whose name begins with {begins:?} ({} bytes) cannot be paused by it; a name of up to {NAME_BYTES_MAX} bytes without \
             control characters is allowed",
            name.len()
        )));
    }
    Ok(())
}

/// The names that are paused, in alphabetical order, from what is stored (`lua/lib/paused_names.lua`).
pub(crate) fn paused_in(stored: &str) -> Vec<String> {
    let names = stored.split(' ').filter(|name| !name.is_empty());
    let mut names: Vec<String> = names.map(|name| decode_key(name).into_owned()).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cannot_be_paused_are_refused_and_the_message_says_why() {
        for fine in ["mail", "send mail", "ü%", &"x".repeat(NAME_BYTES_MAX)] {
            assert!(check_job_name(fine).is_ok(), "{fine}");
        }
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for (odd, why) in [
            ("", "empty"),
            ("a\nb", "control"),
            (long.as_str(), "257 bytes"),
        ] {
            let error = check_job_name(odd).unwrap_err();
            assert!(
                error.is_invalid() && error.to_string().contains(why),
                "{error}"
            );
            assert!(error.to_string().len() < 300, "{error}");
        }
    }

    #[test]
    fn paused_names_are_read_as_they_were_given() {
        assert_eq!(paused_in(""), [""; 0]);
        assert_eq!(paused_in(" mail a%20b %C3%BC "), ["a b", "mail", "ü"]);
    }
}
