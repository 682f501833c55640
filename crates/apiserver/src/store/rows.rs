//! One row of the log: written with a checksum and, for Secrets, sealed; read
//! only if both hold. Shared by the writer of the log and its readers.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{Params, Row as SqlRow, Statement, params};
use sha2::{Digest, Sha256};

use super::StoreError;
use super::record::{Change, ObjectName, Outcome, Record, ResourceId, Revision};
use super::seal::{Place, Seal};

/// What [`Rows::read`] reads, in this order.
pub(super) const COLUMNS: &str = "revision, previous, resource, namespace, name, deleted, value, digest";

/// One row as it is read.
pub(super) struct Row {
    pub(super) revision: Revision,
    /// The revision of the state before, 0 if there was none.
    pub(super) previous: Revision,
    pub(super) resource: ResourceId,
    pub(super) name: ObjectName,
    pub(super) deleted: bool,
    pub(super) json: Vec<u8>,
}

impl Row {
    /// The change that the row tells of; `previous` is the state before it.
    pub(super) fn into_change(self, previous: Option<Arc<Record>>) -> Change {
        let record = Arc::new(Record::stored(self.revision, self.json.into()));
        let outcome = if self.deleted { Outcome::Deleted(record) } else { Outcome::Stored(record) };
        Change { resource: self.resource, name: self.name, previous, outcome }
    }
}

/// Reads and writes rows of one database.
pub(super) struct Rows {
    pub(super) file: PathBuf,
    pub(super) seal: Seal,
}

impl Rows {
    /// Executes the statement that inserts a row, all columns in order.
    pub(super) fn insert(&self, insert: &mut Statement<'_>, change: &Change) -> Result<(), rusqlite::Error> {
        let Change { resource, name, previous, outcome } = change;
        let (record, deleted) = match outcome {
            Outcome::Stored(record) => (record, false),
            Outcome::Deleted(record) => (record, true),
        };
        let (revision, json) = (record.revision, record.json());
        let previous = previous.as_ref().map_or(0, |previous| previous.revision);
        let place = Place { revision, resource, name };
        let value = self.value(&place, &json);
        insert.execute(params![
            signed(revision),
            signed(previous),
            resource.as_str(),
            name.namespace,
            name.name,
            deleted,
            &value[..],
            digest(&place, previous, deleted, &value),
        ])?;
        Ok(())
    }

    /// Executes the statement that sets value and digest (2, 3) of a revision (1).
    pub(super) fn update(&self, update: &mut Statement<'_>, row: &Row) -> Result<(), StoreError> {
        let place = Place { revision: row.revision, resource: &row.resource, name: &row.name };
        let value = self.value(&place, &row.json);
        let digest = digest(&place, row.previous, row.deleted, &value);
        let updated = update.execute(params![signed(row.revision), &value[..], digest]);
        updated.map(drop).map_err(|error| self.failed(error))
    }

    /// The object as it is stored.
    fn value<'a>(&self, place: &Place<'_>, json: &'a [u8]) -> Cow<'a, [u8]> {
        if place.is_sealed() { self.seal.seal(place, json).into() } else { json.into() }
    }

    /// Hands each row that a query over [`COLUMNS`] finds to `take` until that says stop.
    pub(super) fn each(
        &self,
        statement: &mut Statement<'_>,
        parameters: impl Params,
        mut take: impl FnMut(Row) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut rows = statement.query(parameters).map_err(|e| self.failed(e))?;
        while let Some(row) = rows.next().map_err(|e| self.failed(e))? {
            if !take(self.read(row)?)? {
                break;
            }
        }
        Ok(())
    }

    fn read(&self, row: &SqlRow<'_>) -> Result<Row, StoreError> {
        let parts = || -> Result<(i64, i64, Row, i64), rusqlite::Error> {
            let name = ObjectName::new(row.get::<_, String>(3)?, row.get::<_, String>(4)?);
            let resource = ResourceId::from_text(&row.get::<_, String>(2)?);
            let (deleted, json, digest) = (row.get(5)?, row.get(6)?, row.get(7)?);
            let read = Row { revision: 0, previous: 0, resource, name, deleted, json };
            Ok((row.get(0)?, row.get(1)?, read, digest))
        };
        let (number, previous, mut row, found) = parts().map_err(|e| self.failed(e))?;
        row.revision = self.unsigned(number, number)?;
        row.previous = self.unsigned(number, previous)?;
        let place = Place { revision: row.revision, resource: &row.resource, name: &row.name };
        if digest(&place, row.previous, row.deleted, &row.json) != found {
            return Err(self.contents(format!("row {number} is damaged: it does not fit its checksum")));
        }
        if place.is_sealed() {
            let json = self.seal.unseal(&place, &row.json);
            row.json = json.ok_or_else(|| {
                self.contents(format!("row {number} is a Secret that the key beside it does not open"))
            })?;
        }
        Ok(row)
    }

    fn unsigned(&self, row: i64, number: i64) -> Result<Revision, StoreError> {
        Revision::try_from(number).map_err(|_| self.contents(format!("row {row} has a negative number")))
    }

    pub(super) fn failed(&self, source: rusqlite::Error) -> StoreError {
        StoreError::Database { path: self.file.display().to_string(), source }
    }

    pub(super) fn contents(&self, detail: String) -> StoreError {
        StoreError::Contents { path: self.file.display().to_string(), detail }
    }
}

/// SQLite does not notice a changed byte inside a value; this does.
fn digest(place: &Place<'_>, previous: Revision, deleted: bool, value: &[u8]) -> i64 {
    let mut hash = Sha256::new();
    for number in [place.revision, previous] {
        hash.update(number.to_le_bytes());
    }
    for text in [place.resource.as_str(), &place.name.namespace, &place.name.name] {
        hash.update(text.as_bytes());
        hash.update([0]);
    }
    hash.update([u8::from(deleted)]);
    hash.update(value);
    let hash = hash.finalize();
    i64::from_le_bytes(hash[..8].try_into().expect("a SHA-256 has more than eight bytes"))
}

/// SQLite's integers are signed; a counter from 1 never reaches the sign bit.
pub(super) fn signed(revision: Revision) -> i64 {
    i64::try_from(revision).expect("a revision fits 63 bits")
}
