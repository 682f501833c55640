//! Failures as clients see them: the Status object and its code.

use serde_json::{Map, Value, json};

use crate::schema::FieldError;

/// A failed request: everything a Status answer needs (spec/apiserver.md 15).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) code: u16,
    pub(crate) reason: Option<&'static str>,
    pub(crate) message: String,
    /// Boxed: this type is the error of nearly every function of the crate.
    pub(crate) details: Option<Box<Map<String, Value>>>,
    /// Seconds, also sent as `Retry-After`.
    pub(crate) retry_after: Option<u32>,
    /// Answered as this text instead of a Status.
    pub(crate) plain: bool,
    /// `metadata.continue` of an expired list.
    pub(crate) resume: Option<String>,
}

/// What the messages call a resource: `R.GROUP`, or `R` in the core group.
pub(crate) fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

impl ApiError {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: Some(reason),
            message: message.into(),
            details: None,
            retry_after: None,
            plain: false,
            resume: None,
        }
    }

    fn detailed(mut self, entries: &[(&str, &str)]) -> Self {
        let details = self.details.get_or_insert_default();
        for (key, value) in entries.iter().filter(|(_, value)| !value.is_empty()) {
            details.insert((*key).to_owned(), json!(value));
        }
        self
    }

    pub(crate) fn caused(mut self, causes: Vec<Value>) -> Self {
        self.details.get_or_insert_default().insert("causes".to_owned(), Value::Array(causes));
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.details.get_or_insert_default().insert("retryAfterSeconds".to_owned(), json!(seconds));
        self.retry_after = Some(seconds);
        self
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// A refusal about one object; `resource` is the plural.
    pub(crate) fn forbidden(group: &str, resource: &str, name: &str, why: impl std::fmt::Display) -> Self {
        let subject = qualified(resource, group);
        let subject = if name.is_empty() { subject } else { format!("{subject} {name:?}") };
        Self::new(403, "Forbidden", format!("{subject} is forbidden: {why}")).detailed(&[
            ("name", name),
            ("group", group),
            ("kind", resource),
        ])
    }

    pub(crate) fn not_found(group: &str, resource: &str, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} {name:?} not found", qualified(resource, group))).detailed(&[
            ("name", name),
            ("group", group),
            ("kind", resource),
        ])
    }

    /// A path below a known group that leads nowhere.
    pub(crate) fn no_such_resource() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource").detailed(&[])
    }

    /// A path that leads nowhere at all.
    pub(crate) fn no_such_page() -> Self {
        Self { plain: true, ..Self::new(404, "NotFound", "404 page not found\n") }
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
            .detailed(&[])
    }

    pub(crate) fn verb_not_supported(verb: &str, group: &str, resource: &str) -> Self {
        let subject = qualified(resource, group);
        let message = format!("{verb} is not supported on resources of kind \"{subject}\"");
        Self::new(405, "MethodNotAllowed", message).detailed(&[("group", group), ("kind", resource)])
    }

    pub(crate) fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} {name:?} already exists", qualified(resource, group)))
            .detailed(&[("name", name), ("group", group), ("kind", resource)])
    }

    pub(crate) fn conflict(group: &str, resource: &str, name: &str, why: impl std::fmt::Display) -> Self {
        let subject = qualified(resource, group);
        Self::new(409, "Conflict", format!("Operation cannot be fulfilled on {subject} {name:?}: {why}"))
            .detailed(&[("name", name), ("group", group), ("kind", resource)])
    }

    pub(crate) fn modified(group: &str, resource: &str, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(group, resource, name, why)
    }

    /// 422 about fields; `kind` is the Kind, or the plural where upstream says so.
    pub(crate) fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let subject = qualified(kind, group);
        let message = format!("{subject} {name:?} is invalid: {}", FieldError::aggregate(errors));
        Self::new(422, "Invalid", message)
            .detailed(&[("name", name), ("group", group), ("kind", kind)])
            .caused(errors.iter().map(FieldError::cause).collect())
    }

    /// 422 about the options of a request (`ListOptions`, `CreateOptions`, ...).
    pub(crate) fn invalid_options(kind: &str, error: FieldError) -> Self {
        Self::invalid("meta.k8s.io", kind, "", &[error])
    }

    /// 422 with a text only: a patch whose operations fail.
    pub(crate) fn unprocessable() -> Self {
        Self::new(422, "Invalid", "the server rejected our request due to an error in our request")
            .detailed(&[])
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(413, "RequestEntityTooLarge", message)
    }

    pub(crate) fn future_revision(asked: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        Self::new(504, "Timeout", message)
            .caused(vec![
                json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}),
            ])
            .retry_after(1)
    }

    pub(crate) fn internal(message: impl std::fmt::Display) -> Self {
        let text = format!("Internal error occurred: {message}");
        Self::new(500, "InternalError", text).caused(vec![json!({"message": message.to_string()})])
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message).retry_after(1)
    }

    /// The Status object.
    pub(crate) fn status(&self) -> Value {
        let mut metadata = Map::new();
        if let Some(token) = &self.resume {
            metadata.insert("continue".to_owned(), json!(token));
        }
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": "Failure",
            "message": self.message,
        });
        if let Some(reason) = self.reason {
            status["reason"] = json!(reason);
        }
        if let Some(details) = &self.details {
            status["details"] = Value::Object(Map::clone(details));
        }
        status["code"] = json!(self.code);
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_object_is_named_with_its_group() {
        let error = ApiError::not_found("apps", "deployments", "web");
        assert_eq!(error.message, "deployments.apps \"web\" not found");
        assert_eq!(error.status()["details"], json!({"name": "web", "group": "apps", "kind": "deployments"}));
        assert_eq!(error.status()["code"], 404);
    }

    #[test]
    fn the_core_group_has_no_suffix() {
        let error = ApiError::already_exists("", "configmaps", "a");
        assert_eq!(error.message, "configmaps \"a\" already exists");
        assert_eq!(error.status()["details"], json!({"name": "a", "kind": "configmaps"}));
    }
}
