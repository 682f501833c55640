//! Elastic Kubernetes Service, API version 2017-11-01 (`spec/aws.md` 3).
//!
//! A cluster here is a record, a life cycle and an endpoint; the API server
//! behind it is made by whoever was handed in as
//! [`ClusterProvisioner`](crate::ClusterProvisioner).

mod access;
mod clusters;
mod faults;
mod model;
mod provisioning;
mod routes;
mod tags;
mod token;
mod updates;

use crate::context::Context;
use crate::wire::{Fault, Input, Members};

pub(crate) use model::{Cluster, Eks};
pub(crate) use provisioning::{settle, settle_all};
pub(crate) use routes::route;
pub(crate) use token::authenticate;

/// How an action is carried out.
pub(crate) enum Handler {
    Read(fn(&Eks, &Input<'_>, &Context<'_>) -> Result<Members, Fault>),
    Write(fn(&mut Eks, &Input<'_>, &Context<'_>) -> Result<Members, Fault>),
}

/// The handler of an action, if the region offers it.
pub(crate) fn handler(action: &str) -> Option<Handler> {
    use Handler::{Read, Write};
    Some(match action {
        "ListClusters" => Read(clusters::list),
        "DescribeCluster" => Read(clusters::describe),
        "CreateCluster" => Write(clusters::create),
        "DeleteCluster" => Write(clusters::delete),
        "UpdateClusterVersion" => Write(updates::update_version),
        "DescribeUpdate" => Read(updates::describe),
        "ListUpdates" => Read(updates::list),
        "ListTagsForResource" => Read(tags::list),
        "TagResource" => Write(tags::add),
        "UntagResource" => Write(tags::remove),
        "CreateAccessEntry" => Write(access::create),
        "ListAccessEntries" => Read(access::list),
        "DescribeAccessEntry" => Read(access::describe),
        "UpdateAccessEntry" => Write(access::update),
        "DeleteAccessEntry" => Write(access::delete),
        "AssociateAccessPolicy" => Write(access::associate),
        "ListAssociatedAccessPolicies" => Read(access::list_policies),
        "DisassociateAccessPolicy" => Write(access::disassociate),
        _ => return None,
    })
}
