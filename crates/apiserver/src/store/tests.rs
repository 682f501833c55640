//! The store's promises: order, compare-and-set, history, and what survives a stop.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::clock::{SystemChance, SystemClock};

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

fn opened(folder: &Path) -> Result<Store, StoreError> {
    opened_with(folder, Window::default())
}

fn opened_with(folder: &Path, window: Window) -> Result<Store, StoreError> {
    Store::open(folder, Arc::new(SystemClock::new()), Arc::new(SystemChance), window)
}

fn open(folder: &Path) -> Store {
    opened(folder).expect("the folder can be opened")
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
    let then = store.list_at(&pods(), Some("a"), y.revision).await.unwrap();
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
    let found = store.recent_changes(&pods(), x.revision, 10).unwrap();
    let revisions: Vec<_> = found.changes.iter().map(|change| change.revision()).collect();
    assert_eq!(revisions, [second.revision, gone.revision]);
    assert!(matches!(found.changes[1].outcome, Outcome::Deleted(_)));
    assert_eq!(found.changes[1].record().value["value"], 2);
    let one = store.recent_changes(&pods(), 0, 1).unwrap();
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
    let found = store.recent_changes(&pods(), y.revision, 10).unwrap();
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
    let second = opened(folder.path());
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
        drop(state.apply(change, Duration::ZERO, 10));
    }
    state.trim(Duration::from_secs(10));
    assert_eq!(state.begins, 0, "young history stays");
    state.trim(Duration::from_secs(3_600));
    assert_eq!((state.begins, state.history_size()), (500, (1_000, 10_000)));
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
    let mut log = Log::open(folder.path(), Arc::new(SystemChance)).unwrap();
    let state = log.load(Duration::ZERO, Window::default()).unwrap();
    log.append(std::iter::empty(), Some(3)).unwrap();
    log.close(state.revision).unwrap();
    drop(log);
    let store = open(folder.path());
    assert_eq!(store.get(&pods(), &name("x")).unwrap().revision, at);
    assert_eq!(store.recent_changes(&pods(), 2, 10).unwrap_err(), Compacted { oldest: 3 });
    assert_eq!(store.recent_changes(&pods(), 3, 10).unwrap().changes.len(), 2);
    assert_eq!(store.list_at(&pods(), None, 3).await.unwrap().items[0].1.revision, 3);
}

#[tokio::test]
async fn a_full_disk_is_said_and_nothing_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path(), Arc::new(SystemChance)).unwrap();
    log.fill_up();
    let store = Store::with_log(log, folder.path(), Arc::new(SystemClock::new()), Window::default()).unwrap();
    let mut acknowledged = Vec::new();
    let refusal = loop {
        let text = format!("x{}", acknowledged.len());
        match store.write(put(&text, 1, Expected::Absent)).await {
            Ok(_) => acknowledged.push(text),
            Err(refusal) => break refusal,
        }
    };
    assert!(matches!(refusal, WriteError::Disk(Trouble::Full)), "{refusal}");
    assert_eq!(store.trouble(), Some(Trouble::Full));
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(names(&store.list(&pods(), None)), sorted(acknowledged.clone()), "what failed is not shown");
    drop(store);
    let store = open(folder.path());
    assert_eq!(names(&store.list(&pods(), None)), sorted(acknowledged));
    assert_eq!(store.trouble(), None);
    store.write(put("y", 1, Expected::Absent)).await.unwrap();
}

/// The database of a store that was closed with one object in it.
async fn closed_database(folder: &Path) -> rusqlite::Connection {
    let store = open(folder);
    store.write(put("x", 1, Expected::Absent)).await.unwrap();
    store.close();
    drop(store);
    rusqlite::Connection::open(folder.join("objects.sqlite")).unwrap()
}

fn refusal(folder: &Path) -> String {
    opened(folder).map(drop).expect_err("it is refused").to_string()
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let database = closed_database(folder.path()).await;
    database.execute("UPDATE meta SET value = 9 WHERE key = 'format'", []).unwrap();
    drop(database);
    let text = refusal(folder.path());
    assert!(text.ends_with("cannot be read: it has format 9, this program knows 3"), "{text}");
}

#[tokio::test]
async fn a_changed_byte_is_noticed() {
    for change in [
        "UPDATE log SET value = CAST(replace(CAST(value AS TEXT), '\"value\":1', '\"value\":2') AS BLOB)",
        "UPDATE log SET name = 'y'",
        "UPDATE log SET deleted = 1",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let database = closed_database(folder.path()).await;
        assert_eq!(database.execute(change, []).unwrap(), 1);
        drop(database);
        let text = refusal(folder.path());
        assert!(text.ends_with("row 1 is damaged: it does not fit its checksum"), "{change}: {text}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("objects.sqlite"),
        "not a database, but longer than its header ".repeat(9),
    )
    .unwrap();
    let text = refusal(folder.path());
    assert!(text.contains("objects.sqlite cannot be used"), "{text}");
}

#[tokio::test]
async fn a_page_that_was_overwritten_is_noticed_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 0..200 {
        store.write(put(&format!("x{number}"), number, Expected::Absent)).await.unwrap();
    }
    crash(folder.path(), store);
    let file = folder.path().join("objects.sqlite");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4_096].fill(0x5a);
    std::fs::write(&file, bytes).unwrap();
    let text = refusal(folder.path());
    assert!(text.contains("is damaged") || text.contains("cannot be used"), "{text}");
}

#[tokio::test]
async fn hc_22_a_copy_begins_beyond_the_original_and_without_its_history() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let x = store.write(put("x", 1, Expected::Absent)).await.unwrap();
    let last = store.write(put("x", 2, Expected::At(x.revision))).await.unwrap();
    let restored = tempfile::tempdir().unwrap();
    store.copy_to(&restored.path().join("objects.sqlite")).unwrap();
    let after = store.write(put("y", 1, Expected::Absent)).await.unwrap();
    assert!(store.copy_to(&restored.path().join("objects.sqlite")).is_err(), "no file is overwritten");
    drop(store);

    let copy = open(restored.path());
    assert!(copy.revision() > after.revision + 1_000_000, "{}", copy.revision());
    assert_eq!(names(&copy.list(&pods(), None)), ["x"]);
    assert_eq!(copy.get(&pods(), &name("x")).unwrap().value["value"], 2);
    assert!(copy.recent_changes(&pods(), last.revision, 10).is_err(), "old watchers must begin anew");
    assert!(copy.recent_changes(&pods(), copy.revision(), 10).is_ok());
    let next = copy.write(put("z", 1, Expected::Absent)).await.unwrap();
    drop(copy);
    // Only the first start jumps, and the superseded state is gone for good.
    let again = open(restored.path());
    assert_eq!(again.revision(), next.revision);
    drop(again);
    let database = rusqlite::Connection::open(restored.path().join("objects.sqlite")).unwrap();
    let rows: i64 = database.query_row("SELECT count(*) FROM log", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 2);
}

#[tokio::test]
async fn every_commit_is_synced_and_the_log_of_the_database_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let connection = file::connect(&folder.path().join("objects.sqlite")).unwrap();
    let setting = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(setting("synchronous"), 2, "FULL: a commit is on the disk when it returns");
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    assert!(setting("wal_autocheckpoint") > 0 && setting("journal_size_limit") > 0);
}

#[tokio::test]
async fn the_database_stays_small_when_one_object_changes_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(crate::clock::tests::SteppingClock::new(Duration::from_secs(1)));
    let store = Store::open(folder.path(), clock, Arc::new(SystemChance), Window::default()).unwrap();
    let mut at = store.write(put("x", 0, Expected::Absent)).await.unwrap().revision;
    for value in 1..1_300 {
        at = store.write(put("x", value, Expected::At(at))).await.unwrap().revision;
    }
    drop(store);
    let database = rusqlite::Connection::open(folder.path().join("objects.sqlite")).unwrap();
    let rows: i64 = database.query_row("SELECT count(*) FROM log", [], |row| row.get(0)).unwrap();
    // A thousand changes are kept, and the state before the oldest of them.
    assert!((1_000..=1_003).contains(&rows), "{rows} rows");
    let store = open(folder.path());
    assert_eq!(store.recent_changes(&pods(), at - 999, 2_000).unwrap().changes.len(), 999);
    assert!(store.recent_changes(&pods(), at - 1_100, 1).is_err());
}

#[tokio::test]
async fn decoded_values_do_not_pile_up() {
    let store = memory();
    for number in 0..100 {
        store.write(put(&format!("x{number:03}"), number, Expected::Absent)).await.unwrap();
    }
    let warm = |store: &Store| {
        let list = store.list(&pods(), None).items;
        list.iter().filter(|(_, record)| record.is_warm()).count()
    };
    assert_eq!(warm(&store), 0, "a write leaves nothing decoded");
    for (_, record) in store.list(&pods(), None).items {
        assert_eq!((record.labels().len(), record.is_warm()), (0, false));
        assert_eq!((record.peek()["metadata"]["namespace"].as_str(), record.is_warm()), (Some("a"), false));
        assert_eq!(record.value["metadata"]["namespace"], "a");
    }
    assert_eq!(warm(&store), 100);
    for number in 0..4 {
        store.write(put(&format!("y{number}"), number, Expected::Absent)).await.unwrap();
    }
    assert_eq!(warm(&store), 0);
    // What the history keeps is never decoded, whoever looks at the object.
    let record = store.get(&pods(), &name("y0")).unwrap();
    assert_eq!(record.value["value"], 0);
    let again = store.write(put("y0", 9, Expected::At(record.revision))).await.unwrap();
    assert_eq!(again.value["value"], 9);
    let history = store.recent_changes(&pods(), 0, 1_000).unwrap().changes;
    assert_eq!(history.len(), 105);
    let cold = |change: &Arc<Change>| {
        !change.record().is_warm() && change.previous.as_ref().is_none_or(|previous| !previous.is_warm())
    };
    assert!(history.iter().all(cold));
}

#[test]
fn labels_are_read_without_the_rest() {
    let json =
        r#"{"metadata":{"name":"x","labels":{"a":"1"},"managedFields":[{"f":{}}]},"data":{"labels":"no"}}"#;
    let record = Record::stored(1, json.into());
    assert_eq!(*record.labels(), *json!({"a": "1"}).as_object().unwrap());
    assert!(!record.is_warm());
    assert!(Record::stored(1, r#"{"metadata":{"name":"x"}}"#.into()).labels().is_empty());
    let decoded = Record::new(1, serde_json::from_str(json).unwrap());
    assert_eq!(decoded.labels(), record.labels());
}

#[test]
fn the_lifecycle_of_an_object_is_read_without_the_rest() {
    let kept = json!({
        "name": "x", "uid": "u", "deletionTimestamp": "2026-03-31T10:00:00Z", "finalizers": ["a/b"],
        "ownerReferences": [{"uid": "o", "name": "owner", "kind": "Owner", "apiVersion": "v1"}],
    });
    let mut object = json!({"metadata": kept, "data": {"finalizers": ["no"]}});
    object["metadata"]["managedFields"] = json!([{"manager": "m"}]);
    let record = Record::stored(1, object.to_string().into());
    assert_eq!(record.lifecycle(), json!({ "metadata": kept }));
    assert_eq!(Record::new(1, object).lifecycle(), record.lifecycle());
    assert!(!record.is_warm());
}

fn secret(text: &str, word: &str) -> Write {
    let (resource, name) = (ResourceId::new("", "secrets"), name(text));
    let action = Action::Put(json!({"metadata": {"namespace": "a", "name": text}, "data": {"word": word}}));
    Write { resource, name, expected: Expected::Absent, guard: None, action }
}

#[tokio::test]
async fn secrets_are_sealed_in_the_files_and_open_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let stored = store.write(secret("x", "geheim-geheim")).await.unwrap();
    store.write(put("geheimnis-pod", 1, Expected::Absent)).await.unwrap();
    let holds = |text: &str| {
        let files = ["objects.sqlite", "objects.sqlite-wal"].map(|name| folder.path().join(name));
        let bytes = files.iter().filter_map(|file| std::fs::read(file).ok()).collect::<Vec<_>>().concat();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    assert!(holds("geheimnis-pod"), "what is no Secret is plain");
    assert!(!holds("geheim-geheim"));
    drop(store);
    let store = open(folder.path());
    let again = store.get(&ResourceId::new("", "secrets"), &name("x")).unwrap();
    assert_eq!((again.revision, again.json()), (stored.revision, stored.json()));
}

#[tokio::test]
async fn a_secret_fits_its_place_and_its_key_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.write(secret("x", "geheim")).await.unwrap();
    drop(store);
    let key = seal::key_file(folder.path());
    let kept = std::fs::read(&key).unwrap();
    std::fs::write(&key, [7; 32]).unwrap();
    let text = refusal(folder.path());
    assert!(text.ends_with("row 1 is a Secret that the key beside it does not open"), "{text}");
    std::fs::remove_file(&key).unwrap();
    let text = refusal(folder.path());
    assert!(text.contains("secrets.key cannot be used"), "no new key is made for old Secrets: {text}");
    std::fs::write(&key, &kept[1..]).unwrap();
    let text = refusal(folder.path());
    assert!(text.ends_with("it has 31 bytes, a key has 32"), "{text}");
    std::fs::write(&key, &kept).unwrap();
    open(folder.path());
}

#[tokio::test]
async fn a_new_key_takes_the_place_of_the_old_one_also_after_a_stop_in_between() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let stored = store.write(secret("x", "geheim")).await.unwrap();
    store.write(put("plain", 1, Expected::Absent)).await.unwrap();
    drop(store);
    let (key, next) = (seal::key_file(folder.path()), seal::next_key_file(folder.path()));
    let old = std::fs::read(&key).unwrap();
    std::fs::write(&next, [7; 32]).unwrap();
    let revealed = |store: Store| store.get(&ResourceId::new("", "secrets"), &name("x")).unwrap().json();
    assert_eq!(revealed(open(folder.path())), stored.json());
    assert_eq!((std::fs::read(&key).unwrap(), next.exists()), (vec![7; 32], false));
    assert_eq!(revealed(open(folder.path())), stored.json(), "the new key is in use");
    // A stop after the rewrite and before the renaming.
    std::fs::write(&key, &old).unwrap();
    let text = refusal(folder.path());
    assert!(text.ends_with("is a Secret that the key beside it does not open"), "{text}");
    std::fs::write(&next, [7; 32]).unwrap();
    assert_eq!(revealed(open(folder.path())), stored.json());
    // A key that is none changes nothing.
    std::fs::write(&next, [8; 31]).unwrap();
    let text = refusal(folder.path());
    assert!(text.ends_with("it has 31 bytes, a key has 32"), "{text}");
    std::fs::remove_file(&next).unwrap();
    assert_eq!(revealed(open(folder.path())), stored.json());
}
