//! The store's promises: order, compare-and-set, history, and what survives a stop.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::clock::SystemClock;

fn pods() -> ResourceId {
    ResourceId::new("", "pods")
}

fn name(text: &str) -> ObjectName {
    ObjectName::new("a", text)
}

fn object(text: &str, value: u64) -> Value {
    json!({"metadata": {"namespace": "a", "name": text}, "value": value})
}

fn put(text: &str, value: u64, expected: Expected) -> Write {
    let action = Action::Put(object(text, value));
    Write { resource: pods(), name: name(text), expected, guard: None, action }
}

fn delete(text: &str, revision: Revision) -> Write {
    let expected = Expected::At(revision);
    Write { resource: pods(), name: name(text), expected, guard: None, action: Action::Delete }
}

fn memory() -> Store {
    Store::memory(Arc::new(SystemClock::new()))
}

fn open(folder: &Path) -> Store {
    Store::open(folder, Arc::new(SystemClock::new())).expect("the folder can be opened")
}

/// Ends a store as a crash would: the log is not marked as closed.
fn crash(folder: &Path, store: Store) {
    store.close();
    drop(store);
    let connection = rusqlite::Connection::open(folder.join("objects.sqlite")).unwrap();
    connection.execute("UPDATE meta SET value = 0 WHERE key IN ('clean', 'floor')", []).unwrap();
}

fn names(snapshot: &Snapshot) -> Vec<String> {
    snapshot.items.iter().map(|(name, _)| name.name.clone()).collect()
}

#[tokio::test]
async fn revisions_rise_and_objects_carry_theirs() {
    let store = memory();
    let first = store.write(put("x", 1, Expected::Absent)).await.unwrap();
    let second = store.write(put("y", 1, Expected::Absent)).await.unwrap();
    assert!(second.revision > first.revision);
    assert_eq!(second.value["metadata"]["resourceVersion"], json!(second.revision.to_string()));
    assert_eq!(store.revision(), second.revision);
}

#[tokio::test]
async fn a_write_on_a_state_that_moved_is_refused() {
    let store = memory();
    let first = store.write(put("x", 1, Expected::Absent)).await.unwrap();
    store.write(put("x", 2, Expected::At(first.revision))).await.unwrap();
    for expected in [Expected::Absent, Expected::At(first.revision)] {
        assert!(matches!(store.write(put("x", 3, expected)).await, Err(WriteError::Moved)));
    }
    assert_eq!(store.get(&pods(), &name("x")).unwrap().value["value"], 2);
}

#[tokio::test]
async fn a_write_whose_guard_moved_is_refused() {
    let store = memory();
    let guard = store.write(put("guard", 1, Expected::Absent)).await.unwrap();
    let guard = Some(Guard { resource: pods(), name: name("guard"), revision: guard.revision });
    let guarded = |text| Write { guard: guard.clone(), ..put(text, 1, Expected::Absent) };
    store.write(guarded("x")).await.unwrap();
    store.write(delete("guard", guard.as_ref().unwrap().revision)).await.unwrap();
    assert!(matches!(store.write(guarded("y")).await, Err(WriteError::GuardMoved)));
}

#[tokio::test]
async fn hc_19_an_older_list_is_what_was_then() {
    let store = memory();
    let x = store.write(put("x", 1, Expected::Absent)).await.unwrap();
    let y = store.write(put("y", 1, Expected::Absent)).await.unwrap();
    store.write(delete("x", x.revision)).await.unwrap();
    store.write(put("y", 2, Expected::At(y.revision))).await.unwrap();
    store.write(put("z", 1, Expected::Absent)).await.unwrap();
    let then = store.list_at(&pods(), Some("a"), y.revision).unwrap();
    assert_eq!((then.revision, names(&then)), (y.revision, vec!["x".to_owned(), "y".to_owned()]));
    assert_eq!(then.items[1].1.value["value"], 1);
    assert_eq!(names(&store.list(&pods(), Some("a"))), ["y", "z"]);
}

#[tokio::test]
async fn changes_come_once_and_in_order() {
    let store = memory();
    let x = store.write(put("x", 1, Expected::Absent)).await.unwrap();
    let second = store.write(put("x", 2, Expected::At(x.revision))).await.unwrap();
    let gone = store.write(delete("x", second.revision)).await.unwrap();
    let found = store.changes(&pods(), x.revision, 10).unwrap();
    let revisions: Vec<_> = found.changes.iter().map(|change| change.revision()).collect();
    assert_eq!(revisions, [second.revision, gone.revision]);
    assert!(matches!(found.changes[1].outcome, Outcome::Deleted(_)));
    assert_eq!(found.changes[1].record().value["value"], 2);
    let one = store.changes(&pods(), 0, 1).unwrap();
    assert_eq!((one.changes.len(), one.complete_to), (1, x.revision));
}

#[tokio::test]
async fn a_restart_keeps_objects_history_and_revisions() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let x = store.write(put("x", 1, Expected::Absent)).await.unwrap();
    let y = store.write(put("y", 1, Expected::Absent)).await.unwrap();
    let gone = store.write(delete("x", x.revision)).await.unwrap();
    store.close();
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.revision(), gone.revision);
    assert_eq!(names(&store.list(&pods(), None)), ["y"]);
    let found = store.changes(&pods(), y.revision, 10).unwrap();
    assert_eq!(found.changes.len(), 1);
    assert_eq!(found.changes[0].previous.as_ref().unwrap().revision, x.revision);
    let next = store.write(put("z", 1, Expected::Absent)).await.unwrap();
    assert_eq!(next.revision, gone.revision + 1);
}

#[tokio::test]
async fn hc_22_after_a_crash_no_revision_is_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let last = store.write(put("x", 1, Expected::Absent)).await.unwrap();
    crash(folder.path(), store);
    let store = open(folder.path());
    assert!(store.revision() >= last.revision + 1_000, "{} then {}", last.revision, store.revision());
    assert_eq!(store.get(&pods(), &name("x")).unwrap().revision, last.revision);
}

#[tokio::test]
async fn the_last_delete_is_not_forgotten_by_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let x = store.write(put("x", 1, Expected::Absent)).await.unwrap();
    let gone = store.write(delete("x", x.revision)).await.unwrap();
    store.close();
    drop(store);
    let store = open(folder.path());
    assert!(store.get(&pods(), &name("x")).is_none());
    let next = store.write(put("x", 2, Expected::Absent)).await.unwrap();
    assert!(next.revision > gone.revision);
}

#[test]
fn a_folder_belongs_to_one_store() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let second = Store::open(folder.path(), Arc::new(SystemClock::new()));
    assert!(matches!(second, Err(StoreError::Locked { .. })));
    drop(first);
    open(folder.path());
}

#[tokio::test]
async fn many_writers_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()));
    let writes = (0..200).map(|number| {
        let store = store.clone();
        async move { store.write(put(&format!("p{number}"), number, Expected::Absent)).await }
    });
    let written = futures::future::join_all(writes).await;
    let mut revisions: Vec<_> = written.into_iter().map(|record| record.unwrap().revision).collect();
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions.len(), 200);
    assert_eq!(store.list(&pods(), None).items.len(), 200);
}

#[tokio::test]
async fn an_object_that_is_too_large_is_refused_and_costs_nothing() {
    let store = memory();
    let mut large = put("x", 1, Expected::Absent);
    let Action::Put(value) = &mut large.action else { panic!("it is a put") };
    value["data"] = json!("x".repeat(2 * 1_024 * 1_024));
    assert!(matches!(store.write(large).await, Err(WriteError::TooLarge { .. })));
    assert_eq!(store.write(put("y", 1, Expected::Absent)).await.unwrap().revision, 1);
}

#[tokio::test]
async fn a_closed_store_refuses_writes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.close();
    assert!(matches!(store.write(put("x", 1, Expected::Absent)).await, Err(WriteError::Closed)));
}

fn change_at(revision: Revision, previous: Option<Arc<Record>>) -> Arc<Change> {
    let record = Arc::new(Record::new(revision, object("x", revision)));
    Arc::new(Change { resource: pods(), name: name("x"), previous, outcome: Outcome::Stored(record) })
}

#[test]
fn old_history_goes_and_says_what_it_no_longer_covers() {
    let mut state = State::default();
    let mut previous = None;
    for revision in 1..=1_500 {
        let change = change_at(revision, previous);
        previous = Some(change.record().clone());
        state.apply(change, Duration::ZERO, 10);
    }
    assert!(state.trim(Duration::from_secs(10)).is_empty(), "young history stays");
    let unused = state.trim(Duration::from_secs(3_600));
    // 500 changes go, and the states before them; the first had none.
    assert_eq!((unused.len(), unused[0], state.compacted), (499, 1, 500));
    assert_eq!(state.changes(&pods(), 499, 10).unwrap_err(), Compacted { oldest: 500 });
    assert_eq!(state.changes(&pods(), 500, 10).unwrap().changes[0].revision(), 501);
    assert_eq!(state.list_at(&pods(), None, 499).unwrap_err(), Compacted { oldest: 500 });
    assert_eq!(state.list_at(&pods(), None, 500).unwrap().items[0].1.revision, 500);
}

#[tokio::test]
async fn rows_that_nothing_refers_to_leave_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut at = store.write(put("x", 0, Expected::Absent)).await.unwrap().revision;
    for value in 1..5 {
        at = store.write(put("x", value, Expected::At(at))).await.unwrap().revision;
    }
    store.close();
    drop(store);
    let mut log = Log::open(folder.path()).unwrap();
    let state = log.load(Duration::ZERO).unwrap();
    log.append(std::iter::empty(), &[1, 2], 3).unwrap();
    log.close(state.revision).unwrap();
    drop(log);
    let store = open(folder.path());
    assert_eq!(store.get(&pods(), &name("x")).unwrap().revision, at);
    assert_eq!(store.changes(&pods(), 2, 10).unwrap_err(), Compacted { oldest: 3 });
    assert_eq!(store.changes(&pods(), 3, 10).unwrap().changes.len(), 2);
    assert_eq!(store.list_at(&pods(), None, 3).unwrap().items[0].1.revision, 3);
}
