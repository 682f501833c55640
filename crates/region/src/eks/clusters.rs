//! ListClusters, DescribeCluster, CreateCluster, DeleteCluster.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::access;
use super::faults::{in_use, invalid_parameter, invalid_request};
use super::model::{Cluster, Eks, Status};
use super::tags::read_tags;
use crate::context::Context;
use crate::identity::canonical_arn;
use crate::wire::{Fault, Input, Members};

/// Clusters of an account in a region.
const MOST_CLUSTERS: usize = 100;
const LONGEST_NAME: usize = 100;
const LARGEST_PAGE: u32 = 100;

/// What a request without version gets.
const DEFAULT_VERSION: &str = "1.35";

/// One page of names and the token of the next, for all lists of EKS.
pub(super) fn page(all: Vec<String>, input: &Input<'_>) -> Result<(Vec<String>, Option<String>), Fault> {
    let size = input.member("maxResults").integer_in(1u32..=LARGEST_PAGE)?.unwrap_or(LARGEST_PAGE) as usize;
    let after = match input.member("nextToken").text()? {
        None => None,
        Some(token) => {
            let name = URL_SAFE_NO_PAD.decode(&token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            Some(name.ok_or_else(|| invalid_parameter(format!("nextToken '{token}' is not valid")))?)
        }
    };
    let mut rest = all.into_iter().filter(|name| after.as_ref().is_none_or(|after| name > after));
    let page: Vec<String> = rest.by_ref().take(size).collect();
    let more = rest.next().is_some();
    let next = page.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(last));
    Ok((page, next))
}

pub(super) fn list(eks: &Eks, input: &Input<'_>, _: &Context<'_>) -> Result<Members, Fault> {
    let (names, next) = page(eks.clusters.keys().cloned().collect(), input)?;
    Ok(Members::new().with("clusters", names).maybe("nextToken", next))
}

pub(super) fn describe(eks: &Eks, input: &Input<'_>, context: &Context<'_>) -> Result<Members, Fault> {
    let cluster = eks.cluster(&input.member("name").required_text()?)?;
    Ok(Members::new().with("cluster", render(cluster, context)))
}

pub(super) fn create(eks: &mut Eks, input: &Input<'_>, context: &Context<'_>) -> Result<Members, Fault> {
    let name = read_name(input)?;
    let token = input.member("clientRequestToken").text()?;
    if let Some(existing) = eks.clusters.get(&name) {
        if token.is_some() && existing.client_request_token == token {
            return Ok(Members::new().with("cluster", render(existing, context)));
        }
        return Err(in_use(&name, format!("Cluster already exists with name: {name}")));
    }
    if eks.clusters.len() >= MOST_CLUSTERS {
        let message = format!("The account has {MOST_CLUSTERS} clusters, which is the limit");
        return Err(Fault::new("ResourceLimitExceededException", message).member("clusterName", &name));
    }
    let cluster = read_new(&name, token, input, context)?;
    let rendered = render(&cluster, context);
    eks.clusters.insert(name, cluster);
    Ok(Members::new().with("cluster", rendered))
}

fn read_new(
    name: &str,
    client_request_token: Option<String>,
    input: &Input<'_>,
    context: &Context<'_>,
) -> Result<Cluster, Fault> {
    let version = input.member("version").text()?.unwrap_or_else(|| DEFAULT_VERSION.into());
    read_version(&version)?;
    let role_arn = input.member("roleArn").required_text()?;
    if !(role_arn.starts_with("arn:aws:iam::") && role_arn.contains(":role/")) {
        return Err(invalid_parameter(format!("Role with arn: {role_arn} is not a valid role ARN")));
    }
    let network = input.member("resourcesVpcConfig");
    let network = network.clone().given().ok_or_else(|| Fault::missing(network.path()))?;
    let access = input.member("accessConfig");
    let modes = ["API", "API_AND_CONFIG_MAP", "CONFIG_MAP"];
    let mode = access.member("authenticationMode").choice(&modes)?.unwrap_or("API_AND_CONFIG_MAP");
    let creator_is_admin =
        access.member("bootstrapClusterCreatorAdminPermissions").boolean()?.unwrap_or(true);
    let support = input.member("upgradePolicy").member("supportType").choice(&["STANDARD", "EXTENDED"])?;
    let creator_arn = canonical_arn(&context.caller.arn);
    let mut access_entries = BTreeMap::new();
    if creator_is_admin && mode != "CONFIG_MAP" {
        access_entries.insert(creator_arn.clone(), access::administrator(&creator_arn, context));
    }
    Ok(Cluster {
        name: name.to_owned(),
        arn: format!("arn:aws:eks:{}:{}:cluster/{name}", context.region(), context.account()),
        created: context.now,
        version,
        status: Status::Creating,
        endpoint: None,
        issue: None,
        role_arn,
        subnets: network.member("subnetIds").texts()?,
        security_groups: network.member("securityGroupIds").texts()?,
        support_type: support.unwrap_or("EXTENDED").into(),
        authentication_mode: mode.into(),
        deletion_protection: input.member("deletionProtection").boolean()?.unwrap_or(false),
        client_request_token,
        creator_arn,
        creator_is_admin,
        oidc_id: format!("{}{}", context.new_id(), context.new_id()).to_ascii_uppercase(),
        tags: read_tags(&input.member("tags"))?,
        access_entries,
        updates: Vec::new(),
    })
}

pub(super) fn delete(eks: &mut Eks, input: &Input<'_>, context: &Context<'_>) -> Result<Members, Fault> {
    let name = input.member("name").required_text()?;
    let cluster = eks.cluster_mut(&name)?;
    match cluster.status {
        Status::Creating | Status::Updating | Status::Deleting => {
            let message = format!("Cluster {name} is {} and cannot be deleted now", cluster.status.as_str());
            return Err(in_use(&name, message));
        }
        Status::Active | Status::Failed => {}
    }
    if cluster.deletion_protection {
        let message = format!("Cluster {name} has deletion protection enabled");
        return Err(invalid_request(message).member("clusterName", &name));
    }
    cluster.status = Status::Deleting;
    Ok(Members::new().with("cluster", render(cluster, context)))
}

fn read_name(input: &Input<'_>) -> Result<String, Fault> {
    let name_input = input.member("name");
    let name = name_input.sized_text(1..=LONGEST_NAME)?.ok_or_else(|| Fault::missing(name_input.path()))?;
    let rest_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let first_allowed = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    if first_allowed && name.bytes().all(rest_allowed) {
        return Ok(name);
    }
    Err(name_input
        .broken(&name, "Member must satisfy regular expression pattern: ^[0-9A-Za-z][A-Za-z0-9\\-_]*"))
}

/// Major and minor of `1.35`.
pub(super) fn read_version(version: &str) -> Result<(u32, u32), Fault> {
    let parts =
        version.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    match parts {
        Some((1, minor)) => Ok((1, minor)),
        _ => Err(invalid_parameter(format!("unsupported Kubernetes version {version}"))),
    }
}

fn render(cluster: &Cluster, context: &Context<'_>) -> Members {
    let region = context.region();
    let network = Members::new()
        .with("subnetIds", &cluster.subnets)
        .with("securityGroupIds", &cluster.security_groups)
        .with("clusterSecurityGroupId", format!("sg-{}", &cluster.oidc_id.to_ascii_lowercase()[..17]))
        .with("vpcId", "vpc-00000000000000000")
        .with("endpointPublicAccess", true)
        .with("endpointPrivateAccess", false)
        .with("publicAccessCidrs", vec!["127.0.0.0/8"]);
    let service_network = Members::new()
        .with("serviceIpv4Cidr", "172.20.0.0/16")
        .with("ipFamily", "ipv4")
        .with("elasticLoadBalancing", Members::new().with("enabled", false));
    let issuer = format!("https://oidc.eks.{region}.amazonaws.com/id/{}", cluster.oidc_id);
    let identity = Members::new().with("oidc", Members::new().with("issuer", issuer));
    let endpoint = cluster.endpoint.as_ref();
    // The data is base64 of the PEM, and an empty structure before there is one.
    let authority =
        Members::new().maybe("data", endpoint.map(|it| STANDARD.encode(&it.certificate_authority_pem)));
    let issue = |message: &String| {
        vec![
            Members::new()
                .with("code", "InternalFailure")
                .with("message", message)
                .with("resourceIds", Vec::<&str>::new()),
        ]
    };
    let issues = cluster.issue.as_ref().map(issue).unwrap_or_default();
    let access = Members::new()
        .with("bootstrapClusterCreatorAdminPermissions", cluster.creator_is_admin)
        .with("authenticationMode", &cluster.authentication_mode);
    Members::new()
        .with("name", &cluster.name)
        .with("arn", &cluster.arn)
        .with("createdAt", cluster.created)
        .with("version", &cluster.version)
        .maybe("endpoint", endpoint.map(|it| &it.url))
        .with("roleArn", &cluster.role_arn)
        .with("resourcesVpcConfig", network)
        .with("kubernetesNetworkConfig", service_network)
        .with("identity", identity)
        .with("status", cluster.status.as_str())
        .with("certificateAuthority", authority)
        .maybe("clientRequestToken", cluster.client_request_token.as_ref())
        .with("platformVersion", "eks.1")
        .with("tags", &cluster.tags)
        .with("health", Members::new().with("issues", issues))
        .with("accessConfig", access)
        .with("upgradePolicy", Members::new().with("supportType", &cluster.support_type))
        .with("deletionProtection", cluster.deletion_protection)
}
