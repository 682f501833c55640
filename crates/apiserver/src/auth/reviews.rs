//! Questions about access, answered and not stored (spec/apiserver.md 16.3).

use serde_json::{Map, Value, json};

use super::tokens::ISSUER;
use super::{Attributes, User};
use crate::api::{Api, Call};
use crate::http::body::{check_type, decode_object};
use crate::http::reply::Reply;
use crate::http::status::ApiError;
use crate::kinds::Kind;
use crate::object::Object;
use crate::schema::{FieldError, FieldReason};

impl Api {
    /// Answers the creation of a kind that is never stored.
    pub(crate) async fn review(
        &self,
        call: &Call,
        kind: &Kind,
        namespace: Option<&str>,
    ) -> Result<Reply, ApiError> {
        let api_version = kind.api_version();
        let mut object = decode_object(&call.media, &call.body, &api_version, &kind.kind, true)?.value;
        check_type(&mut object, kind)?;
        let status = match kind.kind.as_str() {
            "SelfSubjectReview" => {
                object.set_metadata("creationTimestamp", json!(self.time()));
                json!({"userInfo": user_info(&call.user)})
            }
            "SelfSubjectAccessReview" => self.access(kind, &call.user, &object["spec"])?,
            "SubjectAccessReview" => self.access(kind, &subject(&object["spec"]), &object["spec"])?,
            "LocalSubjectAccessReview" => {
                let asked = object["spec"]["resourceAttributes"]["namespace"].as_str().unwrap_or_default();
                if Some(asked) != namespace {
                    return Err(ApiError::bad_request(
                        "spec.resourceAttributes.namespace must match the path",
                    ));
                }
                self.access(kind, &subject(&object["spec"]), &object["spec"])?
            }
            "SelfSubjectRulesReview" => self.rules_review(&call.user, &object["spec"])?,
            "TokenReview" => self.token_review(&object["spec"]).await?,
            _ => return Err(ApiError::method_not_allowed()),
        };
        object["status"] = status;
        Ok(Reply::value(201, &object, call.form))
    }

    fn access(&self, kind: &Kind, user: &User, spec: &Value) -> Result<Value, ApiError> {
        let (resource, other) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
        let wanted = match (resource.is_object(), other.is_object()) {
            (true, false) => resource_attributes(resource),
            (false, true) => Attributes::other(text(&other["verb"]), text(&other["path"])),
            _ => {
                let error = FieldError {
                    path: "spec.resourceAttributes".to_owned(),
                    reason: FieldReason::Invalid,
                    message:
                        "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes \
                              must be specified"
                            .to_owned(),
                };
                return Err(ApiError::invalid(&kind.group, "", "", &[error]));
            }
        };
        let decision = self.decide(user, &wanted);
        let mut status = json!({"allowed": decision.allowed});
        if !decision.reason.is_empty() {
            status["reason"] = json!(decision.reason);
        }
        Ok(status)
    }

    fn rules_review(&self, user: &User, spec: &Value) -> Result<Value, ApiError> {
        let namespace = text(&spec["namespace"]);
        if namespace.is_empty() {
            return Err(ApiError::bad_request("no namespace on request"));
        }
        let everything = json!([
            {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
            {"verbs": ["*"], "nonResourceURLs": ["*"]},
        ]);
        let rules = if user.in_group(super::MASTERS) {
            everything.as_array().cloned().unwrap_or_default()
        } else {
            self.rules_of(user, Some(namespace))
        };
        let (other, resource): (Vec<Value>, Vec<Value>) =
            rules.into_iter().partition(|rule| rule.get("nonResourceURLs").is_some());
        Ok(json!({"resourceRules": resource, "nonResourceRules": other, "incomplete": false}))
    }

    async fn token_review(&self, spec: &Value) -> Result<Value, ApiError> {
        let token = text(&spec["token"]);
        if token.is_empty() {
            return Err(ApiError::bad_request("token is required for TokenReview in authentication"));
        }
        let asked = spec["audiences"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut audiences: Vec<String> = asked.map(str::to_owned).collect();
        if audiences.is_empty() {
            audiences.push(ISSUER.to_owned());
        }
        Ok(match self.token_user(token, &audiences).await {
            Some(known) => json!({
                "authenticated": true,
                "user": user_info(&known.user),
                "audiences": known.audiences,
            }),
            None => json!({"user": {}, "error": "invalid bearer token"}),
        })
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn resource_attributes(asked: &Value) -> Attributes {
    let optional = |field: &str| Some(text(&asked[field]).to_owned()).filter(|text| !text.is_empty());
    let subresource = optional("subresource").map(|name| format!("/{name}")).unwrap_or_default();
    Attributes {
        verb: text(&asked["verb"]).to_owned(),
        group: text(&asked["group"]).to_owned(),
        resource: format!("{}{subresource}", text(&asked["resource"])),
        namespace: optional("namespace"),
        name: optional("name"),
        path: String::new(),
    }
}

/// The user a review asks about.
fn subject(spec: &Value) -> User {
    let groups = spec["groups"].as_array().into_iter().flatten().filter_map(Value::as_str);
    User {
        name: text(&spec["user"]).to_owned(),
        uid: text(&spec["uid"]).to_owned(),
        groups: groups.map(str::to_owned).collect(),
        ..User::default()
    }
}

fn user_info(user: &User) -> Value {
    let mut info = Map::new();
    info.insert("username".to_owned(), json!(user.name));
    if !user.uid.is_empty() {
        info.insert("uid".to_owned(), json!(user.uid));
    }
    info.insert("groups".to_owned(), json!(user.all_groups()));
    if !user.extra.is_empty() {
        info.insert("extra".to_owned(), json!(user.extra));
    }
    Value::Object(info)
}
