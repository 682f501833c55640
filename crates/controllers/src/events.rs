//! Kubernetes events: one for each transition, none for a repetition.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client, Resource};
use okra_clock::SharedClock;

use crate::fence::Fence;

/// Name of okra in the field `reportingController`.
const REPORTER: &str = "okra.mumo.co";
/// Longest note that the API server accepts.
const NOTE_BYTES_MAX: usize = 1024;

/// Whether an event tells of trouble.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// Things go as planned.
    Normal,
    /// Somebody should look.
    Warning,
}

/// What happened, in an enum's word and a sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Occurrence {
    /// Whether it is trouble.
    pub severity: Severity,
    /// Word of `spec/okra.md` 2.6.2.
    pub reason: String,
    /// What okra did or does about it, one word such as `WriteWeights`.
    pub action: &'static str,
    /// A sentence with value and limit. Never a secret.
    pub note: String,
}

/// Writes events about objects.
#[derive(Clone)]
pub struct Events {
    client: Client,
    clock: SharedClock,
    fence: Fence,
    controller: &'static str,
    instance: String,
}

impl Events {
    pub(crate) fn new(
        client: Client,
        clock: SharedClock,
        fence: Fence,
        controller: &'static str,
        instance: String,
    ) -> Self {
        Self { client, clock, fence, controller, instance }
    }

    /// Writes an event about an object. The caller calls this on a transition
    /// only. A failure is logged and nothing more: an event is for people,
    /// and the condition beside it stays.
    pub async fn publish<K>(&self, object: &K, occurrence: &Occurrence)
    where
        K: Resource,
        K::DynamicType: Default,
    {
        if self.fence.check().is_err() {
            return;
        }
        let reference = object.object_ref(&K::DynamicType::default());
        let event = self.event(reference, occurrence);
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        if let Err(error) = api.create(&PostParams::default(), &event).await {
            tracing::debug!(%error, reason = occurrence.reason, "an event was not written");
        }
    }

    fn event(&self, reference: ObjectReference, occurrence: &Occurrence) -> Event {
        let now = self.clock.now();
        let name = reference.name.clone().unwrap_or_default();
        // Cluster-scoped objects have their events in the default namespace.
        let namespace = reference.namespace.clone().unwrap_or_else(|| "default".to_owned());
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{name}.{:x}", now.as_nanosecond())),
                namespace: Some(namespace),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(now)),
            regarding: Some(reference),
            type_: Some(match occurrence.severity {
                Severity::Normal => "Normal".to_owned(),
                Severity::Warning => "Warning".to_owned(),
            }),
            reason: Some(occurrence.reason.clone()),
            action: Some(occurrence.action.to_owned()),
            note: Some(shortened(&occurrence.note)),
            reporting_controller: Some(format!("{REPORTER}/{}", self.controller)),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        }
    }
}

/// A text of at most [`NOTE_BYTES_MAX`] bytes, cut between characters.
fn shortened(text: &str) -> String {
    let end = text.floor_char_boundary(NOTE_BYTES_MAX);
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_cut_between_characters() {
        let long = "ä".repeat(600);
        assert_eq!(shortened(&long).len(), 1024);
        let odd = format!("x{long}");
        assert_eq!(shortened(&odd).len(), 1023);
        assert_eq!(shortened("short"), "short");
    }
}
