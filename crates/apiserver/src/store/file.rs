//! The files of a store: a private folder, a lock, a SQLite database.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, params};

use super::StoreError;

/// Pages (of 4 KiB) after which SQLite moves its write-ahead log into the
/// database: each move costs two syncs, and after a crash the whole log is read.
const CHECKPOINT_PAGES: i64 = 2_000;

/// Bytes to which the write-ahead log is cut after it grew beyond this.
const JOURNAL_BYTES: i64 = 16 * 1_024 * 1_024;

const SCHEMA: &str = "
CREATE TABLE log (
  revision INTEGER PRIMARY KEY,
  previous INTEGER NOT NULL,
  resource TEXT NOT NULL,
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  deleted INTEGER NOT NULL,
  value BLOB NOT NULL,
  digest INTEGER NOT NULL
);
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
";

/// Takes `folder` for this process alone, making it if needed; it is free
/// again when the file that is returned is closed.
pub(super) fn take_folder(folder: &Path) -> Result<File, StoreError> {
    let failed = |source| StoreError::Folder { path: folder.display().to_string(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let lock = private_file(&folder.join("lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: folder.display().to_string() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// The database of a folder.
pub(super) fn database(folder: &Path) -> PathBuf {
    folder.join("objects.sqlite")
}

/// Where SQLite keeps what it has not yet folded into the database.
pub(super) fn journal(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Opens the database for its one writer, making it if needed.
pub(super) fn connect(file: &Path) -> Result<Connection, StoreError> {
    let path = || file.display().to_string();
    private_file(file).map_err(|source| StoreError::Folder { path: path(), source })?;
    prepare(file).map_err(|source| StoreError::Database { path: path(), source })
}

fn prepare(file: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(file)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // NORMAL may lose acknowledged writes at power loss, and with them
    // revisions that clients have seen (spec/apiserver.md 19.1).
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", JOURNAL_BYTES)?;
    // A database that lost a table is not made whole by an empty one.
    let tables: i64 =
        connection
            .query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table'", [], |row| row.get(0))?;
    if tables == 0 {
        connection.execute_batch(SCHEMA)?;
    }
    Ok(connection)
}

/// Copies the database as it is at this moment, while it is in use. The copy
/// knows that it is one: a store opened on it never repeats a revision.
pub(super) fn copy(file: &Path, target: &Path) -> Result<(), StoreError> {
    let path = || target.display().to_string();
    let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(target);
    drop(new.map_err(|source| StoreError::Folder { path: path(), source })?);
    let copied = || -> Result<(), rusqlite::Error> {
        let source = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let name = target.to_string_lossy();
        source.execute("VACUUM INTO ?1", params![name])?;
        let copy = Connection::open(target)?;
        copy.execute("INSERT OR REPLACE INTO meta VALUES ('restored', 1)", [])?;
        Ok(())
    };
    copied().map_err(|source| StoreError::Database { path: path(), source })
}

fn private_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
