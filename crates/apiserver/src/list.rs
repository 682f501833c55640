//! Lists as JSON, put together from stored objects.
//!
//! A long list is made while it is sent: the answer to one request never takes
//! more memory than a few pieces, however many objects there are.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use serde_json::Value;

use crate::http::reply::Reply;
use crate::kinds::Kind;
use crate::store::Record;

/// Bytes of one piece, unless one object is larger: large enough that a piece
/// costs little, small enough that it stays in the processor's cache.
const PIECE_BYTES: usize = 64 * 1_024;

/// Turns records of one kind into items of a list.
struct Items {
    kind: Arc<Kind>,
    /// How stored objects of this kind begin, which items of built-in kinds do not repeat.
    type_prefix: String,
    records: std::vec::IntoIter<Arc<Record>>,
    /// Whether an item was written already.
    begun: bool,
    ended: bool,
}

/// The answer with a whole page. `metadata` is the list's.
pub(crate) fn reply(kind: &Arc<Kind>, metadata: &Value, records: Vec<Arc<Record>>) -> Reply {
    let mut first = format!(
        "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"items\":[",
        kind.list_kind,
        kind.api_version()
    )
    .into_bytes();
    let type_prefix = format!("{{\"apiVersion\":\"{}\",\"kind\":\"{}\",", kind.api_version(), kind.kind);
    let records = records.into_iter();
    let mut items = Items { kind: kind.clone(), type_prefix, records, begun: false, ended: false };
    items.fill(&mut first);
    if items.ended {
        return Reply::bytes(200, "application/json", first);
    }
    let rest = stream::unfold(items, |mut items| async move {
        let piece = items.next()?;
        Some((piece, items))
    });
    Reply::pieces(stream::once(async move { Bytes::from(first) }).chain(rest).boxed())
}

impl Items {
    fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let mut piece = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 8);
        self.fill(&mut piece);
        Some(piece.into())
    }

    /// Writes items until the piece is full, or the last one and the end.
    fn fill(&mut self, piece: &mut Vec<u8>) {
        while piece.len() < PIECE_BYTES {
            let Some(record) = self.records.next() else {
                piece.extend_from_slice(b"]}\n");
                self.ended = true;
                return;
            };
            if std::mem::replace(&mut self.begun, true) {
                piece.push(b',');
            }
            self.write(piece, &record);
        }
    }

    fn write(&self, piece: &mut Vec<u8>, record: &Record) {
        let custom = self.kind.custom().is_some();
        if self.kind.is_stored_form(record) {
            let json = record.json();
            match json.strip_prefix(self.type_prefix.as_bytes()) {
                _ if custom => return piece.extend_from_slice(&json),
                Some(rest) => {
                    piece.push(b'{');
                    return piece.extend_from_slice(rest);
                }
                None => {}
            }
        }
        let item = without_type(self.kind.view(record).into_owned(), &self.kind);
        serde_json::to_writer(piece, &item).expect("a JSON value encodes into memory");
    }
}

/// An item of a list; those of built-in kinds do not repeat their type.
pub(crate) fn without_type(mut object: Value, kind: &Kind) -> Value {
    if kind.custom().is_none()
        && let Some(map) = object.as_object_mut()
    {
        map.shift_remove("apiVersion");
        map.shift_remove("kind");
    }
    object
}
