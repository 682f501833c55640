//! The single writer: checks, numbers, logs and publishes.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::oneshot;

use super::log::{Log, Trouble};
use super::record::{Change, ObjectName, Outcome, Record, ResourceId, Revision};
use super::retention::Retention;
use super::state::State;
use super::{Beginning, Shared};
use crate::clock::Clock;

/// Bytes of one encoded object; upstream's store refuses more (spec/apiserver.md 18).
const LARGEST_OBJECT: usize = 1_536 * 1_024;

/// Bytes kept for encoding the next object; most objects are smaller.
const SCRATCH_BYTES: usize = 64 * 1_024;

/// The state a writer has seen and builds on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// No object of that name.
    Absent,
    /// The object at this revision.
    At(Revision),
}

/// Another object that must still be as the writer has seen it.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub(crate) resource: ResourceId,
    pub(crate) name: ObjectName,
    pub(crate) revision: Revision,
}

/// What to do with an object.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Store this content; the writer fills in `metadata.resourceVersion`.
    Put(Value),
    /// Remove the object; watches are told the content it had.
    Delete,
}

/// A change to be committed if nothing it relies on has moved.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) resource: ResourceId,
    pub(crate) name: ObjectName,
    pub(crate) expected: Expected,
    pub(crate) guard: Option<Guard>,
    pub(crate) action: Action,
}

/// Why a write was not committed.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// The object is not at the expected state.
    #[error("the object changed meanwhile")]
    Moved,
    /// The guard is not at the expected state.
    #[error("an object this write relies on changed meanwhile")]
    GuardMoved,
    /// The encoded object is too large.
    #[error("the object has {size} bytes, the limit is {LARGEST_OBJECT}")]
    TooLarge {
        /// Bytes of the encoded object.
        size: usize,
    },
    /// The disk refused; nothing was committed.
    #[error("the store cannot be written: {}", .0.text())]
    Disk(Trouble),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

pub(super) struct Pending {
    pub(super) write: Write,
    pub(super) reply: oneshot::Sender<Result<Arc<Record>, WriteError>>,
}

/// A change that passed its checks and waits for the disk.
struct Accepted {
    change: Arc<Change>,
    bytes: usize,
    reply: oneshot::Sender<Result<Arc<Record>, WriteError>>,
}

type Overlay = BTreeMap<(ResourceId, ObjectName), Option<Arc<Record>>>;

pub(super) struct Committer {
    shared: Arc<Shared>,
    log: Option<Log>,
    clock: Arc<dyn Clock>,
    revision: Revision,
    retention: Retention,
    /// Where objects are encoded.
    scratch: Vec<u8>,
}

impl Committer {
    pub(super) fn new(
        shared: Arc<Shared>,
        log: Option<Log>,
        clock: Arc<dyn Clock>,
        revision: Revision,
    ) -> Self {
        let mut retention = Retention::default();
        if log.is_some() {
            // What memory has read of the log is all that is known of its size.
            let (changes, bytes) = shared.read(State::history_size);
            retention.note(clock.monotonic(), revision, changes, bytes);
        }
        Self { shared, log, clock, revision, retention, scratch: Vec::new() }
    }

    /// Commits what still holds of `batch` in one transaction and answers all.
    pub(super) fn commit(&mut self, batch: Vec<Pending>) {
        let mut overlay = Overlay::new();
        let (mut accepted, mut refused) = (Vec::with_capacity(batch.len()), Vec::new());
        for Pending { write, reply } in batch {
            match self.accept(&overlay, write) {
                Ok((change, bytes)) => {
                    let present = match &change.outcome {
                        Outcome::Stored(record) => Some(record.clone()),
                        Outcome::Deleted(_) => None,
                    };
                    overlay.insert((change.resource.clone(), change.name.clone()), present);
                    accepted.push(Accepted { change, bytes, reply });
                }
                Err(error) => refused.push((reply, error)),
            }
        }
        if !accepted.is_empty() {
            match self.persist(&accepted) {
                Ok(()) => self.publish(accepted),
                Err(trouble) => {
                    let failed = accepted.into_iter().map(|write| (write.reply, WriteError::Disk(trouble)));
                    refused.extend(failed);
                }
            }
        }
        // Last: who is refused because of a write of this batch can read that write.
        for (reply, error) in refused {
            drop(reply.send(Err(error)));
        }
    }

    /// Checks a write against the state it will meet and gives it a revision.
    fn accept(&mut self, overlay: &Overlay, write: Write) -> Result<(Arc<Change>, usize), WriteError> {
        if let Some(guard) = &write.guard {
            let found = self.present(overlay, &guard.resource, &guard.name);
            if found.map(|record| record.revision) != Some(guard.revision) {
                return Err(WriteError::GuardMoved);
            }
        }
        let previous = self.present(overlay, &write.resource, &write.name);
        let expected = match write.expected {
            Expected::Absent => None,
            Expected::At(revision) => Some(revision),
        };
        if previous.as_ref().map(|record| record.revision) != expected {
            return Err(WriteError::Moved);
        }
        let revision = self.revision + 1;
        let stores = matches!(write.action, Action::Put(_));
        let mut value = match (write.action, &previous) {
            (Action::Put(value), _) => value,
            (Action::Delete, Some(previous)) => previous.peek().into_owned(),
            (Action::Delete, None) => return Err(WriteError::Moved),
        };
        value["metadata"]["resourceVersion"] = Value::String(revision.to_string());
        let json = self.encode(&value);
        let bytes = json.len();
        if bytes > LARGEST_OBJECT {
            return Err(WriteError::TooLarge { size: bytes });
        }
        self.revision = revision;
        let record = Arc::new(Record::stored(revision, json));
        let outcome = if stores { Outcome::Stored(record) } else { Outcome::Deleted(record) };
        let previous = previous.map(|previous| previous.cold());
        let change = Change { resource: write.resource, name: write.name, previous, outcome };
        Ok((Arc::new(change), bytes))
    }

    /// The JSON in memory of exactly its size: it stays for long, and what a
    /// growing buffer leaves behind between such pieces would stay as well.
    fn encode(&mut self, value: &Value) -> Bytes {
        self.scratch.clear();
        serde_json::to_writer(&mut self.scratch, value).expect("a JSON value encodes into memory");
        let json = Bytes::copy_from_slice(&self.scratch);
        self.scratch.shrink_to(SCRATCH_BYTES);
        json
    }

    fn present(&self, overlay: &Overlay, resource: &ResourceId, name: &ObjectName) -> Option<Arc<Record>> {
        match overlay.get(&(resource.clone(), name.clone())) {
            Some(present) => present.clone(),
            None => self.shared.read(|state| state.get(resource, name)),
        }
    }

    /// Makes the writes durable. After an error of the disk nothing is tried
    /// again: what a failed sync left behind is not known.
    fn persist(&mut self, accepted: &[Accepted]) -> Result<(), Trouble> {
        let Some(log) = &mut self.log else { return Ok(()) };
        if self.shared.trouble() == Some(Trouble::Broken) {
            return Err(Trouble::Broken);
        }
        let now = self.clock.monotonic();
        let compact_to = self.retention.next(now, log.compacted());
        let changes = accepted.iter().map(|write| &*write.change);
        let appended = log.append(changes, compact_to).map_err(|error| {
            tracing::error!(%error, "the log cannot be written, {} writes are refused", accepted.len());
            Trouble::of(&error)
        });
        self.shared.set_trouble(appended.err());
        appended?;
        let bytes = accepted.iter().map(|write| write.bytes).sum();
        self.retention.note(now, self.revision, accepted.len(), bytes);
        Ok(())
    }

    fn publish(&mut self, accepted: Vec<Accepted>) {
        let now = self.clock.monotonic();
        let mut state = self.shared.state.write().unwrap_or_else(PoisonError::into_inner);
        let mut touched = BTreeMap::new();
        let mut done = Vec::with_capacity(accepted.len());
        for Accepted { change, bytes, reply } in accepted {
            touched.insert(change.resource.clone(), change.revision());
            done.push((reply, state.apply(change, now, bytes)));
        }
        state.trim(now);
        state.cool();
        for (resource, revision) in touched {
            state.collection(&resource).signal.send_replace(revision);
        }
        let beginning = match &self.log {
            Some(log) => Beginning { revision: log.compacted(), at: self.retention.since() },
            None => Beginning { revision: state.begins, at: state.since() },
        };
        drop(state);
        *self.shared.beginning.lock().unwrap_or_else(PoisonError::into_inner) = beginning;
        self.shared.revision.send_replace(self.revision);
        for (reply, record) in done {
            drop(reply.send(Ok(record)));
        }
    }

    /// Marks the log as closed in good order.
    pub(super) fn close(&mut self) {
        // A log that failed stays marked as open: the next start checks it.
        if let Some(log) = &mut self.log
            && self.shared.trouble() != Some(Trouble::Broken)
            && let Err(error) = log.close(self.revision)
        {
            tracing::warn!(%error, "the log could not be marked as closed");
        }
    }
}
