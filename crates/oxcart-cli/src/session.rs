//! The connection to Redis, and the things in it by their names.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use oxcart::{JobId, JobInfo, JobState, Oxcart, Queue, Tls};

use crate::args::Common;
use crate::term::out::Out;
use crate::text::nearest::nearest;
use crate::text::redis_cli::redis_cli;
use crate::trouble::{Exit, Trouble};

/// How many other queues are asked for a job that is not where it was looked for.
const OTHER_QUEUES_MAX: usize = 64;

/// How long a queue that is new is waited for.
const LISTED_WITHIN: Duration = Duration::from_secs(3);

/// What every command works with.
pub(crate) struct Session {
    pub(crate) oxcart: Oxcart,
    pub(crate) out: Out,
    pub(crate) namespace: String,
    /// How `redis-cli` is told which server this is.
    pub(crate) redis_cli: String,
    /// Who this person is, for the audits of queues and for others.
    pub(crate) operator: String,
    /// The person has said yes already.
    pub(crate) yes: bool,
}

impl Session {
    pub(crate) async fn open(common: Common) -> Result<Self, Trouble> {
        let out = Out::new(common.json);
        let given = std::env::args_os().any(|arg| arg.to_string_lossy().starts_with("--url"));
        if given && has_password(&common.url) {
            out.note("the password can be seen in the list of processes; set OXCART_REDIS_URL instead of --url");
        }
        let operator = common.operator.clone().unwrap_or_else(user_at_host);
        let mut builder = Oxcart::builder()
            .namespace(&common.namespace)
            .operator(&operator);
        if let Some(tls) = tls(&common)? {
            builder = builder.tls(tls);
        }
        Ok(Self {
            oxcart: builder.connect(&common.url).await?,
            redis_cli: redis_cli(&common.url),
            out,
            namespace: common.namespace,
            operator,
            yes: common.yes,
        })
    }

    /// A queue that exists.
    pub(crate) async fn queue(&self, name: &str) -> Result<Queue, Trouble> {
        let queue = self.oxcart.queue(name)?;
        let names = self.oxcart.queues().await?;
        if names.iter().any(|known| known == name) {
            return Ok(queue);
        }
        let hint = match names.len() {
            0 => "there is no queue in this namespace yet; see --namespace and --url",
            _ => "`oxcart queue ls` lists all queues",
        };
        let nearest = nearest(name, names.iter().map(String::as_str));
        Err(Trouble::not_found(format!("there is no queue `{name}`"))
            .hint(hint)
            .nearest(nearest))
    }

    /// A queue that exists, or with `--new-queue` one that does not exist yet.
    pub(crate) async fn queue_or_new(&self, name: &str, new: bool) -> Result<Queue, Trouble> {
        if new {
            return Ok(self.oxcart.queue(name)?);
        }
        let queue = self.queue(name).await;
        queue.map_err(|trouble| match &trouble.nearest {
            None if trouble.exit == Exit::NotFound => trouble.hint("--new-queue makes it"),
            _ => trouble,
        })
    }

    /// Waits until a queue is on the list of queues: a producer puts it there when its first job was acknowledged, and this program
    /// may be over by then.
    pub(crate) async fn until_listed(&self, name: &str) -> Result<(), Trouble> {
        let started = Instant::now();
        while started.elapsed() < LISTED_WITHIN {
            if self
                .oxcart
                .queues()
                .await?
                .iter()
                .any(|known| known == name)
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.out.note(format_args!(
            "the job is there, and `{name}` is not on the list of queues yet; its worker puts it there"
        ));
        Ok(())
    }

    /// A job that exists.
    pub(crate) async fn job(&self, queue: &Queue, id: &JobId) -> Result<JobInfo, Trouble> {
        match queue.job(id).await? {
            Some(job) => Ok(job),
            None => Err(self.no_job(queue, id).await),
        }
    }

    /// What to say of a job that is not there. It may be in another queue, or have an id that is nearly the same.
    pub(crate) async fn no_job(&self, queue: &Queue, id: &JobId) -> Trouble {
        let name = queue.name();
        let trouble = Trouble::not_found(format!("there is no job {id} in `{name}`"));
        match self.place_of(id).await {
            Some(other) => trouble.hint(format!("it is in `{other}`")),
            None => {
                let ids = first_ids(queue).await;
                let nearest = nearest(id.as_str(), ids.iter().map(JobId::as_str));
                trouble
                    .hint("it never was there, was removed, or ended and was dropped; see `keep_completed` in `oxcart queue settings`")
                    .nearest(nearest)
            }
        }
    }

    async fn place_of(&self, id: &JobId) -> Option<String> {
        let names = self.oxcart.queues().await.ok()?;
        let asked = names.into_iter().take(OTHER_QUEUES_MAX).map(async |name| {
            let found = self.oxcart.queue(&name).ok()?.job(id).await.ok()?;
            found.map(|_| name)
        });
        let mut found = futures_util::stream::iter(asked).buffered(16).boxed_local();
        while let Some(place) = found.next().await {
            if place.is_some() {
                return place;
            }
        }
        None
    }
}

/// The ids of the first jobs in each state.
async fn first_ids(queue: &Queue) -> Vec<JobId> {
    let mut ids = Vec::new();
    for state in JobState::ALL {
        if let Ok(page) = queue.jobs(*state).await {
            ids.extend(page.jobs.into_iter().map(|job| job.id));
        }
    }
    ids
}

/// Who has started this program, as far as it knows.
fn user_at_host() -> String {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let file = |name| std::fs::read_to_string(name).ok();
    let user = variable("USER")
        .or_else(|| variable("LOGNAME"))
        .or_else(|| variable("USERNAME"));
    let host = variable("HOSTNAME")
        .or_else(|| file("/proc/sys/kernel/hostname"))
        .or_else(|| file("/etc/hostname"))
        .or_else(|| variable("COMPUTERNAME"));
    let user = user.as_deref().unwrap_or("somebody");
    match host.as_deref().map(str::trim) {
        Some(host) if !host.is_empty() => format!("{user}@{host}"),
        _ => user.to_owned(),
    }
}

/// Whether there is something between the first `:` behind `//` and the last `@`.
fn has_password(url: &str) -> bool {
    let authority = url.split_once("//").map_or("", |(_, rest)| rest);
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    user.split_once(':')
        .is_some_and(|(_, word)| !word.is_empty())
}

fn tls(common: &Common) -> Result<Option<Tls>, Trouble> {
    if common.tls_ca.is_none() && common.tls_certificate.is_none() {
        return Ok(None);
    }
    let mut tls = Tls::new();
    if let Some(file) = &common.tls_ca {
        tls = tls.ca(read(file)?);
    }
    if let (Some(certificate), Some(key)) = (&common.tls_certificate, &common.tls_key) {
        tls = tls.client_certificate(read(certificate)?, read(key)?);
    }
    Ok(Some(tls))
}

fn read(file: &Path) -> Result<Vec<u8>, Trouble> {
    let read = std::fs::read(file);
    read.map_err(|error| Trouble::usage(format!("cannot read {}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::has_password;

    #[test]
    fn a_password_in_a_url_is_noticed() {
        assert!(has_password("redis://user:secret@host:6379/0"));
        assert!(has_password("rediss://:se@cret@host"));
        for none in [
            "redis://host:6379/0",
            "redis://user@host",
            "redis://user:@host",
            "host",
        ] {
            assert!(!has_password(none), "{none}");
        }
    }
}
