//! What survives a restart.

use aws_sdk_eks as eks;
use aws_sdk_elasticloadbalancingv2 as elbv2;
use aws_sdk_sts as sts;
use elbv2::types::TargetDescription;

use crate::common::{backend, get, region_in, sdk, sdk_with, until};
use crate::world::{forward, load_balancer, state, target_group};

#[tokio::test]
async fn everything_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let first = region_in(folder.path()).await;
    let endpoint = first.endpoint();
    let client = elbv2::Client::new(&sdk(&first));
    let lb = load_balancer(&client).await;
    let group = target_group(&client, "blue").await;
    let target =
        TargetDescription::builder().id("127.0.0.1").port(backend("blue").await.port().into()).build();
    client.register_targets().target_group_arn(&group).targets(target).send().await.unwrap();
    let listener = client.create_listener().load_balancer_arn(&lb).protocol(elbv2::types::ProtocolEnum::Http);
    let listener = listener.port(8077).default_actions(forward(&[(&group, 7)])).send().await.unwrap();
    let before = first.load_balancers();
    let keys = sts::Client::new(&sdk(&first))
        .assume_role()
        .role_arn("arn:aws:iam::123456789012:role/okra")
        .role_session_name("demo")
        .send()
        .await
        .unwrap();
    let network = eks::types::VpcConfigRequest::builder().build();
    let cluster = eks::Client::new(&sdk(&first)).create_cluster().name("web-1");
    let cluster = cluster.role_arn("arn:aws:iam::123456789012:role/eks").resources_vpc_config(network);
    cluster.send().await.unwrap();
    first.shutdown().await;

    let second = region_in(folder.path()).await;
    assert_eq!(second.endpoint(), endpoint, "the port is kept");
    assert_eq!(second.load_balancers(), before, "listeners keep their addresses");
    let client = elbv2::Client::new(&sdk(&second));
    let described = client.describe_listeners().load_balancer_arn(&lb).send().await.unwrap();
    assert_eq!(described.listeners(), listener.listeners());
    until("the target is healthy again", || async { state(&client, &group).await == ["healthy"] }).await;
    let address = before[0].listeners[0].address.clone().unwrap();
    assert_eq!(get(&address, "/", "example.com").await, (200, "blue".into()));

    let keys = keys.credentials().unwrap();
    let role = sdk_with(&second, keys.access_key_id(), keys.secret_access_key(), Some(keys.session_token()));
    assert!(sts::Client::new(&role).get_caller_identity().send().await.is_ok());
    until("the cluster is active", || async { second.clusters()[0].status == "ACTIVE" }).await;
    second.shutdown().await;
}

#[tokio::test]
async fn a_refused_call_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let region = region_in(folder.path()).await;
    let client = elbv2::Client::new(&sdk(&region));
    let lb = load_balancer(&client).await;
    let file = folder.path().join("region.json");
    let before = std::fs::read(&file).unwrap();
    let missing = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/none/0123456789abcdef";
    let refused = client.create_listener().load_balancer_arn(&lb).protocol(elbv2::types::ProtocolEnum::Http);
    let refused = refused.port(80).default_actions(forward(&[(missing, 1)])).send().await.unwrap_err();
    assert!(refused.as_service_error().unwrap().is_target_group_not_found_exception());
    assert!(client.describe_listeners().load_balancer_arn(&lb).send().await.unwrap().listeners().is_empty());
    assert_eq!(std::fs::read(&file).unwrap(), before);
    region.shutdown().await;
}
