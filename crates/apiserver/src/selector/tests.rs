use super::{FieldSelector, LabelSelector};
use proptest::prelude::*;
use serde_json::json;

fn selects(text: &str, labels: serde_json::Value) -> bool {
    LabelSelector::parse(text).unwrap().matches(&json!({"metadata": {"labels": labels}}))
}

fn refusal(text: &str) -> String {
    LabelSelector::parse(text).unwrap_err().to_string()
}

#[test]
fn every_label_operator() {
    assert!(selects("a=b", json!({"a": "b"})));
    assert!(selects("a == b", json!({"a": "b"})));
    assert!(!selects("a=b", json!({})));
    assert!(selects("a in (x, y)", json!({"a": "y"})));
    assert!(!selects("a in (x,y)", json!({"a": "z"})));
    assert!(selects("a notin (x)", json!({"a": "z"})));
    assert!(selects("a", json!({"a": ""})));
    assert!(!selects("!a", json!({"a": ""})));
    assert!(selects("!a", json!({})));
    assert!(selects("a>1,a<3", json!({"a": "2"})));
    assert!(!selects("a>1", json!({"a": "x"})));
    assert!(selects("a=", json!({"a": ""})));
    assert!(selects("a in ()", json!({"a": ""})));
    assert!(selects("a in (,x)", json!({"a": ""})));
    assert!(selects("in in (in)", json!({"in": "in"})));
    assert!(selects("", json!({})));
    assert!(selects("a=b,c", json!({"a": "b", "c": "d"})));
    assert!(!selects("a=b,c", json!({"a": "b"})));
}

#[test]
fn corner_49_not_equal_includes_objects_without_the_label() {
    assert!(selects("a!=b", json!({})));
    assert!(selects("a notin (b)", json!({})));
    assert!(LabelSelector::parse("a!=b").unwrap().matches(&json!({"metadata": {}})));
    assert!(!selects("a!=b", json!({"a": "b"})));
}

#[test]
fn label_parse_errors_are_upstream_texts() {
    assert_eq!(
        refusal("a b"),
        "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"
    );
    assert_eq!(refusal("a in (x"), "unable to parse requirement: found '', expected: ',' or ')'");
    assert_eq!(refusal("a,"), "found '', expected: identifier after ','");
    assert_eq!(refusal("!a=b"), "found '=', expected: ',' or 'end of string'");
    assert!(
        refusal("/x=y")
            .starts_with(r#"unable to parse requirement: <nil>: Invalid value: "/x": prefix part"#)
    );
    let value = refusal("a=-b");
    assert!(
        value.starts_with(r#"unable to parse requirement: values[0][a]: Invalid value: "-b": a valid label"#),
        "{value}"
    );
    assert!(refusal("a>x").contains("the value must be an integer"));
}

#[test]
fn structured_selectors() {
    let selector = json!({"matchLabels": {"a": "b"}, "matchExpressions": [
        {"key": "c", "operator": "NotIn", "values": ["d"]}, {"key": "e", "operator": "DoesNotExist"}]});
    let selector = LabelSelector::from_object(&selector).unwrap();
    assert!(selector.matches(&json!({"metadata": {"labels": {"a": "b"}}})));
    assert!(!selector.matches(&json!({"metadata": {"labels": {"a": "b", "c": "d"}}})));
    assert!(!selector.matches(&json!({"metadata": {"labels": {"a": "b", "e": ""}}})));
    assert!(LabelSelector::from_object(&json!({})).unwrap().is_empty());
    let broken = json!({"matchExpressions": [{"key": "a", "operator": "Like"}]});
    assert_eq!(
        LabelSelector::from_object(&broken).unwrap_err().to_string(),
        "\"Like\" is not a valid label selector operator"
    );
}

#[test]
fn field_selectors() {
    let object = json!({"metadata": {"name": "n"}, "spec": {"on": true, "n": 3}});
    let selects = |text: &str| FieldSelector::parse(text).unwrap().matches(&object);
    assert!(selects("metadata.name=n,spec.on==true,spec.n!=4"));
    assert!(!selects("metadata.name=m"));
    assert!(selects("status.phase="));
    assert!(selects("status.phase!=x"));
    let escaped = FieldSelector::parse(r"a=x\,y\=z\\").unwrap();
    assert_eq!(escaped.pinned("a"), Some(r"x,y=z\"));
    assert_eq!(FieldSelector::parse("a!=b").unwrap().pinned("a"), None);
    assert_eq!(
        FieldSelector::parse("foo").unwrap_err().to_string(),
        "invalid selector: 'foo'; can't understand 'foo'"
    );
    assert_eq!(FieldSelector::parse("a=b,c!=d").unwrap().fields().collect::<Vec<_>>(), ["a", "c"]);
}

proptest! {
    #[test]
    fn no_text_makes_the_parsers_panic(text in "[ab=!(),><\\\\ .inot/-]{0,24}|\\PC{0,24}") {
        if let Ok(selector) = LabelSelector::parse(&text) {
            selector.matches(&json!({"metadata": {"labels": {"a": "1"}}}));
        }
        if let Ok(selector) = FieldSelector::parse(&text) {
            selector.matches(&json!({"metadata": {"name": "a"}}));
        }
    }
}
