//! DELETE of one object or a collection (spec/apiserver.md 10.1, 10.2).

use std::sync::Arc;

use serde_json::{Value, json};

use super::{ATTEMPTS, is_held, refused};
use crate::api::{Api, Call};
use crate::http::body::decode_object;
use crate::http::query::{check_dry_run, option_error};
use crate::http::reply::Reply;
use crate::http::status::ApiError;
use crate::kinds::Kind;
use crate::object::Object;
use crate::present::{Page, Presenter};
use crate::schema::FieldReason;
use crate::store::{Action, Expected, ObjectName, Record, Write, WriteError};

/// Holds an owner until its dependents no longer refer to it.
pub(crate) const ORPHAN: &str = "orphan";

/// Holds an owner until its blocking dependents are gone.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";

/// Holds a definition until its objects are gone.
pub(crate) const CRD_CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Namespaces that the server itself needs.
const LASTING_NAMESPACES: [&str; 3] = ["default", "kube-system", "kube-public"];

/// What happens to the dependents of a deleted object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    Orphan,
    Background,
    Foreground,
}

/// How an object is to be deleted.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) policy: Option<Policy>,
    pub(crate) uid: Option<String>,
    pub(crate) revision: Option<String>,
    pub(crate) dry_run: bool,
}

/// What a delete has come to.
enum Deleted {
    Gone(Arc<Record>),
    Waiting(Arc<Record>),
}

impl DeleteOptions {
    fn parse(call: &Call) -> Result<Self, ApiError> {
        if call.body.is_empty() {
            return Self::from_query(call);
        }
        let body = decode_object(&call.media, &call.body, "v1", "DeleteOptions", true)?.value;
        Self::from_body(call, &body)
    }

    fn from_body(call: &Call, body: &Value) -> Result<Self, ApiError> {
        let kind = body["kind"].as_str().unwrap_or_default();
        if !kind.is_empty() && kind != "DeleteOptions" {
            return Err(ApiError::bad_request(format!("expected DeleteOptions, found {kind}")));
        }
        let empty =
            body.as_object().is_none_or(|map| map.keys().all(|key| key == "kind" || key == "apiVersion"));
        if empty {
            return Self::from_query(call);
        }
        let texts = body["dryRun"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let dry_run: Vec<String> = texts.map(str::to_owned).collect();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Ok(Self {
            policy: policy(body["propagationPolicy"].as_str(), body["orphanDependents"].as_bool())?,
            uid: text(&body["preconditions"]["uid"]),
            revision: text(&body["preconditions"]["resourceVersion"]),
            dry_run: check_dry_run(&dry_run, "DeleteOptions")? || call.query.dry_run("DeleteOptions")?,
        })
    }

    fn from_query(call: &Call) -> Result<Self, ApiError> {
        let orphan = call.query.get("orphanDependents").map(|_| call.query.flag("orphanDependents"));
        Ok(Self {
            policy: policy(call.query.get("propagationPolicy"), orphan)?,
            dry_run: call.query.dry_run("DeleteOptions")?,
            ..Self::default()
        })
    }
}

fn policy(text: Option<&str>, orphan: Option<bool>) -> Result<Option<Policy>, ApiError> {
    let refuse =
        |reason, message: String| Err(option_error("DeleteOptions", "propagationPolicy", reason, message));
    match (text.filter(|text| !text.is_empty()), orphan) {
        (Some(text), Some(_)) => refuse(
            FieldReason::Invalid,
            format!("Invalid value: {text:?}: orphanDependents and deletionPropagation cannot be both set"),
        ),
        (Some("Orphan"), None) | (None, Some(true)) => Ok(Some(Policy::Orphan)),
        (Some("Background"), None) | (None, Some(false)) => Ok(Some(Policy::Background)),
        (Some("Foreground"), None) => Ok(Some(Policy::Foreground)),
        (None, None) => Ok(None),
        (Some(text), None) => refuse(
            FieldReason::NotSupported,
            format!(
                "Unsupported value: {text:?}: supported values: \"Foreground\", \"Background\", \"Orphan\", \
                 \"nil\""
            ),
        ),
    }
}

impl Api {
    pub(crate) async fn delete(
        &self,
        call: &Call,
        kind: &Kind,
        name: &ObjectName,
    ) -> Result<Reply, ApiError> {
        let mut options = DeleteOptions::parse(call)?;
        if kind.is("batch", "Job") && options.policy.is_none() {
            call.warnings.add(
                "child pods are preserved by default when jobs are deleted; set \
                 propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this \
                 warning",
            );
            options.policy = Some(Policy::Orphan);
        }
        let presenter = Presenter::new(self, call, kind)?;
        match self.remove(kind, name, &options).await? {
            Deleted::Waiting(record) => Ok(presenter.record(200, &record)),
            Deleted::Gone(record) if answers_with_object(kind) => Ok(presenter.record(200, &record)),
            Deleted::Gone(record) => Ok(Reply::value(200, &success(kind, &record.value), call.form)),
        }
    }

    /// Deletes an object on the terms of an eviction.
    pub(crate) async fn delete_with(
        &self,
        call: &Call,
        kind: &Kind,
        name: &ObjectName,
        options: &Value,
    ) -> Result<(), ApiError> {
        let options = DeleteOptions::from_body(call, options)?;
        self.remove(kind, name, &options).await.map(drop)
    }

    pub(crate) async fn delete_collection(
        &self,
        call: &Call,
        kind: &Kind,
        namespace: Option<&str>,
    ) -> Result<Reply, ApiError> {
        let options = DeleteOptions::parse(call)?;
        let page = self.page(call, kind, namespace).await?;
        let mut removed = Vec::new();
        for record in page.items {
            match self.remove(kind, &record.value.object_name(), &options).await {
                Ok(_) => removed.push(record),
                Err(error) if error.code == 404 => {}
                Err(error) => return Err(error),
            }
        }
        let page = Page { items: removed, ..page };
        Ok(Presenter::new(self, call, kind)?.page(&page))
    }

    /// Deletes an object for the server's own controllers; an object that is
    /// gone already or another one by now is left alone.
    pub(crate) async fn delete_quietly(
        &self,
        kind: &Kind,
        name: &ObjectName,
        options: &DeleteOptions,
    ) -> Result<(), ApiError> {
        match self.remove(kind, name, options).await {
            Err(error) if !matches!(error.code, 404 | 409) => Err(error),
            _ => Ok(()),
        }
    }

    async fn remove(
        &self,
        kind: &Kind,
        name: &ObjectName,
        options: &DeleteOptions,
    ) -> Result<Deleted, ApiError> {
        for _ in 0..ATTEMPTS {
            let live = self.existing(kind, name)?;
            check_allowed(kind, &live.value, options)?;
            let marked = self.marked(kind, &live.value, options);
            let gone = !is_held(kind, &marked);
            if !gone && marked == live.value {
                return Ok(Deleted::Waiting(live));
            }
            if options.dry_run {
                let record =
                    Arc::new(Record::new(live.revision, if gone { live.value.clone() } else { marked }));
                return Ok(if gone { Deleted::Gone(record) } else { Deleted::Waiting(record) });
            }
            let written = self
                .store
                .write(Write {
                    resource: kind.resource.clone(),
                    name: name.clone(),
                    expected: Expected::At(live.revision),
                    guard: None,
                    action: if gone { Action::Delete } else { Action::Put(marked) },
                })
                .await;
            match written {
                Ok(_) if gone => return Ok(Deleted::Gone(live)),
                Ok(record) => return Ok(Deleted::Waiting(record)),
                Err(WriteError::Moved) => {}
                Err(error) => return Err(refused(&error)),
            }
        }
        Err(ApiError::modified(&kind.group, &kind.plural, &name.name))
    }

    /// The object as it is while it waits for its finalizers.
    fn marked(&self, kind: &Kind, live: &Value, options: &DeleteOptions) -> Value {
        let mut object = live.clone();
        object.set_finalizers(&finalizers(kind, live, options.policy));
        if !is_held(kind, &object) || live.is_deleting() {
            return object;
        }
        object.set_metadata("deletionTimestamp", json!(self.time()));
        let namespace = kind.is("", "Namespace");
        if namespace {
            object["status"]["phase"] = json!("Terminating");
        } else if !kind.is("apiextensions.k8s.io", "CustomResourceDefinition") {
            object.set_metadata("deletionGracePeriodSeconds", json!(0));
        }
        if kind.counts_generation() {
            let generation = live["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
            object.set_metadata("generation", json!(generation));
        }
        object
    }
}

/// The finalizers of an object that is deleted under a policy.
fn finalizers(kind: &Kind, live: &Value, policy: Option<Policy>) -> Vec<String> {
    let mut finalizers: Vec<String> = live.finalizers().into_iter().map(str::to_owned).collect();
    if let Some(policy) = policy {
        let wanted = match policy {
            Policy::Orphan => Some(ORPHAN),
            Policy::Foreground => Some(FOREGROUND),
            Policy::Background => None,
        };
        finalizers
            .retain(|own| ![ORPHAN, FOREGROUND].contains(&own.as_str()) || Some(own.as_str()) == wanted);
        if let Some(wanted) = wanted
            && !finalizers.iter().any(|own| own == wanted)
        {
            finalizers.push(wanted.to_owned());
        }
    }
    let definition = kind.is("apiextensions.k8s.io", "CustomResourceDefinition");
    if definition && !live.is_deleting() && !finalizers.iter().any(|own| own == CRD_CLEANUP) {
        finalizers.push(CRD_CLEANUP.to_owned());
    }
    finalizers
}

fn check_allowed(kind: &Kind, live: &Value, options: &DeleteOptions) -> Result<(), ApiError> {
    if kind.is("", "Namespace") && LASTING_NAMESPACES.contains(&live.name()) {
        let why = "this namespace may not be deleted";
        return Err(ApiError::forbidden("", "namespaces", live.name(), why));
    }
    let differs = |what: &str, asked: &str, found: &str, maybe: &str| {
        let why = format!(
            "the {what} in the precondition ({asked}) does not match the {what} in record ({found}). The \
             object might have been {maybe}"
        );
        // Upstream names the Kind here.
        Err(ApiError::conflict(&kind.group, &kind.kind, live.name(), why))
    };
    match (&options.uid, &options.revision) {
        (Some(uid), _) if uid != live.uid() => differs("UID", uid, live.uid(), "deleted and then recreated"),
        (_, Some(revision)) if revision != live.resource_version() => {
            differs("ResourceVersion", revision, live.resource_version(), "modified")
        }
        _ => Ok(()),
    }
}

fn answers_with_object(kind: &Kind) -> bool {
    kind.group.is_empty() && ["ServiceAccount", "Service", "Pod"].contains(&kind.kind.as_str())
}

fn success(kind: &Kind, object: &Value) -> Value {
    let mut details = json!({"name": object.name()});
    if !kind.group.is_empty() {
        details["group"] = json!(kind.group);
    }
    details["kind"] = json!(kind.plural);
    details["uid"] = json!(object.uid());
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
