//! The ARNs of load balancing (`spec/aws.md` 1.1).

use crate::context::Context;

pub(super) fn load_balancer(context: &Context<'_>, name: &str, id: &str) -> String {
    format!("{}loadbalancer/app/{name}/{id}", prefix(context))
}

pub(super) fn target_group(context: &Context<'_>, name: &str, id: &str) -> String {
    format!("{}targetgroup/{name}/{id}", prefix(context))
}

/// A listener of a load balancer: same path, one part more.
pub(super) fn listener(load_balancer_arn: &str, id: &str) -> String {
    format!("{}/{id}", load_balancer_arn.replacen(":loadbalancer/", ":listener/", 1))
}

/// A rule of a listener: same path, one part more.
pub(super) fn rule(listener_arn: &str, id: &str) -> String {
    format!("{}/{id}", listener_arn.replacen(":listener/", ":listener-rule/", 1))
}

fn prefix(context: &Context<'_>) -> String {
    format!("arn:aws:elasticloadbalancing:{}:{}:", context.region(), context.account())
}

/// The kinds of object that an ARN can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    LoadBalancer,
    Listener,
    Rule,
    TargetGroup,
}

/// What an ARN names by its form; `None` for an ARN of another service or no
/// ARN at all.
pub(super) fn kind(arn: &str) -> Option<Kind> {
    let rest = arn.strip_prefix("arn:")?;
    let mut parts = rest.splitn(5, ':');
    let (_partition, service) = (parts.next()?, parts.next()?);
    let (_region, _account) = (parts.next()?, parts.next()?);
    if service != "elasticloadbalancing" {
        return None;
    }
    match parts.next()?.split_once('/')?.0 {
        "loadbalancer" => Some(Kind::LoadBalancer),
        "listener" => Some(Kind::Listener),
        "listener-rule" => Some(Kind::Rule),
        "targetgroup" => Some(Kind::TargetGroup),
        _ => None,
    }
}

/// The value of the CloudWatch dimension that stands for an ARN: `app/NAME/ID`
/// or `targetgroup/NAME/ID` (`spec/aws.md` 5.2).
pub(crate) fn dimension(arn: &str) -> &str {
    let resource = arn.rsplit_once(':').map_or(arn, |(_, resource)| resource);
    resource.strip_prefix("loadbalancer/").unwrap_or(resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_arn_is_recovered_from_the_one_below() {
        let lb = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/web/50dc6c495c0c9188";
        let listener = listener(lb, "f2f7dc8efc522ab2");
        assert_eq!(
            listener,
            "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/web/50dc6c495c0c9188/f2f7dc8efc522ab2"
        );
        let rule = rule(&listener, "9683b2d02a6cabee");
        assert!(rule.contains(":listener-rule/app/web/50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee"));
        assert_eq!(
            [kind(lb), kind(&listener), kind(&rule)],
            [Some(Kind::LoadBalancer), Some(Kind::Listener), Some(Kind::Rule)]
        );
        assert_eq!(dimension(lb), "app/web/50dc6c495c0c9188");
        for foreign in ["", "web", "arn:aws:s3:::bucket", "arn:aws:elasticloadbalancing:r:a:truststore/x/1"] {
            assert_eq!(kind(foreign), None, "{foreign}");
        }
    }
}
