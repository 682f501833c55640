use super::*;

const OPERATION: &str = "elasticloadbalancing:DescribeRules";
const RULE: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener-rule/app/web/50dc/f2f7/9683";

fn arn(name: &str) -> String {
    format!("arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/{name}/0123456789abcdef")
}

fn rule(actions: Vec<sdk::Action>, conditions: Vec<sdk::RuleCondition>) -> sdk::Rule {
    sdk::Rule::builder()
        .rule_arn(RULE)
        .priority("10")
        .set_actions(Some(actions))
        .set_conditions(Some(conditions))
        .build()
}

fn tuple(name: &str, weight: i32) -> sdk::TargetGroupTuple {
    sdk::TargetGroupTuple::builder().target_group_arn(arn(name)).weight(weight).build()
}

fn forward(tuples: Vec<sdk::TargetGroupTuple>) -> sdk::Action {
    let config = sdk::ForwardActionConfig::builder().set_target_groups(Some(tuples)).build();
    sdk::Action::builder().r#type(sdk::ActionTypeEnum::Forward).forward_config(config).build()
}

fn read(actions: Vec<sdk::Action>) -> Vec<Action> {
    rule_from(OPERATION, rule(actions, vec![])).unwrap().actions
}

#[test]
fn both_reported_forms_of_one_group_become_one() {
    let short =
        sdk::Action::builder().r#type(sdk::ActionTypeEnum::Forward).target_group_arn(arn("blue")).build();
    let mut both = forward(vec![tuple("blue", 1)]);
    both.target_group_arn = Some(arn("blue"));
    let groups = |actions: Vec<Action>| match &actions[0] {
        Action::Forward(forward) => forward.target_groups.clone(),
        Action::Kept(kept) => panic!("{kept:?}"),
    };
    let short = groups(read(vec![short]));
    let both = groups(read(vec![both]));
    assert_eq!(short[0].arn, both[0].arn);
    assert_eq!((short[0].weight, both[0].weight), (None, Some(1)));
    assert_eq!((short.len(), both.len()), (1, 1));
}

#[test]
fn an_authentication_before_the_forward_is_written_back_with_its_secret_kept() {
    let KeptAction(oidc) = KeptAction::authenticate_oidc(1, "https://login.example.com", "okra");
    let mut reported = *oidc;
    if let Some(config) = &mut reported.authenticate_oidc_config {
        config.use_existing_client_secret = None;
        config.session_timeout = Some(3600);
        config.scope = Some("openid email".to_owned());
    }
    let mut last = forward(vec![tuple("blue", 100)]);
    last.order = Some(2);
    let actions = read(vec![reported.clone(), last.clone()]);
    let written = actions_to(OPERATION, &actions, Destination::ExistingRule).unwrap();
    let mut expected = reported;
    if let Some(config) = &mut expected.authenticate_oidc_config {
        config.use_existing_client_secret = Some(true);
    }
    assert_eq!(written, [expected, last]);

    let error = actions_to(OPERATION, &actions, Destination::NewRule).unwrap_err();
    assert_eq!((error.meaning, error.code.as_str()), (Meaning::Unsupported, "SecretUnknown"));
}

#[test]
fn other_kept_actions_are_written_back_as_they_were() {
    let cognito = sdk::AuthenticateCognitoActionConfig::builder()
        .user_pool_arn("arn:aws:cognito-idp:eu-west-1:123456789012:userpool/p")
        .user_pool_client_id("c")
        .user_pool_domain("d")
        .authentication_request_extra_params("display", "page")
        .build();
    let jwt = sdk::JwtValidationActionConfig::builder()
        .jwks_endpoint("https://login.example.com/keys")
        .issuer("https://login.example.com")
        .build();
    let actions = vec![
        sdk::Action::builder()
            .r#type(sdk::ActionTypeEnum::AuthenticateCognito)
            .order(1)
            .authenticate_cognito_config(cognito)
            .build(),
        sdk::Action::builder()
            .r#type(sdk::ActionTypeEnum::JwtValidation)
            .order(2)
            .jwt_validation_config(jwt)
            .build(),
        *KeptAction::fixed_response(503).0,
    ];
    for destination in [Destination::ExistingRule, Destination::NewRule] {
        assert_eq!(actions_to(OPERATION, &read(actions.clone()), destination).unwrap(), actions);
    }
}

#[test]
fn an_action_of_an_unknown_type_is_never_written() {
    let unknown = sdk::Action::builder().r#type("teleport".into()).build();
    let actions = read(vec![unknown]);
    assert_eq!(actions[0].kind(), "teleport");
    let error = actions_to(OPERATION, &actions, Destination::ExistingRule).unwrap_err();
    assert_eq!(error.meaning, Meaning::Unsupported);
}

#[test]
fn every_condition_survives_the_way_there_and_back() {
    let conditions = vec![
        Condition::HostHeader(vec!["a.example.com".to_owned(), "*.example.org".to_owned()]),
        Condition::PathPattern(vec!["/img/*".to_owned()]),
        Condition::HttpRequestMethod(vec!["GET".to_owned()]),
        Condition::SourceIp(vec!["10.0.0.0/8".to_owned()]),
        Condition::HttpHeader { name: "X-Env".to_owned(), values: vec!["canary".to_owned()] },
        Condition::QueryString(vec![(Some("v".to_owned()), "2".to_owned()), (None, "debug".to_owned())]),
        Condition::Kept(KeptCondition::host_regex(["^a[0-9]+$".to_owned()])),
    ];
    let rule = rule_from(OPERATION, rule(vec![], conditions_to(&conditions))).unwrap();
    assert_eq!(rule.conditions, conditions);
}

#[test]
fn values_at_the_old_place_are_read() {
    let condition = sdk::RuleCondition::builder().field("path-pattern").values("/a").values("/b").build();
    let rule = rule_from(OPERATION, rule(vec![], vec![condition])).unwrap();
    assert_eq!(rule.conditions, [Condition::PathPattern(vec!["/a".to_owned(), "/b".to_owned()])]);
}

#[test]
fn regular_expressions_beside_values_are_kept_whole() {
    let config = sdk::HostHeaderConditionConfig::builder().values("a.example.com").regex_values("^b$");
    let condition = sdk::RuleCondition::builder().field("host-header").host_header_config(config.build());
    let condition = condition.build();
    let rule = rule_from(OPERATION, rule(vec![], vec![condition.clone()])).unwrap();
    assert_eq!(conditions_to(&rule.conditions), [condition]);
    assert!(matches!(&rule.conditions[0], Condition::Kept(kept) if kept.field() == "host-header"));
}

#[test]
fn the_default_rule_is_told_apart() {
    let default = sdk::Rule::builder().rule_arn(RULE).priority("default").is_default(true).build();
    assert_eq!(rule_from(OPERATION, default).unwrap().priority, RulePriority::Default);
    let broken = sdk::Rule::builder().rule_arn(RULE).priority("first").build();
    assert_eq!(rule_from(OPERATION, broken).unwrap_err().code, "IncompleteAnswer");
}
