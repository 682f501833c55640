//! Objects in the form a client asked for: plain, as Table, or metadata only
//! (spec/apiserver.md 4.2, 4.3).

use std::borrow::Cow;
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

    /// An answer with a page of a list.
    pub(crate) fn page(&self, page: &Page) -> Reply {
        let metadata = list_metadata(page);
        let views = || page.items.iter().map(|record| self.kind.view(record));
        match self.form.shape {
            Shape::Object if self.form == Form::default() => {
                Reply::bytes(200, "application/json", self.encode_list(&metadata, &page.items))
            }
            Shape::Object => {
                let items: Vec<Value> = views().map(|object| self.item(object)).collect();
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

    /// An item of a list; those of built-in kinds do not repeat their type.
    fn item(&self, object: Cow<'_, Value>) -> Value {
        let mut object = object.into_owned();
        if self.kind.custom().is_none()
            && let Some(map) = object.as_object_mut()
        {
            map.shift_remove("apiVersion");
            map.shift_remove("kind");
        }
        object
    }

    /// The same list as [`Self::list`], put together from encoded objects.
    fn encode_list(&self, metadata: &Value, records: &[Arc<Record>]) -> Bytes {
        let type_prefix =
            format!("{{\"apiVersion\":\"{}\",\"kind\":\"{}\",", self.kind.api_version(), self.kind.kind);
        let mut out = format!(
            "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"items\":[",
            self.kind.list_kind,
            self.kind.api_version()
        )
        .into_bytes();
        for (index, record) in records.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let json = record.json();
            match json.strip_prefix(type_prefix.as_bytes()) {
                _ if !self.kind.is_stored_form(record) => {
                    push_value(&mut out, &self.item(self.kind.view(record)))
                }
                Some(rest) if self.kind.custom().is_none() => {
                    out.push(b'{');
                    out.extend_from_slice(rest);
                }
                None if self.kind.custom().is_none() => {
                    push_value(&mut out, &self.item(Cow::Borrowed(&record.value)));
                }
                _ => out.extend_from_slice(&json),
            }
        }
        out.extend_from_slice(b"]}\n");
        out.into()
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

fn push_value(out: &mut Vec<u8>, value: &Value) {
    serde_json::to_writer(&mut *out, value).expect("a JSON value encodes into memory");
}

fn with_newline(json: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(json.len() + 1);
    bytes.extend_from_slice(json);
    bytes.push(b'\n');
    bytes.into()
}

fn list_metadata(page: &Page) -> Value {
    let mut metadata = Map::new();
    metadata.insert("resourceVersion".to_owned(), json!(page.revision.to_string()));
    if let Some(token) = &page.resume {
        metadata.insert("continue".to_owned(), json!(token));
    }
    if let Some(remaining) = page.remaining {
        metadata.insert("remainingItemCount".to_owned(), json!(remaining));
    }
    Value::Object(metadata)
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
