//! Bad days, as the AWS SDK sees them.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_sdk_elasticloadbalancingv2 as elbv2;
use elbv2::error::ProvideErrorMetadata as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::common::{get, region, sdk};
use crate::world::{load_balancer, target_group};

/// One request to the region's own endpoint; status and body.
async fn set(region: &okra_region::Region, method: &str, kind: &str, body: &str) -> (u16, String) {
    let address = region.endpoint().replace("http://", "");
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let head = format!("{method} /_okra/faults HTTP/1.1\r\nhost: {address}\r\ncontent-type: {kind}");
    let request = format!("{head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn only(region: &okra_region::Region, faults: &str) {
    assert_eq!(set(region, "DELETE", "", "").await, (200, "{}".to_owned()));
    assert_eq!(set(region, "POST", "application/json", faults).await.0, 200, "{faults}");
}

#[tokio::test]
async fn faults_are_set_seen_and_ended() {
    let region = region().await;
    let address = region.endpoint().replace("http://", "");
    let json = "application/json; charset=utf-8";
    assert_eq!(set(&region, "POST", json, r#"{"throttle": 0.25, "flap": 1}"#).await.0, 200);
    assert_eq!(
        get(&address, "/_okra/faults", "localhost").await,
        (200, r#"{"flap":1.0,"throttle":0.25}"#.into())
    );
    assert_eq!(set(&region, "POST", json, r#"{"flap": 0}"#).await, (200, r#"{"throttle":0.25}"#.to_owned()));
    for (kind, body, wanted) in [
        (json, r#"{"storm": 1}"#, 400),
        (json, r#"{"flap": 1.5}"#, 400),
        (json, "flap", 400),
        // What a web page elsewhere could send without being asked.
        ("text/plain", r#"{"error": 1}"#, 415),
    ] {
        assert_eq!(set(&region, "POST", kind, body).await.0, wanted, "{kind} {body}");
    }
    assert_eq!(set(&region, "PUT", json, "{}").await.0, 405);
    assert_eq!(set(&region, "DELETE", json, "").await, (200, "{}".to_owned()));
    region.shutdown().await;
}

#[tokio::test]
async fn calls_are_refused_or_not_found_and_the_state_stays() {
    let region = region().await;
    let client = elbv2::Client::new(&sdk(&region));
    let group = target_group(&client, "blue").await;
    for (fault, code) in
        [("throttle", "Throttling"), ("error", "ServiceUnavailable"), ("vanish", "TargetGroupNotFound")]
    {
        only(&region, &format!("{{\"{fault}\": 1}}")).await;
        let refused = client.describe_target_groups().target_group_arns(&group).send().await.unwrap_err();
        assert_eq!(refused.code(), Some(code), "{fault}");
    }
    only(&region, r#"{"throttle": 1}"#).await;
    client.delete_target_group().target_group_arn(&group).send().await.unwrap_err();
    only(&region, "{}").await;
    let there = client.describe_target_groups().target_group_arns(&group).send().await.unwrap();
    assert_eq!(there.target_groups().len(), 1);
    region.shutdown().await;
}

#[tokio::test]
async fn a_call_without_an_answer_may_or_may_not_have_been_carried_out() {
    let region = region().await;
    let patient = elbv2::Client::new(&sdk(&region));
    let short = TimeoutConfig::builder().operation_timeout(Duration::from_millis(500)).build();
    let hasty = elbv2::Client::new(&sdk(&region).into_builder().timeout_config(short).build());
    let names = async || {
        only(&region, "{}").await;
        let found = patient.describe_target_groups().send().await.unwrap();
        let names =
            found.target_groups().iter().filter_map(|group| group.target_group_name().map(str::to_owned));
        names.collect::<Vec<_>>()
    };
    let create = async |name: &str| {
        hasty
            .create_target_group()
            .name(name)
            .vpc_id("vpc-12345678")
            .port(80)
            .protocol(elbv2::types::ProtocolEnum::Http)
            .send()
            .await
    };
    only(&region, r#"{"timeout-before": 1}"#).await;
    create("before").await.unwrap_err();
    assert_eq!(names().await, [""; 0]);
    only(&region, r#"{"timeout-after": 1}"#).await;
    create("after").await.unwrap_err();
    assert_eq!(names().await, ["after"]);
    // What hangs does not hold up the end.
    region.shutdown().await;
}

#[tokio::test]
async fn reads_are_stale_pages_short_and_targets_ill() {
    let region = region().await;
    let client = elbv2::Client::new(&sdk(&region));
    load_balancer(&client).await;
    let (blue, _) = (target_group(&client, "blue").await, target_group(&client, "green").await);
    only(&region, r#"{"stale-read": 1}"#).await;
    let stale = client.describe_target_groups().send().await.unwrap();
    assert_eq!(stale.target_groups().len(), 1, "what was made last is not seen yet");
    only(&region, r#"{"partial-page": 1}"#).await;
    let page = client.describe_target_groups().send().await.unwrap();
    assert_eq!((page.target_groups().len(), page.next_marker().is_some()), (1, true));
    let mut pages = client.describe_target_groups().into_paginator().items().send();
    let mut count = 0;
    while let Some(group) = pages.next().await {
        group.unwrap();
        count += 1;
    }
    assert_eq!(count, 2, "who follows the markers sees all");
    let target = elbv2::types::TargetDescription::builder().id("127.0.0.1").port(9).build();
    client.register_targets().target_group_arn(&blue).targets(target).send().await.unwrap();
    only(&region, r#"{"flap": 1}"#).await;
    assert_eq!(crate::world::state(&client, &blue).await, ["unhealthy"]);
    only(&region, "{}").await;
    assert_eq!(crate::world::state(&client, &blue).await, ["unused"]);
    region.shutdown().await;
}
