//! What okra may do on AWS, as an IAM policy (`spec/aws.md` 7.5): a statement
//! for each thing it does, and no action that it never takes.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Value, json};

/// Something that okra does, and that an account may allow or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// Finding EKS clusters by their tags, and logging in to them.
    Discovery,
    /// Moving the weights of rules that exist.
    Traffic,
    /// Making rules, and deleting those it made; beside [`Feature::Traffic`], which tags them.
    Rules,
    /// Registering targets in target groups.
    Targets,
    /// Analyses on metrics of `CloudWatch`.
    Metrics,
}

impl Feature {
    /// All of them, in the order of the statements.
    pub const ALL: [Self; 5] = [Self::Discovery, Self::Traffic, Self::Rules, Self::Targets, Self::Metrics];
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discovery => "discovery",
            Self::Traffic => "traffic",
            Self::Rules => "rules",
            Self::Targets => "targets",
            Self::Metrics => "metrics",
        })
    }
}

/// On what it is allowed; `*` means any.
#[derive(Clone, Debug)]
pub struct Extent {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// Region.
    pub region: String,
    /// Number of the account.
    pub account: String,
    /// Name of the Application Load Balancer whose rules are moved.
    pub load_balancer: String,
    /// ARNs of roles of other accounts that may be assumed.
    pub roles: Vec<String>,
}

impl Extent {
    fn arn(&self, service: &str, resource: &str) -> String {
        let Self { partition, region, account, .. } = self;
        format!("arn:{partition}:{service}:{region}:{account}:{resource}")
    }

    fn of_balancer(&self, kind: &str) -> String {
        self.arn("elasticloadbalancing", &format!("{kind}/app/{}/*", self.load_balancer))
    }
}

/// The policy document. Reads of the load balancer API and lists cannot be
/// limited to resources, so they are allowed on all.
pub fn policy(features: &BTreeSet<Feature>, extent: &Extent) -> Value {
    let any = || json!("*");
    let mut statements = vec![allow("Identity", &["sts:GetCallerIdentity"], any())];
    if !extent.roles.is_empty() {
        statements.push(allow("Roles", &["sts:AssumeRole"], json!(extent.roles)));
    }
    for feature in features {
        statements.extend(match feature {
            Feature::Discovery => vec![
                allow("EksList", &["eks:ListClusters"], any()),
                allow("EksRead", &["eks:DescribeCluster"], json!(extent.arn("eks", "cluster/*"))),
            ],
            Feature::Traffic => vec![
                allow("ElbRead", &READS, any()),
                allow(
                    "ElbShiftRule",
                    &["elasticloadbalancing:ModifyRule", "elasticloadbalancing:AddTags"],
                    json!(extent.of_balancer("listener-rule")),
                ),
            ],
            Feature::Rules => vec![allow(
                "ElbRules",
                &["elasticloadbalancing:CreateRule", "elasticloadbalancing:DeleteRule"],
                json!([extent.of_balancer("listener"), extent.of_balancer("listener-rule")]),
            )],
            Feature::Targets => vec![allow(
                "ElbTargets",
                &["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"],
                json!(extent.arn("elasticloadbalancing", "targetgroup/*")),
            )],
            Feature::Metrics => vec![allow("Metrics", &["cloudwatch:GetMetricData"], any())],
        });
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

const READS: [&str; 5] = [
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeRules",
    "elasticloadbalancing:DescribeTags",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
];

fn allow(name: &str, actions: &[&str], resource: Value) -> Value {
    json!({"Sid": name, "Effect": "Allow", "Action": actions, "Resource": resource})
}
