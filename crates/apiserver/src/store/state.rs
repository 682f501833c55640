//! The state in memory: current objects and the window of recent changes.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::record::{Change, ObjectName, Outcome, Record, ResourceId, Revision};
use super::retention::{KEEP_AGE, KEEP_CHANGES};

/// How much history stays in memory. Whoever asks for more reads the log, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Changes that are kept however old they are.
    pub(crate) least: usize,
    /// Changes that are kept at most, however young: a burst must not grow memory without end.
    pub(crate) most: usize,
    /// Encoded bytes of changes that are kept at most, for the same reason.
    pub(crate) bytes: usize,
}

impl Window {
    /// For a store with a log, which holds what memory does not.
    pub(crate) fn in_front_of_a_log(changes: usize) -> Self {
        Self { least: changes.min(KEEP_CHANGES), most: changes, bytes: 16 * 1_024 * 1_024 }
    }
}

impl Default for Window {
    /// Without a log behind it. Upstream's window per kind ends at about the same number.
    fn default() -> Self {
        Self { least: KEEP_CHANGES, most: 100_000, bytes: 64 * 1_024 * 1_024 }
    }
}

/// Objects looked at per commit for decoded values that nobody needs any more:
/// few enough to cost nothing beside a commit, enough to come round.
const COOLED_AT_ONCE: usize = 64;

/// A revision that the history no longer covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compacted {
    /// The oldest revision a reader may start after.
    pub(crate) oldest: Revision,
}

/// Objects in list order, as of one revision.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) revision: Revision,
    pub(crate) items: Vec<(ObjectName, Arc<Record>)>,
}

/// Changes after some revision.
#[derive(Debug)]
pub(crate) struct Changes {
    pub(crate) changes: Vec<Arc<Change>>,
    /// Everything up to here that matters to the reader is in `changes` or was before.
    pub(crate) complete_to: Revision,
    /// Whether there may be more by now.
    pub(crate) more: bool,
}

/// The objects of one resource.
#[derive(Debug)]
pub(super) struct Collection {
    objects: BTreeMap<ObjectName, Arc<Record>>,
    changes: VecDeque<Arc<Change>>,
    pub(super) signal: watch::Sender<Revision>,
}

impl Default for Collection {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), changes: VecDeque::new(), signal: watch::Sender::new(0) }
    }
}

struct Remembered {
    change: Arc<Change>,
    at: Duration,
    bytes: usize,
}

/// Everything a reader may ask for.
#[derive(Default)]
pub(super) struct State {
    pub(super) revision: Revision,
    /// The history in memory begins behind this revision.
    pub(super) begins: Revision,
    window: Window,
    collections: BTreeMap<ResourceId, Collection>,
    history: VecDeque<Remembered>,
    history_bytes: usize,
    /// The last object that was looked at for a decoded value.
    hand: Option<(ResourceId, ObjectName)>,
}

impl State {
    /// An empty state whose history begins behind a revision.
    pub(super) fn beginning_at(begins: Revision, window: Window) -> Self {
        Self { begins, window, ..Self::default() }
    }

    pub(super) fn get(&self, resource: &ResourceId, name: &ObjectName) -> Option<Arc<Record>> {
        self.collections.get(resource)?.objects.get(name).cloned()
    }

    pub(super) fn resources(&self) -> Vec<ResourceId> {
        let holds = self.collections.iter().filter(|(_, collection)| !collection.objects.is_empty());
        holds.map(|(resource, _)| resource.clone()).collect()
    }

    pub(super) fn subscribe(&self, resource: &ResourceId) -> Option<watch::Receiver<Revision>> {
        Some(self.collections.get(resource)?.signal.subscribe())
    }

    pub(super) fn collection(&mut self, resource: &ResourceId) -> &mut Collection {
        self.collections.entry(resource.clone()).or_default()
    }

    pub(super) fn list(&self, resource: &ResourceId, namespace: Option<&str>) -> Snapshot {
        let items = match (self.collections.get(resource), namespace) {
            (None, _) => Vec::new(),
            (Some(collection), None) => {
                collection.objects.iter().map(|(name, record)| (name.clone(), record.clone())).collect()
            }
            (Some(collection), Some(namespace)) => collection
                .objects
                .range(ObjectName::new(namespace, "")..)
                .take_while(|(name, _)| name.namespace == namespace)
                .map(|(name, record)| (name.clone(), record.clone()))
                .collect(),
        };
        Snapshot { revision: self.revision, items }
    }

    pub(super) fn list_at(
        &self,
        resource: &ResourceId,
        namespace: Option<&str>,
        revision: Revision,
    ) -> Result<Snapshot, Compacted> {
        self.covers(revision)?;
        let mut items: BTreeMap<_, _> = self.list(resource, namespace).items.into_iter().collect();
        let changes = self.collections.get(resource).map(|collection| &collection.changes);
        let later = changes.into_iter().flatten().rev().take_while(|change| change.revision() > revision);
        for change in later.filter(|change| namespace.is_none_or(|only| change.name.namespace == only)) {
            match &change.previous {
                Some(previous) => items.insert(change.name.clone(), previous.clone()),
                None => items.remove(&change.name),
            };
        }
        Ok(Snapshot { revision, items: items.into_iter().collect() })
    }

    pub(super) fn changes(
        &self,
        resource: &ResourceId,
        after: Revision,
        limit: usize,
    ) -> Result<Changes, Compacted> {
        self.covers(after)?;
        let Some(collection) = self.collections.get(resource) else {
            return Ok(Changes { changes: Vec::new(), complete_to: self.revision, more: false });
        };
        let start = collection.changes.partition_point(|change| change.revision() <= after);
        let changes: Vec<_> = collection.changes.iter().skip(start).take(limit).cloned().collect();
        Ok(self.complete(changes, limit))
    }

    pub(super) fn all_changes(&self, after: Revision, limit: usize) -> Result<Changes, Compacted> {
        self.covers(after)?;
        let start = self.history.partition_point(|kept| kept.change.revision() <= after);
        let changes: Vec<_> =
            self.history.iter().skip(start).take(limit).map(|kept| kept.change.clone()).collect();
        Ok(self.complete(changes, limit))
    }

    fn covers(&self, after: Revision) -> Result<(), Compacted> {
        if after < self.begins { Err(Compacted { oldest: self.begins }) } else { Ok(()) }
    }

    fn complete(&self, changes: Vec<Arc<Change>>, limit: usize) -> Changes {
        let last = changes.last().filter(|_| changes.len() == limit);
        let complete_to = last.map_or(self.revision, |last| last.revision());
        Changes { more: last.is_some(), changes, complete_to }
    }

    /// Makes a committed change visible. `at` is the clock's monotonic time.
    ///
    /// Returns the record for whoever asked for the change. It is not the one in
    /// the history: that one stays for long, and must not keep what others decode.
    pub(super) fn apply(&mut self, change: Arc<Change>, at: Duration, bytes: usize) -> Arc<Record> {
        self.revision = change.revision();
        let collection = self.collections.entry(change.resource.clone()).or_default();
        let visible = change.record().twin();
        match &change.outcome {
            Outcome::Stored(_) => {
                collection.objects.insert(change.name.clone(), visible.clone());
            }
            Outcome::Deleted(_) => {
                collection.objects.remove(&change.name);
            }
        }
        collection.changes.push_back(change.clone());
        self.history_bytes += bytes;
        self.history.push_back(Remembered { change, at, bytes });
        visible
    }

    /// Puts an object in place that was written before the history began.
    pub(super) fn restore(&mut self, resource: &ResourceId, name: ObjectName, record: Arc<Record>) {
        self.revision = self.revision.max(record.revision);
        self.collection(resource).objects.insert(name, record);
    }

    /// Drops what memory need not keep of the history.
    pub(super) fn trim(&mut self, now: Duration) {
        while let Some(oldest) = self.history.front() {
            let old = now.saturating_sub(oldest.at) > KEEP_AGE;
            let count = self.history.len();
            let crowded = count > self.window.most || self.history_bytes > self.window.bytes;
            if count <= self.window.least || !(old || crowded) {
                break;
            }
            self.drop_oldest();
        }
    }

    /// Drops the whole history: what came before this revision cannot be asked for.
    pub(super) fn forget(&mut self) {
        while !self.history.is_empty() {
            self.drop_oldest();
        }
        self.begins = self.revision;
    }

    fn drop_oldest(&mut self) {
        let Some(Remembered { change, bytes, .. }) = self.history.pop_front() else { return };
        self.history_bytes -= bytes;
        if let Some(collection) = self.collections.get_mut(&change.resource) {
            collection.changes.pop_front();
        }
        self.begins = change.revision();
    }

    /// The time of the oldest change in memory.
    pub(super) fn since(&self) -> Duration {
        self.history.front().map_or(Duration::ZERO, |oldest| oldest.at)
    }

    /// Changes and bytes of the history in memory.
    pub(super) fn history_size(&self) -> (usize, usize) {
        (self.history.len(), self.history_bytes)
    }

    /// Drops decoded values of the next few objects, going round.
    pub(super) fn cool(&mut self) {
        let from = self.hand.take();
        let first = from.as_ref().map_or(Bound::Unbounded, |(resource, _)| Bound::Included(resource));
        let mut left = COOLED_AT_ONCE;
        for (resource, collection) in self.collections.range_mut((first, Bound::Unbounded)) {
            let after = match &from {
                Some((hand, name)) if hand == resource => Bound::Excluded(name),
                _ => Bound::Unbounded,
            };
            for (name, record) in collection.objects.range_mut((after, Bound::Unbounded)) {
                *record = record.cold();
                left -= 1;
                if left == 0 {
                    self.hand = Some((resource.clone(), name.clone()));
                    return;
                }
            }
        }
    }
}
