//! Children that a job adds while it runs: it waits for them at a step, whatever becomes of them.

pub(super) mod operations;
mod waiting;

use std::time::Duration;

use super::unique::{claim, dead, end, retry, stall, trim, unique};
use super::{Rig, completed, job, on_both, settlement, with};
use crate::id::{JobId, Receipt};
use crate::job::options::JobOptions;
use crate::job::outcome::Outcome;
use crate::job::state::State;
use crate::job::traits::EndTraits;
use crate::policy::flow::{ChildOf, OnDeath, StepChildren};
use crate::policy::settings::QueueSettings;
use crate::policy::steps::{StepKind, StoredStep};
use crate::store::advance::{Claimed, Settlement};
use crate::store::cancel::Cancel;
use crate::store::children::{Children, Known};
use crate::store::edit::Edit;
use crate::store::enqueue::{Met, NewJob};
use crate::store::remove::Remove;
use crate::store::replay::Replay;
use crate::store::spawn::{Spawn, Spawned};
use crate::store::step::{Step, Stored, What};
use crate::store::steps::Steps;

const MINUTE: Duration = Duration::from_secs(60);

fn child_of(parent: &str, step: u32, number: u32, on_death: OnDeath) -> ChildOf {
    ChildOf {
        queue: None,
        route: None,
        parent: JobId::stored(parent),
        number,
        on_death,
        of_step: Some(step),
    }
}

fn mortal(id: &str, step: u32, number: u32, on_death: OnDeath) -> NewJob {
    let options = JobOptions {
        child_of: Some(child_of("p", step, number, on_death)),
        ..JobOptions::new()
    };
    with(id, &options)
}

fn child(id: &str, step: u32, number: u32) -> NewJob {
    mortal(id, step, number, OnDeath::Hold)
}

/// A call for the register: a child for the job that is held there.
pub(super) fn one<'a>(id: &'a JobId, receipt: &'a Receipt, jobs: &'a [&'a NewJob]) -> Spawn<'a> {
    Spawn {
        id,
        receipt,
        number: 3,
        name: "parts",
        first: 0,
        count: 1,
        jobs,
    }
}

pub(super) fn child_of_held() -> NewJob {
    let options = JobOptions {
        child_of: Some(child_of("held", 3, 0, OnDeath::Hold)),
        ..JobOptions::new()
    };
    with("spawned", &options)
}

fn suspended(steps: &[u32]) -> Outcome {
    let steps = steps.to_vec();
    Outcome::Suspended { after: None, steps }
}

impl Rig {
    fn spawn(&mut self, parent: &Claimed, step: u32, first: u32, jobs: &[NewJob]) -> Spawned {
        let jobs: Vec<&NewJob> = jobs.iter().collect();
        self.call(&Spawn {
            id: &parent.id,
            receipt: &parent.receipt,
            number: step,
            name: &format!("step {step}"),
            first,
            count: jobs.len() as u32,
            jobs: &jobs,
        })
    }

    fn children(&mut self, id: &str) -> Known {
        let (from, max_bytes) = (0, 1 << 20);
        self.call(&Children {
            id,
            from,
            max_bytes,
        })
    }

    fn step_children(&mut self, id: &str, number: u32) -> StepChildren {
        let (from, bytes) = (1, 1 << 20);
        let page = self.call(&Steps {
            id,
            from,
            bytes,
            cut: None,
        });
        let step = page.steps.into_iter().find(|(known, ..)| *known == number);
        let step = StoredStep::decode(&step.unwrap().1).unwrap();
        assert_eq!(step.kind, StepKind::Children);
        StepChildren::decode(&step.value).unwrap()
    }

    fn open(&mut self, number: u32) -> u32 {
        self.step_children("p", number).open
    }

    fn is(&mut self, id: &str) -> Option<State> {
        self.state(&JobId::stored(id))
    }
}

/// A job `p` that runs.
fn parent(rig: &mut Rig, options: &JobOptions) -> Claimed {
    rig.enqueue(&[with("p", options)]);
    claim(rig).unwrap()
}

/// The next job is this one, and ends so.
fn ends(rig: &mut Rig, id: &str, outcome: Outcome) {
    let job = claim(rig).unwrap_or_else(|| panic!("{id} should wait"));
    assert_eq!(job.id.as_str(), id);
    end(rig, &job, outcome);
}

fn is_empty(rig: &mut Rig) -> bool {
    let parts = ["jobs", "attempts", "blocked", "delayed", "results"];
    parts.iter().all(|part| rig.size(part) == 0)
}

fn remove(rig: &mut Rig, ids: &[&str]) {
    let ids: Vec<JobId> = ids.iter().map(|id| JobId::stored(id)).collect();
    rig.call(&Remove::of(&ids));
}

fn a_job_waits_for_the_children_that_it_adds(mut rig: Rig) {
    let p = parent(&mut rig, &JobOptions::new());
    let jobs = [child("a", 1, 0), child("b", 1, 1)];
    assert_eq!(rig.spawn(&p, 1, 0, &jobs), Spawned::Stored);
    assert_eq!(rig.children("p").total, 2);
    assert_eq!(rig.step_children("p", 1), StepChildren::new(0, 2));
    end(&mut rig, &p, suspended(&[1]));
    assert_eq!(rig.is("p"), Some(State::Blocked));
    ends(&mut rig, "a", completed());
    assert_eq!((rig.is("p"), rig.open(1)), (Some(State::Blocked), 1));
    ends(&mut rig, "b", completed());
    assert_eq!((rig.is("p"), rig.open(1)), (Some(State::Waiting), 0));
    assert_eq!(rig.size("blocked"), 0);
    // A second step of the same job.
    let p = claim(&mut rig).unwrap();
    assert_eq!(rig.spawn(&p, 2, 2, &[child("c", 2, 2)]), Spawned::Stored);
    end(&mut rig, &p, suspended(&[2]));
    ends(&mut rig, "c", completed());
    assert_eq!(rig.step_children("p", 1).open, 0);
    let known = rig.children("p");
    assert_eq!((known.total, known.children.len()), (3, 3));
    ends(&mut rig, "p", completed());
    remove(&mut rig, &["a", "b", "c", "p"]);
    assert!(is_empty(&mut rig));
}

fn a_stale_attempt_adds_nothing(mut rig: Rig) {
    let stale = parent(&mut rig, &JobOptions::new());
    stall(&mut rig);
    let p = claim(&mut rig).unwrap();
    let jobs = [child("a", 1, 0)];
    let before = (rig.size("jobs"), rig.size("attempts"));
    assert_eq!(rig.spawn(&stale, 1, 0, &jobs), Spawned::LeaseLost);
    assert_eq!((rig.size("jobs"), rig.size("attempts")), before);
    assert_eq!(rig.total("refused"), 1);
    // Numbers that another step has taken.
    assert_eq!(
        rig.spawn(&p, 1, 1, &[child("a", 1, 1)]),
        Spawned::Moved { first: 0 }
    );
    assert_eq!(rig.spawn(&p, 1, 0, &jobs), Spawned::Stored);
    let before = rig.subject.dump();
    // Said again, and with other jobs: the first stays.
    for jobs in [[child("a", 1, 0)], [child("b", 1, 0)]] {
        let there = rig.spawn(&p, 1, 0, &jobs);
        assert!(matches!(there, Spawned::There { .. }), "{there:?}");
    }
    let moved = rig.spawn(&p, 2, 0, &[child("b", 2, 0)]);
    assert_eq!(moved, Spawned::Moved { first: 1 });
    assert_eq!(rig.subject.dump(), before);
}

fn children_are_added_as_a_whole(mut rig: Rig) {
    rig.enqueue(&[unique("x", "k")]);
    let x = claim(&mut rig).unwrap();
    let p = parent(&mut rig, &JobOptions::new());
    let there = [child("a", 1, 0), child("x", 1, 1)];
    let Spawned::Met(met) = rig.spawn(&p, 1, 0, &there) else {
        panic!("x is there");
    };
    assert_eq!(met[1].met, Met::Itself);
    assert_eq!(met[0].met, Met::NotWithout(JobId::stored("x")));
    let keyed = JobOptions {
        child_of: Some(child_of("p", 1, 1, OnDeath::Hold)),
        ..JobOptions::new().unique("k")
    };
    let taken = [child("a", 1, 0), with("b", &keyed)];
    let Spawned::Met(met) = rig.spawn(&p, 1, 0, &taken) else {
        panic!("x has the key");
    };
    assert_eq!(met[1].met, Met::Duplicate(x.id.clone()));
    assert_eq!((rig.size("jobs"), rig.size("attempts")), (2, 0));
    // A key that is free, and a child that waits for a child of its own.
    end(&mut rig, &x, completed());
    let below = JobOptions {
        child_of: Some(ChildOf {
            of_step: None,
            ..child_of("b", 1, 0, OnDeath::Hold)
        }),
        ..JobOptions::new()
    };
    let keyed = JobOptions {
        children: 1,
        ..keyed
    };
    let jobs = [child("a", 1, 0), with("b", &keyed), with("c", &below)];
    let jobs: Vec<&NewJob> = jobs.iter().collect();
    let spawned = rig.call(&Spawn {
        number: 1,
        count: 2,
        ..one(&p.id, &p.receipt, &jobs)
    });
    assert_eq!(spawned, Spawned::Stored);
    end(&mut rig, &p, suspended(&[1]));
    assert_eq!(rig.is("b"), Some(State::Blocked));
    for id in ["a", "c", "b", "p"] {
        ends(&mut rig, id, completed());
    }
}

/// A child that ends between the step and the end of the attempt, or in the same call, is not overlooked.
fn a_child_that_ends_meanwhile_counts(mut rig: Rig) {
    let p = parent(&mut rig, &JobOptions::new());
    rig.spawn(&p, 1, 0, &[child("a", 1, 0)]);
    ends(&mut rig, "a", completed());
    assert_eq!(rig.is("p"), Some(State::Active));
    end(&mut rig, &p, suspended(&[1]));
    assert_eq!(
        (rig.is("p"), rig.size("blocked")),
        (Some(State::Waiting), 0)
    );

    for together in [["b", "p"], ["p", "b"]] {
        let p = claim(&mut rig).unwrap();
        let step = if together[0] == "b" { 2 } else { 3 };
        rig.spawn(&p, step, step - 1, &[child("b", step, step - 1)]);
        let b = claim(&mut rig).unwrap();
        let settle = together.map(|id| {
            let (job, outcome) = match id {
                "p" => (&p, suspended(&[step])),
                _ => (&b, completed()),
            };
            Settlement {
                traits: EndTraits::of(&job.record),
                ..settlement(&job.id, &job.receipt, outcome)
            }
        });
        rig.advance(&settle, 0);
        assert_eq!((rig.is("p"), rig.open(step)), (Some(State::Waiting), 0));
        remove(&mut rig, &["b"]);
    }
}

fn the_death_of_a_child_means_what_is_said(mut rig: Rig) {
    for on_death in [OnDeath::Hold, OnDeath::GoOn, OnDeath::Fail] {
        let p = parent(&mut rig, &JobOptions::new());
        let jobs = ["a", "b"].map(|id| mortal(id, 1, u32::from(id == "b"), on_death));
        rig.spawn(&p, 1, 0, &jobs);
        end(&mut rig, &p, suspended(&[1]));
        ends(&mut rig, "a", dead());
        let known = rig.step_children("p", 1);
        let goes_on = if on_death == OnDeath::GoOn { 1 } else { 2 };
        assert_eq!(known.open, goes_on, "{on_death:?}");
        match on_death {
            OnDeath::Fail => {
                assert_eq!(known.failed, [0]);
                assert_eq!(rig.is("p"), Some(State::Waiting));
                // The rest goes on, and tells nobody a second time.
                ends(&mut rig, "b", dead());
                assert_eq!(rig.step_children("p", 1).failed, [0, 1]);
                let p = claim(&mut rig).unwrap();
                // As long as that is so, it does not wait there.
                end(&mut rig, &p, suspended(&[1]));
                assert_eq!(rig.is("p"), Some(State::Waiting));
                let ids = &["a", "b"].map(JobId::stored);
                rig.call(&Replay { ids });
                let p = claim(&mut rig).unwrap();
                ends(&mut rig, "a", completed());
                let known = rig.step_children("p", 1);
                assert_eq!((known.open, &known.failed[..]), (1, &[1][..]));
                ends(&mut rig, "b", dead());
                assert_eq!(rig.step_children("p", 1).failed, [1]);
                rig.call(&Replay { ids });
                ends(&mut rig, "b", completed());
                assert!(rig.step_children("p", 1).failed.is_empty());
                end(&mut rig, &p, completed());
            }
            OnDeath::Hold => {
                ends(&mut rig, "b", completed());
                assert_eq!(rig.is("p"), Some(State::Blocked));
                let ids = &["a"].map(JobId::stored);
                rig.call(&Replay { ids });
                ends(&mut rig, "a", completed());
                ends(&mut rig, "p", completed());
            }
            OnDeath::GoOn => {
                ends(&mut rig, "b", completed());
                let ids = &["a"].map(JobId::stored);
                rig.call(&Replay { ids });
                let p = claim(&mut rig).unwrap();
                ends(&mut rig, "a", completed());
                assert_eq!(rig.open(1), 0);
                end(&mut rig, &p, completed());
            }
        }
        remove(&mut rig, &["p", "a", "b"]);
        assert!(is_empty(&mut rig), "{on_death:?}");
    }
}

fn a_step_may_have_no_children(mut rig: Rig) {
    let p = parent(&mut rig, &JobOptions::new());
    assert_eq!(rig.spawn(&p, 1, 0, &[]), Spawned::Stored);
    assert_eq!(rig.children("p").total, 0);
    end(&mut rig, &p, suspended(&[1]));
    assert_eq!(rig.is("p"), Some(State::Waiting));
    ends(&mut rig, "p", completed());
    remove(&mut rig, &["p"]);
    assert!(is_empty(&mut rig));
}

fn what_is_beside_is_left_alone(mut rig: Rig) {
    // A child of an earlier job with the same id is none of this one.
    let p = parent(&mut rig, &JobOptions::new());
    rig.spawn(&p, 1, 0, &[child("a", 1, 0)]);
    let a = claim(&mut rig).unwrap();
    end(&mut rig, &p, completed());
    remove(&mut rig, &["p"]);
    let p = parent(&mut rig, &JobOptions::new());
    rig.spawn(&p, 1, 0, &[child("b", 1, 0)]);
    end(&mut rig, &p, suspended(&[1]));
    end(&mut rig, &a, completed());
    assert_eq!((rig.is("p"), rig.open(1)), (Some(State::Blocked), 1));
    ends(&mut rig, "b", completed());
    ends(&mut rig, "p", completed());
    rig.enqueue(&[job("x")]);
    ends(&mut rig, "x", completed());
}

on_both! {
    a_job_waits_for_the_children_that_it_adds,
    a_stale_attempt_adds_nothing,
    children_are_added_as_a_whole,
    a_child_that_ends_meanwhile_counts,
    the_death_of_a_child_means_what_is_said,
    a_step_may_have_no_children,
    what_is_beside_is_left_alone,
}
