//! `okra iam-policy`: what an account must allow, and no more
//! (`spec/aws.md` 7.5).

use std::collections::BTreeSet;

use clap::{Args, ValueEnum};
use okra_aws::iam::{Extent, Feature, policy};

use crate::output::{self, Exit};

/// Flags of `okra iam-policy`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  okra iam-policy > policy.json
  okra iam-policy --features traffic,metrics --load-balancer web
  aws iam create-policy --policy-name okra --policy-document file://policy.json")]
pub struct IamPolicyArgs {
    /// What okra shall do in the account; all of it when nothing is named
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FEATURE")]
    features: Vec<FeatureName>,
    /// Application Load Balancer whose rules may be changed
    #[arg(long, value_name = "NAME", default_value = "*")]
    load_balancer: String,
    /// Number of the account
    #[arg(long, value_name = "ID", default_value = "*")]
    account: String,
    /// Region
    #[arg(long, env = "AWS_REGION", value_name = "REGION", default_value = "*", hide_env_values = true)]
    region: String,
    /// Partition of the account
    #[arg(long, value_parser = ["aws", "aws-cn", "aws-us-gov"], default_value = "aws")]
    partition: String,
    /// Role of another account that may be assumed; may be repeated
    #[arg(long = "role-arn", value_name = "ARN")]
    roles: Vec<String>,
}

/// Features by the names that they have in flags.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum FeatureName {
    /// Find EKS clusters by their tags, and log in to them
    Discovery,
    /// Move the weights of rules that exist
    Traffic,
    /// Make rules, and delete those it made (beside traffic)
    Rules,
    /// Register targets in target groups (AWSTargetGroupBinding)
    Targets,
    /// Analyses on metrics of CloudWatch
    Metrics,
}

impl From<FeatureName> for Feature {
    fn from(name: FeatureName) -> Self {
        match name {
            FeatureName::Discovery => Self::Discovery,
            FeatureName::Traffic => Self::Traffic,
            FeatureName::Rules => Self::Rules,
            FeatureName::Targets => Self::Targets,
            FeatureName::Metrics => Self::Metrics,
        }
    }
}

/// Prints the policy document as JSON.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(args: IamPolicyArgs) -> anyhow::Result<Exit> {
    output::print(&format!("{:#}\n", document(args)))?;
    Ok(Exit::Ok)
}

fn document(args: IamPolicyArgs) -> serde_json::Value {
    let mut features: BTreeSet<Feature> = args.features.into_iter().map(Feature::from).collect();
    if features.is_empty() {
        features.extend(Feature::ALL);
    }
    let IamPolicyArgs { partition, region, account, load_balancer, roles, .. } = args;
    policy(&features, &Extent { partition, region, account, load_balancer, roles })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: IamPolicyArgs,
    }

    fn printed(line: &str) -> String {
        format!("{:#}", document(Line::parse_from(line.split(' ')).args))
    }

    #[test]
    fn all_features_anywhere() {
        insta::assert_snapshot!(printed("okra --region *"));
    }

    #[test]
    fn two_features_on_one_load_balancer_and_a_role() {
        insta::assert_snapshot!(printed(
            "okra --features traffic,metrics --load-balancer web --account 111122223333 --region eu-west-1 \
             --role-arn arn:aws:iam::444455556666:role/okra"
        ));
    }
}
