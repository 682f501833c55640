//! What the log tells of the time before the window of memory: the same as a
//! memory that never forgot.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::clock::tests::SteppingClock;
use crate::clock::{SystemChance, SystemClock};

/// Changes that fit into memory.
const MOST: usize = 10;

/// So small that nearly everything is read from the log.
const SMALL: Window = Window { least: 0, most: MOST, bytes: 1_024 * 1_024 };

fn pods() -> ResourceId {
    ResourceId::new("", "pods")
}

fn secrets() -> ResourceId {
    ResourceId::new("", "secrets")
}

fn open(folder: &Path) -> Store {
    open_at(folder, Arc::new(SystemClock::new()))
}

fn open_at(folder: &Path, clock: Arc<dyn Clock>) -> Store {
    Store::open(folder, clock, Arc::new(SystemChance), SMALL).expect("the folder can be opened")
}

/// The next write of a story: creates, changes and deletes of a few objects, in an order that mixes them.
fn step(store: &Store, number: u64) -> Write {
    let resource = if number.is_multiple_of(3) { secrets() } else { pods() };
    let name = ObjectName::new(["a", "b"][(number % 2) as usize], format!("x{}", number * 7 % 11));
    let found = store.get(&resource, &name);
    let expected = found.as_ref().map_or(Expected::Absent, |record| Expected::At(record.revision));
    let metadata = json!({"namespace": name.namespace, "name": name.name});
    let action = match &found {
        Some(_) if number.is_multiple_of(5) => Action::Delete,
        _ => Action::Put(json!({"metadata": metadata, "value": number})),
    };
    Write { resource, name, expected, guard: None, action }
}

/// Tells the same story to both stores.
async fn tell(stores: [&Store; 2], numbers: std::ops::Range<u64>) {
    for number in numbers {
        let mut revisions = Vec::new();
        for store in stores {
            revisions.push(store.write(step(store, number)).await.expect("it is written").revision);
        }
        assert_eq!(revisions[0], revisions[1]);
    }
}

/// One line for each change, with what was before and what came.
fn lines(changes: &[Arc<Change>]) -> Vec<String> {
    let text = |record: &Record| String::from_utf8_lossy(&record.json()).into_owned();
    let line = |change: &Arc<Change>| {
        let kind = if matches!(change.outcome, Outcome::Deleted(_)) { "deleted" } else { "stored" };
        let previous = change.previous.as_ref().map(|record| text(record));
        format!("{} {:?} {kind} {} after {previous:?}", change.resource, change.name, text(change.record()))
    };
    changes.iter().map(line).collect()
}

/// All changes of a resource after a revision, a few at a time.
async fn all_changes(store: &Store, resource: &ResourceId, mut after: Revision) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        let found = store.changes(resource, after, 7).await.expect("the history is there");
        told.extend(lines(&found.changes));
        if !found.more {
            return told;
        }
        assert!(found.complete_to > after, "every step goes on");
        after = found.complete_to;
    }
}

fn listed(snapshot: &Snapshot) -> Vec<String> {
    snapshot.items.iter().map(|(name, record)| format!("{name:?} {:?}", record.json())).collect()
}

/// Both stores tell the same of every revision since `from`.
async fn assert_same(store: &Store, truth: &Store, from: Revision) {
    for resource in [pods(), secrets()] {
        for revision in from..=truth.revision() {
            let (own, wanted) = (
                all_changes(store, &resource, revision).await,
                all_changes(truth, &resource, revision).await,
            );
            assert_eq!(own, wanted, "after {revision}");
            for namespace in [None, Some("a"), Some("nowhere")] {
                let own = store.list_at(&resource, namespace, revision).await.expect("it is known");
                let wanted = truth.list_at(&resource, namespace, revision).await.expect("it is known");
                assert_eq!((own.revision, listed(&own)), (revision, listed(&wanted)), "at {revision}");
            }
        }
    }
}

#[tokio::test]
async fn what_memory_forgot_is_told_from_the_log_also_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let truth = Store::memory(Arc::new(SystemClock::new()));
    let store = open(folder.path());
    tell([&store, &truth], 0..150).await;
    let held = store.shared.read(State::history_size).0;
    assert_eq!(held, MOST, "memory holds no more than its window");
    assert!(store.recent_changes(&pods(), 1, 1).is_err());
    assert_same(&store, &truth, 0).await;

    // The files as a crash leaves them: the log of the database was never folded in.
    let after = tempfile::tempdir().unwrap();
    for name in ["objects.sqlite", "objects.sqlite-wal", "secrets.key"] {
        std::fs::copy(folder.path().join(name), after.path().join(name)).unwrap();
    }
    let again = open(after.path());
    assert!(again.revision() > store.revision());
    let held = again.shared.read(State::history_size).0;
    assert_eq!(held, MOST, "nor after a start");
    assert_same(&again, &truth, 0).await;
}

#[tokio::test]
async fn the_log_lets_go_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(SteppingClock::new(Duration::from_secs(1)));
    let store = open_at(folder.path(), clock);
    let truth = Store::memory(Arc::new(SystemClock::new()));
    tell([&store, &truth], 0..1_400).await;
    let oldest = match store.changes(&pods(), 0, 10).await {
        Err(HistoryError::Compacted(Compacted { oldest })) => oldest,
        other => panic!("the history begins later: {other:?}"),
    };
    assert!((399..=401).contains(&oldest), "{oldest}");
    assert!(store.list_at(&pods(), None, oldest - 1).await.is_err());
    let sizes = store.sizes(Duration::from_secs(3_600));
    assert_eq!(sizes.revisions, store.revision() - oldest);
    assert!(sizes.database > 0 && sizes.age < Duration::from_secs(3_600), "{sizes:?}");
    assert_same(&store, &truth, 1_380).await;
    let (own, wanted) =
        (all_changes(&store, &pods(), oldest).await, all_changes(&truth, &pods(), oldest).await);
    assert_eq!(own, wanted);
    let (own, wanted) = (
        store.list_at(&pods(), None, oldest).await.unwrap(),
        truth.list_at(&pods(), None, oldest).await.unwrap(),
    );
    assert_eq!(listed(&own), listed(&wanted));
}

#[tokio::test]
async fn many_bytes_are_told_in_steps() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let text = "x".repeat(30_000);
    for number in 0..30 {
        let name = ObjectName::new("a", format!("x{number}"));
        let action = Action::Put(json!({"metadata": {"name": name.name}, "text": text}));
        let write = Write { resource: pods(), name, expected: Expected::Absent, guard: None, action };
        store.write(write).await.unwrap();
    }
    let first = store.changes(&pods(), 0, 1_000).await.unwrap();
    assert_eq!((first.changes.len(), first.complete_to, first.more), (3, 3, true));
    assert_eq!(all_changes(&store, &pods(), 0).await.len(), 30);
}

#[tokio::test]
async fn a_damaged_past_is_said_and_nothing_is_written_on_top() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let truth = Store::memory(Arc::new(SystemClock::new()));
    tell([&store, &truth], 0..60).await;
    let database = rusqlite::Connection::open(folder.path().join("objects.sqlite")).unwrap();
    assert_eq!(database.execute("UPDATE log SET previous = 3 WHERE revision = 5", []).unwrap(), 1);
    drop(database);
    assert_eq!(store.trouble(), None);
    let mut refused = false;
    for resource in [pods(), secrets()] {
        let read = store.changes(&resource, 0, 100).await;
        refused |= matches!(&read, Err(HistoryError::Unreadable(error))
            if error.to_string().ends_with("row 5 is damaged: it does not fit its checksum"));
    }
    assert!(refused);
    assert_eq!(store.trouble(), Some(Trouble::Broken));
    let refusal = store.write(step(&store, 60)).await;
    assert!(matches!(refusal, Err(WriteError::Disk(Trouble::Broken))), "{refusal:?}");
}

#[tokio::test]
async fn a_reader_that_is_not_looked_at_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let truth = Store::memory(Arc::new(SystemClock::new()));
    tell([&store, &truth], 0..60).await;
    // More than may read at once, all of which begin and are left alone.
    let resource = pods();
    let mut begun: Vec<_> = (0..10).map(|_| Box::pin(store.changes(&resource, 0, 5))).collect();
    for reader in &mut begun {
        assert!(futures::poll!(reader).is_pending());
    }
    let found = store.changes(&resource, 0, 5).await.expect("it has its turn");
    assert_eq!(found.changes.len(), 5);
    for reader in begun {
        assert_eq!(lines(&reader.await.expect("it has its turn").changes), lines(&found.changes));
    }
}
