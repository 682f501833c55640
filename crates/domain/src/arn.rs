//! ARNs of Elastic Load Balancing v2 (`spec/aws.md` 1.1).

use std::fmt;
use std::str::FromStr;

/// Longest ARN that is read, in bytes; AWS's own limit for resource ARNs is 2,048.
pub const ARN_BYTES_MAX: usize = 2048;

/// Why a text is not the ARN that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArnError {
    /// Longer than [`ARN_BYTES_MAX`].
    #[error("ARN has {0} bytes, more than {ARN_BYTES_MAX}")]
    TooLong(usize),
    /// Not `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
    #[error("{0:?} is not an ARN (arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE)")]
    Shape(String),
    /// An ARN of something else.
    #[error("{text:?} is not the ARN of a {expected}")]
    Kind {
        /// The whole text.
        text: String,
        /// What was expected.
        expected: &'static str,
    },
}

/// Any ARN, parted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arn {
    text: String,
    /// Byte positions of the five colons.
    colons: [usize; 5],
}

impl Arn {
    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn part(&self, index: usize) -> &str {
        &self.text[self.colons[index - 1] + 1..self.colons[index]]
    }

    /// Such as `aws` or `aws-cn`.
    pub fn partition(&self) -> &str {
        self.part(1)
    }

    /// Such as `elasticloadbalancing`.
    pub fn service(&self) -> &str {
        self.part(2)
    }

    /// Such as `eu-west-1`.
    pub fn region(&self) -> &str {
        self.part(3)
    }

    /// Twelve digits.
    pub fn account(&self) -> &str {
        self.part(4)
    }

    /// All after the fifth colon.
    pub fn resource(&self) -> &str {
        &self.text[self.colons[4] + 1..]
    }
}

impl FromStr for Arn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > ARN_BYTES_MAX {
            return Err(ArnError::TooLong(text.len()));
        }
        let shape = || ArnError::Shape(text.to_owned());
        let mut colons = [0; 5];
        let mut positions =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b':').map(|(index, _)| index);
        for colon in &mut colons {
            *colon = positions.next().ok_or_else(shape)?;
        }
        let arn = Self { text: text.to_owned(), colons };
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        if !text.starts_with("arn:") || arn.partition().is_empty() || arn.resource().is_empty() || !printable
        {
            return Err(shape());
        }
        Ok(arn)
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arn({})", self.text)
    }
}

/// The service of all ARNs below.
const SERVICE: &str = "elasticloadbalancing";

/// Whether a resource is `PREFIX/a/b/…` with this many non-empty parts after the prefix.
fn has_shape(arn: &Arn, prefix: &str, parts: usize) -> bool {
    let Some(rest) = arn.resource().strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')) else {
        return false;
    };
    arn.service() == SERVICE
        && !arn.region().is_empty()
        && rest.split('/').count() == parts
        && rest.split('/').all(|part| !part.is_empty())
}

macro_rules! elb_arn {
    ($(#[$meta:meta])* $name:ident, $expected:literal, $prefix:literal, $parts:literal) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arn);

        impl $name {
            /// The whole text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// Such as `eu-west-1`.
            pub fn region(&self) -> &str {
                self.0.region()
            }

            /// Twelve digits.
            pub fn account(&self) -> &str {
                self.0.account()
            }

            /// All after the fifth colon.
            pub fn resource(&self) -> &str {
                self.0.resource()
            }

            /// The parts of the ARN.
            pub fn arn(&self) -> &Arn {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = ArnError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let arn: Arn = text.parse()?;
                if has_shape(&arn, $prefix, $parts) {
                    Ok(Self(arn))
                } else {
                    Err(ArnError::Kind { text: text.to_owned(), expected: $expected })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

elb_arn!(
    /// ARN of a load balancer: `loadbalancer/app/NAME/ID` or `loadbalancer/net/NAME/ID`.
    LoadBalancerArn, "load balancer", "loadbalancer", 3
);
elb_arn!(
    /// ARN of a listener: `listener/app/NAME/LBID/ID` or `listener/net/…`.
    ListenerArn, "listener", "listener", 4
);
elb_arn!(
    /// ARN of a rule: `listener-rule/app/NAME/LBID/LISTENERID/ID`.
    RuleArn, "listener rule", "listener-rule", 5
);
elb_arn!(
    /// ARN of a target group: `targetgroup/NAME/ID`.
    TargetGroupArn, "target group", "targetgroup", 2
);

/// Which of the load balancers of ELBv2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LoadBalancerKind {
    /// `app`: Application Load Balancer.
    Application,
    /// `net`: Network Load Balancer.
    Network,
    /// Anything else, such as `gwy`.
    Other,
}

fn kind_of(resource: &str) -> LoadBalancerKind {
    match resource.split('/').nth(1) {
        Some("app") => LoadBalancerKind::Application,
        Some("net") => LoadBalancerKind::Network,
        _ => LoadBalancerKind::Other,
    }
}

impl LoadBalancerArn {
    /// Application or network.
    pub fn kind(&self) -> LoadBalancerKind {
        kind_of(self.resource())
    }

    /// Value of the CloudWatch dimension `LoadBalancer`: `app/NAME/ID`.
    pub fn dimension(&self) -> &str {
        self.resource().strip_prefix("loadbalancer/").expect("the prefix was checked on parsing")
    }
}

impl ListenerArn {
    /// Application or network.
    pub fn kind(&self) -> LoadBalancerKind {
        kind_of(self.resource())
    }

    /// The load balancer that the listener belongs to.
    pub fn load_balancer(&self) -> LoadBalancerArn {
        let text = self.as_str();
        let without_listener = &text[..text.rfind('/').expect("a listener ARN has four slashes")];
        without_listener
            .replacen(":listener/", ":loadbalancer/", 1)
            .parse()
            .expect("dropping the last part of a listener ARN leaves that of its load balancer")
    }
}

impl RuleArn {
    /// The listener that the rule belongs to.
    pub fn listener(&self) -> ListenerArn {
        let text = self.as_str();
        let without_rule = &text[..text.rfind('/').expect("a rule ARN has five slashes")];
        without_rule
            .replacen(":listener-rule/", ":listener/", 1)
            .parse()
            .expect("dropping the last part of a rule ARN leaves that of its listener")
    }
}

impl TargetGroupArn {
    /// Value of the CloudWatch dimension `TargetGroup`: `targetgroup/NAME/ID`.
    pub fn dimension(&self) -> &str {
        self.resource()
    }

    /// The name of the target group on AWS.
    pub fn name(&self) -> &str {
        self.resource().split('/').nth(1).expect("two parts were checked on parsing")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTENER: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/web/50dc/f2f7";

    #[test]
    fn a_listener_names_its_load_balancer() {
        let listener: ListenerArn = LISTENER.parse().unwrap();
        assert_eq!(listener.kind(), LoadBalancerKind::Application);
        assert_eq!((listener.region(), listener.account()), ("eu-west-1", "123456789012"));
        let balancer = listener.load_balancer();
        assert_eq!(
            balancer.as_str(),
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/web/50dc"
        );
        assert_eq!(balancer.dimension(), "app/web/50dc");
    }

    #[test]
    fn a_rule_names_its_listener() {
        let rule: RuleArn =
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener-rule/app/web/50dc/f2f7/9683"
                .parse()
                .unwrap();
        assert_eq!(rule.listener().as_str(), LISTENER);
    }

    #[test]
    fn a_target_group_names_its_dimension() {
        let group: TargetGroupArn =
            "arn:aws-cn:elasticloadbalancing:cn-north-1:123456789012:targetgroup/web-1/943f".parse().unwrap();
        assert_eq!((group.dimension(), group.name()), ("targetgroup/web-1/943f", "web-1"));
    }

    #[test]
    fn refuses_arns_of_other_things() {
        for text in [
            "",
            "web-1",
            "arn:aws:s3:::bucket",
            LISTENER,
            "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/web-1",
            "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/web-1/",
            "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/web 1/9",
            "arn:aws:elasticloadbalancing::1:targetgroup/web-1/9",
            "arn:aws:ec2:eu-west-1:1:targetgroup/web-1/9",
            "xarn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/web-1/9",
        ] {
            assert!(text.parse::<TargetGroupArn>().is_err(), "{text}");
        }
    }
}
