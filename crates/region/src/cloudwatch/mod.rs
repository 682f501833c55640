//! CloudWatch, API version 2010-08-01.

use std::sync::Arc;

use crate::state::Snapshot;
use crate::wire::{Fault, Input, Members};
use crate::world::World;

/// XML namespace of its answers.
pub(crate) const NAMESPACE: &str = "http://monitoring.amazonaws.com/doc/2010-08-01/";

/// Metrics that users wrote.
#[derive(Debug)]
pub(crate) struct UserMetrics {}

impl UserMetrics {
    pub(crate) fn new(_: (), _: Snapshot) -> Self {
        Self {}
    }
}

pub(crate) async fn keep(_world: Arc<World>) {}
pub(crate) async fn save(_world: &Arc<World>) {}

pub(crate) fn carry_out(_world: &Arc<World>, action: &str, _input: &Input<'_>) -> Result<Members, Fault> {
    Err(Fault::new("InvalidAction", format!("Could not find operation {action}")))
}
