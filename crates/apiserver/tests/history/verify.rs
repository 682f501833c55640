//! Whether everything that clients were told fits one history.

use std::collections::{BTreeMap, BTreeSet};

use crate::ledger::{Change, Event, Fate, Ledger, Look, Session, Snapshot};
use crate::objects::{Key, Revision, Scope, State};

/// Changes that the server keeps however old they are (spec/apiserver.md 8.5),
/// less those of kinds that the test does not see.
const KEPT_CHANGES: usize = 900;

/// Says what is broken, in words; nothing if all promises held.
pub fn verify(ledger: &Ledger) -> Vec<String> {
    let mut broken = ledger.broken.clone();
    broken.extend(order(&ledger.log));
    broken.extend(changes_fit(ledger));
    broken.extend(writes(ledger));
    broken.extend(deletes(ledger));
    broken.extend(snapshots(ledger));
    broken.extend(looks(ledger));
    broken.extend(sessions(ledger));
    broken.extend(ledger.expired.iter().filter_map(|position| of_expired(ledger, *position)));
    broken
}

fn order(log: &[Event]) -> Vec<String> {
    let pairs = log.windows(2).filter(|pair| pair[0].state.revision >= pair[1].state.revision);
    pairs.map(|pair| format!("told out of order or twice: {:?} then {:?}", pair[0], pair[1])).collect()
}

/// Each event must follow from the state before it.
fn changes_fit(ledger: &Ledger) -> Vec<String> {
    let mut now = ledger.before.clone();
    let mut broken = Vec::new();
    for event in &ledger.log {
        let before = now.get(&event.key);
        let fits = match event.change {
            Change::Added => before.is_none(),
            Change::Modified => before.is_some_and(|before| before.uid == event.state.uid),
            Change::Deleted => {
                before.is_some_and(|before| before.uid == event.state.uid && before.tag == event.state.tag)
            }
        };
        if !fits {
            broken.push(format!("{event:?} does not follow from {before:?}"));
        }
        play(&mut now, event);
    }
    broken
}

fn play(now: &mut BTreeMap<Key, State>, event: &Event) {
    match event.change {
        Change::Added | Change::Modified => now.insert(event.key.clone(), event.state.clone()),
        Change::Deleted => now.remove(&event.key),
    };
}

/// Acknowledged writes are in the history under their numbers, refused ones are not.
fn writes(ledger: &Ledger) -> Vec<String> {
    let mut broken = Vec::new();
    let mut stored = BTreeMap::new();
    for event in ledger.log.iter().filter(|event| event.change != Change::Deleted) {
        let tag = &event.state.tag;
        match ledger.attempts.get(tag) {
            None => broken.push(format!("nobody wrote {event:?}")),
            Some(attempt) if attempt.key != event.key => broken.push(format!("{event:?} has another key")),
            Some(attempt) if attempt.fate == Fate::Refused => broken.push(format!("{event:?} was refused")),
            Some(_) => {}
        }
        if let Some(other) = stored.insert(tag, event.state.revision) {
            broken.push(format!("{tag} was stored at {other} and at {}", event.state.revision));
        }
    }
    for (tag, attempt) in &ledger.attempts {
        let Fate::Done(revision) = attempt.fate else { continue };
        if stored.get(tag) != Some(&revision) {
            let found = stored.get(tag);
            broken.push(format!("{tag} was acknowledged at {revision}, the history has it at {found:?}"));
        }
    }
    broken
}

fn deletes(ledger: &Ledger) -> Vec<String> {
    let removed: Vec<&Event> = ledger.log.iter().filter(|event| event.change == Change::Deleted).collect();
    let mut broken = Vec::new();
    let uids: BTreeSet<&String> = removed.iter().map(|event| &event.state.uid).collect();
    for delete in &ledger.deletes {
        let Some(uid) = &delete.uid else { continue };
        if !uids.contains(uid) {
            broken.push(format!("the delete of {:?} {uid} was acknowledged and is lost", delete.key));
        }
    }
    let mut tries: BTreeMap<&Key, usize> = BTreeMap::new();
    for delete in ledger.deletes.iter().filter(|delete| !delete.refused) {
        *tries.entry(&delete.key).or_default() += 1;
    }
    for event in removed {
        match tries.get_mut(&event.key) {
            Some(left) if *left > 0 => *left -= 1,
            _ => broken.push(format!("nobody deleted {event:?}")),
        }
    }
    broken
}

fn snapshots(ledger: &Ledger) -> Vec<String> {
    let mut sorted: Vec<&Snapshot> = ledger.snapshots.iter().collect();
    sorted.sort_by_key(|snapshot| snapshot.revision);
    let mut now = ledger.before.clone();
    let mut events = ledger.log.iter().peekable();
    let mut broken = Vec::new();
    for snapshot in sorted {
        while let Some(event) = events.next_if(|event| event.state.revision <= snapshot.revision) {
            play(&mut now, event);
        }
        let wanted: BTreeMap<&Key, &State> =
            now.iter().filter(|(key, state)| snapshot.scope.holds(key, state)).collect();
        let found: BTreeMap<&Key, &State> = snapshot.items.iter().collect();
        if wanted != found {
            let (revision, scope) = (snapshot.revision, &snapshot.scope);
            let differ = difference(&wanted, &found);
            broken.push(format!("a list of {scope:?} at {revision} differs from the history: {differ}"));
        }
        if snapshot.revision < snapshot.floor {
            let (revision, floor) = (snapshot.revision, snapshot.floor);
            broken.push(format!("a list at {revision} came after {floor} was acknowledged"));
        }
    }
    broken
}

fn difference(wanted: &BTreeMap<&Key, &State>, found: &BTreeMap<&Key, &State>) -> String {
    let mut keys: Vec<&&Key> = wanted.keys().chain(found.keys()).collect();
    keys.sort();
    keys.dedup();
    let differ = keys.into_iter().filter(|key| wanted.get(*key) != found.get(*key));
    let texts = differ.map(|key| format!("{key:?}: {:?}, not {:?}", found.get(key), wanted.get(key)));
    texts.collect::<Vec<_>>().join("; ")
}

/// A get after an acknowledged write shows that write or a later state.
fn looks(ledger: &Ledger) -> Vec<String> {
    let mut lives: BTreeMap<&Key, Vec<&Event>> = BTreeMap::new();
    for event in &ledger.log {
        lives.entry(&event.key).or_default().push(event);
    }
    let of_look = |look: &Look| {
        let events = lives.get(&look.key).map(Vec::as_slice).unwrap_or_default();
        let behind = events.partition_point(|event| event.state.revision <= look.floor);
        let newest = behind.checked_sub(1).map(|at| events[at]);
        let later = &events[behind..];
        match (&look.state, newest) {
            (Some(state), Some(event)) if state.revision < event.state.revision => {
                Some(format!("a get showed {state:?} after {event:?} was acknowledged"))
            }
            (Some(state), _) => {
                let stored = events.iter().any(|event| event.state == *state);
                (!stored).then(|| format!("a get showed {state:?} that was never stored"))
            }
            (None, Some(event)) if event.change != Change::Deleted => {
                let deleted = later.iter().any(|event| event.change == Change::Deleted);
                (!deleted).then(|| format!("a get found nothing after {event:?} was acknowledged"))
            }
            (None, _) => None,
        }
    };
    ledger.looks.iter().filter_map(of_look).collect()
}

/// What a watch of `scope` must be told of an event, if anything.
fn view(scope: &Scope, before: Option<&State>, event: &Event) -> Option<Event> {
    let before = before.filter(|before| scope.holds(&event.key, before));
    let after = event.change != Change::Deleted && scope.holds(&event.key, &event.state);
    let told = |change, state: State| Event { change, key: event.key.clone(), state };
    match (before, after) {
        (None, true) => Some(told(Change::Added, event.state.clone())),
        (Some(_), true) => Some(told(Change::Modified, event.state.clone())),
        (Some(before), false) => {
            let state = State { revision: event.state.revision, ..before.clone() };
            Some(told(Change::Deleted, state))
        }
        (None, false) => None,
    }
}

/// Every watch was told exactly what its scope holds of the history.
fn sessions(ledger: &Ledger) -> Vec<String> {
    let mut wanted: Vec<Vec<Event>> = vec![Vec::new(); ledger.sessions.len()];
    let mut now = ledger.before.clone();
    for event in &ledger.log {
        let (revision, before) = (event.state.revision, now.get(&event.key));
        for (session, wanted) in ledger.sessions.iter().zip(&mut wanted) {
            if session.from < revision && revision <= session.position {
                wanted.extend(view(&session.scope, before, event));
            }
        }
        play(&mut now, event);
    }
    ledger.sessions.iter().zip(wanted).filter_map(|(session, wanted)| of_session(session, &wanted)).collect()
}

fn of_session(session: &Session, wanted: &[Event]) -> Option<String> {
    if wanted == session.events {
        return None;
    }
    let at = wanted.iter().zip(&session.events).take_while(|(wanted, told)| wanted == told).count();
    let (scope, from, to) = (&session.scope, session.from, session.position);
    let (wanted, told) = (wanted.get(at), session.events.get(at));
    Some(format!("a watch of {scope:?} from {from} to {to} was told as number {at} {told:?}, not {wanted:?}"))
}

fn of_expired(ledger: &Ledger, position: Revision) -> Option<String> {
    let newer = ledger.log.iter().filter(|event| event.state.revision > position).count();
    (newer < KEPT_CHANGES)
        .then(|| format!("a watch at {position} was too old, yet only {newer} changes were newer"))
}
