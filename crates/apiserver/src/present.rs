//! Objects in the form a client asked for: plain, as Table, or metadata only
//! (spec/apiserver.md 4.2, 4.3).

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::api::{Api, Call};
use crate::http::accept::{Encoding, Form, Shape};
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::http::status::ApiError;
use crate::kinds::Kind;
use crate::list;
use crate::object::Object;
use crate::store::{Record, Revision};

/// What a Table row carries besides its cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Include {
    None,
    #[default]
    Metadata,
    Object,
}

/// One page of a list.
pub(crate) struct Page {
    pub(crate) revision: Revision,
    pub(crate) items: Vec<Arc<Record>>,
    pub(crate) resume: Option<String>,
    pub(crate) remaining: Option<usize>,
}

impl Page {
    /// The metadata of the list.
    pub(crate) fn metadata(&self) -> Value {
        let mut metadata = Map::new();
        metadata.insert("resourceVersion".to_owned(), json!(self.revision.to_string()));
        if let Some(token) = &self.resume {
            metadata.insert("continue".to_owned(), json!(token));
        }
        if let Some(remaining) = self.remaining {
            metadata.insert("remainingItemCount".to_owned(), json!(remaining));
        }
        Value::Object(metadata)
    }
}

/// Turns objects of one kind into what one client wants.
pub(crate) struct Presenter<'a> {
    pub(crate) kind: &'a Kind,
    pub(crate) form: Form,
    pub(crate) include: Include,
    pub(crate) now: Timestamp,
}

impl<'a> Presenter<'a> {
    pub(crate) fn new(api: &Api, call: &Call, kind: &'a Kind) -> Result<Self, ApiError> {
        let include = include(&call.query)?;
        Ok(Self { kind, form: call.form, include, now: api.clock.now() })
    }

    /// An answer with one stored object.
    pub(crate) fn record(&self, code: u16, record: &Record) -> Reply {
        let plain = self.form == Form::default();
        if plain && self.kind.is_stored_form(record) {
            return Reply::bytes(code, "application/json", with_newline(&record.json()));
        }
        self.object(code, &self.kind.view(record))
    }

    /// An answer with one object in this kind's version.
    pub(crate) fn object(&self, code: u16, object: &Value) -> Reply {
        match self.form.shape {
            Shape::Object => Reply::value(code, object, self.form),
            Shape::Table => {
                let columns = self.kind.printer.columns().clone();
                let metadata = json!({"resourceVersion": object.resource_version()});
                let table = self.table(metadata, columns, vec![self.row(object)]);
                Reply::value(code, &table, self.form)
            }
            Shape::Partial => Reply::value(code, &self.partial(object), self.form),
        }
    }

    /// An answer with a page of a list, in another form than [`list::reply`] gives.
    pub(crate) fn page(&self, page: &Page) -> Reply {
        let metadata = page.metadata();
        let views = || page.items.iter().map(|record| self.kind.view(record));
        match self.form.shape {
            Shape::Object => {
                let items =
                    views().map(|object| list::without_type(object.into_owned(), self.kind)).collect();
                Reply::value(200, &self.list(&metadata, items), self.form)
            }
            Shape::Table => {
                let rows: Vec<Value> = views().map(|object| self.row(&object)).collect();
                let columns = self.kind.printer.columns().clone();
                Reply::value(200, &self.table(metadata, columns, rows), self.form)
            }
            Shape::Partial => {
                let items: Vec<Value> = views().map(|object| self.partial(&object)).collect();
                let list = json!({
                    "kind": "PartialObjectMetadataList",
                    "apiVersion": self.form.meta_version(),
                    "metadata": metadata,
                    "items": items,
                });
                Reply::value(200, &list, self.form)
            }
        }
    }

    fn list(&self, metadata: &Value, items: Vec<Value>) -> Value {
        json!({
            "kind": self.kind.list_kind,
            "apiVersion": self.kind.api_version(),
            "metadata": metadata,
            "items": items,
        })
    }

    pub(crate) fn table(&self, metadata: Value, columns: Value, rows: Vec<Value>) -> Value {
        json!({
            "kind": "Table",
            "apiVersion": self.form.meta_version(),
            "metadata": metadata,
            "columnDefinitions": columns,
            "rows": rows,
        })
    }

    pub(crate) fn row(&self, object: &Value) -> Value {
        let included = match self.include {
            Include::None => Value::Null,
            Include::Metadata => self.partial(object),
            Include::Object => object.clone(),
        };
        json!({"cells": self.kind.printer.cells(object, self.now), "object": included})
    }

    pub(crate) fn partial(&self, object: &Value) -> Value {
        json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": self.form.meta_version(),
            "metadata": object["metadata"],
        })
    }
}

fn with_newline(json: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(json.len() + 1);
    bytes.extend_from_slice(json);
    bytes.push(b'\n');
    bytes.into()
}

pub(crate) fn include(query: &Query) -> Result<Include, ApiError> {
    match query.text("includeObject") {
        "" | "Metadata" => Ok(Include::Metadata),
        "None" => Ok(Include::None),
        "Object" => Ok(Include::Object),
        other => Err(ApiError::bad_request(format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be \
             'Metadata', 'Object', 'None', or empty"
        ))),
    }
}

/// Whether YAML was asked for where only JSON can be given.
pub(crate) fn refuse_yaml(form: Form, offered: &str) -> Result<(), ApiError> {
    if form.encoding == Encoding::Yaml {
        let text = format!("only the following media types are accepted: {offered}");
        return Err(ApiError::new(406, "NotAcceptable", text));
    }
    Ok(())
}
