//! Where a job comes from: the job or event in whose handler it is enqueued.
//!
//! What an attempt enqueues or publishes gets two headers, named as in the extension *correlation* of CloudEvents: `causationid`, the id of the
//! job that runs, and `correlationid`, that of the whole chain of causes. A job that is enqueued anywhere else gets none.

use std::sync::Arc;

use crate::id::JobId;
use crate::job::headers;

/// All that came of the same first cause has the same one.
pub(crate) const CORRELATION: &str = "correlationid";
/// The id of the job or event that caused this one.
pub(crate) const CAUSATION: &str = "causationid";
/// Who says so: a URI reference.
pub(crate) const SOURCE: &str = "source";

/// A job whose attempt is under way.
pub(crate) trait Running: Send + Sync {
    fn id(&self) -> &JobId;

    fn headers(&self) -> &[(String, String)];
}

tokio::task_local! {
    static RUNNING: Arc<dyn Running>;
}

/// Runs a part of an attempt, in which this job is the cause of what is enqueued. Tasks that it spawns are not inside.
pub(crate) fn within<F: Future>(
    cause: Arc<dyn Running>,
    attempt: F,
) -> impl Future<Output = F::Output> {
    RUNNING.scope(cause, attempt)
}

/// The id of the chain of causes to which a job belongs: that of the job itself, if it has no cause.
pub(crate) fn correlation_of<'a>(id: &'a JobId, headers: &'a [(String, String)]) -> &'a str {
    header_of(headers, CORRELATION).unwrap_or(id.as_str())
}

pub(crate) fn header_of<'a>(headers: &'a [(String, String)], key: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(known, _)| known == key);
    found.map(|(_, value)| value.as_str())
}

/// Adds what the caller's attempt gives to headers of a job, but for what these have already. What does not fit is left out: it never makes a job
/// fail.
pub(crate) fn inherit(headers: &mut Vec<(String, String)>) {
    // Outside of attempts there is nothing to do.
    let _ = RUNNING.try_with(|cause| {
        let correlation = correlation_of(cause.id(), cause.headers());
        add(
            headers,
            &[(CORRELATION, correlation), (CAUSATION, cause.id().as_str())],
        );
    });
}

/// Adds all of these that are not there, or none if they do not fit.
pub(crate) fn add(headers: &mut Vec<(String, String)>, all: &[(&str, &str)]) {
    let missing = |(key, _): &&(&str, &str)| header_of(headers, key).is_none();
    let missing: Vec<_> = all.iter().filter(missing).collect();
    let bytes: usize = missing
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    if bytes > headers::room(headers) {
        return;
    }
    let missing = missing.into_iter();
    headers.extend(missing.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::job::options::JobOptions;
    use crate::job::record::EncodedRecord;

    struct Job {
        id: JobId,
        headers: Vec<(String, String)>,
    }

    impl Running for Job {
        fn id(&self) -> &JobId {
            &self.id
        }

        fn headers(&self) -> &[(String, String)] {
            &self.headers
        }
    }

    fn header(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    /// What a job with these headers gets, enqueued by the job `b` with those.
    fn inherited(running: &[(String, String)], own: &[(String, String)]) -> Vec<(String, String)> {
        let id = JobId::new("b").unwrap();
        let headers = running.to_vec();
        let running = Arc::new(Job { id, headers });
        let mut headers = own.to_vec();
        let inherit = async { inherit(&mut headers) };
        within(running, inherit).now_or_never().unwrap();
        headers
    }

    #[test]
    fn a_job_gets_its_cause_and_the_first_of_all_causes() {
        let all = [header(CORRELATION, "b"), header(CAUSATION, "b")];
        assert_eq!(inherited(&[], &[]), all);
        let running = [header(CORRELATION, "a"), header(CAUSATION, "aa")];
        let all = [header(CORRELATION, "a"), header(CAUSATION, "b")];
        assert_eq!(inherited(&running, &[]), all);
    }

    #[test]
    fn what_the_application_says_stays() {
        let own = [header("k", "v"), header(CAUSATION, "x")];
        let all = [&own[..], &[header(CORRELATION, "b")]].concat();
        assert_eq!(inherited(&[], &own), all);
    }

    #[test]
    fn it_costs_91_bytes_of_the_record() {
        let bytes =
            |headers| EncodedRecord::new("step", vec![0xc0], &JobOptions::new(), headers).bytes();
        let (id, first) = (JobId::generate(), JobId::generate());
        let all = vec![
            header(CORRELATION, first.as_str()),
            header(CAUSATION, id.as_str()),
        ];
        assert_eq!(bytes(all), bytes(Vec::new()) + 91);
    }

    #[test]
    fn outside_of_attempts_nothing_is_added() {
        let mut headers = vec![header("k", "v")];
        inherit(&mut headers);
        assert_eq!(headers, [header("k", "v")]);
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let needed = CORRELATION.len() + CAUSATION.len() + 2;
        for (free, added) in [(needed, 2), (needed - 1, 0), (0, 0)] {
            let own = [header("k", &"v".repeat(1024 - 1 - free))];
            let headers = inherited(&[], &own);
            assert_eq!(headers.len(), 1 + added, "{free}");
            headers::check(&headers).unwrap();
        }
    }
}
