//! ARNs of Elastic Load Balancing, until the domain's words for them land.
use std::fmt;

macro_rules! arn {
    ($name:ident, $kind:literal) => {
        #[doc = concat!("ARN of a ", $kind, ".")]
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(String);
        impl $name {
            /// Takes the text as it is.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
            /// The region in it.
            pub fn region(&self) -> &str {
                self.0.split(':').nth(3).unwrap_or_default()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
arn!(LoadBalancerArn, "load balancer");
arn!(ListenerArn, "listener");
arn!(RuleArn, "rule");
arn!(TargetGroupArn, "target group");
