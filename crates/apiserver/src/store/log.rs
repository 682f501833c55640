//! The SQLite log of changes.
//!
//! One table. A row may go once nothing refers to it: it is neither a current
//! object nor the state before a change that the history still covers.
//! Replaying the rows in order therefore gives both, state and history.

use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::StoreError;
use super::file;
use super::record::{Change, ObjectName, Outcome, Record, ResourceId, Revision};
use super::seal::{Place, Seal};
use super::state::State;
use crate::clock::Chance;

/// The layout this program writes; another number is refused.
const FORMAT: i64 = 2;

/// Revisions skipped after a stop that was not clean: some may have been seen
/// by clients and lost with the machine (spec/apiserver.md 19.1).
const UNCLEAN_JUMP: Revision = 1_000;

/// Revisions skipped by a store that begins with a copy: the original may have
/// gone on for long (spec/apiserver.md 7.1).
const RESTORED_JUMP: Revision = 1 << 20;

/// Why nothing can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// There is no room; a later write may find some.
    Full,
    /// Another program holds the database; a later write may come through.
    Busy,
    /// The disk failed: what it holds is not known before it is read again.
    Broken,
}

impl Trouble {
    pub(super) fn of(error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            _ => Self::Broken,
        }
    }

    /// The state of the disk in words.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Full => "the disk is full",
            Self::Busy => "the database is in use by another program",
            Self::Broken => "the disk answered with an error; the server must be started again",
        }
    }
}

/// One row as it is read.
struct Row {
    revision: Revision,
    resource: ResourceId,
    name: ObjectName,
    deleted: bool,
    json: Vec<u8>,
}

pub(super) struct Log {
    connection: Connection,
    file: PathBuf,
    seal: Seal,
    /// Held for as long as the log is open: one process per folder.
    _lock: File,
}

impl Log {
    pub(super) fn open(folder: &Path, chance: Arc<dyn Chance>) -> Result<Self, StoreError> {
        let lock = file::take_folder(folder)?;
        let file = file::database(folder);
        let connection = file::connect(&file)?;
        let secrets = "SELECT EXISTS (SELECT 1 FROM log WHERE resource = '/secrets')";
        let sealed = connection
            .query_row(secrets, [], |row| row.get::<_, bool>(0))
            .map_err(|source| StoreError::Database { path: file.display().to_string(), source })?;
        let seal = Seal::open(folder, chance, !sealed)?;
        Ok(Self { connection, file, seal, _lock: lock })
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
        if self.meta("restored")? == Some(1) {
            state.revision = floor + RESTORED_JUMP;
            let unused = state.forget();
            self.append(std::iter::empty(), &unused, state.compacted).map_err(|e| self.failed(e))?;
        } else {
            state.revision = if clean { floor } else { floor + UNCLEAN_JUMP };
        }
        let revision = signed(state.revision);
        let opened = [("format", FORMAT), ("clean", 0), ("floor", revision), ("restored", 0)];
        self.set_meta(&opened).map_err(|e| self.failed(e))?;
        Ok(state)
    }

    fn replay(&self, state: &mut State, now: Duration) -> Result<(), StoreError> {
        let sql =
            "SELECT revision, resource, namespace, name, deleted, value, digest FROM log ORDER BY revision";
        let mut statement = self.connection.prepare(sql).map_err(|e| self.failed(e))?;
        let mut rows = statement.query([]).map_err(|e| self.failed(e))?;
        while let Some(row) = rows.next().map_err(|e| self.failed(e))? {
            let Row { revision, resource, name, deleted, json } = self.read(row)?;
            let bytes = json.len();
            let record = Arc::new(Record::stored(revision, json.into()));
            if revision > state.compacted {
                let previous = state.get(&resource, &name);
                let outcome = if deleted { Outcome::Deleted(record) } else { Outcome::Stored(record) };
                drop(state.apply(Arc::new(Change { resource, name, previous, outcome }), now, bytes));
            } else if !deleted {
                // A delete below the history took the rows of its object with it.
                state.restore(&resource, name, record);
            }
        }
        Ok(())
    }

    fn read(&self, row: &rusqlite::Row<'_>) -> Result<Row, StoreError> {
        let parts = || -> Result<(i64, Row, i64), rusqlite::Error> {
            let name = ObjectName::new(row.get::<_, String>(2)?, row.get::<_, String>(3)?);
            let resource = ResourceId::from_text(&row.get::<_, String>(1)?);
            let (deleted, json, digest) = (row.get(4)?, row.get(5)?, row.get(6)?);
            Ok((row.get(0)?, Row { revision: 0, resource, name, deleted, json }, digest))
        };
        let (number, mut row, found) = parts().map_err(|e| self.failed(e))?;
        row.revision = Revision::try_from(number)
            .map_err(|_| self.contents(format!("row {number} has a negative number")))?;
        if digest(row.revision, &row.resource, &row.name, row.deleted, &row.json) != found {
            return Err(self.contents(format!("row {number} is damaged: it does not fit its checksum")));
        }
        let place = Place { revision: row.revision, resource: &row.resource, name: &row.name };
        if place.is_sealed() {
            let json = self.seal.unseal(&place, &row.json);
            row.json = json.ok_or_else(|| {
                self.contents(format!("row {number} is a Secret that the key beside it does not open"))
            })?;
        }
        Ok(row)
    }

    /// Appends changes and drops rows that nothing refers to, in one durable transaction.
    pub(super) fn append<'a>(
        &mut self,
        changes: impl Iterator<Item = &'a Change>,
        unused: &[Revision],
        compacted: Revision,
    ) -> Result<(), rusqlite::Error> {
        let transaction = self.connection.transaction()?;
        {
            let sql = "INSERT INTO log VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let mut insert = transaction.prepare_cached(sql)?;
            for Change { resource, name, outcome, .. } in changes {
                let (record, deleted) = match outcome {
                    Outcome::Stored(record) => (record, false),
                    Outcome::Deleted(record) => (record, true),
                };
                let (revision, json) = (record.revision, record.json());
                let place = Place { revision, resource, name };
                let value: Cow<'_, [u8]> =
                    if place.is_sealed() { self.seal.seal(&place, &json).into() } else { (&json[..]).into() };
                insert.execute(params![
                    signed(revision),
                    resource.as_str(),
                    name.namespace,
                    name.name,
                    deleted,
                    &value[..],
                    digest(revision, resource, name, deleted, &value),
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

    /// Marks the log as closed in good order and gives back what it no longer needs.
    pub(super) fn close(&mut self, revision: Revision) -> Result<(), rusqlite::Error> {
        self.set_meta(&[("floor", signed(revision)), ("clean", 1)])?;
        let mut vacuum = self.connection.prepare("PRAGMA incremental_vacuum")?;
        let mut steps = vacuum.query([])?;
        while steps.next()?.is_some() {}
        Ok(())
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

    fn set_meta(&mut self, entries: &[(&str, i64)]) -> Result<(), rusqlite::Error> {
        let transaction = self.connection.transaction()?;
        for (key, value) in entries {
            transaction.execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", params![key, value])?;
        }
        transaction.commit()
    }

    fn failed(&self, source: rusqlite::Error) -> StoreError {
        StoreError::Database { path: self.file.display().to_string(), source }
    }

    fn contents(&self, detail: String) -> StoreError {
        StoreError::Contents { path: self.file.display().to_string(), detail }
    }

    /// Lets the database grow no further, as a full disk would.
    #[cfg(test)]
    pub(super) fn fill_up(&self) {
        let pages: i64 = self.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        self.connection.pragma_update(None, "max_page_count", pages).unwrap();
    }
}

/// SQLite does not notice a changed byte inside a value; this does.
fn digest(revision: Revision, resource: &ResourceId, name: &ObjectName, deleted: bool, value: &[u8]) -> i64 {
    let mut hash = Sha256::new();
    hash.update(revision.to_le_bytes());
    for text in [resource.as_str(), &name.namespace, &name.name] {
        hash.update(text.as_bytes());
        hash.update([0]);
    }
    hash.update([u8::from(deleted)]);
    hash.update(value);
    let hash = hash.finalize();
    i64::from_le_bytes(hash[..8].try_into().expect("a SHA-256 has more than eight bytes"))
}

/// SQLite's integers are signed; a counter from 1 never reaches the sign bit.
fn signed(revision: Revision) -> i64 {
    i64::try_from(revision).expect("a revision fits 63 bits")
}
