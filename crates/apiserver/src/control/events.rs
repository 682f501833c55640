//! Events are only news: an hour after their last write they go
//! (spec/apiserver.md 14).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::complain;
use crate::api::Api;
use crate::http::status::ApiError;
use crate::store::{Action, Expected, ObjectName, ResourceId, Revision, Write, WriteError};

/// How long an Event is kept.
const TIME_TO_LIVE: Duration = Duration::from_secs(3_600);

/// How often old Events are looked for; they may live this much longer.
const SWEEP: Duration = Duration::from_secs(60);

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
