//! AWSTargetGroups as the planner sees them.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource as _;
use okra_domain::cell::{TargetGroup, VersionIssue};

use super::{CellView, count, labels_of};
use crate::cell::Cell;
use crate::common::LabelSelector;
use crate::lenient::Lenient;
use crate::names::{DEFAULT_VERSION_LABELS, LABEL_BINDING_CLUSTER};
use crate::{AWSTargetGroup, aws_target_group::AWSTargetGroupStatus};

/// Which AWSTargetGroups a Cell means, and which labels hold their version.
pub(super) struct Selection {
    /// Nothing while the spec does not say: then every group may be meant,
    /// and none is taken for gone.
    selector: Option<LabelSelector>,
    version_labels: Vec<String>,
}

impl Selection {
    pub(super) fn of(cell: Option<&Cell>) -> Self {
        let entry = cell.and_then(|cell| cell.spec.entry_point().ok());
        let labels = cell.zip(entry.as_ref()).and_then(|(cell, entry)| cell.spec.version_labels(entry).ok());
        Self {
            selector: entry.map(|entry| LabelSelector { match_labels: entry.selector().match_labels }),
            version_labels: labels.unwrap_or_else(|| DEFAULT_VERSION_LABELS.map(str::to_owned).to_vec()),
        }
    }

    fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.selector.as_ref().is_none_or(|selector| selector.matches(labels))
    }

    fn version(&self, labels: &BTreeMap<String, String>) -> Result<okra_domain::Version, VersionIssue> {
        let set = |key: &&String| labels.get(*key).is_some_and(|value| !value.is_empty());
        let key = self.version_labels.iter().find(set);
        let key = key.ok_or_else(|| VersionIssue::Missing(self.version_labels.join(", ")))?;
        labels[key].parse().map_err(|source| VersionIssue::Unreadable { label: key.clone(), source })
    }
}

pub(super) fn observe_target_groups(view: &CellView<'_>, selection: &Selection) -> Vec<TargetGroup> {
    view.target_groups.iter().map(|group| observe_target_group(group, view, selection)).collect()
}

fn observe_target_group(
    group: &Lenient<AWSTargetGroup>,
    view: &CellView<'_>,
    selection: &Selection,
) -> TargetGroup {
    let labels = labels_of(group);
    let metadata: &ObjectMeta = group.meta();
    let name = metadata.name.clone().unwrap_or_default();
    let status = group.valid().and_then(|group| group.status.clone());
    let AWSTargetGroupStatus { healthy_targets, registered_targets, .. } = status.unwrap_or_default();
    let cluster = labels.get(LABEL_BINDING_CLUSTER).filter(|cluster| !cluster.is_empty()).cloned();
    let leaving = cluster.as_ref().is_some_and(|cluster| view.facts.leaving_clusters.contains(cluster));
    TargetGroup {
        // One that does not fit its kind has no ARN that could be trusted.
        arn: group.valid().map_or("", |group| group.spec.arn.as_str()).parse(),
        version: selection.version(labels),
        selected: selection.selects(labels),
        deleting: metadata.deletion_timestamp.is_some() || leaving,
        created_at: metadata.creation_timestamp.as_ref().map(|time| time.0),
        healthy_targets: healthy_targets.map(count),
        registered_targets: registered_targets.map(count),
        cluster,
        retirement: view.facts.retirement.get(&name).cloned(),
        name,
    }
}
