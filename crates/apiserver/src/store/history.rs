//! Reading the log behind the window of memory: watches that were away for
//! long, and lists of older states (spec/apiserver.md 8.5, 19.1).
//!
//! Readers look at a snapshot of the database and never wait for the writer,
//! nor does it wait for them. What one step reads is bounded in rows and bytes,
//! and how many steps run at once in number.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags, Transaction, params};
use tokio::sync::Semaphore;
use tokio::task::JoinError;

use super::record::{ObjectName, Record, ResourceId, Revision};
use super::rows::{COLUMNS, Rows, signed};
use super::state::{Changes, Snapshot};
use super::{Compacted, HistoryError, StoreError};

/// Steps that read at once: the disk is the writer's first of all.
const READERS: usize = 2;

/// Revisions that one step looks through at most: other resources' changes are
/// passed over, and a reader must not hold its place for long.
const REVISIONS_AT_ONCE: Revision = 20_000;

/// Encoded bytes after which a step is enough, about what a watch sends in one frame.
const BYTES_AT_ONCE: usize = 64 * 1_024;

/// Pages of the database that a reader keeps (4 KiB each).
const CACHED_PAGES: i64 = 256;

/// The log as its readers see it.
pub(super) struct History {
    rows: Arc<Rows>,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

/// A part of the log: after one revision, up to another that is published.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) after: Revision,
    pub(super) to: Revision,
}

impl History {
    pub(super) fn new(rows: Arc<Rows>) -> Arc<Self> {
        Arc::new(Self { rows, places: Arc::new(Semaphore::new(READERS)), idle: Mutex::default() })
    }

    /// Some of the next changes of a resource, at most `limit`.
    pub(super) async fn changes(
        self: &Arc<Self>,
        resource: &ResourceId,
        span: Span,
        limit: usize,
    ) -> Result<Changes, HistoryError> {
        let resource = resource.clone();
        self.run(move |log| log.changes(&resource, span, limit)).await
    }

    /// `later` is a list as it was at the end of the span; this is the list at its beginning.
    pub(super) async fn list_at(
        self: &Arc<Self>,
        resource: &ResourceId,
        namespace: Option<&str>,
        span: Span,
        later: Snapshot,
    ) -> Result<Snapshot, HistoryError> {
        let (resource, namespace) = (resource.clone(), namespace.map(str::to_owned));
        self.run(move |log| log.list_at(&resource, namespace.as_deref(), span, later)).await
    }

    /// Waits for a place and runs a step on a thread that may block. A task of its own does so: who asked may be an
    /// answer that its client does not read, is not looked at again, and must not keep a place meanwhile.
    async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        step: impl FnOnce(&Reading<'_>) -> Result<T, HistoryError> + Send + 'static,
    ) -> Result<T, HistoryError> {
        let own = self.clone();
        let reading = tokio::spawn(async move {
            let place = own.places.clone().acquire_owned().await.map_err(|_| HistoryError::Closed)?;
            let reading = tokio::task::spawn_blocking(move || {
                let done = own.read(step);
                drop(place);
                done
            });
            finished(reading.await)
        });
        finished(reading.await)
    }

    fn read<T>(&self, step: impl FnOnce(&Reading<'_>) -> Result<T, HistoryError>) -> Result<T, HistoryError> {
        let known = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match known {
            Some(connection) => connection,
            None => connect(&self.rows.file).map_err(|error| self.rows.failed(error))?,
        };
        let transaction = connection.unchecked_transaction().map_err(|error| self.rows.failed(error))?;
        let done = step(&Reading { rows: &self.rows, transaction: &transaction });
        drop(transaction);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        done
    }

    /// Gives the files back.
    pub(super) fn close(&self) {
        self.places.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// What a task came to. A panic goes on in whoever asked; a runtime that stops takes its tasks with it.
fn finished<T>(joined: Result<Result<T, HistoryError>, JoinError>) -> Result<T, HistoryError> {
    joined.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Err(HistoryError::Closed),
    })
}

fn connect(file: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "cache_size", CACHED_PAGES)?;
    Ok(connection)
}

/// One step on one snapshot of the database.
struct Reading<'a> {
    rows: &'a Rows,
    transaction: &'a Transaction<'a>,
}

impl Reading<'_> {
    fn changes(&self, resource: &ResourceId, span: Span, limit: usize) -> Result<Changes, HistoryError> {
        self.covers(span.after)?;
        let to = span.to.min(span.after.saturating_add(REVISIONS_AT_ONCE));
        let sql = format!(
            "SELECT {COLUMNS} FROM log WHERE revision > ?1 AND revision <= ?2 AND resource = ?3 ORDER BY revision"
        );
        let mut statement = self.transaction.prepare_cached(&sql).map_err(|e| self.rows.failed(e))?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        self.rows.each(
            &mut statement,
            params![signed(span.after), signed(to), resource.as_str()],
            |row| {
                bytes += row.json.len();
                found.push(row);
                Ok(found.len() < limit && bytes < BYTES_AT_ONCE)
            },
        )?;
        let cut = found.len() == limit || bytes >= BYTES_AT_ONCE;
        let complete_to = found.last().filter(|_| cut).map_or(to, |row| row.revision);
        let changes = found.into_iter().map(|row| {
            let previous = self.state(row.previous)?;
            Ok(Arc::new(row.into_change(previous)))
        });
        Ok(Changes { changes: changes.collect::<Result<_, StoreError>>()?, complete_to, more: true })
    }

    fn list_at(
        &self,
        resource: &ResourceId,
        namespace: Option<&str>,
        span: Span,
        later: Snapshot,
    ) -> Result<Snapshot, HistoryError> {
        self.covers(span.after)?;
        let mut items: BTreeMap<_, _> = later.items.into_iter().collect();
        for (name, previous) in self.first_changes(resource, namespace, span)? {
            match self.state(previous)? {
                Some(record) => items.insert(name, record),
                None => items.remove(&name),
            };
        }
        Ok(Snapshot { revision: span.after, items: items.into_iter().collect() })
    }

    /// The objects that changed within the span, and the revision each had before.
    fn first_changes(
        &self,
        resource: &ResourceId,
        namespace: Option<&str>,
        span: Span,
    ) -> Result<Vec<(ObjectName, Revision)>, StoreError> {
        let read = || {
            // The other columns are those of the row with the smallest revision, as SQLite documents.
            let mut statement = self.transaction.prepare_cached(
                "SELECT namespace, name, previous, min(revision) FROM log \
                 WHERE revision > ?1 AND revision <= ?2 AND resource = ?3 AND (?4 IS NULL OR namespace = ?4) \
                 GROUP BY namespace, name",
            )?;
            let parameters = params![signed(span.after), signed(span.to), resource.as_str(), namespace];
            let rows = statement.query_map(parameters, |row| {
                let name = ObjectName::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?);
                Ok((name, row.get::<_, i64>(2)?))
            })?;
            rows.collect::<Result<Vec<_>, rusqlite::Error>>()
        };
        let found = read().map_err(|error| self.rows.failed(error))?;
        let unsigned = |(name, previous): (ObjectName, i64)| Some((name, Revision::try_from(previous).ok()?));
        let all: Option<Vec<_>> = found.into_iter().map(unsigned).collect();
        all.ok_or_else(|| self.rows.contents("a row has a negative number".to_owned()))
    }

    /// The state that was stored with this revision; 0 is none.
    fn state(&self, revision: Revision) -> Result<Option<Arc<Record>>, StoreError> {
        if revision == 0 {
            return Ok(None);
        }
        let sql = format!("SELECT {COLUMNS} FROM log WHERE revision = ?1");
        let mut statement = self.transaction.prepare_cached(&sql).map_err(|e| self.rows.failed(e))?;
        let mut found = None;
        self.rows.each(&mut statement, [signed(revision)], |row| {
            found = Some(Arc::new(Record::stored(revision, row.json.into())));
            Ok(false)
        })?;
        // The history still covers a change of this state.
        let lost = || self.rows.contents(format!("row {revision} is missing"));
        found.map(Some).ok_or_else(lost)
    }

    /// Whether the snapshot still holds every change after a revision.
    fn covers(&self, after: Revision) -> Result<(), HistoryError> {
        let sql = "SELECT coalesce(max(value), 0) FROM meta WHERE key = 'compacted'";
        let oldest = self.transaction.query_row(sql, [], |row| row.get::<_, i64>(0));
        let oldest = oldest.map_err(|error| self.rows.failed(error))?;
        let oldest = Revision::try_from(oldest).unwrap_or(0);
        if after < oldest { Err(Compacted { oldest }.into()) } else { Ok(()) }
    }
}
