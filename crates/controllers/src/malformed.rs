//! An object that does not fit its kind is told so in its own status, and all
//! others go on (H-07). Stored under an older definition, it cannot even be
//! decoded, so it is written to without its type.

use kube::Resource;
use okra_api::lenient::Malformed;
use serde_json::json;

use crate::Context;
use crate::writer::WriteError;

/// Says in the status of an object which field does not fit. Says it once.
///
/// # Errors
/// [`WriteError::Stale`] when the object has changed or gone.
pub async fn tell<K>(context: &Context, malformed: &Malformed) -> Result<(), WriteError>
where
    K: Resource<DynamicType = ()>,
{
    let message = malformed.error.to_string();
    if malformed.object["status"]["message"] == message.as_str() {
        return Ok(());
    }
    let status = json!({
        "phase": "Error", "reason": "InvalidSpec", "message": message,
        "observedGeneration": malformed.metadata.generation, "lastSyncTime": context.clock.now(),
    });
    context.writer().patch_untyped_status::<K>(&malformed.metadata, status).await
}
