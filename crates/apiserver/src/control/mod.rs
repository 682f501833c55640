//! The server's own controllers: each follows the committed log and writes
//! through the same store as clients do.

mod definitions;
mod events;
mod garbage;
mod graph;
mod namespaces;
mod roles;
mod workloads;

use std::sync::Arc;

use serde_json::Value;
use tokio::task::JoinHandle;

pub(crate) use definitions::Definitions;
pub(crate) use roles::aggregate_roles;

use crate::api::Api;
use crate::http::status::ApiError;
use crate::store::{Action, Expected, ObjectName, Record, ResourceId, Write, WriteError};

/// How often a controller's own change starts over when the object moved.
const ATTEMPTS: usize = 16;

/// What a controller makes of an object.
pub(crate) enum Change {
    /// Nothing to do.
    Keep,
    /// Store this.
    Put(Value),
    /// Remove the object.
    Remove,
}

/// Starts all controllers; they end when the server stops.
pub(crate) fn start(api: &Arc<Api>, definitions: Definitions, simulate: bool) -> Vec<JoinHandle<()>> {
    let mut tasks = vec![
        tokio::spawn(definitions.run(api.clone())),
        tokio::spawn(namespaces::run(api.clone())),
        tokio::spawn(garbage::run(api.clone())),
        tokio::spawn(events::run(api.clone())),
        tokio::spawn(roles::run(api.clone())),
    ];
    if simulate {
        tasks.push(tokio::spawn(workloads::run(api.clone())));
    }
    tasks
}

impl Api {
    /// Changes an object on the server's own behalf: no defaults, no checks,
    /// no field manager. Returns the state that is stored now.
    pub(crate) async fn amend(
        &self,
        resource: &ResourceId,
        name: &ObjectName,
        change: impl Fn(&Value) -> Change + Send + Sync,
    ) -> Result<Option<Arc<Record>>, ApiError> {
        for _ in 0..ATTEMPTS {
            let Some(live) = self.store.get(resource, name) else { return Ok(None) };
            let (action, removes) = match change(&live.value) {
                Change::Keep => return Ok(Some(live)),
                Change::Put(value) if value == live.value => return Ok(Some(live)),
                Change::Put(value) => (Action::Put(value), false),
                Change::Remove => (Action::Delete, true),
            };
            let (resource, name) = (resource.clone(), name.clone());
            let expected = Expected::At(live.revision);
            match self.store.write(Write { resource, name, expected, guard: None, action }).await {
                Ok(_) if removes => return Ok(None),
                Ok(record) => return Ok(Some(record)),
                Err(WriteError::Moved) => {}
                Err(WriteError::Closed) => return Err(ApiError::unavailable("the server is stopping")),
                Err(error) => return Err(ApiError::internal(error)),
            }
        }
        Err(ApiError::internal("an object changed faster than a controller could follow"))
    }
}

/// Says that a controller could not do something; it comes back to it at the next change.
fn complain(what: &str, name: &ObjectName, error: &ApiError) {
    tracing::warn!(namespace = name.namespace, name = name.name, error = error.message, "{what}");
}
