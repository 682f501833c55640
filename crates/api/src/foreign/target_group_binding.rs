//! `TargetGroupBinding` of the AWS Load Balancer Controller and of EKS Auto
//! Mode: a view that reads the ARN and keeps the rest as it is.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::{ApiResource, GroupVersionKind};
use kube::{CustomResource, CustomResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Group and version in which EKS Auto Mode serves the kind.
pub const EKS_GROUP: &str = "eks.amazonaws.com";
/// Version in which EKS Auto Mode serves the kind.
pub const EKS_VERSION: &str = "v1";

/// Binds a Service of a member cluster to an AWS target group.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "elbv2.k8s.aws",
    version = "v1beta1",
    kind = "TargetGroupBinding",
    plural = "targetgroupbindings",
    namespaced,
    status = "TargetGroupBindingStatus",
    derive = "PartialEq",
    doc = "Binds a Service of a member cluster to an AWS target group."
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct TargetGroupBindingSpec {
    /// ARN of the AWS target group. A binding without one is skipped.
    #[serde(rename = "targetGroupARN", skip_serializing_if = "Option::is_none")]
    pub target_group_arn: Option<String>,
    /// Everything else, kept as it is.
    #[serde(flatten)]
    #[schemars(skip)]
    pub rest: Map<String, Value>,
}

/// Status that the binding's own controller writes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetGroupBindingStatus {
    /// Generation that was acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// The places where a member cluster may serve the kind, in the order in
/// which they are read.
pub fn api_resources() -> [ApiResource; 2] {
    let eks = GroupVersionKind::gvk(EKS_GROUP, EKS_VERSION, "TargetGroupBinding");
    [TargetGroupBinding::api_resource(), ApiResource::from_gvk_with_plural(&eks, "targetgroupbindings")]
}

/// A definition with which a member cluster of the embedded region serves the
/// kind; never installed over somebody else's.
pub fn crd() -> CustomResourceDefinition {
    TargetGroupBinding::crd()
}
