//! Making load balancers, target groups and clusters. The controllers never
//! do: this is for a demo or a rehearsal, which builds its world through the
//! same calls as everybody else.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use aws_sdk_eks::types::VpcConfigRequest;
use aws_sdk_elasticloadbalancingv2::types as sdk;

use super::call::Caller;
use super::convert::incomplete;
use crate::{AlwaysAllowed, AwsError, Scope, Write};

const CREATE_LOAD_BALANCER: &str = "elasticloadbalancing:CreateLoadBalancer";
const CREATE_LISTENER: &str = "elasticloadbalancing:CreateListener";
const CREATE_TARGET_GROUP: &str = "elasticloadbalancing:CreateTargetGroup";
const MODIFY_TARGET_GROUP_ATTRIBUTES: &str = "elasticloadbalancing:ModifyTargetGroupAttributes";
const REGISTER_TARGETS: &str = "elasticloadbalancing:RegisterTargets";
const CREATE_CLUSTER: &str = "eks:CreateCluster";
const DELETE_CLUSTER: &str = "eks:DeleteCluster";
const CREATE_ACCESS_ENTRY: &str = "eks:CreateAccessEntry";

/// A target group of HTTP targets by address.
#[derive(Clone, Debug)]
pub struct NewTargetGroup {
    /// Name, at most 32 letters, digits and hyphens.
    pub name: String,
    /// Network it belongs to.
    pub vpc: String,
    /// Path of the health check.
    pub health_check_path: String,
    /// Seconds between two health checks, 5 to 300.
    pub health_check_interval_seconds: i32,
    /// Seconds until a health check has failed, 2 to 120.
    pub health_check_timeout_seconds: i32,
    /// Seconds that a target which leaves may finish what it has.
    pub deregistration_delay_seconds: u32,
    /// Addresses of the targets.
    pub targets: Vec<SocketAddr>,
}

/// Makes things in one region and account.
pub struct SdkProvisioning {
    caller: Caller,
    scope: Scope,
}

impl SdkProvisioning {
    pub(super) fn new(caller: Caller, scope: Scope) -> Self {
        Self { caller, scope }
    }

    fn write() -> Write<'static> {
        Write::normal(&AlwaysAllowed)
    }

    /// An Application Load Balancer in these subnets with one HTTP listener
    /// that answers 404 to what no rule matches; gives the ARN of the listener.
    ///
    /// # Errors
    /// What AWS answers.
    pub async fn load_balancer(&self, name: &str, subnets: &[&str], port: u16) -> Result<String, AwsError> {
        let made = self.caller.write(&self.scope, CREATE_LOAD_BALANCER, Self::write(), |clients| {
            let subnets = subnets.iter().map(ToString::to_string).collect();
            let request = clients.load_balancing.create_load_balancer().name(name).set_subnets(Some(subnets));
            async move { request.send().await }
        });
        let balancer = made.await?.load_balancers.unwrap_or_default().pop();
        let arn = balancer.and_then(|balancer| balancer.load_balancer_arn);
        let arn = arn.ok_or_else(|| incomplete(CREATE_LOAD_BALANCER, "the ARN of the load balancer"))?;
        let made = self.caller.write(&self.scope, CREATE_LISTENER, Self::write(), |clients| {
            let request = clients
                .load_balancing
                .create_listener()
                .load_balancer_arn(&arn)
                .protocol(sdk::ProtocolEnum::Http)
                .port(i32::from(port))
                .default_actions(not_found());
            async move { request.send().await }
        });
        let listener =
            made.await?.listeners.unwrap_or_default().pop().and_then(|listener| listener.listener_arn);
        listener.ok_or_else(|| incomplete(CREATE_LISTENER, "the ARN of the listener"))
    }

    /// A target group with its targets, if any, registered; gives its ARN.
    ///
    /// # Errors
    /// What AWS answers.
    pub async fn target_group(&self, group: &NewTargetGroup) -> Result<String, AwsError> {
        let made = self.caller.write(&self.scope, CREATE_TARGET_GROUP, Self::write(), |clients| {
            let request = clients
                .load_balancing
                .create_target_group()
                .name(&group.name)
                .protocol(sdk::ProtocolEnum::Http)
                .port(80)
                .vpc_id(&group.vpc)
                .target_type(sdk::TargetTypeEnum::Ip)
                .health_check_path(&group.health_check_path)
                .health_check_interval_seconds(group.health_check_interval_seconds)
                .health_check_timeout_seconds(group.health_check_timeout_seconds);
            async move { request.send().await }
        });
        let arn =
            made.await?.target_groups.unwrap_or_default().pop().and_then(|group| group.target_group_arn);
        let arn = arn.ok_or_else(|| incomplete(CREATE_TARGET_GROUP, "the ARN of the target group"))?;
        self.set_deregistration_delay(&arn, group.deregistration_delay_seconds).await?;
        if !group.targets.is_empty() {
            self.register(&arn, &group.targets).await?;
        }
        Ok(arn)
    }

    async fn set_deregistration_delay(&self, arn: &str, seconds: u32) -> Result<(), AwsError> {
        let changed =
            self.caller.write(&self.scope, MODIFY_TARGET_GROUP_ATTRIBUTES, Self::write(), |clients| {
                let attribute = sdk::TargetGroupAttribute::builder()
                    .key("deregistration_delay.timeout_seconds")
                    .value(seconds.to_string())
                    .build();
                let request = clients
                    .load_balancing
                    .modify_target_group_attributes()
                    .target_group_arn(arn)
                    .attributes(attribute);
                async move { request.send().await }
            });
        changed.await.map(drop)
    }

    async fn register(&self, arn: &str, targets: &[SocketAddr]) -> Result<(), AwsError> {
        let registered = self.caller.write(&self.scope, REGISTER_TARGETS, Self::write(), |clients| {
            let targets = targets
                .iter()
                .map(|target| {
                    let ip = target.ip().to_string();
                    sdk::TargetDescription::builder().id(ip).port(i32::from(target.port())).build()
                })
                .collect();
            let request =
                clients.load_balancing.register_targets().target_group_arn(arn).set_targets(Some(targets));
            async move { request.send().await }
        });
        registered.await.map(drop)
    }

    /// Begins the creation of an EKS cluster; it is ready when DescribeCluster says `ACTIVE`.
    ///
    /// # Errors
    /// What AWS answers.
    pub async fn cluster(
        &self,
        name: &str,
        role_arn: &str,
        subnets: &[&str],
        tags: &BTreeMap<String, String>,
    ) -> Result<(), AwsError> {
        let made = self.caller.write(&self.scope, CREATE_CLUSTER, Self::write(), |clients| {
            let subnets = subnets.iter().map(ToString::to_string).collect();
            let network = VpcConfigRequest::builder().set_subnet_ids(Some(subnets)).build();
            let tags = tags.clone().into_iter().collect();
            let request = clients
                .eks
                .create_cluster()
                .name(name)
                .role_arn(role_arn)
                .resources_vpc_config(network)
                .set_tags(Some(tags));
            async move { request.send().await }
        });
        made.await.map(drop)
    }

    /// Begins the deletion of an EKS cluster.
    ///
    /// # Errors
    /// What AWS answers.
    pub async fn delete_cluster(&self, name: &str) -> Result<(), AwsError> {
        let deleted = self.caller.write(&self.scope, DELETE_CLUSTER, Self::write(), |clients| {
            let request = clients.eks.delete_cluster().name(name);
            async move { request.send().await }
        });
        deleted.await.map(drop)
    }

    /// Lets a principal into an EKS cluster, as a member of these groups.
    ///
    /// # Errors
    /// What AWS answers.
    pub async fn access_entry(
        &self,
        cluster: &str,
        principal: &str,
        groups: &[&str],
    ) -> Result<(), AwsError> {
        let made = self.caller.write(&self.scope, CREATE_ACCESS_ENTRY, Self::write(), |clients| {
            let groups = groups.iter().map(ToString::to_string).collect();
            let request = clients
                .eks
                .create_access_entry()
                .cluster_name(cluster)
                .principal_arn(principal)
                .set_kubernetes_groups(Some(groups));
            async move { request.send().await }
        });
        made.await.map(drop)
    }
}

fn not_found() -> sdk::Action {
    let answer = sdk::FixedResponseActionConfig::builder().status_code("404").build();
    sdk::Action::builder().r#type(sdk::ActionTypeEnum::FixedResponse).fixed_response_config(answer).build()
}
