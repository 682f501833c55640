//! EKS's words for what is wrong (`spec/aws.md` 3.1).

use super::model::{Cluster, Eks};
use crate::wire::Fault;

pub(super) fn invalid_parameter(message: impl Into<String>) -> Fault {
    Fault::new("InvalidParameterException", message)
}

pub(super) fn invalid_request(message: impl Into<String>) -> Fault {
    Fault::new("InvalidRequestException", message)
}

pub(super) fn not_found(message: impl Into<String>) -> Fault {
    Fault::new("ResourceNotFoundException", message).status(404)
}

pub(super) fn in_use(cluster: &str, message: impl Into<String>) -> Fault {
    Fault::new("ResourceInUseException", message).status(409).member("clusterName", cluster)
}

impl Eks {
    pub(super) fn cluster(&self, name: &str) -> Result<&Cluster, Fault> {
        self.clusters.get(name).ok_or_else(|| no_cluster(name))
    }

    pub(super) fn cluster_mut(&mut self, name: &str) -> Result<&mut Cluster, Fault> {
        self.clusters.get_mut(name).ok_or_else(|| no_cluster(name))
    }
}

fn no_cluster(name: &str) -> Fault {
    not_found(format!("No cluster found for name: {name}.")).member("clusterName", name)
}
