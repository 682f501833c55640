//! The adapter on the targets of ELBv2.

use std::collections::BTreeSet;

use async_trait::async_trait;
use aws_sdk_elasticloadbalancingv2::types as sdk;
use okra_domain::TargetGroupArn;

use super::load_balancers::{SdkLoadBalancers, scope_of};
use crate::{AwsError, LoadBalancers, Meaning, Target, TargetHealth, Targets, Write};

const REGISTER_TARGETS: &str = "elasticloadbalancing:RegisterTargets";
const DEREGISTER_TARGETS: &str = "elasticloadbalancing:DeregisterTargets";

/// Targets in one call. AWS writes no limit down; this is what its own
/// controller for Kubernetes sends.
const TARGETS_PER_CALL: usize = 200;

#[async_trait]
impl Targets for SdkLoadBalancers {
    async fn registered(&self, group: &TargetGroupArn) -> Result<Vec<TargetHealth>, AwsError> {
        self.target_health(group).await
    }

    async fn register(
        &self,
        write: Write<'_>,
        group: &TargetGroupArn,
        targets: &BTreeSet<Target>,
    ) -> Result<(), AwsError> {
        let scope = scope_of(group.region());
        for few in descriptions(targets).chunks(TARGETS_PER_CALL) {
            let answer = self.caller.write(&scope, REGISTER_TARGETS, write, |clients| {
                let request = clients
                    .load_balancing
                    .register_targets()
                    .target_group_arn(group.as_str())
                    .set_targets(Some(few.to_vec()));
                async move { request.send().await }
            });
            answer.await?;
        }
        Ok(())
    }

    async fn deregister(
        &self,
        write: Write<'_>,
        group: &TargetGroupArn,
        targets: &BTreeSet<Target>,
    ) -> Result<(), AwsError> {
        let scope = scope_of(group.region());
        for few in descriptions(targets).chunks(TARGETS_PER_CALL) {
            let answer = self.caller.write(&scope, DEREGISTER_TARGETS, write, |clients| {
                let request = clients
                    .load_balancing
                    .deregister_targets()
                    .target_group_arn(group.as_str())
                    .set_targets(Some(few.to_vec()));
                async move { request.send().await }
            });
            match answer.await {
                // AWS takes an unknown target for a success; doubles of it say so instead.
                Err(error)
                    if error.meaning == Meaning::Invalid && error.code.starts_with("InvalidTarget") => {}
                outcome => drop(outcome?),
            }
        }
        Ok(())
    }
}

fn descriptions(targets: &BTreeSet<Target>) -> Vec<sdk::TargetDescription> {
    let description = |target: &Target| {
        sdk::TargetDescription::builder().id(&target.id).port(i32::from(target.port)).build()
    };
    targets.iter().map(description).collect()
}
