//! Making the record of a cluster true: create, update, delete.
//!
//! A settler takes only the name, reads what the record asks for, does it and
//! writes what came of it. The same code serves a new cluster, one that was
//! half made when the region stopped, and one that was running.

use std::error::Error;
use std::sync::Arc;

use super::model::{Cluster, Endpoint, Status, UpdateStatus};
use crate::provision::{ClusterEndpoint, ClusterRequest, ProvisionError};
use crate::state::State;
use crate::wire::Fault;
use crate::world::World;

/// Settles every cluster that the region remembers.
pub(crate) fn settle_all(world: &Arc<World>) {
    for name in world.state().eks.clusters.keys() {
        settle(world, name);
    }
}

/// Does what the record of a cluster asks for, on a task of its own.
pub(crate) fn settle(world: &Arc<World>, name: &str) {
    let (this, name) = (world.clone(), name.to_owned());
    world.tasks.spawn(async move {
        let Some(cluster) = this.state().eks.clusters.get(&name).cloned() else { return };
        if let Err(fault) = settle_one(&this, cluster).await {
            tracing::error!(
                cluster = name,
                error = fault.message,
                "the record of a cluster could not be written"
            );
        }
    });
}

async fn settle_one(world: &World, cluster: Cluster) -> Result<(), Fault> {
    let provisioner = &world.options.clusters;
    match cluster.status {
        Status::Creating | Status::Active | Status::Failed => {
            let request = ClusterRequest {
                name: cluster.name.clone(),
                version: cluster.version.clone(),
                creator_arn: cluster.creator_arn.clone(),
            };
            let made = provisioner.create(&request).await;
            world
                .change(|state| record(&mut state.eks.clusters, &cluster.name, |found| created(found, made)))
                .await
        }
        Status::Updating => {
            let Some(update) = cluster.updates.last() else { return Ok(()) };
            let moved = provisioner.set_version(&cluster.name, &update.version).await;
            world
                .change(|state| record(&mut state.eks.clusters, &cluster.name, |found| updated(found, moved)))
                .await
        }
        Status::Deleting => match provisioner.delete(&cluster.name).await {
            Ok(()) => {
                let forget = |state: &mut State| {
                    state.eks.clusters.remove(&cluster.name);
                    Ok(())
                };
                world.change(forget).await
            }
            Err(error) => {
                let failed = |found: &mut Cluster| {
                    found.status = Status::Failed;
                    found.issue = Some(chain(&error));
                };
                world.change(|state| record(&mut state.eks.clusters, &cluster.name, failed)).await
            }
        },
    }
}

/// Changes a record that may have gone meanwhile.
fn record(
    clusters: &mut std::collections::BTreeMap<String, Cluster>,
    name: &str,
    change: impl FnOnce(&mut Cluster),
) -> Result<(), Fault> {
    if let Some(found) = clusters.get_mut(name) {
        change(found);
    }
    Ok(())
}

fn created(cluster: &mut Cluster, made: Result<ClusterEndpoint, ProvisionError>) {
    match made {
        Ok(endpoint) => {
            cluster.endpoint = Some(Endpoint {
                url: endpoint.endpoint_url,
                certificate_authority_pem: endpoint.certificate_authority_pem,
            });
            cluster.issue = None;
            // One that is being deleted meanwhile stays so.
            if matches!(cluster.status, Status::Creating | Status::Failed) {
                cluster.status = Status::Active;
            }
        }
        Err(error) => {
            cluster.status = Status::Failed;
            cluster.issue = Some(chain(&error));
        }
    }
}

fn updated(cluster: &mut Cluster, moved: Result<(), ProvisionError>) {
    cluster.status = Status::Active;
    let Some(update) = cluster.updates.last_mut() else { return };
    match moved {
        Ok(()) => {
            update.status = UpdateStatus::Successful;
            cluster.version = update.version.clone();
        }
        Err(error) => {
            update.status = UpdateStatus::Failed;
            update.error = Some(chain(&error));
        }
    }
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
