//! The lock of the Go program: both must not run at once (`spec/okra.md` 5.7-1).

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use serde::Deserialize;

/// Name of the ConfigMap, as of our own Lease.
const NAME: &str = "okra";
/// Where the holder writes itself down.
const ANNOTATION: &str = "control-plane.alpha.kubernetes.io/leader";

/// What the holder writes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Holder {
    #[serde(default)]
    holder_identity: String,
    lease_duration_seconds: i64,
    renew_time: Timestamp,
}

/// Refuses while the lock is held. A lock that cannot be read is none: only
/// where the Go program ran is there one.
///
/// # Errors
/// When the Go program still renews its lock.
pub async fn refuse_beside(client: &Client, namespace: &str, now: Timestamp) -> anyhow::Result<()> {
    let locks: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let lock = match locks.get_opt(NAME).await {
        Ok(lock) => lock,
        Err(kube::Error::Api(status)) if status.code == 403 => None,
        Err(error) => return Err(error).context("the lock of the Go program cannot be looked for"),
    };
    match lock.as_ref().and_then(|lock| held_by(lock, now)) {
        None => Ok(()),
        Some(holder) => anyhow::bail!(
            "the Go program still runs as {holder} (ConfigMap {NAME} in {namespace}): scale it to 0 first"
        ),
    }
}

fn held_by(lock: &ConfigMap, now: Timestamp) -> Option<String> {
    let text = lock.metadata.annotations.as_ref()?.get(ANNOTATION)?;
    let holder: Holder = serde_json::from_str(text).ok()?;
    let ends =
        holder.renew_time.checked_add(SignedDuration::from_secs(holder.lease_duration_seconds)).ok()?;
    (!holder.holder_identity.is_empty() && ends > now).then_some(holder.holder_identity)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn lock(holder: &str, renewed: &str) -> ConfigMap {
        let text = format!(
            r#"{{"holderIdentity":"{holder}","leaseDurationSeconds":15,"acquireTime":"2022-01-01T00:00:00Z","renewTime":"{renewed}","leaderTransitions":3}}"#
        );
        let mut lock = ConfigMap::default();
        lock.metadata.annotations = Some(BTreeMap::from([(ANNOTATION.to_owned(), text)]));
        lock
    }

    #[test]
    fn a_lock_counts_while_it_is_renewed() {
        let now = "2026-11-21T15:00:00Z".parse().unwrap();
        assert_eq!(held_by(&lock("old-1", "2026-11-21T14:59:50Z"), now).as_deref(), Some("old-1"));
        assert_eq!(held_by(&lock("old-1", "2026-11-21T14:59:45Z"), now), None);
        assert_eq!(held_by(&lock("", "2026-11-21T14:59:59Z"), now), None);
        assert_eq!(held_by(&ConfigMap::default(), now), None);
    }
}
