//! Member clusters, for commands that look into one.

use std::sync::Arc;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use okra_api::foreign::cluster_secret::ClusterSecret;
use okra_clock::SystemClock;
use okra_controllers::members::MemberClients as _;
use okra_controllers::secret_members::SecretMembers;

use super::connect::Connection;
use crate::manager::AwsFlags;

/// A client for the cluster of this secret. Login commands that a secret
/// names are not run (H-64).
///
/// # Errors
/// When there is no such secret or it cannot be used.
pub async fn member_client(connection: &Connection, name: &str, aws: &AwsFlags) -> anyhow::Result<Client> {
    let secrets: Api<Secret> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let secret = secrets.get_opt(name).await.with_context(|| format!("cannot read cluster secret {name}"))?;
    let secret = secret.with_context(|| {
        format!(
            "there is no cluster secret {name} in namespace {}; see `okra cluster list`",
            connection.namespace
        )
    })?;
    let cluster =
        ClusterSecret::from_secret(&secret).with_context(|| format!("cluster secret {name} is damaged"))?;
    let sdk = aws.connect(SystemClock::shared()).await;
    let region = aws.region().or_else(|| sdk.default_region());
    let members = SecretMembers::new(connection.client.clone(), Arc::new(sdk.identity()), region, false);
    members.client(&cluster).await.with_context(|| format!("cluster {name} cannot be reached"))
}
