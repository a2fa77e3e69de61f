//! What a lane is given, and when.

use futures_util::FutureExt;

use super::*;
use crate::id::{Fence, JobId, Receipt};
use crate::job::outcome::{Outcome, Output};

fn settlement(bytes: usize) -> Settlement {
    Settlement {
        id: JobId::generate(),
        fence: Fence(1),
        receipt: Receipt::new("1 2 worker"),
        keep: None,
        outcome: Outcome::Completed(Output::new(vec![0; bytes])),
    }
}

fn answered(board: &Board, work: &Work, claimed: usize) {
    board.brought(&Brought {
        reserved: work.claim,
        settled: work.settle.len(),
        claimed,
        more: false,
        suspects: false,
        suspects_asked: false,
        unhandled: 0,
        by_name: work.by_name,
        made_news: false,
    });
}

#[tokio::test]
async fn never_claims_more_than_the_free_slots() {
    let board = Board::new(100);
    let first = board.work(0).await.unwrap();
    assert_eq!(first.claim, 50);
    answered(&board, &first, 50);
    board.look();
    let second = board.work(0).await.unwrap();
    assert_eq!(second.claim, 50);
    answered(&board, &second, 50);
    board.look();
    assert_eq!(board.work(0).await.unwrap().claim, 0);
}

#[tokio::test]
async fn g2_never_claims_more_than_the_leases_it_can_keep() {
    let board = Board::new(100);
    board.set_reach(30);
    let first = board.work(0).await.unwrap();
    assert_eq!(first.claim, 30);
    answered(&board, &first, 30);
    // The call that stores what has ended gives its lease back and may claim another.
    board.ended(settlement(1));
    let second = board.work(0).await.unwrap();
    assert_eq!((second.settle.len(), second.claim), (1, 1));
    // Until that is known, the lease counts.
    board.set_reach(32);
    assert_eq!(
        board.work(1).now_or_never().map(|work| work.unwrap().claim),
        None
    );
    answered(&board, &second, 1);
    let third = board.work(0).await.unwrap();
    assert_eq!(third.claim, 2);
    answered(&board, &third, 2);
    assert!(board.work(0).now_or_never().is_none());
    board.set_reach(50);
    assert_eq!(board.work(0).await.unwrap().claim, 18);
}

#[tokio::test]
async fn a_second_call_waits_until_it_is_worth_its_price() {
    let board = Board::new(100);
    let first = board.work(0).await.unwrap();
    answered(&board, &first, 50);
    board.ended(settlement(1));
    let second = board.work(0).await.unwrap();
    assert_eq!((second.settle.len(), second.claim), (1, 50));

    for _ in 0..49 {
        board.ended(settlement(1));
    }
    assert!(board.work(1).now_or_never().is_none());
    answered(&board, &second, 1);
    let third = board.work(1).await.unwrap();
    assert_eq!((third.settle.len(), third.claim), (49, 50));

    board.ended(settlement(1));
    assert!(
        board.work(0).now_or_never().is_none(),
        "the third is under way"
    );
    answered(&board, &third, 50);
    assert_eq!(board.work(0).await.unwrap().settle.len(), 1);
}

#[tokio::test]
async fn g7_settles_a_bounded_batch_and_leaves_the_rest() {
    let board = Board::new(1000);
    let work = board.work(0).await.unwrap();
    answered(&board, &work, work.claim);
    for _ in 0..work.claim {
        board.ended(settlement(600 * 1024));
    }
    let work = board.work(0).await.unwrap();
    assert_eq!(work.settle.len(), 1);
    assert_eq!(work.claim, BATCH_JOBS);
}

#[tokio::test]
async fn a_call_that_is_refused_goes_in_two_and_gives_its_slots_back() {
    let board = Board::new(10);
    let work = board.work(0).await.unwrap();
    answered(&board, &work, 5);
    for _ in 0..3 {
        board.ended(settlement(1));
    }
    let work = board.work(0).await.unwrap();
    assert_eq!((work.settle.len(), work.claim), (3, 8));
    let parts = board.divide(work);
    let sizes = parts.iter().map(|part| (part.settle.len(), part.claim));
    assert_eq!(sizes.collect::<Vec<_>>(), [(1, 0), (2, 0)]);
    assert_eq!(board.unsettled(), 3);
    for part in &parts {
        answered(&board, part, 0);
    }
    assert_eq!(board.unsettled(), 0);
    // What it was to claim is looked for again.
    let next = board.work(0).await.unwrap();
    assert_eq!((next.settle.len(), next.claim), (0, 8));
    // Nothing to settle leaves nothing.
    assert!(board.divide(next).is_empty());
    board.limit(0, 100);
    for _ in 0..2 {
        board.ended(settlement(60));
    }
    assert_eq!(board.work(0).await.unwrap().settle.len(), 1);
}

#[tokio::test]
async fn drains_without_claiming_and_then_closes() {
    let board = Board::new(10);
    let work = board.work(0).await.unwrap();
    answered(&board, &work, 1);
    board.drain();
    board.ended(settlement(1));
    let work = board.work(0).await.unwrap();
    assert_eq!((work.settle.len(), work.claim), (1, 0));
    answered(&board, &work, 0);
    board.settled().await;
    board.close();
    assert!(board.work(0).await.is_none());
}
