//! The objects of a namespace or of many, sorted by kind: what a controller
//! has listed, and what a folder of manifests holds.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::lenient::{Lenient, Malformed};
use crate::manifests::group_kind;
use crate::names::{ARGO_GROUP, GROUP};
use crate::{
    AWSApplicationLoadBalancerConfig, AWSNetworkLoadBalancerConfig, AWSTargetGroup, AnalysisRun, Cell,
    Experiment, Pause, VersionBlocklist,
};

/// Objects that a plan looks at; each list in bytewise order of namespace and
/// name. A later object of one name replaces an earlier one.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    /// Cells.
    pub cells: Vec<Lenient<Cell>>,
    /// AWSTargetGroups.
    pub target_groups: Vec<Lenient<AWSTargetGroup>>,
    /// AWSApplicationLoadBalancerConfigs.
    pub alb_configs: Vec<Lenient<AWSApplicationLoadBalancerConfig>>,
    /// AWSNetworkLoadBalancerConfigs.
    pub nlb_configs: Vec<Lenient<AWSNetworkLoadBalancerConfig>>,
    /// Pauses.
    pub pauses: Vec<Lenient<Pause>>,
    /// AnalysisRuns.
    pub runs: Vec<Lenient<AnalysisRun>>,
    /// Experiments.
    pub experiments: Vec<Lenient<Experiment>>,
    /// VersionBlocklists.
    pub blocklists: Vec<Lenient<VersionBlocklist>>,
}

/// The namespace of a manifest that names none.
pub const NAMESPACE_DEFAULT: &str = "default";

impl Folder {
    /// Sorts objects by kind; kinds that no plan looks at are left out.
    pub fn from_objects(objects: Vec<Value>) -> Self {
        let mut by_kind: BTreeMap<(String, String), BTreeMap<(String, String), Value>> = BTreeMap::new();
        for mut object in objects {
            let (group, kind) = group_kind(&object);
            let group_kind = (group.to_owned(), kind.to_owned());
            let key = place(&mut object);
            by_kind.entry(group_kind).or_default().insert(key, object);
        }
        let mut take = |group: &str, kind: &str| {
            by_kind.remove(&(group.to_owned(), kind.to_owned())).unwrap_or_default().into_values().collect()
        };
        Self {
            cells: lenient(take(GROUP, "Cell")),
            target_groups: lenient(take(GROUP, "AWSTargetGroup")),
            alb_configs: lenient(take(GROUP, "AWSApplicationLoadBalancerConfig")),
            nlb_configs: lenient(take(GROUP, "AWSNetworkLoadBalancerConfig")),
            pauses: lenient(take(GROUP, "Pause")),
            runs: lenient(take(ARGO_GROUP, "AnalysisRun")),
            experiments: lenient(take(ARGO_GROUP, "Experiment")),
            blocklists: lenient(take(GROUP, "VersionBlocklist")),
        }
    }

    /// Everything that does not fit its kind, Cells excepted, whose plan says so.
    pub fn malformed(&self) -> Vec<(&'static str, &Malformed)> {
        fn of<'a, K>(kind: &'static str, objects: &'a [Lenient<K>]) -> Vec<(&'static str, &'a Malformed)> {
            objects.iter().filter_map(|object| Some((kind, object.malformed()?))).collect()
        }
        [
            of("AWSTargetGroup", &self.target_groups),
            of("AWSApplicationLoadBalancerConfig", &self.alb_configs),
            of("AWSNetworkLoadBalancerConfig", &self.nlb_configs),
            of("Pause", &self.pauses),
            of("AnalysisRun", &self.runs),
            of("Experiment", &self.experiments),
            of("VersionBlocklist", &self.blocklists),
        ]
        .concat()
    }
}

/// Namespace and name, with the default namespace written into the object.
fn place(object: &mut Value) -> (String, String) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return (NAMESPACE_DEFAULT.to_owned(), String::new());
    };
    let text = |metadata: &Map<String, Value>, name: &str| {
        metadata.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    if text(metadata, "namespace").is_empty() {
        metadata.insert("namespace".to_owned(), NAMESPACE_DEFAULT.into());
    }
    (text(metadata, "namespace"), text(metadata, "name"))
}

fn lenient<K: DeserializeOwned>(objects: Vec<Value>) -> Vec<Lenient<K>> {
    objects.into_iter().map(Lenient::from_value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifests::parse;

    #[test]
    fn objects_are_sorted_and_a_later_one_wins() {
        let text = "
apiVersion: okra.mumo.co/v1alpha1
kind: AWSTargetGroup
metadata: {name: b}
---
apiVersion: okra.mumo.co/v1alpha1
kind: AWSTargetGroup
metadata: {name: a, namespace: default}
spec: {arn: old}
---
apiVersion: okra.mumoshu.github.io/v1alpha1
kind: AWSTargetGroup
metadata: {name: a}
spec: {arn: new}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisRun
metadata: {name: r}
spec: {metrics: 3}
---
apiVersion: okra.mumo.co/v1alpha1
kind: Cell
metadata: nonsense
";
        let folder = Folder::from_objects(parse(text).unwrap());
        let arns: Vec<&str> =
            folder.target_groups.iter().map(|group| group.valid().unwrap().spec.arn.as_str()).collect();
        assert_eq!(arns, ["new", ""]);
        let malformed: Vec<(&str, &str)> =
            folder.malformed().iter().map(|(kind, object)| (*kind, object.error.path.as_str())).collect();
        assert_eq!(malformed, [("AnalysisRun", "spec.metrics")]);
        assert!(folder.cells[0].malformed().is_some());
    }
}
