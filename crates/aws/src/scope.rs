//! Where a call goes: a region and, in another account, a role.

use std::fmt;

/// An AWS region such as `eu-west-1`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Region(String);

impl Region {
    /// A region by its name; the name is not checked against a list, since
    /// AWS adds regions more often than okra is released.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name, as AWS writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A role to assume before a call (`spec/aws.md` 3.6).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Role {
    /// ARN of the role in the account of the resource.
    pub arn: String,
    /// What the role's trust policy demands as `sts:ExternalId`.
    pub external_id: Option<String>,
    /// Name of the sessions in CloudTrail; `okra` when absent. Another name is
    /// another session, with credentials of its own.
    pub session_name: Option<String>,
}

impl Role {
    /// A role that asks for no external id.
    pub fn new(arn: impl Into<String>) -> Self {
        Self { arn: arn.into(), external_id: None, session_name: None }
    }
}

/// Region and account that a call is meant for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Scope {
    /// Where the resource lives.
    pub region: Region,
    /// The role of the resource's account; `None` is okra's own identity.
    pub role: Option<Role>,
}

impl Scope {
    /// A region seen with okra's own identity.
    pub fn own(region: Region) -> Self {
        Self { region, role: None }
    }
}
