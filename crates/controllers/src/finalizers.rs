//! Finalizers: okra's own, only where something outside must be freed, and
//! those of the Go program, which are taken off and never put on (H-62, H-79).

use kube::{Resource, ResourceExt as _};
use okra_api::names::{FINALIZER, FINALIZER_CLUSTERSET_LEGACY, FINALIZER_LEGACY};
use serde_json::json;

use crate::writer::{Writable, WriteError, Writer};

/// The finalizers of an object that is as it should be: okra's own there or
/// not, all others where they were.
fn kept<K: Resource>(object: &K, own: bool) -> Vec<String> {
    let others = object.meta().finalizers.iter().flatten().filter(|name| *name != FINALIZER).cloned();
    others.chain(own.then(|| FINALIZER.to_owned())).collect()
}

/// The finalizers that others put on an object that goes.
fn foreign<K: Resource>(object: &K) -> Vec<String> {
    let ours = [FINALIZER, FINALIZER_LEGACY, FINALIZER_CLUSTERSET_LEGACY];
    object.meta().finalizers.iter().flatten().filter(|name| !ours.contains(&name.as_str())).cloned().collect()
}

/// Puts okra's finalizer on or takes it off. Gives whether anything was written.
///
/// # Errors
/// [`WriteError::Stale`] when the object has changed or gone.
pub async fn keep<K: Writable>(writer: &Writer, object: &K, own: bool) -> Result<bool, WriteError> {
    if object.finalizers().iter().any(|name| name == FINALIZER) == own {
        return Ok(false);
    }
    writer.patch(object, json!({"metadata": {"finalizers": kept(object, own)}})).await?;
    Ok(true)
}

/// Lets an object go: takes off okra's finalizer and those of the Go program.
///
/// # Errors
/// [`WriteError::Stale`] when the object has changed or gone.
pub async fn release<K: Writable>(writer: &Writer, object: &K) -> Result<(), WriteError> {
    let foreign = foreign(object);
    if foreign.len() == object.finalizers().len() {
        return Ok(());
    }
    match writer.patch(object, json!({"metadata": {"finalizers": foreign}})).await {
        // Gone already, or its next event brings it back.
        Ok(_) | Err(WriteError::Stale) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    fn object(finalizers: &[&str]) -> ConfigMap {
        serde_json::from_value(json!({"metadata": {"name": "a", "finalizers": finalizers}})).unwrap()
    }

    #[test]
    fn h_62_the_go_programs_finalizer_is_taken_off_and_never_put_on() {
        let legacy = object(&[FINALIZER_LEGACY, "other/x", FINALIZER_CLUSTERSET_LEGACY, FINALIZER]);
        assert_eq!(foreign(&legacy), ["other/x"]);
        assert_eq!(kept(&object(&["other/x"]), true), ["other/x", FINALIZER]);
        assert_eq!(kept(&object(&[FINALIZER_LEGACY, FINALIZER]), false), [FINALIZER_LEGACY]);
    }
}
