//! Commands, events and states.

use std::collections::HashMap;

use oxcart_postgres::{Aggregate, Event, ExecuteError, Expected};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::rig::{Moved, STORE, append, store};

#[derive(Debug, Serialize, Deserialize)]
enum Change {
    In(u64),
    Out(u64),
}

impl Event for Change {}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Account<const VERSION: u16> {
    cents: u64,
}

impl<const VERSION: u16> Aggregate for Account<VERSION> {
    const NAME: &'static str = "account";
    const VERSION: u16 = VERSION;
    const SNAPSHOT_EVERY: u64 = 5;
    type Event = Change;
    type Command = Change;
    type Refusal = &'static str;

    fn handle(&self, command: Change) -> Result<Vec<Change>, &'static str> {
        match command {
            Change::In(0) => Ok(Vec::new()),
            Change::Out(cents) if cents > self.cents => Err("too little is left"),
            other => Ok(vec![other]),
        }
    }

    fn apply(&mut self, event: Change) {
        match event {
            Change::In(cents) => self.cents += cents,
            Change::Out(cents) => self.cents -= cents,
        }
    }
}

type Today = Account<1>;

async fn execute(pool: &PgPool, command: Change) -> Result<(u64, u64), ExecuteError<&'static str>> {
    let mut tx = pool.begin().await.expect("a transaction");
    let executed = loop {
        let command = match &command {
            Change::In(cents) => Change::In(*cents),
            Change::Out(cents) => Change::Out(*cents),
        };
        match STORE.execute::<Today>(&mut tx, "7", command).await {
            Err(ExecuteError::Conflict(_)) => {}
            other => break other?,
        }
    };
    tx.commit().await.expect("committed");
    Ok((executed.state.cents, executed.version))
}

#[tokio::test]
async fn commands_lead_to_events_and_events_to_a_state() {
    let pool = store().await;
    assert_eq!(
        execute(&pool, Change::In(10)).await.expect("executed"),
        (10, 1)
    );
    assert_eq!(
        execute(&pool, Change::Out(3)).await.expect("executed"),
        (7, 2)
    );
    assert_eq!(
        execute(&pool, Change::In(0))
            .await
            .expect("nothing to be done"),
        (7, 2)
    );
    let refused = execute(&pool, Change::Out(8)).await;
    assert!(matches!(
        refused,
        Err(ExecuteError::Refused("too little is left"))
    ));
    let mut connection = pool.acquire().await.expect("a connection");
    let loaded = STORE
        .load::<Today>(&mut connection, "7")
        .await
        .expect("loaded");
    assert_eq!((loaded.state.cents, loaded.version), (7, 2));
    let none = STORE
        .load::<Today>(&mut connection, "8")
        .await
        .expect("loaded");
    assert_eq!((none.state, none.version), (Account::default(), 0));
}

/// All at once withdraw from an account that has enough for some of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_two_commands_decide_by_the_same_state() {
    let pool = store().await;
    execute(&pool, Change::In(10)).await.expect("executed");
    let commands: Vec<_> = (0..24)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { execute(&pool, Change::Out(1)).await })
        })
        .collect();
    let mut refused = 0;
    for command in commands {
        match command.await.expect("no panic") {
            Ok(_) => {}
            Err(ExecuteError::Refused(_)) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(refused, 14);
}

#[tokio::test]
async fn a_snapshot_is_a_shortcut_for_its_own_version_and_nothing_more() {
    let pool = store().await;
    for _ in 0..12 {
        execute(&pool, Change::In(1)).await.expect("executed");
    }
    let mut connection = pool.acquire().await.expect("a connection");
    let taken: i64 =
        sqlx::query_scalar("SELECT version FROM oxcart.snapshot WHERE stream = 'account-7'")
            .fetch_one(&mut *connection)
            .await
            .expect("there is one");
    assert_eq!(taken, 10);
    // It shows that it is used: it is not what the events say.
    let change = "UPDATE oxcart.snapshot SET state = '{\"cents\": 1000}'";
    sqlx::query(change)
        .execute(&mut *connection)
        .await
        .expect("changed");
    let loaded = STORE
        .load::<Today>(&mut connection, "7")
        .await
        .expect("loaded");
    assert_eq!((loaded.state.cents, loaded.version), (1_002, 12));
    let other = STORE
        .load::<Account<2>>(&mut connection, "7")
        .await
        .expect("loaded");
    assert_eq!((other.state.cents, other.version), (12, 12));
    // One that cannot be read, or none, is no loss.
    for change in [
        "UPDATE oxcart.snapshot SET state = '[]'",
        "DELETE FROM oxcart.snapshot",
    ] {
        sqlx::query(change)
            .execute(&mut *connection)
            .await
            .expect("changed");
        let loaded = STORE
            .load::<Today>(&mut connection, "7")
            .await
            .expect("loaded");
        assert_eq!((loaded.state.cents, loaded.version), (12, 12));
    }
}

#[tokio::test]
async fn an_event_of_another_kind_is_told() {
    let pool = store().await;
    append(&pool, "account-9", Expected::Any, &[Moved::By(1)])
        .await
        .expect("appended");
    let mut connection = pool.acquire().await.expect("a connection");
    let error = STORE
        .load::<Today>(&mut connection, "9")
        .await
        .expect_err("no change");
    assert_eq!(error.kind(), oxcart_postgres::ErrorKind::Codec);
    assert!(
        error
            .to_string()
            .contains("event 1 of the stream `account-9`"),
        "{error}"
    );
}

/// JSON has no such keys.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Field(HashMap<(u64, u64), u64>);

/// PostgreSQL has no such text, but for one that only looks like it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Text<const HAS_ZERO: bool>(String);

impl Aggregate for Field {
    const NAME: &'static str = "field";
    type Event = Change;
    type Command = u64;
    type Refusal = &'static str;

    fn handle(&self, many: u64) -> Result<Vec<Change>, &'static str> {
        Ok((0..many).map(Change::In).collect())
    }

    fn apply(&mut self, _: Change) {
        *self.0.entry((1, 1)).or_default() += 1;
    }
}

impl<const HAS_ZERO: bool> Aggregate for Text<HAS_ZERO> {
    const NAME: &'static str = if HAS_ZERO { "zero" } else { "text" };
    type Event = Change;
    type Command = u64;
    type Refusal = &'static str;

    fn handle(&self, many: u64) -> Result<Vec<Change>, &'static str> {
        Ok((0..many).map(Change::In).collect())
    }

    fn apply(&mut self, _: Change) {
        self.0
            .push_str(if HAS_ZERO { "\\\0" } else { r"\u0000 \\u0000" });
    }
}

/// Gives 60 events two times, and loads the state.
async fn twice<A: Aggregate<Command = u64, Refusal = &'static str>>(pool: &PgPool) -> A {
    for version in [60, 120] {
        let mut tx = pool.begin().await.expect("a transaction");
        let executed = STORE.execute::<A>(&mut tx, "1", 60).await;
        let executed = executed.expect("events are what counts");
        assert_eq!(executed.version, version);
        tx.commit().await.expect("committed");
    }
    let mut connection = pool.acquire().await.expect("a connection");
    let loaded = STORE.load::<A>(&mut connection, "1").await.expect("loaded");
    assert_eq!(loaded.version, 120);
    loaded.state
}

#[tokio::test]
async fn a_state_of_which_there_can_be_no_snapshot_needs_none() {
    let pool = store().await;
    assert_eq!(twice::<Field>(&pool).await.0[&(1, 1)], 120);
    assert_eq!(twice::<Text<true>>(&pool).await.0, "\\\0".repeat(120));
    let text = r"\u0000 \\u0000".repeat(120);
    assert_eq!(twice::<Text<false>>(&pool).await.0, text);
    let kept = "SELECT stream FROM oxcart.snapshot";
    let kept: Vec<String> = sqlx::query_scalar(kept)
        .fetch_all(&pool)
        .await
        .expect("read");
    assert_eq!(kept, ["text-1"]);
}
