//! The same controllers, unchanged, against moto.
//!
//! Where moto differs from AWS in what matters here (`spec/aws.md` 9.2):
//! - every cluster of a region has one endpoint and CA data that is no
//!   certificate, so members are never connected to;
//! - AssumeRole checks neither trust nor external id: what is refused is
//!   tested on accounts in memory, and on the wire in `okra-aws`;
//! - targets are keyed by id alone and healthy at once, and one that is
//!   deregistered is gone without draining.

use std::sync::Arc;

use kube::ResourceExt as _;
use okra_api::foreign::cluster_secret::ClusterSecret;
use okra_api::{AWSTargetGroupBinding, ClusterSet};
use okra_aws::Region;
use serde_json::json;

use crate::moto::Moto;
use crate::nothing::Nothing;
use crate::world::{Ports, World, until};

async fn world(moto: &Moto) -> World {
    let sdk = moto.sdk().await;
    let load_balancers = Arc::new(sdk.load_balancers());
    World::start(Ports {
        clusters: Arc::new(sdk.clusters()),
        load_balancers: load_balancers.clone(),
        targets: load_balancers,
        members: Arc::new(Nothing),
        region: Some(Region::new("eu-west-1")),
    })
    .await
}

/// Makes `count` clusters of a name in a region, as whom the session says.
fn make(count: usize, name: &str, tags: &str, with: &str) -> String {
    format!(
        "e = client('eks', {with})\nfor n in range({count}):\n  e.create_cluster(name=f'{name}{{n:03}}', \
         version='1.36', roleArn='arn:aws:iam::123456789012:role/r', resourcesVpcConfig={{'subnetIds': []}}, \
         tags={tags})\n"
    )
}

#[tokio::test]
async fn h_50_a_hundred_and_twenty_clusters_are_discovered_by_tags_over_all_pages() {
    let Some(moto) = Moto::start().await else { return };
    moto.boto(&format!(
        "{}{}",
        make(120, "web-", "{'role': 'web'}", ""),
        make(3, "other-", "{'role': 'db'}", "")
    ))
    .await;
    let world = world(&moto).await;
    let spec = json!({
        "generators": [{"awseks": {"selector": {"matchTags": {"role": "web"}}}}],
        "template": {"metadata": {"labels": {"service": "{{.tags.role}}"}}},
    });
    world.create::<ClusterSet>("web", spec).await;
    let wanted: Vec<String> = (0..120).map(|n| format!("web-{n:03}")).collect();
    until("120 secrets", || async { (world.secret_names().await == wanted).then_some(()) }).await;
    let status = world.until_reason::<ClusterSet>("web", "Synced").await;
    assert_eq!(status["secrets"], 120);
    assert_eq!(world.secret("web-119").await.labels()["service"], "web");

    // One goes: two complete discoveries later its secret goes, and no other.
    moto.boto("client('eks').delete_cluster(name='web-007')").await;
    until("119 secrets", || async { (world.secret_names().await.len() == 119).then_some(()) }).await;
    assert!(!world.secret_names().await.contains(&"web-007".to_owned()));
}

#[tokio::test]
async fn regions_and_another_account_by_its_role_are_discovered() {
    let Some(moto) = Moto::start().await else { return };
    // moto keeps an account apart for each role that is assumed.
    let role = "arn:aws:iam::210987654321:role/spoke";
    let spoke = format!(
        "c = client('sts').assume_role(RoleArn='{role}', RoleSessionName='test')['Credentials']\n{}",
        make(
            1,
            "spoke-",
            "{'role': 'web'}",
            "aws_access_key_id=c['AccessKeyId'], aws_secret_access_key=c['SecretAccessKey'], \
             aws_session_token=c['SessionToken']"
        )
    );
    moto.boto(&format!(
        "{}{}{spoke}",
        make(1, "hub-", "{'role': 'web'}", ""),
        make(1, "east-", "{'role': 'web'}", "region_name='us-east-1'"),
    ))
    .await;
    let world = world(&moto).await;
    let spec = json!({"generators": [
        {"awseks": {"regions": ["eu-west-1", "us-east-1"]}},
        {"awseks": {"roleARN": role, "externalID": "x-1"}},
    ]});
    world.create::<ClusterSet>("web", spec).await;
    world.until_secrets(&["east-000", "hub-000", "spoke-000"]).await;
    let secret = world.secret("spoke-000").await;
    let source = &secret.annotations()["okra.mumo.co/source"];
    assert_eq!(source, "arn:aws:eks:eu-west-1:210987654321:cluster/spoke-000");
    let aws = ClusterSecret::from_secret(&secret).unwrap().config.aws_auth_config.unwrap();
    assert_eq!(aws.role_arn.as_deref(), Some(role));
    let east = ClusterSecret::from_secret(&world.secret("east-000").await).unwrap();
    assert_eq!(east.region.as_deref(), Some("us-east-1"));
}

#[tokio::test]
async fn fixed_targets_are_registered_and_taken_out_again() {
    let Some(moto) = Moto::start().await else { return };
    let arn = moto
        .boto(
            "vpc = client('ec2').describe_vpcs()['Vpcs'][0]['VpcId']\n\
             print(client('elbv2').create_target_group(Name='web', Protocol='HTTP', Port=80, VpcId=vpc, \
             TargetType='ip')['TargetGroups'][0]['TargetGroupArn'])",
        )
        .await;
    let listed = format!(
        "h = client('elbv2').describe_target_health(TargetGroupArn='{arn}')['TargetHealthDescriptions']\n\
         print(*sorted(t['Target']['Id'] for t in h if t['TargetHealth']['State'] != 'unused'))"
    );
    let foreign = format!(
        "client('elbv2').register_targets(TargetGroupArn='{arn}', Targets=[{{'Id': '10.0.0.9', 'Port': 80}}])"
    );
    moto.boto(&foreign).await;
    let world = world(&moto).await;
    let spec = |ids: &[&str]| json!({"targetGroupARN": arn, "targets": [{"name": "fixed", "ids": ids, "port": 8080}]});
    world.create::<AWSTargetGroupBinding>("web", spec(&["10.0.0.1", "10.0.0.2"])).await;
    until("two more targets", || async {
        (moto.boto(&listed).await == "10.0.0.1 10.0.0.2 10.0.0.9").then_some(())
    })
    .await;
    world.patch::<AWSTargetGroupBinding>("web", json!({"spec": spec(&["10.0.0.2"])})).await;
    until("one fewer", || async { (moto.boto(&listed).await == "10.0.0.2 10.0.0.9").then_some(()) }).await;
    world.delete::<AWSTargetGroupBinding>("web").await;
    until("only the foreign one", || async { (moto.boto(&listed).await == "10.0.0.9").then_some(()) }).await;
}
