//! What is decided about an object besides its shape (spec/apiserver.md 17):
//! the account a Pod runs as, and rights that a role may not give away.
//! Namespace life cycle is checked with the commit itself, in `write`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::Api;
use crate::auth::User;
use crate::http::status::ApiError;
use crate::kinds::Kind;
use crate::object::Object;
use crate::store::{ObjectName, ResourceId};

/// The account of Pods that name none.
const DEFAULT_ACCOUNT: &str = "default";

/// How long a Pod waits for the account of a namespace that was just made, as
/// long as upstream tries.
const ACCOUNT_WAIT: Duration = Duration::from_secs(1);

impl Api {
    /// Completes a new object before its defaults and checks.
    pub(crate) async fn complete(&self, kind: &Kind, object: &mut Value) -> Result<(), ApiError> {
        if kind.is("", "Pod") {
            return self.complete_pod(object).await;
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
    async fn complete_pod(&self, pod: &mut Value) -> Result<(), ApiError> {
        let spec = &pod["spec"];
        if !spec.is_object() {
            return Ok(());
        }
        let named = |field: &str| spec[field].as_str().filter(|name| !name.is_empty());
        let account =
            named("serviceAccountName").or(named("serviceAccount")).unwrap_or(DEFAULT_ACCOUNT).to_owned();
        let namespace = pod.namespace();
        if !self.has_account(&ObjectName::new(namespace, account.as_str())).await {
            let why = format!(
                "error looking up service account {namespace}/{account}: serviceaccount {account:?} not found"
            );
            return Err(ApiError::forbidden("", "pods", pod.name(), why));
        }
        pod["spec"]["serviceAccountName"] = json!(account);
        Ok(())
    }

    /// Whether an account exists. The one that every namespace has appears a
    /// moment after its namespace and is waited for.
    async fn has_account(&self, name: &ObjectName) -> bool {
        let accounts = ResourceId::new("", "serviceaccounts");
        let mut changed = self.store.subscribe(&accounts);
        let exists = || self.store.get(&accounts, name).is_some();
        if exists() || name.name != DEFAULT_ACCOUNT {
            return exists();
        }
        tokio::select! {
            biased;
            found = changed.wait_for(|_| exists()) => found.is_ok(),
            () = self.clock.sleep(ACCOUNT_WAIT) => false,
        }
    }
}
