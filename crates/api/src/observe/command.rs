//! The annotation that holds a human's command.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use okra_domain::RolloutId;
use okra_domain::cell::{Command as DomainCommand, CommandObservation};

use crate::cell::{Command, CommandError};

/// What the annotation holds, if it is there.
pub(super) fn observe_command(metadata: &ObjectMeta) -> Option<CommandObservation> {
    let none = BTreeMap::new();
    match Command::from_annotations(metadata.annotations.as_ref().unwrap_or(&none)) {
        Ok(command) => command.map(|command| match domain_command(command) {
            Ok(command) => CommandObservation::Command(command),
            Err(message) => CommandObservation::Malformed(message),
        }),
        Err(error) => Some(CommandObservation::Malformed(match &error {
            CommandError::Shape(source) => format!("{error}: {source}"),
            CommandError::TooLong(_) => error.to_string(),
        })),
    }
}

fn domain_command(command: Command) -> Result<DomainCommand, String> {
    let version = command.version.as_deref().map(str::parse).transpose();
    let step = command.step.map(usize::try_from).transpose();
    Ok(DomainCommand {
        id: command.id,
        verb: command.verb.parse(),
        rollout_id: command.rollout_id.map(RolloutId::recorded),
        step: step.map_err(|_| format!("step {} is below 0", command.step.unwrap_or_default()))?,
        version: version.map_err(|error: okra_domain::VersionError| error.to_string())?,
        by: command.by,
        reason: command.reason,
        at: command.at,
    })
}
