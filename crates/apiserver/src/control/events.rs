//! Events of the server's own controllers, and the end of all Events: they are
//! only news, an hour after their last write they go (spec/apiserver.md 14).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::complain;
use crate::api::Api;
use crate::http::status::ApiError;
use crate::object::Object;
use crate::store::{Action, Expected, ObjectName, ResourceId, Revision, Write, WriteError};

/// How long an Event is kept.
const TIME_TO_LIVE: Duration = Duration::from_secs(3_600);

/// How often old Events are looked for; they may live this much longer.
const SWEEP: Duration = Duration::from_secs(60);

/// Longest name of an Event: that of a DNS subdomain.
const NAME_CHARACTERS: usize = 253;

/// Something worth a Warning about an object.
pub(super) struct Notice {
    pub(super) reason: &'static str,
    pub(super) message: String,
    /// What tells this news from others about the same object; the same news
    /// is not told again as long as it is kept.
    pub(super) suffix: String,
}

impl Api {
    /// Writes a Warning Event about an object.
    pub(super) async fn announce(&self, object: &Value, notice: &Notice) -> Result<(), ApiError> {
        let namespace = match object.namespace() {
            "" => "default",
            namespace => namespace,
        };
        let room = NAME_CHARACTERS.saturating_sub(notice.suffix.len() + 1);
        let subject: String = object.name().chars().take(room).collect();
        let time = self.time();
        let mut event = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": format!("{subject}.{}", notice.suffix), "namespace": namespace},
            "involvedObject": {
                "kind": object["kind"],
                "name": object["metadata"]["name"],
                "uid": object["metadata"]["uid"],
                "apiVersion": object["apiVersion"],
            },
            "reason": notice.reason,
            "message": notice.message,
            "source": {"component": "garbage-collector-controller"},
            "firstTimestamp": time,
            "lastTimestamp": time,
            "count": 1,
            "type": "Warning",
            "reportingComponent": "garbage-collector-controller",
            "reportingInstance": "",
        });
        if !object.namespace().is_empty() {
            event["involvedObject"]["namespace"] = json!(namespace);
        }
        match self.create_own(event).await {
            // Told already, or the namespace goes.
            Err(error) if !matches!(error.code, 403 | 404 | 409) => Err(error),
            _ => Ok(()),
        }
    }
}

pub(super) async fn run(api: Arc<Api>) {
    let resource = ResourceId::new("", "events");
    // When each state was first seen: Events that are older than this process
    // live an hour from its start.
    let mut seen: BTreeMap<(ObjectName, Revision), Duration> = BTreeMap::new();
    loop {
        let now = api.clock.monotonic();
        let list = api.store.list(&resource, None).items;
        let present: BTreeMap<_, _> = list
            .into_iter()
            .map(|(name, record)| {
                let key = (name, record.revision);
                let since = seen.get(&key).copied().unwrap_or(now);
                (key, since)
            })
            .collect();
        for ((name, revision), since) in &present {
            if now.saturating_sub(*since) >= TIME_TO_LIVE {
                expire(&api, &resource, name, *revision).await;
            }
        }
        seen = present;
        tokio::select! {
            biased;
            () = api.stopping.cancelled() => return,
            () = api.clock.sleep(SWEEP) => {}
        }
    }
}

async fn expire(api: &Api, resource: &ResourceId, name: &ObjectName, revision: Revision) {
    let written = api.store.write(Write {
        resource: resource.clone(),
        name: name.clone(),
        expected: Expected::At(revision),
        guard: None,
        action: Action::Delete,
    });
    match written.await {
        Ok(_) | Err(WriteError::Moved | WriteError::Closed) => {}
        Err(error) => {
            complain("an old event could not be removed", name, &ApiError::internal(error));
        }
    }
}
