//! From a plan to the objects to write. Nothing is decided here: the same
//! plan and the same objects give the same bytes.

mod blocklist;
mod component;
mod config;
mod experiment;
mod status;

pub use blocklist::blocklist;
pub use component::{
    ComponentContext, ComponentError, NewObject, failed_component, new_object, replica_sets_needed,
};
pub use config::{ConfigObject, config_object};
pub use experiment::{
    ExperimentRunError, experiment_run, experiment_run_name, experiment_service, experiment_set,
    experiment_set_name, pod_template_hash,
};
pub use status::{api_status, merge_patch, status_patch};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource as _;
use kube::ResourceExt as _;
use sha2::{Digest as _, Sha256};

use crate::cell::Cell;
use crate::names::LABEL_VALUE_MAX;
use crate::template::is_label_value;

/// How many hexadecimal digits tell shortened texts apart.
const HASH_DIGITS: usize = 8;

/// The controller reference of what a Cell makes. A Cell without a UID (a
/// manifest that was never stored) gives one without a UID.
pub fn owner_reference(cell: &Cell) -> OwnerReference {
    OwnerReference {
        api_version: Cell::api_version(&()).into_owned(),
        kind: Cell::kind(&()).into_owned(),
        name: cell.name_any(),
        uid: cell.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// A text as a legal label value (H-61): what is too long or holds other
/// characters is shortened and gets a hash, so that two texts stay two.
pub fn label_value(text: &str) -> String {
    if is_label_value(text) {
        return text.to_owned();
    }
    let legal = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let hash: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let kept: String = text
        .chars()
        .map(|letter| if legal(letter) { letter } else { '-' })
        .take(LABEL_VALUE_MAX - HASH_DIGITS - 1)
        .collect();
    let kept = kept.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
    let joined = format!("{kept}-{}", &hash[..HASH_DIGITS]);
    joined.trim_start_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h_61_any_text_becomes_a_legal_label_value_and_two_stay_two() {
        assert_eq!(label_value("web"), "web");
        assert_eq!(label_value(""), "");
        let long = "x".repeat(70);
        assert_eq!(label_value(&long).len(), LABEL_VALUE_MAX);
        assert_ne!(label_value(&long), label_value(&(long.clone() + "y")));
        assert!(label_value("-a b+").starts_with("a-b-"));
        assert_eq!(label_value("++").len(), HASH_DIGITS);
    }
}
