//! What the adapters send, and what they make of the answers.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod endpoint;
mod roles;
mod support;

use endpoint::{Endpoint, Reply};
use okra_aws::{
    Action, AlwaysAllowed, AwsError, Clusters, Condition, Forward, KeptAction, KeptTransforms, LoadBalancers,
    Meaning, MetricQuery, MetricSource, MetricWindow, Metrics, NewRule, Region, RuleChange, RulePriority,
    Scope, Stickiness, Tags, TargetState, WeightedTargetGroup, Write, WriteGate,
};
use okra_domain::{ListenerArn, RuleArn, TargetGroupArn};
use support::{sdk, settings};

const PREFIX: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012";

fn listener() -> ListenerArn {
    format!("{PREFIX}:listener/app/web/50dc6c495c0c9188/f2f7dc8efc522ab2").parse().unwrap()
}

fn rule() -> RuleArn {
    format!("{PREFIX}:listener-rule/app/web/50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee")
        .parse()
        .unwrap()
}

fn group(name: &str) -> TargetGroupArn {
    format!("{PREFIX}:targetgroup/{name}/73e2d6bc24d8a067").parse().unwrap()
}

fn rules_xml(operation: &str, priorities: &[&str], next: Option<&str>) -> Reply {
    let members: String = priorities
        .iter()
        .map(|priority| {
            format!(
                "<member><RuleArn>{}</RuleArn><Priority>{priority}</Priority>\
                 <IsDefault>{}</IsDefault><Conditions/><Actions><member><Type>forward</Type>\
                 <ForwardConfig><TargetGroups>\
                 <member><TargetGroupArn>{}</TargetGroupArn><Weight>90</Weight></member>\
                 <member><TargetGroupArn>{}</TargetGroupArn><Weight>10</Weight></member>\
                 </TargetGroups></ForwardConfig></member></Actions></member>",
                rule(),
                *priority == "default",
                group("blue"),
                group("green"),
            )
        })
        .collect();
    let marker = next.map(|next| format!("<NextMarker>{next}</NextMarker>")).unwrap_or_default();
    Reply::xml(format!(
        "<{operation}Response xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">\
         <{operation}Result><Rules>{members}</Rules>{marker}</{operation}Result>\
         </{operation}Response>"
    ))
}

fn weights(weights: &[(&str, u32)]) -> Vec<WeightedTargetGroup> {
    weights
        .iter()
        .map(|(name, weight)| WeightedTargetGroup { arn: group(name), weight: Some(*weight) })
        .collect()
}

fn change() -> RuleChange {
    let forward = Forward {
        order: Some(2),
        target_groups: weights(&[("blue", 50), ("green", 50)]),
        stickiness: Some(Stickiness { enabled: true, duration_seconds: Some(300) }),
    };
    let oidc = KeptAction::authenticate_oidc(1, "https://login.example.com", "okra");
    RuleChange { conditions: None, actions: Some(vec![Action::Kept(oidc), Action::Forward(forward)]) }
}

async fn modify(reply: Reply) -> (Result<(), AwsError>, usize) {
    let endpoint = Endpoint::start([reply]).await;
    let load_balancers = sdk(settings(&endpoint.url)).await.load_balancers();
    let outcome = load_balancers.modify_rule(Write::normal(&AlwaysAllowed), &rule(), &change()).await;
    (outcome.map(|_| ()), endpoint.seen().len())
}

#[tokio::test]
async fn modify_rule_sends_all_actions_and_nothing_else() {
    let endpoint = Endpoint::start([rules_xml("ModifyRule", &["10"], None)]).await;
    let load_balancers = sdk(settings(&endpoint.url)).await.load_balancers();
    let write = Write::urgent(&AlwaysAllowed);
    let answer = load_balancers.modify_rule(write, &rule(), &change()).await.unwrap();
    assert_eq!(answer.priority, RulePriority::Number(10));
    assert_eq!(
        answer.forward().unwrap().target_groups,
        weights(&[("blue", 90), ("green", 10)]),
        "the answer is what AWS says, not what was asked for"
    );

    let seen = &endpoint.seen()[0];
    let expected = [
        ("Action", "ModifyRule"),
        ("RuleArn", rule().as_str()),
        ("Actions.member.1.Type", "authenticate-oidc"),
        ("Actions.member.1.Order", "1"),
        ("Actions.member.1.AuthenticateOidcConfig.ClientId", "okra"),
        ("Actions.member.1.AuthenticateOidcConfig.UseExistingClientSecret", "true"),
        ("Actions.member.2.Type", "forward"),
        ("Actions.member.2.Order", "2"),
        ("Actions.member.2.ForwardConfig.TargetGroups.member.2.TargetGroupArn", group("green").as_str()),
        ("Actions.member.2.ForwardConfig.TargetGroups.member.2.Weight", "50"),
        ("Actions.member.2.ForwardConfig.TargetGroupStickinessConfig.Enabled", "true"),
        ("Actions.member.2.ForwardConfig.TargetGroupStickinessConfig.DurationSeconds", "300"),
    ]
    .map(|(key, value)| (key, Some(value.to_owned())));
    for (key, value) in expected {
        assert_eq!(seen.form(key), value, "{key}");
    }
    assert!(!seen.body.contains("Conditions"), "{}", seen.body);
    assert!(!seen.body.contains("Transforms"), "{}", seen.body);
}

#[tokio::test]
async fn create_rule_sends_priority_conditions_and_tags() {
    let endpoint = Endpoint::start([rules_xml("CreateRule", &["10"], None)]).await;
    let load_balancers = sdk(settings(&endpoint.url)).await.load_balancers();
    let new = NewRule {
        listener: listener(),
        priority: 10,
        conditions: vec![Condition::HostHeader(vec!["example.com".to_owned()])],
        actions: vec![Action::Forward(Forward {
            target_groups: weights(&[("blue", 100)]),
            ..Forward::default()
        })],
        transforms: KeptTransforms::default(),
        tags: Tags::from([("okra.mumo.co/name".to_owned(), "cell1".to_owned())]),
    };
    load_balancers.create_rule(Write::normal(&AlwaysAllowed), &new).await.unwrap();
    let seen = &endpoint.seen()[0];
    for (key, value) in [
        ("ListenerArn", listener().as_str()),
        ("Priority", "10"),
        ("Conditions.member.1.Field", "host-header"),
        ("Conditions.member.1.HostHeaderConfig.Values.member.1", "example.com"),
        ("Tags.member.1.Key", "okra.mumo.co/name"),
        ("Tags.member.1.Value", "cell1"),
    ] {
        assert_eq!(seen.form(key).as_deref(), Some(value), "{key}");
    }
}

#[tokio::test]
async fn h_80_rules_are_read_over_all_pages() {
    let endpoint = Endpoint::start([
        rules_xml("DescribeRules", &["1", "2"], Some("m2")),
        rules_xml("DescribeRules", &["3", "default"], None),
    ])
    .await;
    let rules = sdk(settings(&endpoint.url)).await.load_balancers().rules(&listener()).await.unwrap();
    let priorities: Vec<_> = rules.iter().map(|rule| rule.priority.to_string()).collect();
    assert_eq!(priorities, ["1", "2", "3", "default"]);
    assert_eq!(endpoint.seen()[1].form("Marker").as_deref(), Some("m2"));
}

#[tokio::test]
async fn a_page_that_fails_fails_the_list() {
    let endpoint = Endpoint::start([
        rules_xml("DescribeRules", &["1"], Some("m2")),
        Reply::error(400, "ListenerNotFound"),
    ])
    .await;
    let error = sdk(settings(&endpoint.url)).await.load_balancers().rules(&listener()).await.unwrap_err();
    assert_eq!((error.meaning, error.code.as_str()), (Meaning::Absent, "ListenerNotFound"));
    assert_eq!(error.message, "about ListenerNotFound");
    assert_eq!(error.operation, "elasticloadbalancing:DescribeRules");
}

#[tokio::test]
async fn a_write_is_sent_once_whatever_becomes_of_it() {
    let cases = [
        (Reply::error(400, "ThrottlingException"), Meaning::Throttled),
        (Reply::error(429, "PriorRequestNotComplete"), Meaning::Throttled),
        (Reply::error(400, "RuleNotFound"), Meaning::Absent),
        (Reply::error(403, "AccessDenied"), Meaning::Denied),
        (Reply::error(400, "ValidationError"), Meaning::Invalid),
        (Reply::error(500, "InternalFailure"), Meaning::UnknownOutcome),
        (Reply::HangUp, Meaning::UnknownOutcome),
        (Reply::xml("not xml"), Meaning::UnknownOutcome),
    ];
    for (reply, meaning) in cases {
        let name = format!("{reply:?}");
        let (outcome, requests) = modify(reply).await;
        assert_eq!(outcome.unwrap_err().meaning, meaning, "{name}");
        assert_eq!(requests, 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_without_an_answer_in_time_has_an_unknown_outcome() {
    let (outcome, _) = modify(Reply::Silence).await;
    let error = outcome.unwrap_err();
    assert_eq!((error.meaning, error.code.as_str()), (Meaning::UnknownOutcome, "RequestTimeout"));
}

#[tokio::test]
async fn a_write_that_nobody_could_receive_was_not_done() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", unused.local_addr().unwrap());
    drop(unused);
    let load_balancers = sdk(settings(&url)).await.load_balancers();
    let write = Write::normal(&AlwaysAllowed);
    let error = load_balancers.delete_rule(write, &rule()).await.unwrap_err();
    assert_eq!((error.meaning, error.code.as_str()), (Meaning::Unavailable, "ConnectionRefused"));
}

#[tokio::test]
async fn a_read_is_tried_again_while_aws_is_out_of_reach() {
    let endpoint = Endpoint::start([
        Reply::error(503, "ServiceUnavailable"),
        Reply::error(400, "Throttling"),
        rules_xml("DescribeRules", &["default"], None),
    ])
    .await;
    let rules = sdk(settings(&endpoint.url)).await.load_balancers().rules(&listener()).await.unwrap();
    assert_eq!((rules.len(), endpoint.left()), (1, 0));

    let endpoint = Endpoint::start((0..9).map(|_| Reply::error(503, "ServiceUnavailable"))).await;
    let error = sdk(settings(&endpoint.url)).await.load_balancers().rules(&listener()).await.unwrap_err();
    assert_eq!((error.meaning, endpoint.seen().len()), (Meaning::Unavailable, 3));
}

#[tokio::test]
async fn expired_credentials_are_renewed_once_even_for_a_write() {
    let endpoint =
        Endpoint::start([Reply::error(403, "ExpiredToken"), rules_xml("ModifyRule", &["10"], None)]).await;
    let load_balancers = sdk(settings(&endpoint.url)).await.load_balancers();
    let write = Write::normal(&AlwaysAllowed);
    load_balancers.modify_rule(write, &rule(), &change()).await.unwrap();
    assert_eq!(endpoint.left(), 0);

    let endpoint = Endpoint::start((0..5).map(|_| Reply::error(403, "ExpiredToken"))).await;
    let load_balancers = sdk(settings(&endpoint.url)).await.load_balancers();
    let error = load_balancers.modify_rule(write, &rule(), &change()).await.unwrap_err();
    assert_eq!((error.meaning, endpoint.seen().len()), (Meaning::ExpiredCredentials, 2));
}

struct Shut;

impl WriteGate for Shut {
    fn check(&self) -> Result<(), AwsError> {
        Err(AwsError::new(Meaning::NotLeader, "lease", "LeaseLost", "another leader holds it"))
    }
}

#[tokio::test]
async fn nothing_is_sent_through_a_shut_gate() {
    let endpoint = Endpoint::start([]).await;
    let load_balancers = sdk(settings(&endpoint.url)).await.load_balancers();
    let error = load_balancers.modify_rule(Write::urgent(&Shut), &rule(), &change()).await.unwrap_err();
    assert_eq!((error.meaning, endpoint.seen().len()), (Meaning::NotLeader, 0));
}

#[tokio::test]
async fn tags_are_asked_for_20_at_a_time() {
    let one = |arn: &str| {
        Reply::xml(format!(
            "<DescribeTagsResponse><DescribeTagsResult><TagDescriptions><member>\
             <ResourceArn>{arn}</ResourceArn><Tags><member><Key>k</Key><Value>v</Value></member>\
             </Tags></member></TagDescriptions></DescribeTagsResult></DescribeTagsResponse>"
        ))
    };
    let arns: Vec<String> = (0..45).map(|n| group(&format!("g{n}")).to_string()).collect();
    let endpoint = Endpoint::start([one(&arns[0]), one(&arns[20]), one(&arns[40])]).await;
    let tags = sdk(settings(&endpoint.url)).await.load_balancers().tags(&arns).await.unwrap();
    assert_eq!(tags.len(), 3);
    assert_eq!(tags[&arns[40]]["k"], "v");
    let seen = endpoint.seen();
    assert!(seen[0].form("ResourceArns.member.20").is_some());
    assert!(seen[0].form("ResourceArns.member.21").is_none());
    assert!(seen[2].form("ResourceArns.member.5").is_some());
}

#[tokio::test]
async fn health_states_are_told_apart() {
    let target = |id: &str, state: &str, more: &str| {
        format!(
            "<member><Target><Id>{id}</Id><Port>80</Port></Target><TargetHealth>\
             <State>{state}</State><Reason>Target.Any</Reason></TargetHealth>{more}</member>"
        )
    };
    let shift = "<AdministrativeOverride><State>zonal_shift_active</State></AdministrativeOverride>";
    let states = ["initial", "healthy", "unhealthy", "unhealthy.draining", "unused", "draining"];
    let mut members: String = states.iter().map(|state| target(state, state, "")).collect();
    members += &target("shifted", "healthy", shift);
    let endpoint = Endpoint::start([Reply::xml(format!(
        "<DescribeTargetHealthResponse><DescribeTargetHealthResult><TargetHealthDescriptions>\
         {members}</TargetHealthDescriptions></DescribeTargetHealthResult>\
         </DescribeTargetHealthResponse>"
    ))])
    .await;
    let load_balancers = sdk(settings(&endpoint.url)).await.load_balancers();
    let health = load_balancers.target_health(&group("blue")).await.unwrap();
    assert_eq!(health[3].state, TargetState::UnhealthyDraining);
    let healthy: Vec<_> = health.iter().filter(|target| target.is_healthy()).collect();
    assert_eq!(healthy.len(), 2);
    assert_eq!(health.iter().filter(|target| target.is_registered()).count(), 6);
    assert!(health[6].zonal_shift && !health[1].zonal_shift);
}

#[tokio::test]
async fn h_50_clusters_are_listed_over_all_pages() {
    let json = |body: &str| Reply::Answer(200, "application/json", body.to_owned());
    let endpoint = Endpoint::start([
        json(r#"{"clusters": ["web-2", "web-1"], "nextToken": "t2"}"#),
        json(r#"{"clusters": ["api-1"]}"#),
        json(
            r#"{"cluster": {"name": "web-1", "arn": "arn:aws:eks:eu-west-1:1:cluster/web-1",
                "status": "ACTIVE", "endpoint": "https://127.0.0.1:1",
                "certificateAuthority": {"data": "Q0E="}, "version": "1.36",
                "createdAt": 1795255200.5, "tags": {"role": "web"}}}"#,
        ),
        Reply::Answer(
            404,
            "application/json",
            r#"{"__type": "ResourceNotFoundException", "message": "No cluster found"}"#.to_owned(),
        ),
    ])
    .await;
    let clusters = sdk(settings(&endpoint.url)).await.clusters();
    let scope = Scope::own(Region::new("eu-west-1"));
    assert_eq!(clusters.list(&scope).await.unwrap(), ["api-1", "web-1", "web-2"]);
    let cluster = clusters.describe(&scope, "web-1").await.unwrap();
    assert_eq!(cluster.status.to_string(), "ACTIVE");
    assert_eq!(cluster.certificate_authority.as_deref(), Some("Q0E="));
    assert_eq!(cluster.created.unwrap().to_string(), "2026-11-21T10:00:00.5Z");
    assert_eq!(cluster.tags["role"], "web");
    let gone = clusters.describe(&scope, "web-9").await.unwrap_err();
    assert_eq!((gone.meaning, gone.message.as_str()), (Meaning::Absent, "No cluster found"));
    assert!(endpoint.seen()[1].line.contains("nextToken=t2"), "{}", endpoint.seen()[1].line);
}

#[tokio::test]
async fn metrics_speak_the_protocol_of_the_pinned_client() {
    let endpoint = Endpoint::start([Reply::Answer(
        400,
        "application/cbor",
        // {"__type": "com.amazonaws.cloudwatch#InvalidParameterValueException"} in CBOR
        "\u{1}".to_owned(),
    )])
    .await;
    let metrics = sdk(settings(&endpoint.url)).await.metrics();
    let window = MetricWindow {
        start: "2026-11-21T10:00:00Z".parse().unwrap(),
        end: "2026-11-21T10:05:00Z".parse().unwrap(),
    };
    let query = MetricQuery {
        id: "req".to_owned(),
        source: MetricSource::Expression("1".to_owned()),
        label: None,
        return_data: true,
        period_seconds: Some(60),
        account_id: None,
    };
    let scope = Scope::own(Region::new("eu-west-1"));
    metrics.query(&scope, window, std::slice::from_ref(&query)).await.unwrap_err();
    let seen = &endpoint.seen()[0];
    assert!(seen.line.contains("/operation/GetMetricData"), "{}", seen.line);
    let protocol = seen.headers.iter().find(|(name, _)| name == "smithy-protocol").unwrap();
    assert_eq!(protocol.1, "rpc-v2-cbor");

    let many = vec![query; 501];
    let error = metrics.query(&scope, window, &many).await.unwrap_err();
    assert_eq!((error.meaning, endpoint.seen().len()), (Meaning::Invalid, 1));
}

#[tokio::test]
async fn static_keys_are_refused_where_an_endpoint_is_not_loopback() {
    let sdk = sdk(settings("https://aws.invalid")).await;
    let error = sdk.load_balancers().rules(&listener()).await.unwrap_err();
    assert_eq!((error.meaning, error.code.as_str()), (Meaning::Denied, "StaticKeysRefused"));
}
