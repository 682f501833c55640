//! What is decided about an object besides its shape (spec/apiserver.md 17):
//! the account a Pod runs as, and rights that a role may not give away.
//! Namespace life cycle is checked with the commit itself, in `write`.

use serde_json::{Value, json};

use crate::api::Api;
use crate::auth::User;
use crate::http::status::ApiError;
use crate::kinds::Kind;
use crate::object::Object;
use crate::store::{ObjectName, ResourceId};

impl Api {
    /// Completes a new object before its defaults and checks.
    pub(crate) fn complete(&self, kind: &Kind, object: &mut Value) -> Result<(), ApiError> {
        if kind.is("", "Pod") {
            return self.complete_pod(object);
        }
        if kind.is("", "Service") {
            self.allocate(object);
        }
        Ok(())
    }

    /// The last word before an object is stored.
    pub(crate) fn admit(
        &self,
        user: &User,
        kind: &Kind,
        object: &Value,
        old: Option<&Value>,
    ) -> Result<(), ApiError> {
        self.check_escalation(user, kind, object, old)
    }

    /// A Pod runs as the `default` account unless it names another, which must exist.
    fn complete_pod(&self, pod: &mut Value) -> Result<(), ApiError> {
        let spec = &pod["spec"];
        if !spec.is_object() {
            return Ok(());
        }
        let named = |field: &str| spec[field].as_str().filter(|name| !name.is_empty());
        let account = named("serviceAccountName").or(named("serviceAccount")).unwrap_or("default").to_owned();
        let namespace = pod.namespace();
        let place = ObjectName::new(namespace, account.as_str());
        if self.store.get(&ResourceId::new("", "serviceaccounts"), &place).is_none() {
            let why = format!(
                "error looking up service account {namespace}/{account}: serviceaccount {account:?} not found"
            );
            return Err(ApiError::forbidden("", "pods", pod.name(), why));
        }
        pod["spec"]["serviceAccountName"] = json!(account);
        Ok(())
    }
}
