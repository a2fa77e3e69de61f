use super::*;
use crate::job::failure::Failure;
use crate::policy::job_names::NAME_BYTES_MAX;

fn rules() -> Rules {
    Rules {
        strategies: HashMap::from([(
            "steps".to_owned(),
            Box::new(|failures: u32, _: &str| Duration::from_secs(u64::from(failures) * 7))
                as Strategy,
        )]),
        bounce_for: Duration::from_secs(60),
        snooze_for: Duration::from_secs(600),
    }
}

fn facts(rules: &Rules) -> Facts<'_> {
    Facts {
        attempts: 3,
        backoff: None,
        counters: Counters::default(),
        stalls: 0,
        cancelled: false,
        lost: false,
        request: None,
        result_max: 10,
        now_ms: 1_000_000,
        rules,
        queue: "work",
    }
}

fn error() -> Happened {
    Happened::Returned(Err(Failure::retry("broken").into()))
}

#[test]
fn errors_are_retried_until_the_attempts_are_spent() {
    let rules = rules();
    let mut facts = facts(&rules);
    for failed in 0..5 {
        facts.counters.failed = failed;
        let outcome = decide(error(), &facts);
        if failed < 2 {
            assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
        } else {
            let spent = DeadReason::AttemptsSpent;
            assert!(matches!(outcome, Outcome::Dead { reason, .. } if reason == spent));
        }
    }
}

#[test]
fn a_named_strategy_decides_the_wait_and_an_unknown_one_falls_back() {
    let rules = rules();
    let mut facts = facts(&rules);
    let known = Backoff::named("steps");
    facts.backoff = Some(&known);
    facts.counters.failed = 1;
    let outcome = decide(error(), &facts);
    assert!(matches!(outcome, Outcome::Retry { after, .. } if after.as_secs() == 14));
    let unknown = Backoff::named("nobody-knows");
    facts.backoff = Some(&unknown);
    let outcome = decide(error(), &facts);
    assert!(matches!(outcome, Outcome::Retry { after, .. } if after.as_secs() <= 3));
}

#[test]
fn what_the_handler_says_is_what_happens() {
    let rules = rules();
    let facts = facts(&rules);
    let says = |failure: Failure| decide(Happened::Returned(Err(failure.into())), &facts);
    let wait = Duration::from_secs(9);
    assert!(matches!(
        says(Failure::retry_after(wait, "later")),
        Outcome::Retry { after, .. } if after == wait
    ));
    assert!(matches!(
        says(Failure::dead("over")),
        Outcome::Dead {
            reason: DeadReason::Declared,
            ..
        }
    ));
    assert_eq!(
        says(Failure::cancel("moot")),
        Outcome::Cancelled("moot".into())
    );
}

#[test]
fn an_error_after_cancellation_burns_no_attempt_but_success_counts() {
    let rules = rules();
    let mut facts = facts(&rules);
    facts.cancelled = true;
    assert_eq!(decide(error(), &facts), Outcome::Released);
    let done = || Happened::Returned(Ok(Ok(vec![1])));
    let completed = Outcome::Completed(Output::new(vec![1]));
    assert_eq!(decide(done(), &facts), completed);
    // The lease may not be lost after all.
    facts.lost = true;
    assert_eq!(decide(error(), &facts), Outcome::LeaseLost);
    assert_eq!(decide(Happened::Stopped, &facts), Outcome::LeaseLost);
    assert_eq!(decide(done(), &facts), completed);
}

#[test]
fn a_snooze_burns_no_attempt_and_ends_with_the_age_of_the_first() {
    let rules = rules();
    let mut facts = facts(&rules);
    (facts.attempts, facts.cancelled) = (1, true);
    let snooze = |wait| Happened::Returned(Err(Failure::snooze(wait).into()));
    let after = |wait, facts: &Facts<'_>| match decide(snooze(wait), facts) {
        Outcome::Snoozed { after } => Some(after),
        _ => None,
    };
    let minute = Duration::from_secs(60);
    assert_eq!(after(minute, &facts), Some(minute));
    assert_eq!(after(Duration::ZERO, &facts), Some(SNOOZE_MIN));
    assert_eq!(after(Duration::MAX, &facts), Some(WAIT_MAX));
    facts.counters.snoozes = 7;
    facts.counters.snoozed_since_ms = facts.now_ms - 599_999;
    assert_eq!(after(minute, &facts), Some(minute));
    facts.counters.snoozed_since_ms = facts.now_ms - 600_000;
    match decide(snooze(minute), &facts) {
        Outcome::Dead { reason, entry } => {
            assert_eq!(reason, DeadReason::SnoozedTooLong);
            assert!(entry.error.contains("7 times"), "{entry:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_to_cancel_wins_over_everything_but_success_and_a_lost_lease() {
    let rules = rules();
    let mut facts = facts(&rules);
    facts.request = Some("moot");
    let cancelled = Outcome::Cancelled("moot".into());
    for happened in [
        error(),
        Happened::Returned(Err(Failure::dead("over").into())),
        Happened::Returned(Err(Failure::cancel("for another reason").into())),
        Happened::Returned(Ok(Ok(vec![0; 11]))),
        Happened::Panicked("boom".into()),
        Happened::TimedOut(Duration::from_secs(1)),
        Happened::Stopped,
        Happened::UnknownName("who".into()),
    ] {
        assert_eq!(decide(happened, &facts), cancelled);
    }
    let done = decide(Happened::Returned(Ok(Ok(vec![1]))), &facts);
    assert_eq!(done, Outcome::Completed(Output::new(vec![1])));
    (facts.cancelled, facts.lost) = (true, true);
    assert_eq!(decide(error(), &facts), Outcome::LeaseLost);
}

#[test]
fn results_that_cannot_be_stored_are_not_retried() {
    let rules = rules();
    let facts = facts(&rules);
    let outcome = decide(Happened::Returned(Ok(Ok(vec![0; 11]))), &facts);
    assert!(matches!(outcome, Outcome::Dead { .. }), "{outcome:?}");
}

#[test]
fn bounces_back_off_from_a_second_to_a_minute_and_die_of_age_only() {
    let rules = rules();
    let mut facts = facts(&rules);
    let unknown = || Happened::Undecodable(Error::invalid("missing field `user_id`"));
    let mut waits = Vec::new();
    for bounces in [0, 1, 5, 6, 40] {
        facts.counters.bounces = bounces;
        match decide(unknown(), &facts) {
            Outcome::Bounced { after, entry, name } => {
                assert!(entry.error.contains("missing field `user_id`"), "{entry:?}");
                assert_eq!(name, None);
                waits.push(after.as_secs());
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(waits, [1, 2, 32, 60, 60]);
    facts.counters.bounced_since_ms = facts.now_ms - 59_999;
    assert!(matches!(decide(unknown(), &facts), Outcome::Bounced { .. }));
    facts.counters.bounced_since_ms = facts.now_ms - 60_000;
    assert!(matches!(decide(unknown(), &facts), Outcome::Dead { .. }));
}

#[test]
fn a_job_without_a_handler_waits_by_its_name_until_it_is_too_old() {
    let rules = rules();
    let mut facts = facts(&rules);
    let named =
        |name: &str, facts: &Facts<'_>| match decide(Happened::UnknownName(name.into()), facts) {
            Outcome::Bounced { after, name, .. } => (name, after),
            other => panic!("{other:?}"),
        };
    let who = Some("who".to_owned());
    assert_eq!(named("who", &facts), (who.clone(), rules.bounce_for));
    facts.counters.bounced_since_ms = facts.now_ms - 50_000;
    let left = Duration::from_secs(10);
    assert_eq!(named("who", &facts), (who.clone(), left));
    facts.counters.bounced_since_ms = facts.now_ms - 59_999;
    assert_eq!(named("who", &facts), (who, JUDGED_AGAIN_MIN));
    // These are kept by no name.
    for odd in ["w\0ho", &"w".repeat(NAME_BYTES_MAX + 1)] {
        assert_eq!(named(odd, &facts), (None, BOUNCE_MIN));
    }
    facts.stalls = 1;
    assert_eq!(named("who", &facts), (None, BOUNCE_MIN));
    facts.counters.bounced_since_ms = facts.now_ms - 60_000;
    let outcome = decide(Happened::UnknownName("who".into()), &facts);
    let unknown = DeadReason::UnknownName;
    assert!(matches!(outcome, Outcome::Dead { reason, .. } if reason == unknown));
}

#[test]
fn a_payload_that_is_too_new_waits_by_its_name_and_its_version() {
    let rules = rules();
    let mut facts = facts(&rules);
    let newer = |facts: &Facts<'_>| {
        let name = "mail".to_owned();
        let (version, known) = (3, 2);
        decide(
            Happened::NewerVersion {
                name,
                version,
                known,
            },
            facts,
        )
    };
    match newer(&facts) {
        Outcome::Bounced { after, entry, name } => {
            assert_eq!(
                (after, name.as_deref()),
                (Duration::from_secs(60), Some("mail#3"))
            );
            assert!(entry.error.contains("version 3 of `mail`"), "{entry:?}");
            assert!(entry.error.contains("up to version 2"), "{entry:?}");
        }
        other => panic!("{other:?}"),
    }
    facts.counters.bounced_since_ms = facts.now_ms - 60_000;
    assert!(matches!(
        newer(&facts),
        Outcome::Dead {
            reason: DeadReason::Undecodable,
            ..
        }
    ));
}
