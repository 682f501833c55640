//! The manifests under `examples/` are what users copy: each must be an
//! object of a kind that okra serves and decode without a remark.

use std::path::Path;

use okra_api::analysis::AnalysisTemplate;
use okra_api::manifests::{group_kind, parse};
use okra_api::{AWSTargetGroupBinding, AWSTargetGroupSet, Cell, ClusterSet, decode};
use serde_json::Value;

/// Decodes, and holds what decoding would drop without a word against the file.
fn check<K: serde::de::DeserializeOwned + serde::Serialize>(object: &Value) {
    let decoded: K = decode(object.clone()).unwrap_or_else(|error| panic!("{object}: {error}"));
    let written = serde_json::to_value(decoded).expect("serialises");
    assert_eq!(written["spec"], object["spec"], "a field is not known");
}

#[test]
fn every_manifest_decodes_and_no_field_is_unknown() {
    assert_eq!(kinds_of("alb-canary"), ["AWSTargetGroupSet", "AnalysisTemplate", "Cell", "ClusterSet"]);
    assert_eq!(kinds_of("many-accounts"), ["AWSTargetGroupBinding", "AWSTargetGroupSet", "ClusterSet"]);
}

fn kinds_of(example: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(example);
    let mut kinds = vec![];
    for entry in std::fs::read_dir(folder).expect("the examples are there") {
        let path = entry.expect("readable").path();
        let text = std::fs::read_to_string(&path).expect("readable");
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        for object in parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())) {
            match group_kind(&object) {
                ("okra.mumo.co", "Cell") => check::<Cell>(&object),
                ("okra.mumo.co", "ClusterSet") => check::<ClusterSet>(&object),
                ("okra.mumo.co", "AWSTargetGroupSet") => check::<AWSTargetGroupSet>(&object),
                ("okra.mumo.co", "AWSTargetGroupBinding") => check::<AWSTargetGroupBinding>(&object),
                ("argoproj.io", "AnalysisTemplate") => check::<AnalysisTemplate>(&object),
                other => panic!("{}: no kind of okra: {other:?}", path.display()),
            }
            kinds.push(object["kind"].as_str().unwrap_or_default().to_owned());
        }
    }
    kinds.sort();
    kinds
}
