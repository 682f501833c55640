//! Creates, replaces, patches, applies and deletes at random.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use super::Book;
use crate::ledger::Delete;
use crate::objects::{GROUPS, Key, State, read, revision_of};
use crate::random::Random;
use crate::support::door::{Door, Lost, request};

pub struct Writer {
    random: Random,
    /// What this writer last saw of an object.
    known: BTreeMap<Key, State>,
}

impl Writer {
    pub fn new(random: Random) -> Self {
        Self { random, known: BTreeMap::new() }
    }

    pub async fn step(&mut self, door: &mut Door, book: &Book) -> Result<(), Lost> {
        let key = Key::any(&self.random);
        if self.random.one_in(4) {
            return self.delete(door, book, key).await;
        }
        let tag = book.open().begin(&key);
        let request = self.storing(&key, &tag);
        let (code, answer) = door.ask(request).await?;
        match code {
            200 | 201 => {
                book.open().done(&tag, revision_of(&answer));
                book.acknowledgements.send_modify(|count| *count += 1);
            }
            404 | 409 | 422 => book.open().refused(&tag),
            _ => book.open().broken.push(format!("a write was answered with {code}: {answer}")),
        }
        self.learn(&key, code, &answer);
        Ok(())
    }

    fn learn(&mut self, key: &Key, code: u16, answer: &Value) {
        match read(answer) {
            Some((_, state)) if code < 300 => drop(self.known.insert(key.clone(), state)),
            _ => drop(self.known.remove(key)),
        }
    }

    /// A request that stores a state with this tag.
    fn storing(&self, key: &Key, tag: &str) -> Request<Full<Bytes>> {
        let group = self.random.pick(&[Some(GROUPS[0]), Some(GROUPS[1]), Some(GROUPS[2]), None]);
        let mut object = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": key.name, "namespace": key.namespace},
            "data": {"tag": tag},
        });
        if let Some(group) = group {
            object["metadata"]["labels"] = json!({"group": group});
        }
        let path = key.path();
        match self.random.below(8) {
            0..=2 => {
                let collection = path.rsplit_once('/').expect("a path has segments").0;
                request(Method::POST, collection, "application/json", object.to_string())
            }
            3 | 4 => {
                if let Some(known) = self.known.get(key).filter(|_| self.random.one_in(2)) {
                    object["metadata"]["resourceVersion"] = json!(known.revision.to_string());
                }
                request(Method::PUT, &path, "application/json", object.to_string())
            }
            5 | 6 => {
                let patch = json!({"metadata": {"labels": {"group": group}}, "data": {"tag": tag}});
                request(Method::PATCH, &path, "application/merge-patch+json", patch.to_string())
            }
            _ => {
                let path = format!("{path}?fieldManager=history&force=true");
                request(Method::PATCH, &path, "application/apply-patch+yaml", object.to_string())
            }
        }
    }

    async fn delete(&mut self, door: &mut Door, book: &Book, key: Key) -> Result<(), Lost> {
        let mut options = json!({});
        if let Some(known) = self.known.get(&key).filter(|_| self.random.one_in(2)) {
            options["preconditions"] =
                json!({"uid": known.uid, "resourceVersion": known.revision.to_string()});
        }
        let at = {
            let mut ledger = book.open();
            ledger.deletes.push(Delete { key: key.clone(), refused: false, uid: None });
            ledger.deletes.len() - 1
        };
        let request = request(Method::DELETE, &key.path(), "application/json", options.to_string());
        let (code, answer) = door.ask(request).await?;
        let mut ledger = book.open();
        match code {
            200 => ledger.deletes[at].uid = answer["details"]["uid"].as_str().map(str::to_owned),
            404 | 409 => ledger.deletes[at].refused = true,
            _ => ledger.broken.push(format!("a delete was answered with {code}: {answer}")),
        }
        drop(ledger);
        self.known.remove(&key);
        Ok(())
    }
}
