//! The committed state, its recent history, and the one way to change them.
//!
//! All current objects and a window of changes live in memory, as JSON; a
//! directory store appends every change to a SQLite log before anybody sees it
//! and reads that log once, at the start. Readers therefore never wait for a
//! disk, and a list at an older revision is the present list with the later
//! changes undone. Only `log` and `file` speak SQL.

mod commit;
mod file;
mod log;
mod record;
mod seal;
mod state;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use commit::{Action, Expected, Guard, Write, WriteError};
pub(crate) use log::Trouble;
pub(crate) use record::{Change, ObjectName, Outcome, Record, ResourceId, Revision};
pub(crate) use state::{Changes, Compacted, Snapshot};

use crate::clock::{Chance, Clock};
use commit::{Committer, Pending};
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

/// State shared by readers and the writer.
struct Shared {
    state: RwLock<State>,
    revision: watch::Sender<Revision>,
    /// Why the last commit failed, if it did.
    trouble: Mutex<Option<Trouble>>,
}

impl Shared {
    fn new(state: State) -> Arc<Self> {
        let revision = watch::Sender::new(state.revision);
        Arc::new(Self { state: RwLock::new(state), revision, trouble: Mutex::default() })
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
}

impl Store {
    /// An empty store that forgets everything when it is dropped.
    pub(crate) fn memory(clock: Arc<dyn Clock>) -> Self {
        let shared = Shared::new(State::default());
        let committer = Committer::new(shared.clone(), None, clock, 0);
        Self { shared, writer: Writer::Inline(Box::new(Mutex::new(committer))), folder: None }
    }

    /// Opens the store in `folder`, creating it if needed.
    pub(crate) fn open(
        folder: &Path,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
    ) -> Result<Self, StoreError> {
        Self::with_log(Log::open(folder, chance)?, folder, clock)
    }

    fn with_log(mut log: Log, folder: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let state = log.load(clock.monotonic())?;
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
        Ok(Self { shared, writer, folder: Some(folder.to_owned()) })
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

    /// The same, as it was when `revision` was the newest.
    pub(crate) fn list_at(
        &self,
        resource: &ResourceId,
        namespace: Option<&str>,
        revision: Revision,
    ) -> Result<Snapshot, Compacted> {
        self.shared.read(|state| state.list_at(resource, namespace, revision))
    }

    /// Up to `limit` changes of a resource after a revision, in order.
    pub(crate) fn changes(
        &self,
        resource: &ResourceId,
        after: Revision,
        limit: usize,
    ) -> Result<Changes, Compacted> {
        self.shared.read(|state| state.changes(resource, after, limit))
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
