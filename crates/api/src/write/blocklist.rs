//! The blocklist that a plan asks for (`spec/okra.md` 2.8).

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use okra_domain::Version;
use okra_domain::cell::Block;

use super::owner_reference;
use super::status::milliseconds;
use crate::cell::Cell;
use crate::version_blocklist::{BlockedVersion, VersionBlocklist, VersionBlocklistSpec};

/// The blocklist with `block` added and `unblock` taken off, or nothing when
/// it says so already. It carries the resource version of `existing`.
pub fn blocklist(
    cell: &Cell,
    existing: Option<&VersionBlocklist>,
    block: &[Block],
    unblock: &[Version],
    now: Timestamp,
) -> Option<VersionBlocklist> {
    let mut list = existing.cloned().unwrap_or_else(|| VersionBlocklist {
        metadata: ObjectMeta {
            name: cell.metadata.name.clone(),
            namespace: cell.metadata.namespace.clone(),
            owner_references: Some(vec![owner_reference(cell)]),
            ..ObjectMeta::default()
        },
        spec: VersionBlocklistSpec::default(),
        status: None,
    });
    let before = list.spec.items.len();
    list.spec.items.retain(|item| !unblock.iter().any(|version| is(item, version)));
    let removed = list.spec.items.len() != before;
    let missing: Vec<&Block> =
        block.iter().filter(|block| !list.spec.items.iter().any(|item| is(item, &block.version))).collect();
    if !removed && missing.is_empty() {
        return None;
    }
    list.spec.items.extend(missing.into_iter().map(|block| BlockedVersion {
        version: block.version.to_string(),
        cause: block.cause.to_string(),
        time: Some(milliseconds(now)),
        component: block.component.clone(),
        message: (!block.message.is_empty()).then(|| block.message.clone()),
    }));
    Some(list)
}

fn is(item: &BlockedVersion, version: &Version) -> bool {
    item.version.parse::<Version>().is_ok_and(|blocked| blocked == *version)
}

#[cfg(test)]
mod tests {
    use okra_domain::Reason;
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T15:00:00Z".parse().unwrap()
    }

    fn block(version: &str) -> Block {
        Block {
            version: version.parse().unwrap(),
            cause: Reason::AnalysisFailed,
            component: Some("web-r1-3-analysis".to_owned()),
            message: "value 7".to_owned(),
        }
    }

    #[test]
    fn h_47_versions_are_compared_by_meaning_and_never_listed_twice() {
        let cell = Cell::new("web", Default::default());
        let first = blocklist(&cell, None, &[block("2.0.0")], &[], now()).unwrap();
        assert_eq!(
            serde_json::to_value(&first.spec.items).unwrap(),
            json!([{"version": "2.0.0", "cause": "AnalysisFailed", "time": "2026-11-21T15:00:00Z",
                "component": "web-r1-3-analysis", "message": "value 7"}])
        );
        assert_eq!(first.metadata.owner_references.as_ref().unwrap()[0].kind, "Cell");
        assert_eq!(blocklist(&cell, Some(&first), &[block("v2")], &[], now()), None);
        let second =
            blocklist(&cell, Some(&first), &[block("3.0.0")], &["v2".parse().unwrap()], now()).unwrap();
        let versions: Vec<&str> = second.spec.items.iter().map(|item| item.version.as_str()).collect();
        assert_eq!(versions, ["3.0.0"]);
    }
}
