//! The entry point of a Cell with all accepted spellings resolved
//! (`spec/okra.md` 2.0, 2.6.1).

use thiserror::Error;

use super::CellSpec;
use super::ingress::{AlbIngress, NlbIngress, TYPE_ALB, TYPE_NLB, TargetGroupSelector};
use crate::alb_config::AWSApplicationLoadBalancerConfigSpec;
use crate::load_balancer::{Forward, WeightedTargetGroup};
use crate::names::DEFAULT_VERSION_LABELS;
use crate::nlb_config::{AWSNetworkLoadBalancerConfigSpec, NlbListener};

/// The spec of a Cell cannot be carried out (`spec/okra.md` 2.6.1).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EntryError {
    /// No block for the type.
    #[error("spec.ingress.{0} is missing")]
    MissingBlock(&'static str),
    /// A type that okra does not know.
    #[error("spec.ingress.type {0:?} is unknown: use {TYPE_ALB} or {TYPE_NLB}")]
    UnknownType(String),
    /// Two spellings that contradict each other.
    #[error(
        "targetGroupSelector.versionLabels {labels:?} and spec.versionedBy.label {label:?} differ: set one of them"
    )]
    VersionLabels {
        /// The list.
        labels: Vec<String>,
        /// The single one.
        label: String,
    },
}

/// The entry point of a Cell.
#[derive(Clone, Debug, PartialEq)]
pub enum EntryPoint {
    /// A rule of an ALB listener.
    Alb(AlbIngress),
    /// The default action of an NLB listener.
    Nlb(NlbIngress),
}

/// Kind of the config object of an ALB entry.
pub const ALB_CONFIG_KIND: &str = "AWSApplicationLoadBalancerConfig";
/// Kind of the config object of an NLB entry.
pub const NLB_CONFIG_KIND: &str = "AWSNetworkLoadBalancerConfig";

impl CellSpec {
    /// The entry point, whichever spelling was used.
    ///
    /// # Errors
    /// When the type is unknown or its block is missing.
    pub fn entry_point(&self) -> Result<EntryPoint, EntryError> {
        let ingress = self.ingress.clone().unwrap_or_default();
        match ingress.type_.as_deref() {
            None | Some(TYPE_ALB) => {
                ingress.alb.map(EntryPoint::Alb).ok_or(EntryError::MissingBlock("awsApplicationLoadBalancer"))
            }
            Some(TYPE_NLB) => ingress
                .nlb
                .or_else(|| ingress.alb.map(nlb_of_documented_shape))
                .map(EntryPoint::Nlb)
                .ok_or(EntryError::MissingBlock("awsNetworkLoadBalancer")),
            Some(other) => Err(EntryError::UnknownType(other.to_owned())),
        }
    }

    /// Keys of the version label, in order of precedence.
    ///
    /// # Errors
    /// When both spellings are used and differ.
    pub fn version_labels(&self, entry: &EntryPoint) -> Result<Vec<String>, EntryError> {
        let labels = entry.selector().version_labels;
        let label = self.versioned_by.as_ref().and_then(|versioned_by| versioned_by.label.clone());
        match label.filter(|label| !label.is_empty()) {
            Some(label) if !labels.is_empty() && labels != [label.clone()] => {
                Err(EntryError::VersionLabels { labels, label })
            }
            Some(label) => Ok(vec![label]),
            None if labels.is_empty() => Ok(DEFAULT_VERSION_LABELS.map(str::to_owned).to_vec()),
            None => Ok(labels),
        }
    }

    /// Size of a complete set as it stands in the spec; 1 when it says nothing.
    pub fn stated_replicas(&self) -> i64 {
        let second_place = || self.ingress.as_ref().and_then(|ingress| ingress.replicas);
        self.replicas.or_else(second_place).unwrap_or(1)
    }
}

/// The documented example puts the NLB under the ALB's name.
fn nlb_of_documented_shape(alb: AlbIngress) -> NlbIngress {
    let forward = alb.listener.and_then(|listener| listener.rule).and_then(|rule| rule.forward);
    NlbIngress {
        listener_arn: alb.listener_arn,
        listener: forward.map(|forward| NlbListener { forward: Some(forward) }),
        target_group_selector: alb.target_group_selector,
    }
}

impl EntryPoint {
    /// Which AWSTargetGroups belong to the Cell.
    pub fn selector(&self) -> TargetGroupSelector {
        let selector = match self {
            Self::Alb(alb) => &alb.target_group_selector,
            Self::Nlb(nlb) => &nlb.target_group_selector,
        };
        selector.clone().unwrap_or_default()
    }

    /// Kind of the config object.
    pub fn config_kind(&self) -> &'static str {
        match self {
            Self::Alb(_) => ALB_CONFIG_KIND,
            Self::Nlb(_) => NLB_CONFIG_KIND,
        }
    }

    /// ARN of the listener.
    pub fn listener_arn(&self) -> &str {
        match self {
            Self::Alb(alb) => &alb.listener_arn,
            Self::Nlb(nlb) => &nlb.listener_arn,
        }
    }

    /// `app/NAME/ID` or `net/NAME/ID` of the load balancer, out of the listener's ARN.
    pub fn load_balancer(&self) -> Option<String> {
        let (_, resource) = self.listener_arn().split_once(":listener/")?;
        let (load_balancer, _listener) = resource.rsplit_once('/')?;
        Some(load_balancer.to_owned())
    }

    /// The ALB config's spec: conditions from the Cell, weights as given.
    /// Target groups that the Cell itself may name are not its to weigh.
    pub fn alb_config(
        alb: &AlbIngress,
        target_groups: Vec<WeightedTargetGroup>,
        overwrite: Option<String>,
    ) -> AWSApplicationLoadBalancerConfigSpec {
        let mut spec = AWSApplicationLoadBalancerConfigSpec {
            listener_arn: alb.listener_arn.clone(),
            listener: Some(alb.listener.clone().unwrap_or_default()),
            overwrite,
            ..Default::default()
        };
        spec.set_target_groups(target_groups);
        spec
    }

    /// The NLB config's spec: stickiness from the Cell, weights as given.
    pub fn nlb_config(
        nlb: &NlbIngress,
        target_groups: Vec<WeightedTargetGroup>,
        overwrite: Option<String>,
    ) -> AWSNetworkLoadBalancerConfigSpec {
        let mut spec = AWSNetworkLoadBalancerConfigSpec {
            listener_arn: nlb.listener_arn.clone(),
            listener: nlb.listener.clone(),
            overwrite,
            ..Default::default()
        };
        spec.set_target_groups(target_groups);
        spec
    }

    /// The action as the Cell states it, for its stickiness.
    pub fn forward(&self) -> Option<&Forward> {
        match self {
            Self::Alb(alb) => alb.listener.as_ref()?.rule.as_ref()?.forward.as_ref(),
            Self::Nlb(nlb) => nlb.listener.as_ref()?.forward.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(spec: Value) -> CellSpec {
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn h_02_a_missing_or_unknown_block_is_an_error() {
        let rows = [
            (json!({}), "spec.ingress.awsApplicationLoadBalancer is missing"),
            (
                json!({"ingress": {"awsNetworkLoadBalancer": {}}}),
                "spec.ingress.awsApplicationLoadBalancer is missing",
            ),
            (
                json!({"ingress": {"type": "AWSNetworkLoadBalancer"}}),
                "spec.ingress.awsNetworkLoadBalancer is missing",
            ),
            (
                json!({"ingress": {"type": "", "awsApplicationLoadBalancer": {}}}),
                "spec.ingress.type \"\" is unknown: use AWSApplicationLoadBalancer or AWSNetworkLoadBalancer",
            ),
            (
                json!({"ingress": {"type": "Envoy"}}),
                "spec.ingress.type \"Envoy\" is unknown: use AWSApplicationLoadBalancer or AWSNetworkLoadBalancer",
            ),
        ];
        for (value, expected) in rows {
            assert_eq!(spec(value).entry_point().unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn u_01_an_nlb_is_read_from_either_block() {
        let selector = json!({"matchLabels": {"role": "web"}});
        let block = json!({"listenerARN": "arn:aws:elasticloadbalancing:r:1:listener/net/web/1/2",
            "targetGroupSelector": selector});
        for name in ["awsNetworkLoadBalancer", "awsApplicationLoadBalancer"] {
            let entry = spec(json!({"ingress": {"type": "AWSNetworkLoadBalancer", name: block}}))
                .entry_point()
                .unwrap();
            assert_eq!(entry.config_kind(), NLB_CONFIG_KIND);
            assert_eq!(entry.load_balancer().as_deref(), Some("net/web/1"));
            assert_eq!(entry.selector().match_labels["role"], "web");
        }
    }

    #[test]
    fn u_04_the_version_label_has_two_spellings() {
        let labels = |labels: Value, versioned_by: Value| {
            let spec = spec(json!({
                "ingress": {"awsApplicationLoadBalancer": {"targetGroupSelector": {"versionLabels": labels}}},
                "versionedBy": versioned_by,
            }));
            spec.version_labels(&spec.entry_point().unwrap())
        };
        assert_eq!(labels(json!([]), json!({})).unwrap(), DEFAULT_VERSION_LABELS);
        assert_eq!(labels(json!(["a", "b"]), json!({})).unwrap(), ["a", "b"]);
        assert_eq!(labels(json!([]), json!({"label": "c"})).unwrap(), ["c"]);
        assert_eq!(labels(json!(["c"]), json!({"label": "c"})).unwrap(), ["c"]);
        assert_eq!(
            labels(json!(["a", "c"]), json!({"label": "c"})).unwrap_err().to_string(),
            "targetGroupSelector.versionLabels [\"a\", \"c\"] and spec.versionedBy.label \"c\" differ: set one of them"
        );
    }

    #[test]
    fn replicas_have_two_places_and_the_first_wins() {
        assert_eq!(spec(json!({})).stated_replicas(), 1);
        assert_eq!(spec(json!({"ingress": {"replicas": 3}})).stated_replicas(), 3);
        assert_eq!(spec(json!({"replicas": 2, "ingress": {"replicas": 3}})).stated_replicas(), 2);
        assert_eq!(spec(json!({"replicas": 0})).stated_replicas(), 0);
    }

    #[test]
    fn h_24_a_config_takes_its_conditions_from_the_cell_and_its_weights_from_the_plan() {
        let entry = spec(json!({"ingress": {"awsApplicationLoadBalancer": {
            "listenerARN": "arn", "listener": {"rule": {"priority": 10, "hosts": ["a"], "forward": {
                "targetGroups": [{"name": "mine", "weight": 100}],
                "stickiness": {"enabled": true, "durationSeconds": 60},
            }}},
        }}}))
        .entry_point()
        .unwrap();
        let EntryPoint::Alb(alb) = &entry else { panic!("not an ALB") };
        let group = WeightedTargetGroup { name: "a1".to_owned(), arn: "t".to_owned(), weight: Some(100) };
        let config = EntryPoint::alb_config(alb, vec![group], None);
        assert_eq!(
            serde_json::to_value(&config).unwrap(),
            json!({"listenerARN": "arn", "listener": {"rule": {"priority": 10, "hosts": ["a"], "forward": {
                "targetGroups": [{"name": "a1", "arn": "t", "weight": 100}],
                "stickiness": {"enabled": true, "durationSeconds": 60},
            }}}})
        );
    }
}
