//! Who did what: one line of JSON for each write and each read of a Secret
//! (spec/apiserver.md 18). Bodies are never in it.

use std::time::Duration;

use serde_json::json;

use crate::api::Api;
use crate::auth::User;
use crate::http::path::ResourcePath;

/// Takes the lines of the audit log, in the order in which requests end.
pub trait AuditLog: Send + Sync + 'static {
    /// Keeps one line of JSON, given without a newline. Must not block.
    fn record(&self, line: &str);
}

/// What is known of a request once it is answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) user: Option<User>,
    pub(crate) verb: &'static str,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Whether the server serves such a resource, so that it may name a metric.
    pub(crate) known: bool,
}

impl Facts {
    /// Takes down what a request is about.
    pub(crate) fn note(&mut self, path: &ResourcePath, verb: &'static str) {
        self.verb = verb;
        self.group.clone_from(&path.group);
        self.version.clone_from(&path.version);
        self.resource.clone_from(&path.resource);
        self.subresource = path.subresource.clone().unwrap_or_default();
        self.namespace = path.namespace.clone().unwrap_or_default();
        self.name = path.name.clone().unwrap_or_default();
    }

    /// Whether the log has a line about it.
    fn matters(&self) -> bool {
        let reads = matches!(self.verb, "" | "get" | "list" | "watch");
        !reads || self.group.is_empty() && self.resource == "secrets"
    }
}

impl Api {
    /// Writes down a request that ended.
    pub(crate) fn audit(&self, facts: &Facts, audit_id: &str, code: u16, took: Duration) {
        let Some(log) = &self.audit_log else { return };
        if !facts.matters() {
            return;
        }
        let (name, groups) = facts.user.as_ref().map(|user| (user.name.as_str(), user.all_groups())).unzip();
        let line = json!({
            "time": self.clock.now().to_string(),
            "auditID": audit_id,
            "user": {"username": name.unwrap_or("system:anonymous"), "groups": groups},
            "verb": facts.verb,
            "objectRef": {
                "apiGroup": facts.group,
                "apiVersion": facts.version,
                "resource": facts.resource,
                "subresource": facts.subresource,
                "namespace": facts.namespace,
                "name": facts.name,
            },
            "code": code,
            "latencyMicroseconds": u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        });
        log.record(&line.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_matter_and_reads_only_of_secrets() {
        let facts = |verb: &'static str, resource: &str| Facts {
            verb,
            resource: resource.to_owned(),
            ..Facts::default()
        };
        assert!(facts("create", "pods").matters());
        assert!(facts("delete", "pods").matters());
        assert!(facts("list", "secrets").matters());
        assert!(!facts("list", "pods").matters());
        assert!(!facts("", "").matters(), "discovery");
    }
}
