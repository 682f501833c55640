//! Events as lines of JSON, in the shape the client asked for.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};

use crate::api::{Api, Call};
use crate::http::accept::{Form, Shape};
use crate::http::status::ApiError;
use crate::kinds::Kind;
use crate::object::Object;
use crate::present::{Include, Presenter, include};
use crate::store::{Record, Revision};

/// The annotation of the bookmark that ends the initial objects.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

pub(super) struct Lines {
    api: Arc<Api>,
    kind: Arc<Kind>,
    form: Form,
    include: Include,
    /// Whether the column definitions were sent: only the first event has them.
    columns_sent: bool,
}

impl Lines {
    pub(super) fn new(api: &Arc<Api>, call: &Call, kind: Arc<Kind>) -> Result<Self, ApiError> {
        let include = include(&call.query)?;
        // Never indented: clients split a watch by lines.
        let form = Form { pretty: false, ..call.form };
        Ok(Self { api: api.clone(), kind, form, include, columns_sent: false })
    }

    /// Appends one event; `revision` replaces the object's own.
    pub(super) fn event(
        &mut self,
        out: &mut BytesMut,
        event: &str,
        record: &Record,
        revision: Option<Revision>,
    ) {
        if self.form.shape == Shape::Object && revision.is_none() && self.kind.is_stored_form(record) {
            out.extend_from_slice(b"{\"type\":\"");
            out.extend_from_slice(event.as_bytes());
            out.extend_from_slice(b"\",\"object\":");
            out.extend_from_slice(&record.json());
            out.extend_from_slice(b"}\n");
            return;
        }
        let mut object = self.kind.view(record).into_owned();
        if let Some(revision) = revision {
            object.set_metadata("resourceVersion", json!(revision.to_string()));
        }
        let shaped = match self.form.shape {
            Shape::Object => object,
            Shape::Partial => self.presenter().partial(&object),
            Shape::Table => {
                let row = self.presenter().row(&object);
                self.table(object.resource_version(), row)
            }
        };
        line(out, event, &shaped);
    }

    /// Appends a bookmark; `marked` ends the initial objects.
    pub(super) fn bookmark(&mut self, out: &mut BytesMut, revision: Revision, marked: bool) {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if marked {
            metadata["annotations"] = json!({ INITIAL_EVENTS_END: "true" });
        }
        let object = json!({
            "kind": self.kind.kind,
            "apiVersion": self.kind.api_version(),
            "metadata": metadata,
        });
        let shaped = match self.form.shape {
            Shape::Object => object,
            Shape::Partial => self.presenter().partial(&object),
            Shape::Table => {
                let partial = self.presenter().partial(&object);
                let row = json!({"cells": self.kind.printer.bookmark_cells(), "object": partial});
                self.table(&revision.to_string(), row)
            }
        };
        line(out, "BOOKMARK", &shaped);
    }

    /// The line that ends a watch which cannot go on.
    pub(super) fn error(&self, error: &ApiError) -> Bytes {
        let mut out = BytesMut::new();
        line(&mut out, "ERROR", &error.status());
        out.freeze()
    }

    fn presenter(&self) -> Presenter<'_> {
        let (form, include) = (self.form, self.include);
        Presenter { kind: &self.kind, form, include, now: self.api.clock.now() }
    }

    fn table(&mut self, revision: &str, row: Value) -> Value {
        let first = !std::mem::replace(&mut self.columns_sent, true);
        let columns = if first { self.kind.printer.columns().clone() } else { Value::Null };
        self.presenter().table(json!({"resourceVersion": revision}), columns, vec![row])
    }
}

fn line(out: &mut BytesMut, event: &str, object: &Value) {
    let event = json!({"type": event, "object": object});
    out.extend_from_slice(&serde_json::to_vec(&event).expect("a JSON value encodes"));
    out.extend_from_slice(b"\n");
}
