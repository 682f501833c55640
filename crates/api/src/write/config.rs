//! The load balancer config that a plan asks for.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use okra_domain::cell::{ConfigWrite, DeletionPolicy, Overwrite, PlannedEntry};

use super::owner_reference;
use crate::alb_config::{AWSApplicationLoadBalancerConfig, AWSApplicationLoadBalancerConfigSpec};
use crate::cell::Cell;
use crate::lenient::{DecodeError, decode};
use crate::load_balancer::{OVERWRITE_ALWAYS, WeightedTargetGroup};
use crate::nlb_config::{AWSNetworkLoadBalancerConfig, AWSNetworkLoadBalancerConfigSpec};
use crate::observe::ConfigKind;

/// A config of either kind, to be created, or to replace what is there: it
/// then carries the resource version that was read.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigObject {
    /// For an ALB.
    Alb(Box<AWSApplicationLoadBalancerConfig>),
    /// For an NLB.
    Nlb(Box<AWSNetworkLoadBalancerConfig>),
}

/// The config to write. `existing` is the metadata of the config that the
/// plan was made from, if there is one.
///
/// # Errors
/// When the listener part does not have the shape of a config's spec; it does
/// when it comes from [`crate::observe::observe`].
pub fn config_object(
    cell: &Cell,
    kind: ConfigKind,
    existing: Option<&ObjectMeta>,
    write: &ConfigWrite,
) -> Result<ConfigObject, DecodeError> {
    let metadata = metadata(cell, existing, write);
    let overwrite = write.overwrite.as_ref().map(|overwrite| match overwrite {
        Overwrite::Always => OVERWRITE_ALWAYS.to_owned(),
        Overwrite::Drift(id) => id.clone(),
    });
    let groups = write.entries.iter().map(weighted).collect();
    // Retain is what an absent policy means.
    let policy = Some(write.deletion_policy).filter(|policy| *policy != DeletionPolicy::Retain);
    let deletion_policy = policy.map(|policy| policy.to_string());
    let listener = write.listener.value.clone();
    Ok(match kind {
        ConfigKind::Alb => {
            let spec: AWSApplicationLoadBalancerConfigSpec = decode_spec(listener)?;
            let mut spec = AWSApplicationLoadBalancerConfigSpec { overwrite, deletion_policy, ..spec };
            spec.set_target_groups(groups);
            ConfigObject::Alb(Box::new(AWSApplicationLoadBalancerConfig { metadata, spec, status: None }))
        }
        ConfigKind::Nlb => {
            let spec: AWSNetworkLoadBalancerConfigSpec = decode_spec(listener)?;
            let mut spec = AWSNetworkLoadBalancerConfigSpec { overwrite, deletion_policy, ..spec };
            spec.set_target_groups(groups);
            ConfigObject::Nlb(Box::new(AWSNetworkLoadBalancerConfig { metadata, spec, status: None }))
        }
    })
}

fn decode_spec<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T, DecodeError> {
    decode(serde_json::json!({"spec": value})).map(|spec: Spec<T>| spec.spec)
}

#[derive(serde::Deserialize)]
struct Spec<T> {
    spec: T,
}

fn weighted(entry: &PlannedEntry) -> WeightedTargetGroup {
    WeightedTargetGroup {
        name: entry.name.clone(),
        arn: entry.arn.clone(),
        weight: Some(entry.weight.into()),
    }
}

fn metadata(cell: &Cell, existing: Option<&ObjectMeta>, write: &ConfigWrite) -> ObjectMeta {
    let mut metadata = existing.filter(|_| !write.create).cloned().unwrap_or_else(|| ObjectMeta {
        name: cell.metadata.name.clone(),
        namespace: cell.metadata.namespace.clone(),
        ..ObjectMeta::default()
    });
    if write.create || write.take_ownership {
        let owner = owner_reference(cell);
        let owners = metadata.owner_references.get_or_insert_default();
        owners.retain(|other| other.uid != owner.uid);
        // An object has one controller at most.
        owners.iter_mut().for_each(|other| other.controller = None);
        owners.push(owner);
    }
    metadata
}

#[cfg(test)]
mod tests {
    use okra_domain::ServedVersion;
    use okra_domain::cell::{ListenerPart, Role};
    use serde_json::json;

    use super::*;

    fn cell() -> Cell {
        let mut cell = Cell::new("web", Default::default());
        cell.metadata.namespace = Some("ns".to_owned());
        cell.metadata.uid = Some("u1".to_owned());
        cell
    }

    fn write(create: bool) -> ConfigWrite {
        let value = json!({"listenerARN": "l", "listener": {"rule": {"priority": 10, "forward": {
            "stickiness": {"enabled": true, "durationSeconds": 60}}}}});
        ConfigWrite {
            create,
            take_ownership: true,
            listener: ListenerPart { value, stickiness_seconds: Some(60) },
            entries: vec![PlannedEntry {
                name: "a1".to_owned(),
                arn: "t".to_owned(),
                version: ServedVersion::Unknown,
                role: Role::Stable,
                weight: 0,
            }],
            overwrite: Some(Overwrite::Always),
            deletion_policy: DeletionPolicy::Retain,
        }
    }

    #[test]
    fn a_new_config_belongs_to_its_cell() {
        let ConfigObject::Alb(config) = config_object(&cell(), ConfigKind::Alb, None, &write(true)).unwrap()
        else {
            panic!("not an ALB config");
        };
        assert_eq!(
            serde_json::to_value(&config).unwrap(),
            json!({
                "apiVersion": "okra.mumo.co/v1alpha1", "kind": "AWSApplicationLoadBalancerConfig",
                "metadata": {"name": "web", "namespace": "ns", "ownerReferences": [{
                    "apiVersion": "okra.mumo.co/v1alpha1", "kind": "Cell", "name": "web", "uid": "u1",
                    "controller": true, "blockOwnerDeletion": true}]},
                "spec": {
                    "listenerARN": "l",
                    "listener": {"rule": {"priority": 10, "forward": {
                        "targetGroups": [{"name": "a1", "arn": "t", "weight": 0}],
                        "stickiness": {"enabled": true, "durationSeconds": 60}}}},
                    "overwrite": "Always",
                },
            })
        );
    }

    #[test]
    fn an_existing_config_keeps_its_metadata_and_is_fenced() {
        let existing: ObjectMeta = serde_json::from_value(json!({
            "name": "web", "namespace": "ns", "resourceVersion": "9", "finalizers": ["okra.mumo.co"],
            "annotations": {"alb-config-hash": "x"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "X", "name": "x", "uid": "u0", "controller": true}],
        }))
        .unwrap();
        let written = config_object(&cell(), ConfigKind::Nlb, Some(&existing), &write(false));
        // An ALB's rule is nothing that an NLB's spec knows: it is left out.
        let Ok(ConfigObject::Nlb(config)) = written else { panic!("not an NLB config") };
        let metadata = config.metadata;
        assert_eq!(metadata.resource_version.as_deref(), Some("9"));
        assert_eq!((metadata.finalizers, metadata.annotations), (existing.finalizers, existing.annotations));
        let controllers: Vec<(String, Option<bool>)> = metadata
            .owner_references
            .unwrap()
            .into_iter()
            .map(|owner| (owner.uid, owner.controller))
            .collect();
        assert_eq!(controllers, [("u0".to_owned(), None), ("u1".to_owned(), Some(true))]);
    }
}
