//! A namespace as a map of objects, with the Cell controller's loop and a
//! load balancer that does at once what its config says.

#![allow(dead_code, reason = "each test file uses its part of the world")]

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use okra_api::analysis::Templates;
use okra_api::folder::Folder;
use okra_api::observe::{ConfigKind, observe};
use okra_api::write::{
    ComponentContext, ConfigObject, NewObject, blocklist, config_object, failed_component, new_object,
    status_patch,
};
use okra_api::{Cell, offline};
use okra_domain::cell::{Component, Observed, Plan};
use serde_json::{Value, json};

/// Plans until nothing is written any more; more plans than this never end.
const PLANS_MAX: usize = 40;

pub(crate) struct World {
    objects: BTreeMap<(String, String), Value>,
    failed: Vec<Component>,
    now: Timestamp,
    writes: usize,
}

impl World {
    /// One Cell `web` with these steps, one replica and nothing else.
    pub(crate) fn new(steps: &str) -> Self {
        let steps: Value = serde_json::from_str(steps).expect("steps are JSON");
        let mut world = Self {
            objects: BTreeMap::new(),
            failed: vec![],
            now: "2026-11-21T15:00:00Z".parse().expect("a time"),
            writes: 0,
        };
        world.put(json!({
            "apiVersion": "okra.mumo.co/v1alpha1", "kind": "Cell",
            "metadata": {"name": "web", "uid": "u1", "generation": 1},
            "spec": {
                "ingress": {"awsApplicationLoadBalancer": {
                    "listenerARN": "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/web/1/2",
                    "listener": {"rule": {"priority": 10, "hosts": ["web.example"]}},
                    "targetGroupSelector": {"matchLabels": {"role": "web"}},
                }},
                "updateStrategy": {"settleSeconds": 0, "canary": {"steps": steps}},
            },
        }));
        world
    }

    pub(crate) fn target_group(&mut self, name: &str, version: &str) {
        self.put(json!({
            "apiVersion": "okra.mumo.co/v1alpha1", "kind": "AWSTargetGroup",
            "metadata": {"name": name, "labels": {"role": "web", "okra.mumo.co/version": version}},
            "spec": {"arn": arn(name)}, "status": {"healthyTargets": 1, "registeredTargets": 1},
        }));
    }

    /// A config of the Cell that AWS shows, with healthy targets.
    pub(crate) fn config(&mut self, weights: &[(&str, i64)]) {
        let groups: Vec<Value> = weights
            .iter()
            .map(|(name, weight)| json!({"name": name, "arn": arn(name), "weight": weight}))
            .collect();
        self.put(json!({
            "apiVersion": "okra.mumo.co/v1alpha1", "kind": "AWSApplicationLoadBalancerConfig",
            "metadata": {"name": "web", "generation": 1, "ownerReferences": [owner()]},
            "spec": {
                "listenerARN": "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/web/1/2",
                "listener": {"rule": {"priority": 10, "hosts": ["web.example"], "forward": {"targetGroups": groups}}},
            },
        }));
        self.confirm();
    }

    pub(crate) fn patch_cell(&mut self, patch: &Value) {
        let mut cell = self.object("Cell", "web").clone();
        apply(&mut cell, patch);
        self.put(cell);
    }

    pub(crate) fn block(&mut self, version: &str) {
        self.put(json!({
            "apiVersion": "okra.mumo.co/v1alpha1", "kind": "VersionBlocklist", "metadata": {"name": "web"},
            "spec": {"items": [{"version": version, "cause": "AnalysisFailed"}]},
        }));
    }

    pub(crate) fn failed_run(&mut self, rollout_id: &str, step: usize) {
        self.put(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
            "metadata": {"name": format!("web-{rollout_id}-{step}"), "ownerReferences": [owner()], "labels": {
                "okra.mumo.co/rollout-id": rollout_id, "okra.mumo.co/step-index": step.to_string()}},
            "spec": {"metrics": [{"name": "m"}]}, "status": {"phase": "Failed"},
        }));
    }

    pub(crate) fn end_run(&mut self, name: &str, phase: &str) {
        let run = self.objects.get_mut(&("AnalysisRun".to_owned(), name.to_owned())).expect("the run exists");
        run["status"] = json!({"phase": phase, "message": "as the test says"});
    }

    pub(crate) fn pass_seconds(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    /// Plans and carries out once, and lets the load balancer follow.
    pub(crate) fn step(&mut self) {
        let (observed, plan) = self.plan();
        self.carry_out(&observed, &plan);
        self.confirm();
    }

    /// Until a plan writes nothing.
    pub(crate) fn settle(&mut self) {
        for _ in 0..PLANS_MAX {
            let before = self.writes;
            self.step();
            if self.writes == before {
                return;
            }
        }
        panic!("still writing after {PLANS_MAX} plans: {:#?}", self.plan().1.reasons);
    }

    pub(crate) fn writes_of_an_idle_plan(&mut self) -> usize {
        let before = self.writes;
        self.pass_seconds(1);
        self.step();
        self.writes - before
    }

    pub(crate) fn weights(&self) -> Vec<(&str, i64)> {
        let config = self.object("AWSApplicationLoadBalancerConfig", "web");
        let groups = config["spec"]["listener"]["rule"]["forward"]["targetGroups"].as_array();
        groups
            .expect("a config has target groups")
            .iter()
            .map(|group| {
                (group["name"].as_str().expect("a name"), group["weight"].as_i64().unwrap_or_default())
            })
            .collect()
    }

    pub(crate) fn positive_weights(&self) -> Vec<(&str, i64)> {
        self.weights().into_iter().filter(|(_, weight)| *weight > 0).collect()
    }

    pub(crate) fn phase(&self) -> &str {
        self.object("Cell", "web")["status"]["phase"].as_str().unwrap_or_default()
    }

    pub(crate) fn status(&self, field: &str) -> Value {
        self.object("Cell", "web")["status"][field].clone()
    }

    pub(crate) fn object(&self, kind: &str, name: &str) -> &Value {
        self.objects.get(&(kind.to_owned(), name.to_owned())).unwrap_or(&Value::Null)
    }

    pub(crate) fn names(&self, kind: &str) -> Vec<String> {
        self.objects.keys().filter(|(other, _)| other == kind).map(|(_, name)| name.clone()).collect()
    }

    fn put(&mut self, object: Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.objects.insert((text(&object["kind"]), text(&object["metadata"]["name"])), object);
    }

    fn plan(&self) -> (Observed, Plan) {
        let folder = Folder::from_objects(self.objects.values().cloned().collect());
        let mut view = offline::view(&folder, &folder.cells[0]);
        view.facts.failed_components = self.failed.clone();
        let observed = observe(&view);
        let plan = okra_domain::cell::plan(&observed, self.now);
        (observed, plan)
    }

    /// In the order that [`Plan`] states.
    fn carry_out(&mut self, observed: &Observed, plan: &Plan) {
        let cell: Cell = serde_json::from_value(self.object("Cell", "web").clone()).expect("a Cell");
        self.write_blocklist(&cell, plan, true);
        if plan.status_first {
            self.write_status(&cell, plan);
        }
        self.write_config(&cell, plan);
        self.write_components(&cell, observed, plan);
        self.write_blocklist(&cell, plan, false);
        if !plan.status_first {
            self.write_status(&cell, plan);
        }
    }

    fn write_blocklist(&mut self, cell: &Cell, plan: &Plan, unblock: bool) {
        let existing = serde_json::from_value(self.object("VersionBlocklist", "web").clone()).ok();
        let (block, unblock): (&[_], &[_]) = if unblock { (&[], &plan.unblock) } else { (&plan.block, &[]) };
        if let Some(list) = blocklist(cell, existing.as_ref(), block, unblock, self.now) {
            self.write(serde_json::to_value(list).expect("serialises"));
        }
    }

    fn write_status(&mut self, cell: &Cell, plan: &Plan) {
        if let Some(patch) = status_patch(cell, &plan.status) {
            let mut object = self.object("Cell", "web").clone();
            apply(&mut object, &patch);
            self.write(object);
        }
    }

    fn write_config(&mut self, cell: &Cell, plan: &Plan) {
        let Some(write) = &plan.config else { return };
        let existing = self.object("AWSApplicationLoadBalancerConfig", "web").clone();
        let generation = existing["metadata"]["generation"].as_i64().unwrap_or_default() + 1;
        let metadata = serde_json::from_value(existing["metadata"].clone()).ok();
        let object = config_object(cell, ConfigKind::Alb, metadata.as_ref(), write).expect("a config");
        let ConfigObject::Alb(object) = object else { panic!("the Cell is on an ALB") };
        let mut object = serde_json::to_value(object).expect("serialises");
        object["metadata"]["generation"] = generation.into();
        object["status"] = existing["status"].clone();
        self.write(object);
    }

    fn write_components(&mut self, cell: &Cell, observed: &Observed, plan: &Plan) {
        let template = json!({"metrics": [{"name": "m", "provider": {"web": {"url": "http://x"}}}]});
        let template = serde_json::from_value(template).expect("a template");
        let templates = Templates { namespaced: [("t".to_owned(), template)].into(), ..Templates::default() };
        let replica_sets = BTreeMap::new();
        for component in &plan.create {
            let context = ComponentContext {
                cell,
                observed,
                plan,
                now: self.now,
                templates: &templates,
                replica_sets: &replica_sets,
            };
            match new_object(&context, component) {
                Ok(NewObject::Pause(object)) => self.write(serde_json::to_value(object).expect("serialises")),
                Ok(NewObject::AnalysisRun(object)) => {
                    self.write(serde_json::to_value(object).expect("serialises"));
                }
                Ok(NewObject::Experiment(object)) => {
                    self.write(serde_json::to_value(object).expect("serialises"));
                }
                Err(error) => {
                    self.writes += 1;
                    self.failed.push(failed_component(component, "u1", &error, self.now));
                }
            }
        }
        for component in &plan.delete {
            self.writes += 1;
            self.objects.remove(&(component.kind.to_string(), component.name.clone()));
        }
    }

    fn write(&mut self, object: Value) {
        self.writes += 1;
        self.put(object);
    }

    /// AWS shows what the config says, and every target is healthy.
    fn confirm(&mut self) {
        let Some(config) =
            self.objects.get_mut(&("AWSApplicationLoadBalancerConfig".to_owned(), "web".to_owned()))
        else {
            return;
        };
        let generation = config["metadata"]["generation"].clone();
        if config["status"]["observedGeneration"] == generation {
            return;
        }
        let mut groups = config["spec"]["listener"]["rule"]["forward"]["targetGroups"].clone();
        for group in groups.as_array_mut().into_iter().flatten() {
            group["healthyTargets"] = 1.into();
        }
        config["status"] = json!({
            "phase": "Updated", "observedGeneration": generation, "weightsSince": self.now.to_string(),
            "targetGroups": groups,
        });
        self.writes += 1;
    }
}

fn arn(name: &str) -> String {
    format!("arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/{name}/1")
}

fn owner() -> Value {
    json!({"apiVersion": "okra.mumo.co/v1alpha1", "kind": "Cell", "name": "web", "uid": "u1"})
}

/// RFC 7396, without the resource version, which nobody here keeps.
fn apply(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().expect("an object").remove(key);
        } else {
            apply(&mut target[key.as_str()], value);
        }
    }
}
