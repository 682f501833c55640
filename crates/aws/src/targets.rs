//! The port to the targets of a target group: who is in it, and changing that.

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use okra_domain::TargetGroupArn;

use crate::{AwsError, TargetHealth, Write};

/// One target: an instance id or an IP address, and a port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Target {
    /// Instance id or IP address, as the type of the group demands.
    pub id: String,
    /// Port that receives requests.
    pub port: u16,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id, self.port)
    }
}

/// The targets of target groups of all regions: the region of a call is that
/// of the group's ARN.
#[async_trait]
pub trait Targets: Send + Sync {
    /// All registered targets with their health, those that drain included.
    ///
    /// # Errors
    /// [`Meaning::Absent`](crate::Meaning::Absent) when the group is gone.
    async fn registered(&self, group: &TargetGroupArn) -> Result<Vec<TargetHealth>, AwsError>;

    /// Registers these targets; one that is registered already stays as it is.
    ///
    /// # Errors
    /// [`Meaning::Invalid`](crate::Meaning::Invalid) when a target does not fit the group or the
    /// group is full. With more targets than one call takes, some may be registered all the same.
    async fn register(
        &self,
        write: Write<'_>,
        group: &TargetGroupArn,
        targets: &BTreeSet<Target>,
    ) -> Result<(), AwsError>;

    /// Deregisters these targets: they drain and then go. One that is not
    /// registered is no error.
    ///
    /// # Errors
    /// [`Meaning::Absent`](crate::Meaning::Absent) when the group is gone.
    async fn deregister(
        &self,
        write: Write<'_>,
        group: &TargetGroupArn,
        targets: &BTreeSet<Target>,
    ) -> Result<(), AwsError>;
}
