//! What the jobs of an old cluster say about letting it go
//! (`retirementGates.jobs`; SC-07 to SC-09 of `spec/aws.md` 8).

use kube::ResourceExt as _;
use kube::core::DynamicObject;

use super::readiness::{is_failed, is_finished};

/// Jobs that one note names before it is cut.
const NAMED_MAX: usize = 3;
/// Label that EMR on EKS puts on the pods of its jobs.
const LABEL_VIRTUAL_CLUSTER: &str = "emr-containers.amazonaws.com/virtual-cluster-id";

/// The Jobs and Pods that a gate selects in one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jobs {
    /// How many are not finished.
    pub unfinished: u32,
    /// What people should know: which hold the cluster, which failed, and
    /// whether somebody else sends new ones there.
    pub notes: Vec<String>,
}

impl Jobs {
    /// From the objects of a gate, in order of kind and name.
    pub fn of<'a>(objects: impl Iterator<Item = (&'a str, &'a DynamicObject)> + Clone) -> Self {
        let name = |(kind, object): (&str, &DynamicObject)| {
            format!("{kind} {}/{}", object.namespace().unwrap_or_default(), object.name_any())
        };
        let running: Vec<String> =
            objects.clone().filter(|(kind, object)| !is_finished(kind, object)).map(name).collect();
        let failed: Vec<String> =
            objects.clone().filter(|(kind, object)| is_failed(kind, object)).map(name).collect();
        let mut registered: Vec<&str> = objects
            .filter_map(|(_, object)| Some(object.labels().get(LABEL_VIRTUAL_CLUSTER)?.as_str()))
            .collect();
        registered.sort_unstable();
        registered.dedup();
        let mut notes = Vec::new();
        notes.extend(listed(&running).map(|names| format!("{names} not finished")));
        notes.extend(listed(&failed).map(|names| format!("{names} failed")));
        notes.extend(registered.iter().map(|id| {
            format!("EMR virtual cluster {id} is still registered here, and sends new jobs: register one at the new cluster")
        }));
        Self { unfinished: u32::try_from(running.len()).unwrap_or(u32::MAX), notes }
    }
}

fn listed(names: &[String]) -> Option<String> {
    let more = names.len().saturating_sub(NAMED_MAX);
    let shown = names.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    match (names.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(shown),
        (false, more) => Some(format!("{shown} and {more} more")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(name: &str, labels: Value, status: Value) -> DynamicObject {
        let metadata = json!({"name": name, "namespace": "spark", "labels": labels});
        serde_json::from_value(json!({"metadata": metadata, "status": status})).unwrap()
    }

    fn jobs(objects: &[(&'static str, DynamicObject)]) -> Jobs {
        Jobs::of(objects.iter().map(|(kind, object)| (*kind, object)))
    }

    #[test]
    fn what_holds_and_what_failed_is_named() {
        let pod = |name: &str, phase: &str| ("Pod", object(name, json!({}), json!({"phase": phase})));
        let failed =
            ("Job", object("etl", json!({}), json!({"conditions": [{"type": "Failed", "status": "True"}]})));
        let seen = jobs(&[failed, pod("driver", "Running"), pod("done", "Succeeded"), pod("lost", "Failed")]);
        assert_eq!(seen.unfinished, 1);
        assert_eq!(seen.notes, ["Pod spark/driver not finished", "Job spark/etl, Pod spark/lost failed"]);
        let many: Vec<_> = (0..5).map(|index| pod(&format!("p{index}"), "Pending")).collect();
        assert_eq!(jobs(&many).notes, ["Pod spark/p0, Pod spark/p1, Pod spark/p2 and 2 more not finished"]);
        assert_eq!(jobs(&[]), Jobs::default());
    }

    #[test]
    fn sc_09_a_virtual_cluster_of_emr_is_named_also_when_its_jobs_have_ended() {
        let labels = json!({LABEL_VIRTUAL_CLUSTER: "abc123"});
        let pod = |name: &str| ("Pod", object(name, labels.clone(), json!({"phase": "Succeeded"})));
        let seen = jobs(&[pod("driver"), pod("executor")]);
        assert_eq!((seen.unfinished, seen.notes.len()), (0, 1));
        assert!(seen.notes[0].starts_with("EMR virtual cluster abc123 is still registered here"), "{seen:?}");
    }
}
