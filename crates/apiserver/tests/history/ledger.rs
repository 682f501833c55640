//! What clients did and were told, written down as it happens.

use std::collections::BTreeMap;

use crate::objects::{Key, Revision, Scope, State};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Added,
    Modified,
    Deleted,
}

/// An event of a watch; the revision is the event's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub change: Change,
    pub key: Key,
    pub state: State,
}

/// What is known of a write's fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The connection broke first, or it is still under way.
    Unknown,
    Done(Revision),
    Refused,
}

/// A write that stores a state with its own tag.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub key: Key,
    /// The highest acknowledged revision when it was sent.
    pub floor: Revision,
    /// The highest number anybody had been told when the server last started.
    pub barrier: Revision,
    pub fate: Fate,
}

/// A delete. The answer names the uid, not the revision.
#[derive(Clone, Debug)]
pub struct Delete {
    pub key: Key,
    pub refused: bool,
    /// The object that was removed, if the answer came.
    pub uid: Option<String>,
}

/// The objects of a scope as a list showed them.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub revision: Revision,
    pub scope: Scope,
    pub items: BTreeMap<Key, State>,
    /// The highest acknowledged revision when the latest state was asked for;
    /// 0 where an older one was.
    pub floor: Revision,
}

/// One object as a get showed it.
#[derive(Clone, Debug)]
pub struct Look {
    pub key: Key,
    pub state: Option<State>,
    pub floor: Revision,
}

/// All that one watcher was told between two lists, across its connections.
#[derive(Clone, Debug)]
pub struct Session {
    pub scope: Scope,
    /// Everything after this revision must be told.
    pub from: Revision,
    pub events: Vec<Event>,
    /// Everything up to here has been told.
    pub position: Revision,
}

/// The book of one run.
#[derive(Default)]
pub struct Ledger {
    pub attempts: BTreeMap<String, Attempt>,
    pub deletes: Vec<Delete>,
    pub snapshots: Vec<Snapshot>,
    pub looks: Vec<Look>,
    pub sessions: Vec<Session>,
    /// Watches that were refused as too old: where they stood.
    pub expired: Vec<Revision>,
    /// What the watcher of everything was told: the truth of the run.
    pub log: Vec<Event>,
    /// The state before the log.
    pub before: BTreeMap<Key, State>,
    pub acknowledged: Revision,
    /// The highest number anybody was told.
    pub highest: Revision,
    pub barrier: Revision,
    pub acknowledgements: u64,
    tags: u64,
    /// Broken promises that were seen at once.
    pub broken: Vec<String>,
}

impl Ledger {
    /// A tag for a write that is about to be sent.
    pub fn begin(&mut self, key: &Key) -> String {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        let (floor, barrier) = (self.acknowledged, self.barrier);
        self.attempts.insert(tag.clone(), Attempt { key: key.clone(), floor, barrier, fate: Fate::Unknown });
        tag
    }

    pub fn refused(&mut self, tag: &str) {
        self.attempt(tag).fate = Fate::Refused;
    }

    pub fn done(&mut self, tag: &str, revision: Revision) {
        let attempt = self.attempt(tag);
        attempt.fate = Fate::Done(revision);
        let (floor, barrier) = (attempt.floor, attempt.barrier);
        if revision <= floor {
            self.broken
                .push(format!("write {tag} got revision {revision}, acknowledged was {floor} before it"));
        }
        if revision <= barrier {
            self.broken
                .push(format!("write {tag} got revision {revision}, {barrier} was told before a restart"));
        }
        self.acknowledged = self.acknowledged.max(revision);
        self.acknowledgements += 1;
        self.told(revision);
    }

    fn attempt(&mut self, tag: &str) -> &mut Attempt {
        self.attempts.get_mut(tag).expect("it was begun")
    }

    /// Notes that somebody was told of this number.
    pub fn told(&mut self, revision: Revision) {
        self.highest = self.highest.max(revision);
    }

    /// How much there is to judge.
    pub fn summary(&self) -> String {
        format!(
            "{} writes acknowledged of {}, {} changes, {} lists, {} gets, {} watches, {} answers that it was too long ago",
            self.acknowledgements,
            self.attempts.len(),
            self.log.len(),
            self.snapshots.len(),
            self.looks.len(),
            self.sessions.len(),
            self.expired.len(),
        )
    }

    /// The server starts again: what it writes now must be new.
    pub fn restarted(&mut self) {
        self.barrier = self.highest;
    }
}
