//! Assumed roles and targets on the wire: what is sent, and what a refusal means.

use std::collections::BTreeSet;

use super::endpoint::{Endpoint, Reply};
use super::support::{sdk, settings};
use okra_aws::{
    AlwaysAllowed, ClusterTokens, Clusters, Meaning, Region, Role, Scope, Target, Targets, Write,
};
use okra_domain::TargetGroupArn;

const ROLE: &str = "arn:aws:iam::210987654321:role/spoke";

fn spoke(region: &str) -> Scope {
    let role = Role {
        external_id: Some("x-1".to_owned()),
        session_name: Some("okra-web".to_owned()),
        ..Role::new(ROLE)
    };
    Scope { region: Region::new(region), role: Some(role) }
}

fn session() -> Reply {
    Reply::xml(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <Credentials><AccessKeyId>ASIASPOKE</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
         <SessionToken>token-of-spoke</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
         <AssumedRoleUser><AssumedRoleId>A:x</AssumedRoleId><Arn>arn:aws:sts::2:assumed-role/spoke/x</Arn>\
         </AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>",
    )
}

fn clusters(names: &str) -> Reply {
    Reply::Answer(200, "application/json", format!("{{\"clusters\": {names}}}"))
}

#[tokio::test]
async fn a_role_is_assumed_once_with_its_external_id_and_session_and_then_signs() {
    let endpoint = Endpoint::start([session(), clusters("[\"b\", \"a\"]"), clusters("[]")]).await;
    let port = sdk(settings(&endpoint.url)).await.clusters();
    assert_eq!(port.list(&spoke("eu-west-1")).await.unwrap(), ["a", "b"]);
    assert_eq!(port.list(&spoke("eu-west-1")).await.unwrap(), Vec::<String>::new());
    let seen = endpoint.seen();
    assert_eq!(seen.len(), 3, "the session is kept");
    for (key, value) in
        [("Action", "AssumeRole"), ("RoleArn", ROLE), ("ExternalId", "x-1"), ("RoleSessionName", "okra-web")]
    {
        assert_eq!(seen[0].form(key).as_deref(), Some(value), "{key}");
    }
    let header = |name: &str| {
        seen[1]
            .headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
            .unwrap_or_default()
    };
    assert!(header("authorization").contains("Credential=ASIASPOKE/"), "{}", header("authorization"));
    assert_eq!(header("x-amz-security-token"), "token-of-spoke");
}

#[tokio::test]
async fn a_role_that_is_refused_names_the_action_that_lacks_and_is_not_asked_for_again() {
    let endpoint = Endpoint::start([Reply::error(403, "AccessDenied")]).await;
    let port = sdk(settings(&endpoint.url)).await.clusters();
    let error = port.list(&spoke("eu-west-1")).await.unwrap_err();
    assert_eq!((error.meaning, error.operation), (Meaning::Denied, "sts:AssumeRole"));
    assert_eq!(error.to_string(), "sts:AssumeRole: AccessDenied: about AccessDenied");
    assert_eq!(endpoint.seen().len(), 1);
}

#[tokio::test]
async fn a_role_that_is_throttled_may_be_had_later() {
    let endpoint = Endpoint::start((0..9).map(|_| Reply::error(400, "Throttling"))).await;
    let port = sdk(settings(&endpoint.url)).await.clusters();
    let error = port.list(&spoke("eu-west-1")).await.unwrap_err();
    assert_eq!((error.meaning, error.operation), (Meaning::Throttled, "sts:AssumeRole"));
}

#[tokio::test]
async fn an_access_entry_must_name_the_role_itself() {
    let endpoint = Endpoint::start([]).await;
    let identity = sdk(settings(&endpoint.url)).await.identity();
    assert_eq!(identity.principal(&spoke("eu-west-1")).await.unwrap(), ROLE);
    assert!(endpoint.seen().is_empty(), "nobody needs to be asked");
}

fn group() -> TargetGroupArn {
    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/73e2d6bc24d8a067".parse().unwrap()
}

fn done(operation: &str) -> Reply {
    Reply::xml(format!("<{operation}Response><{operation}Result/></{operation}Response>"))
}

#[tokio::test]
async fn targets_are_sent_with_their_ports_two_hundred_a_call() {
    let replies = [done("RegisterTargets"), done("RegisterTargets"), done("DeregisterTargets")];
    let endpoint = Endpoint::start(replies).await;
    let port = sdk(settings(&endpoint.url)).await.load_balancers();
    let write = Write::normal(&AlwaysAllowed);
    let many: BTreeSet<Target> = (0..201).map(|n| Target { id: format!("i-{n:03}"), port: 80 }).collect();
    port.register(write, &group(), &many).await.unwrap();
    let one = BTreeSet::from([Target { id: "i-000".to_owned(), port: 8080 }]);
    port.deregister(write, &group(), &one).await.unwrap();
    let seen = endpoint.seen();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[0].form("Targets.member.200.Id").as_deref(), Some("i-199"));
    assert_eq!(seen[0].form("Targets.member.201.Id"), None);
    assert_eq!(seen[1].form("Targets.member.1.Id").as_deref(), Some("i-200"));
    assert_eq!(seen[2].form("Action").as_deref(), Some("DeregisterTargets"));
    assert_eq!(seen[2].form("Targets.member.1.Port").as_deref(), Some("8080"));
    assert_eq!(seen[2].form("TargetGroupArn").as_deref(), Some(group().as_str()));
}

#[tokio::test]
async fn to_take_out_what_is_not_in_is_no_error() {
    let endpoint =
        Endpoint::start([Reply::error(400, "InvalidTarget"), Reply::error(400, "TargetGroupNotFound")]).await;
    let port = sdk(settings(&endpoint.url)).await.load_balancers();
    let write = Write::normal(&AlwaysAllowed);
    let one = BTreeSet::from([Target { id: "i-0".to_owned(), port: 80 }]);
    port.deregister(write, &group(), &one).await.unwrap();
    assert_eq!(port.deregister(write, &group(), &one).await.unwrap_err().meaning, Meaning::Absent);
}
