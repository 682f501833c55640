//! `serviceaccounts/NAME/token`: a new token for a ServiceAccount
//! (spec/apiserver.md 16.1).

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::tokens::{BoundObject, Claims, ISSUER};
use crate::api::{Api, Call, seconds};
use crate::http::body::{check_subresource_type, decode_object};
use crate::http::reply::Reply;
use crate::http::status::ApiError;
use crate::kinds::Kind;
use crate::object::Object;
use crate::schema::FieldError;
use crate::store::{ObjectName, ResourceId};

const API_VERSION: &str = "authentication.k8s.io/v1";

/// How long a token lives when nobody says.
const DEFAULT_SECONDS: i64 = 3_600;

/// Shorter tokens would expire before clients think of a new one.
const MIN_SECONDS: i64 = 600;

/// Upstream's bound, far beyond any use.
const MAX_SECONDS: i64 = 1 << 32;

impl Api {
    /// Answers the creation of a TokenRequest.
    pub(crate) async fn request_token(
        &self,
        call: &Call,
        kind: &Kind,
        name: &ObjectName,
    ) -> Result<Reply, ApiError> {
        let mut request = decode_object(&call.media, &call.body, API_VERSION, "TokenRequest", true)?.value;
        check_subresource_type(&mut request, API_VERSION, "TokenRequest")?;
        let account = self.existing(kind, name)?;
        let seconds_asked = request["spec"]["expirationSeconds"].as_i64().unwrap_or(DEFAULT_SECONDS);
        check_seconds(seconds_asked)?;
        let asked = request["spec"]["audiences"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut audiences: Vec<String> = asked.map(str::to_owned).collect();
        if audiences.is_empty() {
            audiences.push(ISSUER.to_owned());
        }
        let bound = self.bound_object(name, &request["spec"]["boundObjectRef"])?;
        let now = self.clock.now();
        let expires = now.saturating_add(SignedDuration::from_secs(seconds_asked)).unwrap_or(Timestamp::MAX);
        let claims = Claims {
            namespace: name.namespace.clone(),
            account: name.name.clone(),
            account_uid: account.value.uid().to_owned(),
            bound_to: bound,
            audiences: audiences.clone(),
            id: self.uuid(),
        };
        let token = self.authenticator.issuer.issue(&claims, now, expires).await.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a token could not be signed");
            ApiError::internal("a token could not be signed")
        })?;
        let mut metadata = account.value["metadata"].clone();
        if let Some(fields) = metadata.as_object_mut() {
            fields.shift_remove("managedFields");
        }
        let reference = request["spec"].get("boundObjectRef").cloned().unwrap_or(Value::Null);
        let answer = json!({
            "kind": "TokenRequest",
            "apiVersion": API_VERSION,
            "metadata": metadata,
            "spec": {
                "audiences": audiences,
                "expirationSeconds": seconds_asked,
                "boundObjectRef": reference,
            },
            "status": {"token": token, "expirationTimestamp": seconds(expires)},
        });
        Ok(Reply::value(201, &answer, call.form))
    }

    /// The object a token shall die with, as it is now.
    fn bound_object(&self, account: &ObjectName, asked: &Value) -> Result<Option<BoundObject>, ApiError> {
        if asked.is_null() {
            return Ok(None);
        }
        let text = |field: &str| asked[field].as_str().unwrap_or_default();
        let (plural, namespace) = match (text("apiVersion"), text("kind")) {
            ("v1", "Pod") => ("pods", account.namespace.as_str()),
            ("v1", "Secret") => ("secrets", account.namespace.as_str()),
            ("v1", "Node") => ("nodes", ""),
            (version, kind) => {
                let (group, version) = version.split_once('/').unwrap_or(("", version));
                let text = format!("cannot bind token to object of type {group}/{version}, Kind={kind}");
                return Err(ApiError::bad_request(text));
            }
        };
        let (kind, name) = (text("kind"), text("name"));
        let found = self.store.get(&ResourceId::new("", plural), &ObjectName::new(namespace, name));
        let found = found.ok_or_else(|| ApiError::not_found("", plural, name))?;
        let uid = text("uid");
        if !uid.is_empty() && uid != found.value.uid() {
            let why = format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. The object \
                 might have been deleted and then recreated"
            );
            return Err(ApiError::conflict("", kind, name, why));
        }
        if kind == "Pod" && found.value["spec"]["serviceAccountName"] != account.name.as_str() {
            return Err(ApiError::bad_request(format!(
                "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
                account.name
            )));
        }
        let uid = found.value.uid().to_owned();
        Ok(Some(BoundObject { kind: kind.to_owned(), name: name.to_owned(), uid }))
    }
}

fn check_seconds(asked: i64) -> Result<(), ApiError> {
    let detail = match asked {
        ..MIN_SECONDS => "may not specify a duration less than 10 minutes",
        MIN_SECONDS..=MAX_SECONDS => return Ok(()),
        _ => "may not specify a duration larger than 2^32 seconds",
    };
    let error = FieldError::invalid("spec.expirationSeconds", &json!(asked), detail);
    Err(ApiError::invalid("authentication.k8s.io", "TokenRequest", "", &[error]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_live_neither_too_short_nor_too_long() {
        check_seconds(MIN_SECONDS).unwrap();
        check_seconds(MAX_SECONDS).unwrap();
        let error = check_seconds(60).unwrap_err();
        let text = "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid \
                    value: 60: may not specify a duration less than 10 minutes";
        assert_eq!((error.code, error.message.as_str()), (422, text));
        assert!(check_seconds(MAX_SECONDS + 1).is_err());
    }
}
