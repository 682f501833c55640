//! A whole world through the AWS SDK for Rust.

use crate::common::{backend, get, region, sdk, until};
use aws_sdk_elasticloadbalancingv2 as elbv2;
use elbv2::types::{
    Action, ActionTypeEnum, ForwardActionConfig, ProtocolEnum, RuleCondition, Tag, TargetDescription,
    TargetGroupStickinessConfig, TargetGroupTuple, TargetTypeEnum,
};

pub(crate) fn forward(groups: &[(&str, i32)]) -> Action {
    let tuple = |(arn, weight): &(&str, i32)| {
        TargetGroupTuple::builder().target_group_arn(*arn).weight(*weight).build()
    };
    let config = ForwardActionConfig::builder()
        .set_target_groups(Some(groups.iter().map(tuple).collect()))
        .target_group_stickiness_config(TargetGroupStickinessConfig::builder().enabled(false).build())
        .build();
    Action::builder().r#type(ActionTypeEnum::Forward).forward_config(config).order(1).build()
}

pub(crate) async fn load_balancer(client: &elbv2::Client) -> String {
    let created = client.create_load_balancer().name("web").subnets("subnet-1a").subnets("subnet-1b");
    let created = created.send().await.unwrap();
    created.load_balancers()[0].load_balancer_arn().unwrap().to_owned()
}

pub(crate) async fn target_group(client: &elbv2::Client, name: &str) -> String {
    let created = client
        .create_target_group()
        .name(name)
        .protocol(ProtocolEnum::Http)
        .port(80)
        .vpc_id("vpc-12345678")
        .target_type(TargetTypeEnum::Ip)
        .health_check_interval_seconds(5)
        .health_check_timeout_seconds(2)
        .send()
        .await
        .unwrap();
    created.target_groups()[0].target_group_arn().unwrap().to_owned()
}

pub(crate) async fn state(client: &elbv2::Client, group: &str) -> Vec<String> {
    let health = client.describe_target_health().target_group_arn(group).send().await.unwrap();
    let state = |described: &elbv2::types::TargetHealthDescription| {
        described.target_health().unwrap().state().unwrap().as_str().to_owned()
    };
    health.target_health_descriptions().iter().map(state).collect()
}

#[tokio::test]
async fn a_rule_moves_traffic_from_one_group_to_another() {
    let region = region().await;
    let client = elbv2::Client::new(&sdk(&region));
    let lb = load_balancer(&client).await;
    let (blue, green) = (target_group(&client, "blue").await, target_group(&client, "green").await);
    for (group, name) in [(&blue, "blue"), (&green, "green")] {
        let address = backend(name).await;
        let target = TargetDescription::builder().id("127.0.0.1").port(address.port().into()).build();
        client.register_targets().target_group_arn(group).targets(target).send().await.unwrap();
        assert_eq!(state(&client, group).await, ["unused"]);
    }

    let listener = client
        .create_listener()
        .load_balancer_arn(&lb)
        .protocol(ProtocolEnum::Http)
        .port(80)
        .default_actions(
            Action::builder()
                .r#type(ActionTypeEnum::FixedResponse)
                .fixed_response_config(
                    elbv2::types::FixedResponseActionConfig::builder()
                        .status_code("404")
                        .message_body("nobody")
                        .build(),
                )
                .build(),
        )
        .send()
        .await
        .unwrap();
    let listener = listener.listeners()[0].listener_arn().unwrap().to_owned();
    let rule = client
        .create_rule()
        .listener_arn(&listener)
        .priority(10)
        .conditions(RuleCondition::builder().field("host-header").values("example.com").build())
        .actions(forward(&[(&blue, 100), (&green, 0)]))
        .tags(Tag::builder().key("okra.mumo.co/cell").value("default/web").build())
        .send()
        .await
        .unwrap();
    let rule = rule.rules()[0].clone();
    assert_eq!((rule.priority(), rule.is_default()), (Some("10"), Some(false)));

    let tags = client.describe_tags().resource_arns(&listener).send().await.unwrap();
    let address = tags.tag_descriptions()[0].tags()[0].clone();
    assert_eq!(address.key(), Some("okra.mumo.co/address"));
    let address = address.value().unwrap().to_owned();

    for group in [&blue, &green] {
        until("the group is healthy", || async { state(&client, group).await == ["healthy"] }).await;
    }
    assert_eq!(get(&address, "/", "example.com").await, (200, "blue".into()));
    assert_eq!(get(&address, "/", "other.com").await, (404, "nobody".into()));

    let modified = client
        .modify_rule()
        .rule_arn(rule.rule_arn().unwrap())
        .actions(forward(&[(&blue, 0), (&green, 100)]));
    let modified = modified.send().await.unwrap();
    let config = modified.rules()[0].actions()[0].forward_config().unwrap();
    let weights: Vec<i32> = config.target_groups().iter().map(|group| group.weight().unwrap()).collect();
    assert_eq!(weights, [0, 100]);
    assert_eq!(modified.rules()[0].conditions()[0].values(), ["example.com"], "conditions stay");
    assert_eq!(get(&address, "/", "example.com").await, (200, "green".into()));
    region.shutdown().await;
}
