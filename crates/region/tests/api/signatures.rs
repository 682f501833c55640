//! Who may call, what the journal tells, and the region's own endpoints.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use aws_sdk_cloudwatch as cloudwatch;
use aws_sdk_eks as eks;
use aws_sdk_elasticloadbalancingv2 as elbv2;
use aws_sdk_sts as sts;
use elbv2::error::ProvideErrorMetadata as _;
use okra_region::{DEFAULT_ACCESS_KEY_ID, Detail, Options, Outcome, Region};

use crate::common::{Clusters, ShiftedClock, get, region, sdk, sdk_with};
use crate::world::{forward, load_balancer, target_group};

#[tokio::test]
async fn wrong_keys_are_refused_in_the_words_of_each_service() {
    let region = region().await;
    let wrong_secret = sdk_with(&region, DEFAULT_ACCESS_KEY_ID, "wrong", None);
    let unknown = sdk_with(&region, "AKIAUNKNOWN", "wrong", None);
    for (config, query, json) in [
        (&wrong_secret, "SignatureDoesNotMatch", "InvalidSignatureException"),
        (&unknown, "InvalidClientTokenId", "UnrecognizedClientException"),
    ] {
        let refused = elbv2::Client::new(config).describe_load_balancers().send().await.unwrap_err();
        assert_eq!(refused.code(), Some(query));
        assert_eq!(refused.raw_response().unwrap().status().as_u16(), 403);
        let refused = sts::Client::new(config).get_caller_identity().send().await.unwrap_err();
        assert_eq!(refused.code(), Some(query));
        let refused = eks::Client::new(config).list_clusters().send().await.unwrap_err();
        assert_eq!(refused.code(), Some(json));
        let refused = cloudwatch::Client::new(config).list_metrics().send().await.unwrap_err();
        let header = refused.raw_response().unwrap().headers().get("x-amzn-query-error");
        assert_eq!(header, Some(format!("{query};Sender").as_str()));
    }
    let address = region.endpoint().replace("http://", "");
    let (status, body) =
        get(&address, "/?Action=DescribeLoadBalancers&Version=2015-12-01", "localhost").await;
    assert_eq!(status, 403);
    assert!(body.contains("<Code>MissingAuthenticationToken</Code>"), "{body}");
    region.shutdown().await;
}

#[tokio::test]
async fn what_is_too_old_is_refused() {
    let clock = Arc::new(ShiftedClock::default());
    let options = Options { clock: clock.clone(), ..Options::new(Arc::new(Clusters::default())) };
    let region = Region::start(options).await.unwrap();
    let client = sts::Client::new(&sdk(&region));
    let role = client.assume_role().role_arn("arn:aws:iam::123456789012:role/okra").role_session_name("demo");
    let assumed = role.duration_seconds(900).send().await.unwrap();
    clock.minutes.store(6, Ordering::Relaxed);
    let late = client.get_caller_identity().send().await.unwrap_err();
    assert_eq!(late.code(), Some("SignatureDoesNotMatch"));
    assert!(late.message().unwrap().starts_with("Signature expired"));
    clock.minutes.store(15, Ordering::Relaxed);
    let keys = assumed.credentials().unwrap();
    let role = sdk_with(&region, keys.access_key_id(), keys.secret_access_key(), Some(keys.session_token()));
    let ended = sts::Client::new(&role).get_caller_identity().send().await.unwrap_err();
    assert_eq!(ended.code(), Some("ExpiredToken"));
    region.shutdown().await;
}

#[tokio::test]
async fn the_journal_tells_every_call() {
    let region = region().await;
    let mut journal = region.journal();
    let client = elbv2::Client::new(&sdk(&region));
    let lb = load_balancer(&client).await;
    let (blue, green) = (target_group(&client, "blue").await, target_group(&client, "green").await);
    let listener = client.create_listener().load_balancer_arn(&lb).protocol(elbv2::types::ProtocolEnum::Http);
    let listener = listener.port(80).default_actions(forward(&[(&blue, 90), (&green, 10)]));
    let listener = listener.send().await.unwrap().listeners()[0].listener_arn().unwrap().to_owned();
    client.delete_target_group().target_group_arn(&blue).send().await.unwrap_err();
    client.describe_target_health().target_group_arn(&green).send().await.unwrap();

    let mut calls = Vec::new();
    while let Ok(call) = journal.try_recv() {
        calls.push(call);
    }
    let actions: Vec<&str> = calls.iter().map(|call| call.action.as_str()).collect();
    let wanted = [
        "CreateLoadBalancer",
        "CreateTargetGroup",
        "CreateTargetGroup",
        "CreateListener",
        "DeleteTargetGroup",
        "DescribeTargetHealth",
    ];
    assert_eq!(actions, wanted);
    let Detail::Weights(weights) = &calls[3].detail else { panic!("no weights: {:?}", calls[3]) };
    assert_eq!(weights[0].arn, listener);
    assert_eq!(weights[0].target_groups, [(blue.clone(), 90), (green.clone(), 10)]);
    assert_eq!(calls[4].outcome, Outcome::Rejected { code: "ResourceInUse".into() });
    assert_eq!(calls[4].parameters["TargetGroupArn"], blue);
    assert_eq!(calls[5].detail, Detail::TargetHealth { target_group_arn: green, targets: vec![] });
    let caller = calls[5].caller.as_deref();
    assert_eq!(caller, Some("arn:aws:iam::123456789012:user/okra-local"));
    assert!(calls.iter().all(|call| call.received.monotonic <= call.answered.monotonic));
    region.shutdown().await;
}

#[tokio::test]
async fn own_endpoints_need_no_signature() {
    let region = region().await;
    let client = elbv2::Client::new(&sdk(&region));
    target_group(&client, "blue").await;
    let address = region.endpoint().replace("http://", "");
    assert_eq!(get(&address, "/_okra/health", "localhost").await, (200, r#"{"status":"ok"}"#.into()));
    let (status, body) = get(&address, "/_okra/statistics/targetgroups/blue?seconds=5", "localhost").await;
    assert_eq!(status, 200);
    assert!(body.contains(r#""requests":0"#) && body.contains(r#""p99_ms":null"#), "{body}");
    let (status, body) = get(&address, "/_okra/metrics", "localhost").await;
    assert_eq!(status, 200);
    assert!(body.contains("# TYPE okra_region_target_group_requests counter"), "{body}");
    assert!(
        body.contains("okra_region_target_group_requests_total{target_group=\"targetgroup/blue/"),
        "{body}"
    );
    assert!(body.contains("name=\"blue\",class=\"5xx\"} 0") && body.ends_with("# EOF\n"), "{body}");
    for (path, wanted) in [
        ("/_okra/statistics/targetgroups/targetgroup/blue/0123456789abcdef,blue", 200),
        ("/_okra/statistics/targetgroups/blue,none", 404),
        ("/_okra/statistics/targetgroups/none", 404),
        ("/_okra/statistics/targetgroups/blue?seconds=0", 400),
        ("/_okra/statistics/targetgroups/blue?seconds=901", 400),
        ("/_okra/other", 404),
    ] {
        assert_eq!(get(&address, path, "localhost").await.0, wanted, "{path}");
    }
    region.shutdown().await;
}
