//! The adapters against the embedded region: the one endpoint besides AWS
//! that speaks every protocol the SDK uses, CloudWatch's CBOR among them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use okra_aws::sdk::{AccessKey, NewTargetGroup, Sdk};
use okra_aws::{
    Action, AlwaysAllowed, ClusterStatus, ClusterTokens, Clusters, Condition, Forward, KeptTransforms,
    LoadBalancers, Meaning, MetricQuery, MetricSource, MetricWindow, Metrics, NewRule, Region, RuleChange,
    Scope, Stickiness, Tags, TargetState, WeightedTargetGroup, Write,
};
use okra_clock::{Clock, SystemClock};
use okra_domain::{ListenerArn, TargetGroupArn};
use okra_region::{
    ClusterEndpoint, ClusterProvisioner, ClusterRequest, DEFAULT_ACCESS_KEY_ID, DEFAULT_SECRET_ACCESS_KEY,
    Options, ProvisionError,
};

const NORMAL: Write<'static> = Write { urgency: okra_aws::Urgency::Normal, gate: &AlwaysAllowed };

/// Clusters whose API nobody asks.
#[derive(Debug)]
struct Endpoints;

#[async_trait]
impl ClusterProvisioner for Endpoints {
    async fn create(&self, _: &ClusterRequest) -> Result<ClusterEndpoint, ProvisionError> {
        Ok(ClusterEndpoint {
            endpoint_url: "https://127.0.0.1:1".to_owned(),
            certificate_authority_pem: "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n".to_owned(),
        })
    }

    async fn set_version(&self, _: &str, _: &str) -> Result<(), ProvisionError> {
        Ok(())
    }

    async fn delete(&self, _: &str) -> Result<(), ProvisionError> {
        Ok(())
    }
}

struct World {
    region: okra_region::Region,
    sdk: Sdk,
    scope: Scope,
}

async fn world() -> World {
    let region = okra_region::Region::start(Options::new(Arc::new(Endpoints))).await.expect("a region");
    let mut settings = support::settings(&region.endpoint());
    settings.region = Some(Region::new("us-east-1"));
    settings.access_key = Some(AccessKey {
        id: DEFAULT_ACCESS_KEY_ID.to_owned(),
        secret: DEFAULT_SECRET_ACCESS_KEY.to_owned(),
    });
    World { region, sdk: support::sdk(settings).await, scope: Scope::own(Region::new("us-east-1")) }
}

impl World {
    async fn listener(&self) -> ListenerArn {
        let provisioning = self.sdk.provisioning(self.scope.clone());
        let subnets = ["subnet-0a1b2c3d", "subnet-1a2b3c4d"];
        provisioning.load_balancer("web", &subnets, 80).await.unwrap().parse().unwrap()
    }

    async fn group(&self, name: &str) -> TargetGroupArn {
        let group = NewTargetGroup {
            name: name.to_owned(),
            vpc: "vpc-0a1b2c3d".to_owned(),
            health_check_path: "/".to_owned(),
            health_check_interval_seconds: 5,
            health_check_timeout_seconds: 2,
            deregistration_delay_seconds: 0,
            targets: vec!["127.0.0.1:9".parse().unwrap()],
        };
        self.sdk.provisioning(self.scope.clone()).target_group(&group).await.unwrap().parse().unwrap()
    }
}

fn forward(weights: &[(&TargetGroupArn, u32)]) -> Action {
    let group = |(arn, weight): &(&TargetGroupArn, u32)| WeightedTargetGroup {
        arn: (*arn).clone(),
        weight: Some(*weight),
    };
    Action::Forward(Forward {
        order: None,
        target_groups: weights.iter().map(group).collect(),
        stickiness: Some(Stickiness { enabled: false, duration_seconds: None }),
    })
}

#[tokio::test]
async fn a_rule_goes_through_its_life() {
    let world = world().await;
    let port = world.sdk.load_balancers();
    let listener = world.listener().await;
    let (blue, green) = (world.group("blue").await, world.group("green").await);
    let unused = port.target_health(&blue).await.unwrap();
    assert_eq!(unused[0].state, TargetState::Unused, "not attached, so not checked");

    let new = NewRule {
        listener: listener.clone(),
        priority: 10,
        conditions: vec![Condition::HostHeader(vec!["example.com".to_owned()])],
        actions: vec![forward(&[(&blue, 100), (&green, 0)])],
        transforms: KeptTransforms::default(),
        tags: Tags::from([("okra.mumo.co/name".to_owned(), "cell1".to_owned())]),
    };
    let made = port.create_rule(NORMAL, &new).await.unwrap();
    let taken = port.create_rule(NORMAL, &new).await.unwrap_err();
    assert_eq!((taken.meaning, taken.code.as_str()), (Meaning::Exists, "PriorityInUse"));
    let arn = made.arn.to_string();
    assert_eq!(port.tags(std::slice::from_ref(&arn)).await.unwrap()[&arn], new.tags);

    let change = RuleChange { conditions: None, actions: Some(vec![forward(&[(&blue, 0), (&green, 100)])]) };
    port.modify_rule(NORMAL, &made.arn, &change).await.unwrap();
    let rules = port.rules(&listener).await.unwrap();
    let read = rules.iter().find(|rule| rule.arn == made.arn).unwrap();
    let weights: Vec<_> = read.forward().unwrap().target_groups.iter().map(|group| group.weight).collect();
    assert_eq!(weights, [Some(0), Some(100)]);
    assert_eq!((read.conditions.as_slice(), rules.len()), (new.conditions.as_slice(), 2));
    assert_ne!(port.target_health(&green).await.unwrap()[0].state, TargetState::Unused);

    let invalid = RuleChange { conditions: None, actions: Some(vec![forward(&[(&blue, 1000)])]) };
    let refused = port.modify_rule(NORMAL, &made.arn, &invalid).await.unwrap_err();
    assert_eq!(refused.meaning, Meaning::Invalid, "{refused}");

    port.delete_rule(NORMAL, &made.arn).await.unwrap();
    let gone = port.rules_by_arn(&[made.arn]).await.unwrap_err();
    assert_eq!((gone.meaning, gone.code.as_str()), (Meaning::Absent, "RuleNotFound"));
}

#[tokio::test]
async fn clusters_are_described_and_their_tokens_verified() {
    let world = world().await;
    let tags = BTreeMap::from([("role".to_owned(), "web".to_owned())]);
    let provisioning = world.sdk.provisioning(world.scope.clone());
    let subnets = ["subnet-0a1b2c3d", "subnet-1a2b3c4d"];
    provisioning.cluster("web-1", "arn:aws:iam::123456789012:role/eks", &subnets, &tags).await.unwrap();
    let clusters = world.sdk.clusters();
    assert_eq!(clusters.list(&world.scope).await.unwrap(), ["web-1"]);
    let cluster = clusters.describe(&world.scope, "web-1").await.unwrap();
    assert!(matches!(cluster.status, ClusterStatus::Creating | ClusterStatus::Active), "{cluster:?}");
    assert_eq!(cluster.tags, tags);
    let gone = clusters.describe(&world.scope, "web-2").await.unwrap_err();
    assert_eq!(gone.meaning, Meaning::Absent);

    let identity = world.sdk.identity();
    let caller = identity.caller_identity(&world.scope).await.unwrap();
    let token = identity.cluster_token(&world.scope, "web-1").await.unwrap();
    let access = world.region.authenticate("web-1", &token.token).unwrap();
    assert_eq!(access.principal_arn, caller.arn);
    let again = identity.cluster_token(&world.scope, "web-1").await.unwrap();
    assert_eq!(again, token, "a token is kept until it is old");
    assert!(world.region.authenticate("web-2", &token.token).is_err(), "it is good for one cluster");
}

#[tokio::test]
async fn metrics_are_read_over_cbor() {
    let world = world().await;
    let metrics = world.sdk.metrics();
    let minute = 60;
    let now = SystemClock::new().now();
    let end = Timestamp::from_second(now.as_second() / minute * minute).unwrap();
    let window = MetricWindow { start: end - SignedDuration::from_mins(5), end };
    let query = |id: &str, period_seconds| MetricQuery {
        id: id.to_owned(),
        source: MetricSource::Statistic {
            namespace: "AWS/ApplicationELB".to_owned(),
            name: "RequestCount".to_owned(),
            dimensions: vec![("LoadBalancer".to_owned(), "app/web/50dc".to_owned())],
            period_seconds,
            statistic: "Sum".to_owned(),
            unit: None,
        },
        label: None,
        return_data: true,
        period_seconds: None,
        account_id: None,
    };
    let series = metrics.query(&world.scope, window, &[query("req", 60)]).await.unwrap();
    assert_eq!((series.len(), series[0].id.as_str(), series[0].points.len()), (1, "req", 0));
    let refused = metrics.query(&world.scope, window, &[query("req", 7)]).await.unwrap_err();
    assert_eq!(refused.meaning, Meaning::Invalid, "{refused}");
}
