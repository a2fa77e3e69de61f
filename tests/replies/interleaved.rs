//! What handlers and callers do between two replies: begin to send one and turn to another, ask for the output first, wait for the result alone.

use super::*;

/// A handler begins to send a reply, and does something else before it asks for the end of that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_whose_sending_is_not_polled_keeps_no_other_one_waiting() {
    let server = Server::start();
    let queue = connect(&server.url()).await;
    let handler = async |_: Count, replies: ReplySender<Count>| {
        let number = |number| Number { number, attempt: 1 };
        let mut first = Box::pin(replies.send(&number(1)));
        let _ = futures_util::poll!(&mut first);
        timeout(10 * SECOND, replies.send(&number(2))).await??;
        first.await?;
        Ok::<u64, Failure>(2)
    };
    let worker = Worker::builder(&queue).handle(handler).build().unwrap();
    let _running = run(worker);
    let request = queue.enqueue(count(1, 0, How::Resumes));
    let mut stream = request.replies().await.unwrap();
    assert_eq!(rest(&mut stream).await, [1, 2]);
    assert_eq!(stream.output().await.unwrap(), 2);
}

/// Nor does it keep an attempt that waits from being put aside, and it is stored although nobody waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_whose_sending_has_begun_is_stored_before_the_attempt_ends() {
    let server = Server::start();
    let queue = connect(&server.url()).await;
    let handler = async |_: Count, replies: ReplySender<Count>, context: Context| {
        let attempt = context.attempt().number;
        let number = |number| Number { number, attempt };
        let stored = replies.resume() as u64;
        let mut first = Box::pin(replies.send(&number(stored + 1)));
        let _ = futures_util::poll!(&mut first);
        context.sleep("a while", SECOND / 10).await?;
        Ok::<u64, Failure>(stored)
    };
    let worker = Worker::builder(&queue).handle(handler).build().unwrap();
    let _running = run(worker);
    for _ in 0..20 {
        let request = queue.enqueue(count(1, 0, How::Resumes));
        let mut stream = request.replies().await.unwrap();
        assert_eq!(rest(&mut stream).await, [1, 2]);
        assert_eq!(stream.output().await.unwrap(), 1);
    }
}

/// The output comes first, and before all replies are read the job is removed, or its id is in use again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_the_replies_is_never_told_as_all_of_them() {
    let (server, queue, _running) = rig().await;
    let id = JobId::new("same").unwrap();
    for is_added_anew in [false, true] {
        let request = queue.enqueue(count(600, 0, How::AtOnce)).id(id.clone());
        let mut stream = request.replies().within(20 * SECOND).await.unwrap();
        assert_eq!(stream.output().await.unwrap(), 600);
        for _ in 0..100 {
            stream.next().await.unwrap().unwrap();
        }
        let _ = queue.remove(&id).await.unwrap();
        if is_added_anew {
            let again = queue.enqueue(count(600, 0, How::AtOnce)).id(id.clone());
            let _ = again.delay(60 * SECOND).await.unwrap();
        }
        // The rest of the page that was read before.
        for number in 101..=256 {
            assert_eq!(stream.next().await.unwrap().unwrap().number, number);
        }
        let commands = || -> u64 { server.info("total_commands_processed").parse().unwrap() };
        let (before, began) = (commands(), Instant::now());
        for _ in 0..2 {
            let error = stream.next().await.unwrap_err();
            assert!(error.is_not_found(), "{error:?}");
            let why = "cannot be read from number 257 on: it had 600 when it ended";
            assert!(error.to_string().contains(why), "{error}");
            assert!(stream.output().await.unwrap_err().is_not_found());
        }
        assert!(began.elapsed() < 5 * SECOND);
        let asked = commands() - before;
        assert!(asked < 100, "{asked}");
        let _ = queue.remove(&id).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_the_result_alone_does_not_look_once_for_each_reply() {
    const REPLIES: u64 = 300;
    let (server, queue, _running) = rig().await;
    let calls = || -> u64 {
        let client = redis::Client::open(server.socket_url()).unwrap();
        let mut info = redis::cmd("INFO");
        let mut connection = client.get_connection().unwrap();
        let stats: String = info.arg("commandstats").query(&mut connection).unwrap();
        let calls = |name: &str| {
            let line = stats.lines().find_map(|line| line.strip_prefix(name));
            let calls = line.and_then(|line| line.split(',').next());
            calls.map_or(0, |calls| calls.parse::<u64>().unwrap())
        };
        calls("cmdstat_fcall:calls=") + calls("cmdstat_evalsha:calls=")
    };
    let before = calls();
    let job = queue
        .enqueue(count(REPLIES, 1, How::Resumes))
        .await
        .unwrap();
    let began = Instant::now();
    for result in join_all((0..10).map(|_| job.result().within(120 * SECOND).into_future())).await {
        assert_eq!(result.unwrap(), REPLIES);
    }
    // Some at first, and then each one 20 times a second.
    let looks = 10 * (25 + 20 * began.elapsed().as_secs());
    let asked = calls() - before;
    assert!(
        asked < REPLIES + looks + 200,
        "{asked} in {:?}",
        began.elapsed()
    );
}
