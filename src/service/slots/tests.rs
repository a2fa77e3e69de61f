//! Which calls lanes make, and when.

use futures_util::FutureExt;

use super::*;
use crate::id::{Fence, JobId, Receipt};
use crate::job::outcome::{Outcome, Output};
use crate::job::traits::EndTraits;
use crate::store::BATCH_JOBS;

fn settlement(bytes: usize) -> Settlement {
    Settlement {
        id: JobId::generate(),
        fence: Fence(1),
        receipt: Receipt::new("1 2 worker"),
        keep: None,
        is_requested: false,
        outcome: Outcome::Completed(Output::new(vec![0; bytes])),
        traits: EndTraits::None,
    }
}

fn answered(slots: &Slots, call: &NextCall, claimed: usize) {
    slots.brought(&answer(call, claimed));
}

fn answer(call: &NextCall, claimed: usize) -> Brought {
    Brought {
        reserved: call.claim,
        settled: call.settle.len(),
        claimed,
        more: false,
        traits: false,
        traits_asked: call.traits,
        held: false,
        suspects: false,
        suspects_asked: false,
        unhandled: 0,
        by_name: call.by_name,
        made_news: false,
        woken: call.woken,
    }
}

/// Jobs may have expired, which end with a call that asks for jobs with traits.
#[tokio::test]
async fn a_call_that_was_held_back_and_met_traits_is_followed_by_one_that_asks_for_them() {
    let slots = Slots::new(1);
    let held = |call: &NextCall| Brought {
        traits: true,
        held: true,
        ..answer(call, 0)
    };
    let first = slots.next_call(0).await.unwrap();
    assert!(!first.traits);
    slots.brought(&held(&first));
    let second = slots.next_call(0).now_or_never().flatten().unwrap();
    assert!(second.traits);
    slots.brought(&held(&second));
    assert!(slots.next_call(0).now_or_never().is_none(), "only one");
}

/// The news reach a worker with an answer that also says that limits hold everything back.
#[tokio::test]
async fn what_limits_hold_back_is_asked_for_by_name_once() {
    let slots = Slots::new(1);
    let held = |call: &NextCall| Brought {
        held: true,
        unhandled: 7,
        ..answer(call, 0)
    };
    let first = slots.next_call(0).await.unwrap();
    assert!(!first.by_name);
    slots.brought(&held(&first));
    let second = slots.next_call(0).now_or_never().flatten().unwrap();
    assert!(second.by_name);
    slots.brought(&held(&second));
    assert!(slots.next_call(0).now_or_never().is_none(), "only one");
}

#[tokio::test]
async fn never_claims_more_than_the_free_slots() {
    let slots = Slots::new(100);
    let first = slots.next_call(0).await.unwrap();
    assert_eq!(first.claim, 50);
    answered(&slots, &first, 50);
    slots.look();
    let second = slots.next_call(0).await.unwrap();
    assert_eq!(second.claim, 50);
    answered(&slots, &second, 50);
    slots.look();
    assert_eq!(slots.next_call(0).await.unwrap().claim, 0);
}

#[tokio::test]
async fn g2_never_claims_more_than_the_leases_it_can_keep() {
    let slots = Slots::new(100);
    slots.limit_leases(30);
    let first = slots.next_call(0).await.unwrap();
    assert_eq!(first.claim, 30);
    answered(&slots, &first, 30);
    // The call that stores what has ended gives its lease back and may claim another.
    slots.ended(settlement(1));
    let second = slots.next_call(0).await.unwrap();
    assert_eq!((second.settle.len(), second.claim), (1, 1));
    // Until that is known, the lease counts.
    slots.limit_leases(32);
    assert_eq!(
        slots
            .next_call(1)
            .now_or_never()
            .map(|work| work.unwrap().claim),
        None
    );
    answered(&slots, &second, 1);
    let third = slots.next_call(0).await.unwrap();
    assert_eq!(third.claim, 2);
    answered(&slots, &third, 2);
    assert!(slots.next_call(0).now_or_never().is_none());
    slots.limit_leases(50);
    assert_eq!(slots.next_call(0).await.unwrap().claim, 18);
}

#[tokio::test]
async fn a_second_call_waits_until_it_is_worth_its_price() {
    let slots = Slots::new(100);
    let first = slots.next_call(0).await.unwrap();
    answered(&slots, &first, 50);
    slots.ended(settlement(1));
    let second = slots.next_call(0).await.unwrap();
    assert_eq!((second.settle.len(), second.claim), (1, 50));

    for _ in 0..49 {
        slots.ended(settlement(1));
    }
    assert!(slots.next_call(1).now_or_never().is_none());
    answered(&slots, &second, 1);
    let third = slots.next_call(1).await.unwrap();
    assert_eq!((third.settle.len(), third.claim), (49, 50));

    slots.ended(settlement(1));
    assert!(
        slots.next_call(0).now_or_never().is_none(),
        "the third is under way"
    );
    answered(&slots, &third, 50);
    assert_eq!(slots.next_call(0).await.unwrap().settle.len(), 1);
}

#[tokio::test]
async fn g7_settles_a_bounded_batch_and_leaves_the_rest() {
    let slots = Slots::new(1000);
    let work = slots.next_call(0).await.unwrap();
    answered(&slots, &work, work.claim);
    for _ in 0..work.claim {
        slots.ended(settlement(600 * 1024));
    }
    let work = slots.next_call(0).await.unwrap();
    assert_eq!(work.settle.len(), 1);
    assert_eq!(work.claim, BATCH_JOBS);
}

#[tokio::test]
async fn a_call_that_is_refused_goes_in_two_and_gives_its_slots_back() {
    let slots = Slots::new(10);
    let work = slots.next_call(0).await.unwrap();
    answered(&slots, &work, 5);
    for _ in 0..3 {
        slots.ended(settlement(1));
    }
    let work = slots.next_call(0).await.unwrap();
    assert_eq!((work.settle.len(), work.claim), (3, 8));
    let parts = slots.divide(work);
    let sizes = parts.iter().map(|part| (part.settle.len(), part.claim));
    assert_eq!(sizes.collect::<Vec<_>>(), [(1, 0), (2, 0)]);
    assert_eq!(slots.unsettled(), 3);
    for part in &parts {
        answered(&slots, part, 0);
    }
    assert_eq!(slots.unsettled(), 0);
    // What it was to claim is looked for again.
    let next = slots.next_call(0).await.unwrap();
    assert_eq!((next.settle.len(), next.claim), (0, 8));
    // Nothing to settle leaves nothing.
    assert!(slots.divide(next).is_empty());
    slots.limit(0, 100);
    for _ in 0..2 {
        slots.ended(settlement(60));
    }
    assert_eq!(slots.next_call(0).await.unwrap().settle.len(), 1);
}

#[tokio::test]
async fn drains_without_claiming_and_then_closes() {
    let slots = Slots::new(10);
    let work = slots.next_call(0).await.unwrap();
    answered(&slots, &work, 1);
    slots.drain();
    slots.ended(settlement(1));
    let work = slots.next_call(0).await.unwrap();
    assert_eq!((work.settle.len(), work.claim), (1, 0));
    answered(&slots, &work, 0);
    slots.settled().await;
    slots.close();
    assert!(slots.next_call(0).await.is_none());
}

/// Its idle slots waited longest, so the token that was to wake another worker has woken this one.
#[tokio::test]
async fn news_heard_without_the_token_is_passed_on_when_the_token_comes() {
    let slots = Slots::new(2);
    let call = async |news: u64, made_news: bool| {
        let call = slots.next_call(0).await.unwrap();
        let by_name = call.by_name;
        slots.brought(&Brought {
            unhandled: news,
            made_news,
            ..answer(&call, 0)
        });
        if !by_name && slots.lock().look {
            // It looks for jobs that it has handlers for.
            let asks = slots.next_call(0).await.unwrap();
            assert!(asks.by_name);
            slots.brought(&Brought {
                unhandled: news,
                ..answer(&asks, 0)
            });
        }
        (call.heard, call.woken)
    };
    assert_eq!(call(7, false).await, (0, false), "passed on by this call");
    slots.look();
    assert_eq!(call(7, false).await, (7, false), "and once");
    slots.wake();
    assert_eq!(call(7, false).await, (0, true), "its own token");
    slots.wake();
    assert_eq!(call(7, false).await, (7, true), "the round is over");
    // A worker that made the news has not heard it from another.
    slots.wake();
    assert_eq!(call(8, true).await, (7, true));
    slots.wake();
    assert_eq!(call(8, false).await, (7, true));
    slots.wake();
    assert_eq!(call(8, false).await, (8, true));
    // A call that was not carried out was made because of the token all the same.
    slots.wake();
    let lost = slots.next_call(0).await.unwrap();
    slots.take_back(lost);
    slots.look();
    assert!(slots.next_call(0).await.unwrap().woken);
}
