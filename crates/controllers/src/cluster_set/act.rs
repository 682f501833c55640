//! Carrying a plan out: the only place where cluster secrets are written.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _};

use super::plan::{Plan, Write};
use crate::Context;
use crate::chain::chain;
use crate::writer::WriteError;

/// What was done.
#[derive(Clone, Debug, Default)]
pub(super) struct Done {
    pub(super) created: Vec<String>,
    pub(super) adopted: Vec<String>,
    pub(super) updated: Vec<String>,
    pub(super) deleted: Vec<String>,
    /// Names and reasons.
    pub(super) unwritten: Vec<String>,
}

/// Secrets that bear the name of one to be made, though no list of cluster
/// secrets shows them.
pub(super) async fn hidden(context: &Context, plan: &Plan) -> Result<Vec<Secret>, kube::Error> {
    let mut found = Vec::new();
    for write in plan.writes.iter().filter(|write| write.over.is_none()) {
        let namespace = write.secret.namespace().unwrap_or_default();
        let api: Api<Secret> = context.namespaced(&namespace);
        found.extend(api.get_opt(&write.secret.name_any()).await?);
    }
    Ok(found)
}

/// Writes and deletes. One secret that cannot be written does not hold up the
/// others; a plan that came too late, or from one who leads no more, ends.
pub(super) async fn carry_out(
    context: &Context,
    plan: &Plan,
    secrets: &[Secret],
    may_delete: bool,
) -> Result<Done, WriteError> {
    let mut done = Done::default();
    for write in &plan.writes {
        let name = write.secret.name_any();
        let (outcome, list) = match (&write.over, write.adopts) {
            (None, _) => ("created", &mut done.created),
            (Some(_), true) => ("adopted", &mut done.adopted),
            (Some(_), false) => ("updated", &mut done.updated),
        };
        match apply(context, write).await {
            Ok(()) => {
                context.metrics.discovery.secret(outcome);
                list.push(name);
            }
            Err(error @ (WriteError::NotLeader(_) | WriteError::Stale)) => return Err(error),
            Err(error) => {
                context.metrics.discovery.secret("failed");
                done.unwritten.push(format!("{name} ({})", chain(&error)));
            }
        }
    }
    let going = |secret: &&Secret| may_delete && plan.deletes.contains(&secret.name_any());
    for secret in secrets.iter().filter(going) {
        delete(context, secret).await?;
        done.deleted.push(secret.name_any());
    }
    Ok(done)
}

/// A secret that is there is written over only as it was read.
async fn apply(context: &Context, write: &Write) -> Result<(), WriteError> {
    let writer = context.writer();
    match &write.over {
        None => writer.apply_new(&write.secret).await.map(drop),
        Some(live) => {
            let mut secret = write.secret.clone();
            secret.metadata.resource_version.clone_from(&live.metadata.resource_version);
            writer.apply(&secret).await.map(drop)
        }
    }
}

/// Deletes a secret; one that has gone already is gone.
pub(super) async fn delete(context: &Context, secret: &Secret) -> Result<(), WriteError> {
    match context.writer().delete(secret).await {
        Ok(()) | Err(WriteError::Stale) => {
            context.metrics.discovery.secret("deleted");
            Ok(())
        }
        Err(error) => Err(error),
    }
}
