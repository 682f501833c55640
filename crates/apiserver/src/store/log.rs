//! The SQLite log of changes.
//!
//! One table. A row may go once nothing refers to it: it is neither a current
//! object nor the state before a change that the history still covers.
//! Replaying the rows in order therefore gives both, state and history. The
//! history on disk is longer than the one in memory; `history` reads it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, params};

use super::StoreError;
use super::file;
use super::record::{Change, Record, Revision};
use super::rows::{COLUMNS, Rows, signed};
use super::seal::{self, Seal};
use super::state::{State, Window};
use crate::clock::Chance;

/// The layout this program writes; another number is refused.
const FORMAT: i64 = 3;

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

pub(super) struct Log {
    connection: Connection,
    rows: Arc<Rows>,
    compacted: Revision,
    /// A key that shall take the place of the one in use.
    next: Option<Seal>,
    folder: PathBuf,
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
        let seal = Seal::open(folder, chance.clone(), !sealed)?;
        let (rows, next) = (Arc::new(Rows { file, seal }), Seal::next(folder, chance)?);
        Ok(Self { connection, rows, compacted: 0, next, folder: folder.to_owned(), _lock: lock })
    }

    /// Reads the whole log and marks it as open.
    pub(super) fn load(&mut self, now: Duration, window: Window) -> Result<State, StoreError> {
        let format = self.meta("format")?.unwrap_or(FORMAT);
        if format != FORMAT {
            return Err(self.rows.contents(format!("it has format {format}, this program knows {FORMAT}")));
        }
        let clean = self.meta("clean")?.is_none_or(|clean| clean == 1);
        if !clean {
            self.check_integrity()?;
        }
        if let Some(next) = self.next.take() {
            self.reseal(next)?;
        }
        self.compacted = self.revision_of("compacted")?;
        let mut state = State::beginning_at(self.compacted, window);
        self.replay(&mut state, now)?;
        let floor = self.revision_of("floor")?.max(self.compacted).max(state.revision);
        if self.meta("restored")? == Some(1) {
            state.revision = floor + RESTORED_JUMP;
            state.forget();
            self.append(std::iter::empty(), Some(state.revision)).map_err(|e| self.rows.failed(e))?;
        } else {
            state.revision = if clean { floor } else { floor + UNCLEAN_JUMP };
        }
        let revision = signed(state.revision);
        let opened = [("format", FORMAT), ("clean", 0), ("floor", revision), ("restored", 0)];
        self.set_meta(&opened).map_err(|e| self.rows.failed(e))?;
        Ok(state)
    }

    /// Seals every Secret with another key. What that opens already is left: after a stop before the end this begins
    /// anew (spec/apiserver.md 19.1, key rotation by rewrite).
    fn reseal(&mut self, next: Seal) -> Result<(), StoreError> {
        let old = self.rows.clone();
        let next = Rows { file: old.file.clone(), seal: next };
        let failed = |error| old.failed(error);
        let transaction = self.connection.transaction().map_err(failed)?;
        {
            let mut sealed = transaction
                .prepare("SELECT revision FROM log WHERE resource = '/secrets'")
                .map_err(failed)?;
            let revisions = sealed.query_map([], |row| row.get::<_, i64>(0)).map_err(failed)?;
            let revisions = revisions.collect::<Result<Vec<_>, _>>().map_err(failed)?;
            let one = format!("SELECT {COLUMNS} FROM log WHERE revision = ?1");
            let mut select = transaction.prepare(&one).map_err(failed)?;
            let update = "UPDATE log SET value = ?2, digest = ?3 WHERE revision = ?1";
            let mut update = transaction.prepare(update).map_err(failed)?;
            for revision in revisions {
                if next.each(&mut select, [revision], |_| Ok(false)).is_ok() {
                    continue;
                }
                let mut found = None;
                old.each(&mut select, [revision], |row| {
                    found = Some(row);
                    Ok(false)
                })?;
                found.map_or(Ok(()), |row| next.update(&mut update, &row))?;
            }
        }
        transaction.commit().map_err(failed)?;
        // What the old key opens must not stay in pages that are free.
        self.connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)").map_err(failed)?;
        seal::promote_next_key(&self.folder)?;
        tracing::info!("Secrets are sealed with a new key");
        self.rows = Arc::new(next);
        Ok(())
    }

    fn replay(&self, state: &mut State, now: Duration) -> Result<(), StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM log ORDER BY revision");
        let mut statement = self.connection.prepare(&sql).map_err(|e| self.rows.failed(e))?;
        self.rows.each(&mut statement, [], |row| {
            if row.revision > self.compacted {
                let (previous, bytes) = (state.get(&row.resource, &row.name), row.json.len());
                drop(state.apply(Arc::new(row.into_change(previous)), now, bytes));
                state.trim(now);
            } else if !row.deleted {
                // A delete below the history took the rows of its object with it.
                let record = Arc::new(Record::stored(row.revision, row.json.into()));
                state.restore(&row.resource, row.name, record);
            }
            Ok(true)
        })
    }

    /// Appends changes, and lets go of what is not needed once the history
    /// begins behind `compact_to`, in one durable transaction.
    pub(super) fn append<'a>(
        &mut self,
        changes: impl Iterator<Item = &'a Change>,
        compact_to: Option<Revision>,
    ) -> Result<(), rusqlite::Error> {
        let transaction = self.connection.transaction()?;
        {
            let sql = "INSERT INTO log VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
            let mut insert = transaction.prepare_cached(sql)?;
            for change in changes {
                self.rows.insert(&mut insert, change)?;
            }
        }
        if let Some(to) = compact_to {
            compact(&transaction, self.compacted, to)?;
        }
        transaction.commit()?;
        self.compacted = compact_to.unwrap_or(self.compacted);
        Ok(())
    }

    /// The history on disk begins behind this revision.
    pub(super) fn compacted(&self) -> Revision {
        self.compacted
    }

    /// What readers of the same database need.
    pub(super) fn rows(&self) -> Arc<Rows> {
        self.rows.clone()
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
        match check.map_err(|e| self.rows.failed(e))?.as_str() {
            "ok" => Ok(()),
            damage => Err(self.rows.contents(format!("it is damaged: {damage}"))),
        }
    }

    fn meta(&self, key: &str) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT value FROM meta WHERE key = ?1";
        self.connection.query_row(sql, [key], |row| row.get(0)).optional().map_err(|e| self.rows.failed(e))
    }

    fn revision_of(&self, key: &str) -> Result<Revision, StoreError> {
        let value = self.meta(key)?.unwrap_or(0);
        Revision::try_from(value).map_err(|_| self.rows.contents(format!("{key} is negative: {value}")))
    }

    fn set_meta(&mut self, entries: &[(&str, i64)]) -> Result<(), rusqlite::Error> {
        let transaction = self.connection.transaction()?;
        for (key, value) in entries {
            transaction.execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", params![key, value])?;
        }
        transaction.commit()
    }

    /// Lets the database grow no further, as a full disk would.
    #[cfg(test)]
    pub(super) fn fill_up(&self) {
        let pages: i64 = self.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        self.connection.pragma_update(None, "max_page_count", pages).unwrap();
    }
}

/// Drops the states before the changes up to `to`, and what those deleted.
/// Changes up to `from` were let go before.
fn compact(transaction: &Transaction<'_>, from: Revision, to: Revision) -> Result<(), rusqlite::Error> {
    let span = [signed(from), signed(to)];
    let before = "DELETE FROM log WHERE revision IN \
                  (SELECT previous FROM log WHERE revision > ?1 AND revision <= ?2)";
    transaction.prepare_cached(before)?.execute(span)?;
    let deleted = "DELETE FROM log WHERE revision > ?1 AND revision <= ?2 AND deleted";
    transaction.prepare_cached(deleted)?.execute(span)?;
    let note = "INSERT OR REPLACE INTO meta VALUES ('compacted', ?1)";
    transaction.prepare_cached(note)?.execute([signed(to)])?;
    Ok(())
}
