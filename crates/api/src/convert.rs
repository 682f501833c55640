//! Old and documented spellings, rewritten to those that are stored
//! (`spec/okra.md` 2.0). Works on JSON, so that fields that okra does not know
//! survive; what a spelling means never changes.

use serde_json::{Map, Value, json};

use crate::cell::{TYPE_ALB, TYPE_NLB};
use crate::manifests::group_kind;
use crate::names::{CLUSTERSET_GROUP, DOCUMENTED_GROUP, GROUP};

/// An object in the stored spelling, and what was changed, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Converted {
    /// The object.
    pub object: Value,
    /// What was changed, in the order in which it was.
    pub changes: Vec<String>,
}

/// What `setWeight` shall mean in Cells that do not say it; written out, so
/// that no reader has to guess (`spec/okra.md` 2.6.4).
pub type StatedWeightMode = Option<&'static str>;

/// Rewrites one object. Objects of other groups come back as they are.
pub fn convert(mut object: Value, weight_mode: StatedWeightMode) -> Converted {
    let mut changes = Vec::new();
    group(&mut object, &mut changes);
    let (own, kind) = group_kind(&object);
    let (own, kind) = (own == GROUP, kind.to_owned());
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut).filter(|_| own) {
        match kind.as_str() {
            "ClusterSet" => cluster_set(spec, &mut changes),
            "Cell" => cell(spec, weight_mode, &mut changes),
            "AWSApplicationLoadBalancerConfig" => alb_config(spec, &mut changes),
            _ => {}
        }
    }
    Converted { object, changes }
}

fn group(object: &mut Value, changes: &mut Vec<String>) {
    let version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let Some((old, version)) = version.split_once('/') else { return };
    if old == DOCUMENTED_GROUP || old == CLUSTERSET_GROUP {
        changes.push(format!("apiVersion {old}/{version} is {GROUP}/v1alpha1"));
        object["apiVersion"] = format!("{GROUP}/v1alpha1").into();
    }
}

/// Puts a value where nothing is; what is there already wins.
fn put(object: &mut Map<String, Value>, path: &[&str], value: Value) {
    let Some((last, above)) = path.split_last() else { return };
    let mut place = object;
    for name in above {
        let next = place.entry((*name).to_owned()).or_insert_with(|| json!({}));
        let Some(next) = next.as_object_mut() else { return };
        place = next;
    }
    place.entry((*last).to_owned()).or_insert(value);
}

/// The object at a path.
fn at<'a>(object: &'a mut Map<String, Value>, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    let mut place = object;
    for name in path {
        place = place.get_mut(*name)?.as_object_mut()?;
    }
    Some(place)
}

fn cluster_set(spec: &mut Map<String, Value>, changes: &mut Vec<String>) {
    for generator in spec.get_mut("generators").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(awseks) = generator.get_mut("awseks").and_then(Value::as_object_mut) else { continue };
        if let Some(selector) = awseks.remove("clusterSelector") {
            changes.push("awseks.clusterSelector is awseks.selector".to_owned());
            let tags = selector.get("matchTags").and_then(Value::as_object).cloned().unwrap_or_default();
            for (key, value) in tags {
                put(awseks, &["selector", "matchTags", &key], value);
            }
        }
    }
    let older = spec.get("selector").and_then(|selector| selector.get("eksTags")).cloned();
    if let Some(tags) = older {
        changes.push("selector.eksTags is a generator awseks".to_owned());
        spec.remove("selector");
        let generators = spec.entry("generators").or_insert_with(|| json!([]));
        if let Some(generators) = generators.as_array_mut() {
            generators.push(json!({"awseks": {"selector": {"matchTags": tags}}}));
        }
    }
}

fn alb_config(spec: &mut Map<String, Value>, changes: &mut Vec<String>) {
    let Some(groups) = spec.remove("forwardTargetGroups") else { return };
    changes.push("forwardTargetGroups is listener.rule.forward.targetGroups".to_owned());
    put(spec, &["listener", "rule", "forward", "targetGroups"], groups);
}

fn cell(spec: &mut Map<String, Value>, weight_mode: StatedWeightMode, changes: &mut Vec<String>) {
    if let Some(replicas) = at(spec, &["ingress"]).and_then(|ingress| ingress.remove("replicas")) {
        changes.push("ingress.replicas is replicas".to_owned());
        put(spec, &["replicas"], replicas);
    }
    network_block(spec, changes);
    version_label(spec, changes);
    weights(spec, weight_mode, changes);
}

/// The documented example puts the NLB under the name of the ALB.
fn network_block(spec: &mut Map<String, Value>, changes: &mut Vec<String>) {
    let Some(ingress) = at(spec, &["ingress"]) else { return };
    let kind = ingress.get("type").and_then(Value::as_str).unwrap_or(TYPE_ALB);
    if kind != TYPE_NLB || ingress.contains_key("awsNetworkLoadBalancer") {
        return;
    }
    let Some(mut block) = ingress.remove("awsApplicationLoadBalancer") else { return };
    changes.push("the NLB stands under ingress.awsNetworkLoadBalancer".to_owned());
    let rule = block.get_mut("listener").and_then(Value::as_object_mut).and_then(|one| one.remove("rule"));
    if let (Some(forward), Some(block)) =
        (rule.and_then(|rule| rule.get("forward").cloned()), block.as_object_mut())
    {
        put(block, &["listener", "forward"], forward);
    }
    ingress.insert("awsNetworkLoadBalancer".to_owned(), block);
}

/// Two spellings that differ are left: that is an error which the Cell reports.
fn version_label(spec: &mut Map<String, Value>, changes: &mut Vec<String>) {
    let label = spec.get("versionedBy").and_then(|by| by.get("label")).cloned();
    let Some(label) = label else { return };
    let kind = spec.get("ingress").and_then(|ingress| ingress.get("type")).and_then(Value::as_str);
    let block = if kind == Some(TYPE_NLB) { "awsNetworkLoadBalancer" } else { "awsApplicationLoadBalancer" };
    let Some(block) = at(spec, &["ingress", block]) else { return };
    let stated = block.get("targetGroupSelector").and_then(|selector| selector.get("versionLabels"));
    let wanted = json!([label]);
    if stated.is_some_and(|stated| *stated != wanted && *stated != json!([])) {
        return;
    }
    put(block, &["targetGroupSelector", "versionLabels"], wanted);
    spec.remove("versionedBy");
    changes.push("versionedBy.label is targetGroupSelector.versionLabels".to_owned());
}

/// `stepWeight` adds to what is reached: the same totals as absolute weights,
/// where no `setWeight` of unknown meaning stands beside it.
fn weights(spec: &mut Map<String, Value>, weight_mode: StatedWeightMode, changes: &mut Vec<String>) {
    let Some(canary) = at(spec, &["updateStrategy", "canary"]) else { return };
    let mode = canary.get("weightMode").and_then(Value::as_str).map(str::to_owned);
    let Some(steps) = canary.get_mut("steps").and_then(Value::as_array_mut) else { return };
    let has = |steps: &[Value], field: &str| steps.iter().any(|step| step.get(field).is_some());
    let sets = has(steps, "setWeight");
    if has(steps, "stepWeight") && (!sets || mode.is_some()) {
        absolute(steps, mode.as_deref() == Some("Incremental"));
        changes.push("stepWeight is setWeight with weightMode Absolute".to_owned());
        canary.insert("weightMode".to_owned(), json!("Absolute"));
    } else if let (true, None, Some(stated)) = (sets, mode, weight_mode) {
        changes.push(format!("weightMode is stated: {stated}"));
        canary.insert("weightMode".to_owned(), json!(stated));
    }
}

/// Writes the totals of `spec/okra.md` 2.6.4 as `setWeight`.
fn absolute(steps: &mut [Value], incremental: bool) {
    let mut total: i64 = 0;
    for step in steps.iter_mut().filter_map(Value::as_object_mut) {
        let number = |step: &Map<String, Value>, field: &str| step.get(field).and_then(Value::as_i64);
        let reached = match (number(step, "stepWeight"), number(step, "setWeight")) {
            (Some(added), _) => total.saturating_add(added),
            (None, Some(set)) if incremental => total.saturating_add(set),
            (None, Some(set)) => set,
            (None, None) => continue,
        };
        total = reached.clamp(0, 100).max(total);
        step.remove("stepWeight");
        step.insert("setWeight".to_owned(), json!(total));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifests::parse_as_written;
    use crate::observe::domain_spec;
    use crate::{AWSApplicationLoadBalancerConfig, Cell, ClusterSet};
    use okra_domain::cell::WeightMode;

    fn one(text: &str, mode: StatedWeightMode) -> Converted {
        convert(parse_as_written(text).unwrap().remove(0), mode)
    }

    const CELL: &str = "
apiVersion: okra.mumoshu.github.io/v1alpha1
kind: Cell
metadata: {name: web, annotations: {kept: as it is}}
spec:
  unknown: stays
  versionedBy: {label: example.com/version}
  ingress:
    replicas: 2
    awsApplicationLoadBalancer:
      listenerARN: l
      targetGroupSelector: {matchLabels: {role: web}}
  updateStrategy:
    canary:
      steps: [{stepWeight: 10}, {pause: {duration: 5s}}, {stepWeight: 20}, {analysis: {templates: [{templateName: t}]}}]
";

    #[test]
    fn a_cell_in_old_spellings() {
        insta::assert_yaml_snapshot!(one(CELL, None).object);
        insta::assert_yaml_snapshot!(one(CELL, None).changes);
    }

    #[test]
    fn what_a_cell_means_stays() {
        let read = |object: Value| {
            let cell: Cell = serde_json::from_value(object).unwrap();
            let spec = domain_spec(&cell.spec, WeightMode::Absolute);
            let totals: Vec<u8> =
                (0..spec.steps.len()).map(|index| spec.steps.percent_through(index)).collect();
            (spec.replicas, totals, cell.spec.version_labels(&cell.spec.entry_point().unwrap()).unwrap())
        };
        let written = parse_as_written(CELL).unwrap().remove(0);
        assert_eq!(read(written.clone()), read(convert(written, None).object));
        let labels = vec!["example.com/version".to_owned()];
        assert_eq!(read(one(CELL, None).object), (2, vec![10, 10, 30, 30], labels));
    }

    #[test]
    fn what_is_converted_needs_no_second_time() {
        let again = convert(one(CELL, Some("Incremental")).object, Some("Incremental"));
        assert_eq!(again.changes, Vec::<String>::new());
        assert_eq!(again.object, one(CELL, None).object);
    }

    #[test]
    fn the_meaning_of_set_weight_is_only_stated_when_asked_for() {
        let cell = "apiVersion: okra.mumo.co/v1alpha1\nkind: Cell\nspec: {updateStrategy: {canary: {steps: [{setWeight: 20}, {setWeight: 40}]}}}";
        assert!(one(cell, None).changes.is_empty());
        let stated = one(cell, Some("Incremental")).object;
        assert_eq!(stated["spec"]["updateStrategy"]["canary"]["weightMode"], "Incremental");
        assert_eq!(stated["spec"]["updateStrategy"]["canary"]["steps"][1]["setWeight"], 40);
    }

    #[test]
    fn contradicting_version_labels_are_left_for_the_cell_to_report() {
        let changed = CELL.replace("matchLabels: {role: web}", "versionLabels: [other]");
        let converted = one(&changed, None).object;
        assert_eq!(converted["spec"]["versionedBy"]["label"], "example.com/version");
    }

    #[test]
    fn cluster_sets_of_three_ages_become_one_shape() {
        let documented = "apiVersion: okra.mumo.co/v1alpha1\nkind: ClusterSet\nspec: {generators: [{awseks: {clusterSelector: {matchTags: {a: b}}}}]}";
        let older =
            "apiVersion: clusterset.mumo.co/v1alpha1\nkind: ClusterSet\nspec: {selector: {eksTags: {a: b}}}";
        let stored = "apiVersion: okra.mumo.co/v1alpha1\nkind: ClusterSet\nspec: {generators: [{awseks: {selector: {matchTags: {a: b}}}}]}";
        let wanted = one(stored, None);
        assert!(wanted.changes.is_empty());
        for text in [documented, older] {
            assert_eq!(one(text, None).object, wanted.object);
            let set: ClusterSet = serde_json::from_value(json!({
                "apiVersion": "okra.mumo.co/v1alpha1", "kind": "ClusterSet", "metadata": {},
                "spec": one(text, None).object["spec"],
            }))
            .unwrap();
            assert_eq!(set.spec.sources()[0].match_tags().get("a").map(String::as_str), Some("b"));
        }
    }

    #[test]
    fn flat_target_groups_and_a_misplaced_nlb_find_their_place() {
        let flat = "apiVersion: okra.mumo.co/v1alpha1\nkind: AWSApplicationLoadBalancerConfig\nmetadata: {}\nspec: {listenerARN: l, forwardTargetGroups: [{name: a, arn: x, weight: 100}]}";
        let converted = one(flat, None).object;
        assert_eq!(converted["spec"]["listener"]["rule"]["forward"]["targetGroups"][0]["name"], "a");
        let config: AWSApplicationLoadBalancerConfig = serde_json::from_value(converted).unwrap();
        assert_eq!(config.spec.target_groups().len(), 1);
        let misplaced = "apiVersion: okra.mumo.co/v1alpha1\nkind: Cell\nspec: {ingress: {type: AWSNetworkLoadBalancer, awsApplicationLoadBalancer: {listenerARN: l}}}";
        let converted = one(misplaced, None).object;
        assert_eq!(converted["spec"]["ingress"]["awsNetworkLoadBalancer"]["listenerARN"], "l");
        assert!(converted["spec"]["ingress"].get("awsApplicationLoadBalancer").is_none());
    }

    #[test]
    fn foreign_objects_come_back_as_they_are() {
        let secret = "apiVersion: v1\nkind: Secret\nspec: {versionedBy: {label: x}}";
        let converted = one(secret, Some("Absolute"));
        assert!(converted.changes.is_empty());
        assert_eq!(converted.object["spec"]["versionedBy"]["label"], "x");
    }
}
