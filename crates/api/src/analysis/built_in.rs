//! The `okra.*` arguments, which spare queries their hand-made plumbing
//! (`spec/analysis.md` 1.5).

use std::collections::BTreeMap;

use jiff::Timestamp;

/// One side of a rollout, as its target groups show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SideFacts {
    /// Version in canonical text; empty when there is no such side.
    pub version: String,
    /// Clusters, in bytewise order of name.
    pub clusters: Vec<String>,
    /// ARNs of the target groups, in bytewise order of the AWSTargetGroups' names.
    pub target_group_arns: Vec<String>,
}

/// What is known when a run is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFacts {
    /// Name of the Cell.
    pub cell: String,
    /// Namespace of the Cell.
    pub namespace: String,
    /// Identity of the rollout.
    pub rollout_id: String,
    /// Step index, or `bg`.
    pub step: String,
    /// Percent of the new version.
    pub weight: i64,
    /// When the run is created.
    pub started_at: Timestamp,
    /// ARN of the listener.
    pub listener_arn: String,
    /// `app/NAME/ID`.
    pub load_balancer: String,
    /// The version that serves.
    pub stable: SideFacts,
    /// The version that is rolled out.
    pub canary: SideFacts,
}

/// The arguments by name.
pub fn built_in_arguments(facts: &RunFacts) -> BTreeMap<String, String> {
    let mut arguments = BTreeMap::from([
        ("okra.cell".to_owned(), facts.cell.clone()),
        ("okra.namespace".to_owned(), facts.namespace.clone()),
        ("okra.rolloutID".to_owned(), facts.rollout_id.clone()),
        ("okra.step".to_owned(), facts.step.clone()),
        ("okra.weight".to_owned(), facts.weight.to_string()),
        ("okra.startedAt".to_owned(), facts.started_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        ("okra.listenerARN".to_owned(), facts.listener_arn.clone()),
        ("okra.loadBalancer".to_owned(), facts.load_balancer.clone()),
    ]);
    for (side, facts) in [("stable", &facts.stable), ("canary", &facts.canary)] {
        let groups: Vec<String> = facts.target_group_arns.iter().map(|arn| target_group_of(arn)).collect();
        let first = |items: &[String]| items.first().cloned().unwrap_or_default();
        arguments.extend([
            (format!("okra.{side}.version"), facts.version.clone()),
            (format!("okra.{side}.clusters"), facts.clusters.join(",")),
            (format!("okra.{side}.cluster"), first(&facts.clusters)),
            (format!("okra.{side}.targetGroupARNs"), facts.target_group_arns.join(",")),
            (format!("okra.{side}.targetGroups"), groups.join(",")),
            (format!("okra.{side}.targetGroup"), first(&groups)),
        ]);
    }
    arguments
}

/// `targetgroup/NAME/ID` out of an ARN, as CloudWatch names the group.
pub fn target_group_of(arn: &str) -> String {
    arn.rsplit(':').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_joined_and_their_first_is_singled_out() {
        let arn = |name: &str| format!("arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/{name}/1");
        let facts = RunFacts {
            cell: "web".to_owned(),
            namespace: "ns".to_owned(),
            rollout_id: "r1".to_owned(),
            step: "2".to_owned(),
            weight: 10,
            started_at: "2026-11-21T15:00:00.25Z".parse().unwrap(),
            listener_arn: "arn:l".to_owned(),
            load_balancer: "app/web/1".to_owned(),
            stable: SideFacts::default(),
            canary: SideFacts {
                version: "2.0.0".to_owned(),
                clusters: vec!["c1".to_owned(), "c2".to_owned()],
                target_group_arns: vec![arn("b1"), arn("b2")],
            },
        };
        let arguments = built_in_arguments(&facts);
        assert_eq!(arguments.len(), 20);
        assert_eq!(arguments["okra.canary.clusters"], "c1,c2");
        assert_eq!(arguments["okra.canary.cluster"], "c1");
        assert_eq!(arguments["okra.canary.targetGroups"], "targetgroup/b1/1,targetgroup/b2/1");
        assert_eq!(arguments["okra.canary.targetGroup"], "targetgroup/b1/1");
        assert_eq!(arguments["okra.stable.targetGroup"], "");
        assert_eq!(arguments["okra.startedAt"], "2026-11-21T15:00:00Z");
    }
}
