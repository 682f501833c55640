//! The SQLite log: the only module that speaks SQL.
//!
//! One table of changes. A row may go once nothing refers to it: it is neither
//! a current object nor the state before a change that the history still
//! covers. Replaying the rows in order therefore gives both, state and history.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::StoreError;
use super::record::{Change, ObjectName, Outcome, Record, ResourceId, Revision};
use super::state::State;

/// The layout this program writes; another number is refused.
const FORMAT: i64 = 1;

/// Revisions skipped after a stop that was not clean: some may have been seen
/// by clients and lost with the machine (spec/apiserver.md 19.1).
const UNCLEAN_JUMP: Revision = 1_000;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS log (
  revision INTEGER PRIMARY KEY,
  resource TEXT NOT NULL,
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  deleted INTEGER NOT NULL,
  value BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
";

/// One change as the log stores it.
pub(super) struct Row<'a> {
    change: &'a Change,
}

impl<'a> Row<'a> {
    pub(super) fn of(change: &'a Change) -> Self {
        Self { change }
    }
}

pub(super) struct Log {
    connection: Connection,
    path: String,
    /// Held for as long as the log is open: one process per folder.
    _lock: File,
}

impl Log {
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Folder { path: folder.display().to_string(), source };
        create_private_folder(folder).map_err(failed)?;
        let lock = private_file(&folder.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { path: folder.display().to_string() });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let file = folder.join("objects.sqlite");
        private_file(&file).map_err(failed)?;
        let path = file.display().to_string();
        let connection =
            connect(&file).map_err(|source| StoreError::Database { path: path.clone(), source })?;
        Ok(Self { connection, path, _lock: lock })
    }

    /// Reads the whole log and marks it as open.
    pub(super) fn load(&mut self, now: Duration) -> Result<State, StoreError> {
        let format = self.meta("format")?.unwrap_or(FORMAT);
        if format != FORMAT {
            return Err(self.contents(format!("it has format {format}, this program knows {FORMAT}")));
        }
        let clean = self.meta("clean")?.is_none_or(|clean| clean == 1);
        if !clean {
            self.check_integrity()?;
        }
        let mut state = State::compacted_at(self.revision_of("compacted")?);
        self.replay(&mut state, now)?;
        let floor = self.revision_of("floor")?.max(state.compacted).max(state.revision);
        state.revision = if clean { floor } else { floor + UNCLEAN_JUMP };
        let revision = signed(state.revision);
        let opened = [("format", FORMAT), ("clean", 0), ("floor", revision)];
        opened.iter().try_for_each(|(key, value)| self.set_meta(key, *value)).map_err(|e| self.failed(e))?;
        Ok(state)
    }

    fn replay(&self, state: &mut State, now: Duration) -> Result<(), StoreError> {
        let sql = "SELECT revision, resource, namespace, name, deleted, value FROM log ORDER BY revision";
        let mut statement = self.connection.prepare(sql).map_err(|e| self.failed(e))?;
        let mut rows = statement.query([]).map_err(|e| self.failed(e))?;
        while let Some(row) = rows.next().map_err(|e| self.failed(e))? {
            let (revision, change, bytes) = self.decode(row, state)?;
            match (change.outcome.clone(), revision > state.compacted) {
                (_, true) => state.apply(Arc::new(change), now, bytes),
                (Outcome::Stored(record), false) => state.restore(&change.resource, change.name, record),
                // A delete below the history: its object's rows went before it.
                (Outcome::Deleted(_), false) => {}
            }
        }
        Ok(())
    }

    fn decode(
        &self,
        row: &rusqlite::Row<'_>,
        state: &State,
    ) -> Result<(Revision, Change, usize), StoreError> {
        let parts = || -> Result<_, rusqlite::Error> {
            let name = ObjectName::new(row.get::<_, String>(2)?, row.get::<_, String>(3)?);
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, String>(1)?,
                name,
                row.get(4)?,
                row.get::<_, Vec<u8>>(5)?,
            ))
        };
        let (revision, resource, name, deleted, json): (_, _, _, bool, _) =
            parts().map_err(|e| self.failed(e))?;
        let value: Value = serde_json::from_slice(&json)
            .map_err(|error| self.contents(format!("row {revision} is no JSON: {error}")))?;
        let revision = Revision::try_from(revision)
            .map_err(|_| self.contents(format!("row {revision} has a negative number")))?;
        let resource = ResourceId::from_text(&resource);
        let previous = state.get(&resource, &name);
        let record = Arc::new(Record::new(revision, value));
        let outcome = if deleted { Outcome::Deleted(record) } else { Outcome::Stored(record) };
        Ok((revision, Change { resource, name, previous, outcome }, json.len()))
    }

    /// Appends changes and drops rows that nothing refers to, in one durable transaction.
    pub(super) fn append<'a>(
        &mut self,
        rows: impl Iterator<Item = Row<'a>>,
        unused: &[Revision],
        compacted: Revision,
    ) -> Result<(), rusqlite::Error> {
        let transaction = self.connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO log VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
            for Row { change } in rows {
                let deleted = matches!(change.outcome, Outcome::Deleted(_));
                let record = change.record();
                let (namespace, name) = (&change.name.namespace, &change.name.name);
                let json = record.json();
                insert.execute(params![
                    signed(record.revision),
                    change.resource.as_str(),
                    namespace,
                    name,
                    deleted,
                    &json[..]
                ])?;
            }
            let mut delete = transaction.prepare_cached("DELETE FROM log WHERE revision = ?1")?;
            for revision in unused {
                delete.execute([signed(*revision)])?;
            }
            if !unused.is_empty() {
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO meta VALUES ('compacted', ?1)")?
                    .execute([signed(compacted)])?;
            }
        }
        transaction.commit()
    }

    pub(super) fn close(&mut self, revision: Revision) -> Result<(), rusqlite::Error> {
        self.set_meta("floor", signed(revision))?;
        self.set_meta("clean", 1)
    }

    fn check_integrity(&self) -> Result<(), StoreError> {
        let check = self.connection.query_row("PRAGMA quick_check", [], |row| row.get::<_, String>(0));
        match check.map_err(|e| self.failed(e))?.as_str() {
            "ok" => Ok(()),
            damage => Err(self.contents(format!("it is damaged: {damage}"))),
        }
    }

    fn meta(&self, key: &str) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT value FROM meta WHERE key = ?1";
        self.connection.query_row(sql, [key], |row| row.get(0)).optional().map_err(|e| self.failed(e))
    }

    fn revision_of(&self, key: &str) -> Result<Revision, StoreError> {
        let value = self.meta(key)?.unwrap_or(0);
        Revision::try_from(value).map_err(|_| self.contents(format!("{key} is negative: {value}")))
    }

    fn set_meta(&self, key: &str, value: i64) -> Result<(), rusqlite::Error> {
        self.connection.execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", params![key, value])?;
        Ok(())
    }

    fn failed(&self, source: rusqlite::Error) -> StoreError {
        StoreError::Database { path: self.path.clone(), source }
    }

    fn contents(&self, detail: String) -> StoreError {
        StoreError::Contents { path: self.path.clone(), detail }
    }
}

fn connect(file: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(file)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // NORMAL may lose acknowledged writes at power loss, and with them
    // revisions that clients have seen (spec/apiserver.md 19.1).
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(SCHEMA)?;
    Ok(connection)
}

fn create_private_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn private_file(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// SQLite's integers are signed; a counter from 1 never reaches the sign bit.
fn signed(revision: Revision) -> i64 {
    i64::try_from(revision).expect("a revision fits 63 bits")
}
