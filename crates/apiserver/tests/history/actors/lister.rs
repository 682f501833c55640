//! Lists at the latest state, at older revisions and in pages; single gets.

use serde_json::Value;

use super::Book;
use crate::ledger::{Look, Snapshot};
use crate::objects::{Key, Revision, Scope, items, read, revision_of};
use crate::random::Random;
use crate::support::door::{Door, Lost, get};

pub struct Lister {
    random: Random,
    /// A list of which pages are still to come.
    pages: Option<(Snapshot, String)>,
}

impl Lister {
    pub fn new(random: Random) -> Self {
        Self { random, pages: None }
    }

    pub async fn step(&mut self, door: &mut Door, book: &Book) -> Result<(), Lost> {
        if let Some((snapshot, token)) = self.pages.take() {
            return self.further(door, book, snapshot, &token).await;
        }
        match self.random.below(6) {
            0 => self.latest(door, book).await,
            1 | 2 => self.first(door, book).await,
            3 | 4 => self.older(door, book).await,
            _ => self.one(door, book).await,
        }
    }

    async fn latest(&mut self, door: &mut Door, book: &Book) -> Result<(), Lost> {
        let (scope, floor) = (Scope::any(&self.random), book.open().acknowledged);
        if let Some(list) = ask(door, book, &scope.path(), &[]).await? {
            let (revision, items) = (revision_of(&list), items(&list));
            write_down(book, Snapshot { revision, scope, items, floor });
        }
        Ok(())
    }

    async fn first(&mut self, door: &mut Door, book: &Book) -> Result<(), Lost> {
        let (scope, floor) = (Scope::any(&self.random), book.open().acknowledged);
        let path = format!("{}&limit={}", scope.path(), 1 + self.random.below(5));
        if let Some(list) = ask(door, book, &path, &[]).await? {
            let (revision, items) = (revision_of(&list), items(&list));
            self.turn(book, Snapshot { revision, scope, items, floor }, &list);
        }
        Ok(())
    }

    async fn further(
        &mut self,
        door: &mut Door,
        book: &Book,
        mut snapshot: Snapshot,
        token: &str,
    ) -> Result<(), Lost> {
        let limit = 1 + self.random.below(5);
        let path = format!("{}&limit={limit}&continue={token}", snapshot.scope.path());
        let Some(list) = ask(door, book, &path, &[410]).await? else {
            book.open().expired.push(snapshot.revision);
            return Ok(());
        };
        if revision_of(&list) != snapshot.revision {
            let (now, first) = (revision_of(&list), snapshot.revision);
            book.open().broken.push(format!("a page at {now} continues a list at {first}"));
        }
        for (key, state) in items(&list) {
            if snapshot.items.last_key_value().is_some_and(|(last, _)| *last >= key) {
                book.open().broken.push(format!("a page repeats {key:?} or is out of order"));
            }
            snapshot.items.insert(key, state);
        }
        self.turn(book, snapshot, &list);
        Ok(())
    }

    /// Keeps the list for its next page, or writes it down as whole.
    fn turn(&mut self, book: &Book, snapshot: Snapshot, list: &Value) {
        match list["metadata"]["continue"].as_str() {
            Some(token) => self.pages = Some((snapshot, token.to_owned())),
            None => write_down(book, snapshot),
        }
    }

    async fn older(&mut self, door: &mut Door, book: &Book) -> Result<(), Lost> {
        let Some(revision) = self.past(book) else { return Ok(()) };
        let scope = Scope::any(&self.random);
        let path = format!("{}&resourceVersion={revision}&resourceVersionMatch=Exact", scope.path());
        match ask(door, book, &path, &[410]).await? {
            None => book.open().expired.push(revision),
            Some(list) => {
                let items = items(&list);
                write_down(book, Snapshot { revision: revision_of(&list), scope, items, floor: 0 });
            }
        }
        Ok(())
    }

    /// A revision from the recent past.
    fn past(&self, book: &Book) -> Option<Revision> {
        let ledger = book.open();
        let back = usize::try_from(self.random.below(1_200)).expect("it is small");
        let event = ledger.log.iter().rev().nth(back.min(ledger.log.len().checked_sub(1)?))?;
        Some(event.state.revision)
    }

    async fn one(&mut self, door: &mut Door, book: &Book) -> Result<(), Lost> {
        let (key, floor) = (Key::any(&self.random), book.open().acknowledged);
        let (code, answer) = door.ask(get(&key.path())).await?;
        let mut ledger = book.open();
        let state = match code {
            200 => read(&answer).map(|(_, state)| state),
            404 => None,
            _ => {
                ledger.broken.push(format!("a get was answered with {code}: {answer}"));
                return Ok(());
            }
        };
        ledger.told(state.as_ref().map_or(0, |state| state.revision));
        ledger.looks.push(Look { key, state, floor });
        Ok(())
    }
}

/// The list at `path`; `None` for an answer that is `allowed` and no list.
pub async fn ask(door: &mut Door, book: &Book, path: &str, allowed: &[u16]) -> Result<Option<Value>, Lost> {
    let (code, answer) = door.ask(get(path)).await?;
    if code == 200 {
        return Ok(Some(answer));
    }
    if !allowed.contains(&code) {
        book.open().broken.push(format!("{path} was answered with {code}: {answer}"));
    }
    Ok(None)
}

pub fn write_down(book: &Book, snapshot: Snapshot) {
    let mut ledger = book.open();
    ledger.told(snapshot.revision);
    ledger.snapshots.push(snapshot);
}
