//! The committed state, its recent history, and the one way to change them.
//!
//! All current objects and a window of changes live in memory, as JSON; a
//! directory store appends every change to a SQLite log before anybody sees it
//! and reads that log at the start. Readers of the present and of what is recent
//! therefore never wait for a disk, and a list at an older revision is the
//! present list with the later changes undone. What is older than the window
//! and not yet compacted is read from the log (`history`). Only `log`, `rows`,
//! `history` and `file` speak SQL.

mod commit;
mod file;
mod history;
#[cfg(test)]
mod history_tests;
mod log;
mod record;
mod retention;
mod rows;
mod seal;
mod state;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use commit::{Action, Expected, Guard, Write, WriteError};
pub(crate) use log::Trouble;
pub(crate) use record::{Change, ObjectName, Outcome, Record, ResourceId, Revision};
pub(crate) use state::{Changes, Compacted, Snapshot, Window};

use crate::clock::{Chance, Clock};
use commit::{Committer, Pending};
use history::{History, Span};
use log::Log;
use state::State;

/// Writes that may wait for the writer thread; more make callers wait, so a
/// burst costs latency and not memory.
const WRITE_QUEUE: usize = 4_096;

/// Writes in one transaction: bounds the memory of a commit and how long the
/// first write of a batch waits for the last one's encoding.
const GROUP_COMMIT: usize = 512;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the folder.
    #[error("the data folder {path} is in use by another process")]
    Locked {
        /// The folder.
        path: String,
    },
    /// The folder cannot be read or written.
    #[error("the data folder {path} cannot be used")]
    Folder {
        /// The folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database cannot be opened or read.
    #[error("the database {path} cannot be used")]
    Database {
        /// The file.
        path: String,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The database was written by a newer or a damaged program.
    #[error("the database {path} cannot be read: {detail}")]
    Contents {
        /// The file.
        path: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A store in memory has no database that could be copied.
    #[error("a store in memory cannot be copied")]
    InMemory,
}

impl StoreError {
    /// Whether the files do not hold what was written to them.
    fn is_damage(&self) -> bool {
        match self {
            Self::Contents { .. } => true,
            Self::Database { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
            ),
            Self::Locked { .. } | Self::Folder { .. } | Self::InMemory => false,
        }
    }
}

/// Why an older state cannot be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    /// The history begins later.
    #[error("the history begins behind revision {}", .0.oldest)]
    Compacted(Compacted),
    /// The log cannot be read.
    #[error(transparent)]
    Unreadable(#[from] StoreError),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

impl From<Compacted> for HistoryError {
    fn from(compacted: Compacted) -> Self {
        Self::Compacted(compacted)
    }
}

/// How large the store is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Bytes of the database, and of what was not folded into it yet; nothing in memory.
    pub(crate) database: u64,
    pub(crate) journal: u64,
    /// How far back the history goes, as revisions and as time.
    pub(crate) revisions: Revision,
    pub(crate) age: Duration,
}

/// Where the history begins, and since when; the writer says so after each commit.
#[derive(Clone, Copy, Debug, Default)]
struct Beginning {
    revision: Revision,
    at: Duration,
}

/// State shared by readers and the writer.
struct Shared {
    beginning: Mutex<Beginning>,
    state: RwLock<State>,
    revision: watch::Sender<Revision>,
    /// Why the last commit failed, if it did.
    trouble: Mutex<Option<Trouble>>,
}

impl Shared {
    fn new(state: State) -> Arc<Self> {
        let revision = watch::Sender::new(state.revision);
        let beginning = Mutex::new(Beginning { revision: state.begins, ..Beginning::default() });
        Arc::new(Self { beginning, state: RwLock::new(state), revision, trouble: Mutex::default() })
    }

    fn trouble(&self) -> Option<Trouble> {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_trouble(&self, trouble: Option<Trouble>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }
}

enum Writer {
    /// Memory stores commit on the caller's thread: a simulation on a paused
    /// clock must not wait for another thread.
    Inline(Box<Mutex<Committer>>),
    Thread {
        queue: Mutex<Option<mpsc::Sender<Pending>>>,
        thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    },
}

/// The objects of one server.
pub(crate) struct Store {
    shared: Arc<Shared>,
    writer: Writer,
    /// Where the database is; `None` in memory.
    folder: Option<PathBuf>,
    /// What the log holds beyond memory; `None` in memory.
    history: Option<Arc<History>>,
}

impl Store {
    /// An empty store that forgets everything when it is dropped.
    pub(crate) fn memory(clock: Arc<dyn Clock>) -> Self {
        let shared = Shared::new(State::default());
        let committer = Committer::new(shared.clone(), None, clock, 0);
        Self { shared, writer: Writer::Inline(Box::new(Mutex::new(committer))), folder: None, history: None }
    }

    /// Opens the store in `folder`, creating it if needed. Memory holds a
    /// `window` of the history; the log holds more.
    pub(crate) fn open(
        folder: &Path,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        window: Window,
    ) -> Result<Self, StoreError> {
        Self::with_log(Log::open(folder, chance)?, folder, clock, window)
    }

    fn with_log(
        mut log: Log,
        folder: &Path,
        clock: Arc<dyn Clock>,
        window: Window,
    ) -> Result<Self, StoreError> {
        let state = log.load(clock.monotonic(), window)?;
        let history = Some(History::new(log.rows()));
        let next = state.revision;
        let shared = Shared::new(state);
        let mut committer = Committer::new(shared.clone(), Some(log), clock, next);
        let (sender, mut receiver) = mpsc::channel::<Pending>(WRITE_QUEUE);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                while let Some(first) = receiver.blocking_recv() {
                    let mut batch = vec![first];
                    while batch.len() < GROUP_COMMIT {
                        let Ok(next) = receiver.try_recv() else { break };
                        batch.push(next);
                    }
                    committer.commit(batch);
                }
                committer.close();
            })
            .map_err(|source| StoreError::Folder { path: folder.display().to_string(), source })?;
        let writer = Writer::Thread { queue: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) };
        Ok(Self { shared, writer, folder: Some(folder.to_owned()), history })
    }

    /// Why writes are refused at the moment; `None` while the disk is well.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.shared.trouble()
    }

    /// Copies the database to a new file, as it is at this moment. Blocks for
    /// as long as the copy takes; writers do not wait for it.
    pub(crate) fn copy_to(&self, target: &Path) -> Result<(), StoreError> {
        let folder = self.folder.as_ref().ok_or(StoreError::InMemory)?;
        file::copy(&file::database(folder), target)
    }

    /// How large the store is now, on the clock's monotonic time. Asks the file system.
    pub(crate) fn sizes(&self, now: Duration) -> Sizes {
        let bytes = |file: PathBuf| std::fs::metadata(file).map_or(0, |found| found.len());
        let database = self.folder.as_deref().map(file::database);
        let journal = database.as_deref().map(file::journal);
        let beginning = *self.shared.beginning.lock().unwrap_or_else(PoisonError::into_inner);
        Sizes {
            database: database.map_or(0, bytes),
            journal: journal.map_or(0, bytes),
            revisions: self.revision().saturating_sub(beginning.revision),
            age: now.saturating_sub(beginning.at),
        }
    }

    /// The newest committed revision.
    pub(crate) fn revision(&self) -> Revision {
        self.shared.read(|state| state.revision)
    }

    /// The present state of one object.
    pub(crate) fn get(&self, resource: &ResourceId, name: &ObjectName) -> Option<Arc<Record>> {
        self.shared.read(|state| state.get(resource, name))
    }

    /// The list that could hold this object alone.
    pub(crate) fn list_one(&self, resource: &ResourceId, name: &ObjectName) -> Snapshot {
        self.shared.read(|state| {
            let found = state.get(resource, name).map(|record| (name.clone(), record));
            Snapshot { revision: state.revision, items: found.into_iter().collect() }
        })
    }

    /// All objects of a resource, or those of one namespace.
    pub(crate) fn list(&self, resource: &ResourceId, namespace: Option<&str>) -> Snapshot {
        self.shared.read(|state| state.list(resource, namespace))
    }

    /// The same, as it was when `revision` was the newest. What memory no
    /// longer holds is read from the log.
    pub(crate) async fn list_at(
        &self,
        resource: &ResourceId,
        namespace: Option<&str>,
        revision: Revision,
    ) -> Result<Snapshot, HistoryError> {
        let recent =
            self.shared.read(|state| match (state.list_at(resource, namespace, revision), &self.history) {
                (Err(Compacted { oldest }), Some(history)) => {
                    state.list_at(resource, namespace, oldest).map(|earliest| Err((history, earliest)))
                }
                (found, _) => found.map(Ok),
            });
        match recent? {
            Ok(found) => Ok(found),
            Err((history, earliest)) => {
                let span = Span { after: revision, to: earliest.revision };
                self.told(history.list_at(resource, namespace, span, earliest).await)
            }
        }
    }

    /// Up to `limit` changes of a resource after a revision, in order, as far
    /// as memory holds them.
    pub(crate) fn recent_changes(
        &self,
        resource: &ResourceId,
        after: Revision,
        limit: usize,
    ) -> Result<Changes, Compacted> {
        self.shared.read(|state| state.changes(resource, after, limit))
    }

    /// The same, from the log where memory begins later.
    pub(crate) async fn changes(
        &self,
        resource: &ResourceId,
        after: Revision,
        limit: usize,
    ) -> Result<Changes, HistoryError> {
        match (self.recent_changes(resource, after, limit), &self.history) {
            (Err(Compacted { oldest }), Some(history)) => {
                let span = Span { after, to: oldest };
                self.told(history.changes(resource, span, limit).await)
            }
            (found, _) => Ok(found?),
        }
    }

    /// A log that turns out to be damaged is not served as if it were whole.
    fn told<T>(&self, read: Result<T, HistoryError>) -> Result<T, HistoryError> {
        if let Err(HistoryError::Unreadable(error)) = &read {
            tracing::error!(%error, "the history cannot be read");
            if error.is_damage() {
                self.shared.set_trouble(Some(Trouble::Broken));
            }
        }
        read
    }

    /// Up to `limit` changes of all resources after a revision, in order.
    pub(crate) fn all_changes(&self, after: Revision, limit: usize) -> Result<Changes, Compacted> {
        self.shared.read(|state| state.all_changes(after, limit))
    }

    /// The resources that hold objects.
    pub(crate) fn resources(&self) -> Vec<ResourceId> {
        self.shared.read(State::resources)
    }

    /// Signals the revision of each commit that touches `resource`.
    pub(crate) fn subscribe(&self, resource: &ResourceId) -> watch::Receiver<Revision> {
        if let Some(receiver) = self.shared.read(|state| state.subscribe(resource)) {
            return receiver;
        }
        let mut state = self.shared.state.write().unwrap_or_else(PoisonError::into_inner);
        state.collection(resource).signal.subscribe()
    }

    /// Signals the revision of each commit.
    pub(crate) fn subscribe_all(&self) -> watch::Receiver<Revision> {
        self.shared.revision.subscribe()
    }

    /// Commits one write; returns once it is durable and visible.
    pub(crate) async fn write(&self, write: Write) -> Result<Arc<Record>, WriteError> {
        let (reply, answer) = oneshot::channel();
        let pending = Pending { write, reply };
        match &self.writer {
            Writer::Inline(committer) => {
                committer.lock().unwrap_or_else(PoisonError::into_inner).commit(vec![pending]);
            }
            Writer::Thread { queue, .. } => {
                let sender = queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let sender = sender.ok_or(WriteError::Closed)?;
                sender.send(pending).await.map_err(|_| WriteError::Closed)?;
            }
        }
        answer.await.unwrap_or(Err(WriteError::Closed))
    }

    /// Finishes the writes that were accepted, refuses further ones and marks
    /// the log as cleanly closed. Blocks until the disk has it.
    pub(crate) fn close(&self) {
        if let Some(history) = &self.history {
            history.close();
        }
        if let Writer::Thread { queue, thread } = &self.writer {
            queue.lock().unwrap_or_else(PoisonError::into_inner).take();
            let handle = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(handle) = handle
                && handle.join().is_err()
            {
                tracing::error!("the store's writer thread panicked");
            }
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}
