//! Workloads that become ready by themselves, for servers that stand in for a
//! cluster without nodes. Deployments keep their ReplicaSets, so that rollouts
//! have a history; beyond that only status is simulated: no Pod is created, and
//! nothing runs.

mod deployment;
mod status;

use std::sync::Arc;

use futures::future::join_all;
use serde_json::Value;

use super::{Change, complain};
use crate::api::Api;
use crate::object::Object;
use crate::store::{ObjectName, ResourceId, Revision};

/// Changes taken from the log at once.
const CHANGES_AT_ONCE: usize = 256;

/// The status an object has once its work is done; `None` leaves it alone.
type Done = fn(&Value, &str) -> Option<Value>;

const SIMULATED: [(&str, &str, Done); 6] = [
    ("apps", "deployments", status::deployment),
    ("apps", "replicasets", status::replica_set),
    ("apps", "statefulsets", status::stateful_set),
    ("apps", "daemonsets", status::daemon_set),
    ("batch", "jobs", status::job),
    ("", "pods", status::pod),
];

pub(super) async fn run(api: Arc<Api>) {
    let simulations = SIMULATED.map(|(group, plural, done)| {
        let (api, resource) = (api.clone(), ResourceId::new(group, plural));
        async move { simulate(&api, &resource, done).await }
    });
    join_all(simulations).await;
}

async fn simulate(api: &Api, resource: &ResourceId, done: Done) {
    let mut changed = api.store.subscribe(resource);
    let mut position: Revision = 0;
    loop {
        changed.mark_unchanged();
        let due = due(api, resource, &mut position);
        let idle = due.is_empty();
        for name in due {
            if resource.as_str() == "apps/deployments"
                && let Err(error) = deployment::roll(api, &name).await
            {
                complain("a deployment could not be rolled out", &name, &error);
            }
            let time = api.time();
            let finished = |live: &Value| with_status(live, done, &time);
            if let Err(error) = api.amend(resource, &name, finished).await {
                complain("a workload could not be simulated", &name, &error);
            }
        }
        if !idle {
            continue;
        }
        tokio::select! {
            biased;
            () = api.stopping.cancelled() => return,
            result = changed.changed() => if result.is_err() { return },
        }
    }
}

/// The objects that changed since `position`; all of them the first time and
/// after falling behind.
fn due(api: &Api, resource: &ResourceId, position: &mut Revision) -> Vec<ObjectName> {
    if *position > 0
        && let Ok(found) = api.store.recent_changes(resource, *position, CHANGES_AT_ONCE)
    {
        *position = found.complete_to.max(*position);
        return found.changes.iter().map(|change| change.name.clone()).collect();
    }
    let list = api.store.list(resource, None);
    *position = list.revision;
    list.items.into_iter().map(|(name, _)| name).collect()
}

fn with_status(live: &Value, done: Done, time: &str) -> Change {
    if live.is_deleting() {
        return Change::Keep;
    }
    match done(live, time) {
        Some(status) if live["status"] != status => {
            let mut live = live.clone();
            live["status"] = status;
            Change::Put(live)
        }
        _ => Change::Keep,
    }
}
