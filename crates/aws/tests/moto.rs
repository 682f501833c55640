//! The adapters against moto, whose ELBv2 and EKS were written by others.
//!
//! What moto does not do as AWS does (`spec/aws.md` 9.2) is not tested here.

mod support;

use std::collections::BTreeSet;
use std::process::Stdio;

use aws_sdk_elasticloadbalancingv2 as elb;
use okra_aws::iam::{Extent, Feature, policy};
use okra_aws::sdk::{AccessKey, SdkSettings};
use okra_aws::{
    Action, AlwaysAllowed, ClusterStatus, Clusters, Condition, Forward, KeptAction, KeptTransforms,
    LoadBalancers, Meaning, NewRule, Region, Rule, RuleChange, RulePriority, Scope, Stickiness, Tags,
    WeightedTargetGroup, Write,
};
use okra_domain::{ListenerArn, TargetGroupArn};
use support::{sdk, settings};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const WRITE: Write<'static> = Write { urgency: okra_aws::Urgency::Normal, gate: &AlwaysAllowed };

/// A moto server of this test, ended with it.
struct Moto {
    url: String,
    _process: Child,
}

impl Moto {
    /// `None`, after saying so, where moto is not installed.
    #[expect(clippy::print_stdout, reason = "a skipped test says so")]
    async fn start() -> Option<Self> {
        let python = std::env::var("OKRA_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let has_moto = Command::new(&python).args(["-c", "import moto.server"]).output().await;
        if !has_moto.is_ok_and(|output| output.status.success()) {
            println!("skipped: {python} has no moto (pip install 'moto[server]')");
            return None;
        }
        let mut process = Command::new(&python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("python starts");
        let mut lines = BufReader::new(process.stderr.take().expect("piped")).lines();
        let url = loop {
            let line = lines.next_line().await.expect("readable").expect("moto says its address");
            if let Some((_, url)) = line.split_once("Running on ") {
                break url.trim().to_owned();
            }
        };
        // Its log of requests must go somewhere, or it blocks on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Some(Self { url, _process: process })
    }

    fn client(&self) -> elb::Client {
        let config = elb::Config::builder()
            .behavior_version(elb::config::BehaviorVersion::latest())
            .endpoint_url(&self.url)
            .region(elb::config::Region::new("eu-west-1"))
            .credentials_provider(elb::config::Credentials::new("test", "test", None, None, "test"))
            .build();
        elb::Client::from_conf(config)
    }

    /// Asks moto for something that no client of ours is built for.
    async fn boto(&self, program: &str) -> String {
        let python = std::env::var("OKRA_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let output = Command::new(python)
            .args(["-c", program])
            .envs([
                ("AWS_ENDPOINT_URL", self.url.as_str()),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_DEFAULT_REGION", "eu-west-1"),
            ])
            .output()
            .await
            .expect("python starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }
}

async fn world(moto: &Moto) -> (ListenerArn, Vec<TargetGroupArn>) {
    let subnets = moto
        .boto(
            "import boto3; e = boto3.client('ec2'); \
             print(*[s['SubnetId'] for s in e.describe_subnets()['Subnets'][:2]], \
             e.describe_vpcs()['Vpcs'][0]['VpcId'])",
        )
        .await;
    let ids: Vec<&str> = subnets.split(' ').collect();
    let client = moto.client();
    let balancer = client
        .create_load_balancer()
        .name("web")
        .subnets(ids[0])
        .subnets(ids[1])
        .send()
        .await
        .expect("a load balancer");
    let balancer = balancer.load_balancers()[0].load_balancer_arn().expect("an ARN").to_owned();
    let mut groups = Vec::new();
    for name in ["blue", "green"] {
        let group = client
            .create_target_group()
            .name(name)
            .protocol(elb::types::ProtocolEnum::Http)
            .port(80)
            .vpc_id(ids[2])
            .target_type(elb::types::TargetTypeEnum::Ip)
            .send()
            .await
            .expect("a target group");
        groups.push(group.target_groups()[0].target_group_arn().expect("an ARN").to_owned());
    }
    let forward = elb::types::Action::builder()
        .r#type(elb::types::ActionTypeEnum::Forward)
        .target_group_arn(&groups[0])
        .build();
    let listener = client
        .create_listener()
        .load_balancer_arn(balancer)
        .protocol(elb::types::ProtocolEnum::Http)
        .port(80)
        .default_actions(forward)
        .send()
        .await
        .expect("a listener");
    let listener = listener.listeners()[0].listener_arn().expect("an ARN").to_owned();
    let arn = |text: String| text.parse().expect("the ARN of a target group");
    (listener.parse().expect("the ARN of a listener"), groups.into_iter().map(arn).collect())
}

fn forward(weights: &[(&TargetGroupArn, u32)]) -> Action {
    Action::Forward(Forward {
        order: None,
        target_groups: weights
            .iter()
            .map(|(arn, weight)| WeightedTargetGroup { arn: (*arn).clone(), weight: Some(*weight) })
            .collect(),
        stickiness: Some(Stickiness { enabled: false, duration_seconds: None }),
    })
}

fn new_rule(listener: &ListenerArn, priority: u32, actions: Vec<Action>) -> NewRule {
    NewRule {
        listener: listener.clone(),
        priority,
        conditions: vec![
            Condition::HostHeader(vec![format!("h{priority}.example.com")]),
            Condition::HttpHeader { name: "X-Env".to_owned(), values: vec!["a".to_owned()] },
            Condition::QueryString(vec![(Some("v".to_owned()), "2".to_owned())]),
        ],
        actions,
        transforms: KeptTransforms::default(),
        tags: Tags::from([("okra.mumo.co/name".to_owned(), "cell1".to_owned())]),
    }
}

fn weights(rule: &Rule) -> Vec<Option<u32>> {
    rule.forward().expect("a forward").target_groups.iter().map(|group| group.weight).collect()
}

#[tokio::test]
async fn rules_are_made_read_changed_and_deleted() {
    let Some(moto) = Moto::start().await else { return };
    let (listener, groups) = world(&moto).await;
    let port = sdk(settings(&moto.url)).await.load_balancers();

    let found = port.listener(&listener).await.unwrap();
    assert_eq!((found.port, found.default_actions.len()), (Some(80), 1));
    let new = new_rule(&listener, 10, vec![forward(&[(&groups[0], 90), (&groups[1], 10)])]);
    let made = port.create_rule(WRITE, &new).await.unwrap();
    assert_eq!((made.priority, weights(&made)), (RulePriority::Number(10), vec![Some(90), Some(10)]));
    assert_eq!(made.conditions, new.conditions);
    let taken = port.create_rule(WRITE, &new).await.unwrap_err();
    assert_eq!((taken.meaning, taken.code.as_str()), (Meaning::Exists, "PriorityInUse"));

    let arn = made.arn.to_string();
    let tags = port.tags(std::slice::from_ref(&arn)).await.unwrap();
    assert_eq!(tags[&arn], new.tags);
    let more = Tags::from([("okra.mumo.co/namespace".to_owned(), "default".to_owned())]);
    port.add_tags(WRITE, &arn, &more).await.unwrap();
    assert_eq!(port.tags(std::slice::from_ref(&arn)).await.unwrap()[&arn].len(), 2);

    let change =
        RuleChange { conditions: None, actions: Some(vec![forward(&[(&groups[0], 0), (&groups[1], 100)])]) };
    port.modify_rule(WRITE, &made.arn, &change).await.unwrap();
    let read = port.rules_by_arn(std::slice::from_ref(&made.arn)).await.unwrap();
    assert_eq!(weights(&read[0]), [Some(0), Some(100)]);
    assert_eq!(read[0].conditions, new.conditions, "conditions that were not sent stay");

    port.delete_rule(WRITE, &made.arn).await.unwrap();
    let gone = port.rules_by_arn(std::slice::from_ref(&made.arn)).await.unwrap_err();
    assert_eq!((gone.meaning, gone.code.as_str()), (Meaning::Absent, "RuleNotFound"));
}

#[tokio::test]
async fn h_80_more_rules_than_a_page_are_read_whole() {
    let Some(moto) = Moto::start().await else { return };
    let (listener, groups) = world(&moto).await;
    let port = sdk(settings(&moto.url)).await.load_balancers();
    for priority in 1..=60 {
        let new = new_rule(&listener, priority, vec![forward(&[(&groups[0], 1)])]);
        port.create_rule(WRITE, &new).await.unwrap();
    }
    let rules = port.rules(&listener).await.unwrap();
    assert_eq!(rules.len(), 61, "moto pages by 50");
    assert!(rules.iter().any(|rule| rule.priority == RulePriority::Default));
}

#[tokio::test]
async fn an_authentication_survives_a_change_of_weights() {
    let Some(moto) = Moto::start().await else { return };
    let (listener, groups) = world(&moto).await;
    let port = sdk(settings(&moto.url)).await.load_balancers();
    let fixed = new_rule(&listener, 7, vec![Action::Kept(KeptAction::fixed_response(503))]);
    let made = port.create_rule(WRITE, &fixed).await.unwrap();
    assert_eq!(made.actions[0].kind(), "fixed-response");

    moto.boto(&format!(
        "import boto3; e = boto3.client('elbv2'); e.create_rule(ListenerArn='{listener}', \
         Priority=8, Conditions=[{{'Field': 'host-header', 'Values': ['a.example.com']}}], \
         Actions=[{{'Type': 'authenticate-cognito', 'Order': 1, 'AuthenticateCognitoConfig': \
         {{'UserPoolArn': 'arn:aws:cognito-idp:eu-west-1:1:userpool/p', 'UserPoolClientId': 'c', \
         'UserPoolDomain': 'd', 'SessionTimeout': 3600}}}}, {{'Type': 'forward', 'Order': 2, \
         'TargetGroupArn': '{}'}}])",
        groups[0]
    ))
    .await;
    let eight = |rules: Vec<Rule>| {
        rules.into_iter().find(|rule| rule.priority == RulePriority::Number(8)).expect("rule 8")
    };
    let before = eight(port.rules(&listener).await.unwrap());
    let mut actions = before.actions.clone();
    let Action::Forward(last) = &mut actions[1] else { panic!("{actions:?}") };
    last.target_groups.push(WeightedTargetGroup { arn: groups[1].clone(), weight: Some(0) });
    last.target_groups[0].weight = Some(100);
    let change = RuleChange { conditions: None, actions: Some(actions) };
    port.modify_rule(WRITE, &before.arn, &change).await.unwrap();
    let after = eight(port.rules(&listener).await.unwrap());
    assert_eq!(after.actions[0], before.actions[0]);
    assert_eq!(weights(&after), [Some(100), Some(0)]);
}

#[tokio::test]
async fn target_groups_and_their_health_are_read() {
    let Some(moto) = Moto::start().await else { return };
    let (listener, groups) = world(&moto).await;
    let port = sdk(settings(&moto.url)).await.load_balancers();
    moto.boto(&format!(
        "import boto3; boto3.client('elbv2').register_targets(TargetGroupArn='{}', \
         Targets=[{{'Id': '10.0.0.1', 'Port': 8080}}])",
        groups[0]
    ))
    .await;
    let health = port.target_health(&groups[0]).await.unwrap();
    assert_eq!((health.len(), health[0].id.as_str(), health[0].port), (1, "10.0.0.1", Some(8080)));
    let found = port.target_groups(&groups).await.unwrap();
    assert_eq!(found[0].name, "blue");
    assert_eq!(found[0].load_balancers, [port.listener(&listener).await.unwrap().load_balancer]);
    let unknown: TargetGroupArn = format!("{}0", groups[0]).parse().unwrap();
    assert_eq!(port.target_groups(&[unknown]).await.unwrap_err().meaning, Meaning::Absent);
}

#[tokio::test]
async fn h_50_more_clusters_than_a_page_are_listed_whole() {
    let Some(moto) = Moto::start().await else { return };
    moto.boto(
        "import boto3\ne = boto3.client('eks')\nfor n in range(105):\n  e.create_cluster(\
         name=f'web-{n}', version='1.36', roleArn='arn:aws:iam::123456789012:role/r', \
         resourcesVpcConfig={'subnetIds': []}, tags={'role': 'web'})",
    )
    .await;
    let clusters = sdk(settings(&moto.url)).await.clusters();
    let scope = Scope::own(Region::new("eu-west-1"));
    assert_eq!(clusters.list(&scope).await.unwrap().len(), 105, "a page holds 100");
    let one = clusters.describe(&scope, "web-104").await.unwrap();
    assert_eq!((one.status, one.tags["role"].as_str()), (ClusterStatus::Active, "web"));
    assert_eq!(clusters.describe(&scope, "x").await.unwrap_err().meaning, Meaning::Absent);
}

#[tokio::test]
async fn the_caller_is_known() {
    let Some(moto) = Moto::start().await else { return };
    let identity = sdk(settings(&moto.url)).await.identity();
    let caller = identity.caller_identity(&Scope::own(Region::new("eu-west-1"))).await.unwrap();
    assert_eq!(caller.account, "123456789012");
}

const EXTENT: fn() -> Extent = || Extent {
    partition: "aws".to_owned(),
    region: "*".to_owned(),
    account: "*".to_owned(),
    load_balancer: "web".to_owned(),
    roles: vec!["arn:aws:iam::123456789012:role/okra".to_owned()],
};

/// The operations named in the adapters, without those that only a demo calls.
fn actions_of_the_adapters() -> BTreeSet<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sdk");
    let mut actions = BTreeSet::new();
    for file in std::fs::read_dir(folder).expect("the folder of the adapters") {
        let path = file.expect("an entry").path();
        if !path.is_file() || path.ends_with("provisioning.rs") {
            continue;
        }
        let text = std::fs::read_to_string(path).expect("text");
        let words = text.split('"').filter(|word| {
            ["sts:", "eks:", "elasticloadbalancing:", "cloudwatch:"].iter().any(|service| {
                word.strip_prefix(service).is_some_and(|action| action.chars().all(char::is_alphanumeric))
            })
        });
        actions.extend(words.map(str::to_owned));
    }
    actions
}

#[test]
fn the_policy_allows_every_operation_that_is_called_and_no_other() {
    let policy = policy(&BTreeSet::from(Feature::ALL), &EXTENT());
    let statements = policy["Statement"].as_array().unwrap();
    let allowed: Vec<String> = statements
        .iter()
        .flat_map(|statement| statement["Action"].as_array().unwrap())
        .map(|action| action.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(BTreeSet::from_iter(allowed.clone()), actions_of_the_adapters());
    assert_eq!(allowed.len(), actions_of_the_adapters().len(), "an action twice");
}

/// On ELBv2 alone: moto takes no signature of EKS for right once it looks at them.
#[tokio::test]
async fn a_user_with_the_policy_of_one_feature_may_do_that_and_nothing_else() {
    let Some(moto) = Moto::start().await else { return };
    for feature in Feature::ALL {
        let document = policy(&BTreeSet::from([feature]), &EXTENT()).to_string();
        moto.boto(&format!(
            "import boto3; i = boto3.client('iam'); \
             i.create_policy(PolicyName='{feature}', PolicyDocument='{document}')"
        ))
        .await;
    }
    let keys = moto
        .boto(
            "import boto3; i = boto3.client('iam'); i.create_user(UserName='okra'); \
             i.attach_user_policy(UserName='okra', PolicyArn='arn:aws:iam::123456789012:policy/traffic'); \
             k = i.create_access_key(UserName='okra')['AccessKey']; \
             import os, urllib.request as u; \
             u.urlopen(u.Request(os.environ['AWS_ENDPOINT_URL'] + '/moto-api/reset-auth', data=b'0', \
             headers={'content-type': 'text/plain'})); \
             print(k['AccessKeyId'], k['SecretAccessKey'])",
        )
        .await;
    let (id, secret) = keys.split_once(' ').expect("two words");
    let access_key = Some(AccessKey { id: id.to_owned(), secret: secret.to_owned() });
    let sdk = sdk(SdkSettings { access_key, ..settings(&moto.url) }).await;
    let port = sdk.load_balancers();
    let listener = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/web/1/2";
    let absent = port.listener(&listener.parse().expect("an ARN")).await.unwrap_err();
    assert_eq!(absent.meaning, Meaning::Absent, "it may look: {absent}");
    let rule = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener-rule/app/web/1/2/3";
    let refused = port.delete_rule(WRITE, &rule.parse().expect("an ARN")).await.unwrap_err();
    assert_eq!(refused.meaning, Meaning::Denied, "{refused}");
}
