//! A watcher that loses its connection now and then and goes on where it was.

use bytes::Bytes;
use serde_json::Value;

use super::Book;
use super::lister::{ask, write_down};
use crate::ledger::{Change, Event, Session, Snapshot};
use crate::objects::{Revision, Scope, items, read, revision_of};
use crate::random::Random;
use crate::support::door::{Door, Lines, Lost, get};

/// Whose events are the truth of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Truth,
    One,
}

pub struct Watcher {
    random: Random,
    role: Role,
    session: Option<Session>,
    /// The connection, while there is one.
    lines: Option<Lines>,
    /// The present objects of a streaming list that is not complete yet.
    initial: Option<Snapshot>,
}

impl Watcher {
    /// The watcher of everything.
    pub fn truth(random: Random) -> Self {
        Self { random, role: Role::Truth, session: None, lines: None, initial: None }
    }

    pub fn one(random: Random) -> Self {
        Self { random, role: Role::One, session: None, lines: None, initial: None }
    }

    pub fn is_connected(&self) -> bool {
        self.lines.is_some()
    }

    /// The next line; never ends while it is not connected.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Lost> {
        match &mut self.lines {
            Some(lines) => lines.next().await,
            None => std::future::pending().await,
        }
    }

    pub fn disconnect(&mut self) {
        self.lines = None;
        self.initial = None;
    }

    /// Watches on from where it was, or from a new beginning.
    pub async fn connect(&mut self, door: &mut Door, book: &Book) -> Result<(), Lost> {
        let path = match &self.session {
            Some(session) => resume(&session.scope, session.position),
            None if self.role == Role::One && self.random.one_in(2) => {
                let (scope, floor) = (Scope::any(&self.random), book.open().acknowledged);
                let path = format!(
                    "{}&watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
                    scope.path()
                );
                self.initial = Some(Snapshot { revision: 0, scope, items: Default::default(), floor });
                path
            }
            None => match self.begin_with_list(door, book).await? {
                Some(path) => path,
                None => return Ok(()),
            },
        };
        let response = door.send(get(&path)).await?;
        if response.status() != 200 {
            book.open().broken.push(format!("{path} was answered with {}", response.status()));
            return Ok(());
        }
        self.lines = Some(Lines::new(response.into_body()));
        Ok(())
    }

    async fn begin_with_list(&mut self, door: &mut Door, book: &Book) -> Result<Option<String>, Lost> {
        let scope = if self.role == Role::Truth { Scope::default() } else { Scope::any(&self.random) };
        let floor = book.open().acknowledged;
        let Some(list) = ask(door, book, &scope.path(), &[]).await? else { return Ok(None) };
        let (from, items) = (revision_of(&list), items(&list));
        if self.role == Role::Truth {
            book.open().before = items.clone();
        }
        write_down(book, Snapshot { revision: from, scope: scope.clone(), items, floor });
        let path = resume(&scope, from);
        self.session = Some(Session { scope, from, events: Vec::new(), position: from });
        Ok(Some(path))
    }

    /// Takes in what the server said; the connection may end by it.
    pub fn take(&mut self, told: Result<Option<Bytes>, Lost>, book: &Book) {
        let Ok(Some(line)) = told else {
            self.disconnect();
            return;
        };
        let line: Value = match serde_json::from_slice(&line) {
            Ok(line) => line,
            Err(error) => {
                book.open().broken.push(format!("a watch sent what is no JSON: {error}"));
                return self.disconnect();
            }
        };
        let object = &line["object"];
        match line["type"].as_str() {
            Some("ADDED") if self.initial.is_some() => self.take_initial(object),
            Some("ADDED") => self.take_event(Change::Added, object, book),
            Some("MODIFIED") => self.take_event(Change::Modified, object, book),
            Some("DELETED") => self.take_event(Change::Deleted, object, book),
            Some("BOOKMARK") => self.take_bookmark(object, book),
            _ => self.take_error(object, book),
        }
        let patience = if self.role == Role::Truth { 400 } else { 40 };
        if self.random.one_in(patience) {
            self.disconnect();
        }
    }

    fn take_initial(&mut self, object: &Value) {
        if let (Some(initial), Some((key, state))) = (&mut self.initial, read(object)) {
            initial.items.insert(key, state);
        }
    }

    fn take_event(&mut self, change: Change, object: &Value, book: &Book) {
        self.advance(revision_of(object), book);
        let (Some(session), Some((key, state))) = (&mut self.session, read(object)) else { return };
        let event = Event { change, key, state };
        if self.role == Role::Truth {
            book.open().log.push(event);
        } else {
            session.events.push(event);
        }
    }

    fn take_bookmark(&mut self, object: &Value, book: &Book) {
        let revision = revision_of(object);
        if let Some(mut initial) = self.initial.take() {
            if object["metadata"]["annotations"]["k8s.io/initial-events-end"] != "true" {
                book.open().broken.push("a bookmark came before the initial objects ended".to_owned());
            }
            initial.revision = revision;
            let scope = initial.scope.clone();
            write_down(book, initial);
            self.session = Some(Session { scope, from: revision, events: Vec::new(), position: revision });
        }
        self.advance(revision, book);
        // Now and then a new beginning, so that there are many.
        if self.role == Role::One && self.random.one_in(30) {
            self.finish(book);
        }
    }

    fn advance(&mut self, revision: Revision, book: &Book) {
        let mut ledger = book.open();
        ledger.told(revision);
        let Some(session) = &mut self.session else { return };
        if revision < session.position {
            let position = session.position;
            ledger.broken.push(format!("a watch at {position} was told of {revision}"));
        }
        session.position = revision;
    }

    fn take_error(&mut self, status: &Value, book: &Book) {
        let position = self.session.as_ref().map(|session| session.position);
        match (status["code"].as_u64(), position, self.role) {
            (Some(410), Some(position), Role::One) => book.open().expired.push(position),
            _ => book.open().broken.push(format!("a watch at {position:?} ended with {status}")),
        }
        self.finish(book);
    }

    /// Writes down what this watcher was told, and forgets it.
    pub fn finish(&mut self, book: &Book) {
        self.disconnect();
        if let Some(session) = self.session.take()
            && self.role == Role::One
        {
            book.open().sessions.push(session);
        }
    }
}

fn resume(scope: &Scope, position: Revision) -> String {
    format!("{}&watch=true&allowWatchBookmarks=true&resourceVersion={position}", scope.path())
}
