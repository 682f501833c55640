//! The order of API versions: GA before beta before alpha, higher numbers first.

use std::cmp::Reverse;

/// Sorts versions so that the preferred one comes first.
pub(super) fn rank(version: &str) -> (u8, Reverse<u64>, Reverse<u64>, String) {
    let parsed = version.strip_prefix('v').and_then(parse);
    match parsed {
        Some((major, stage, minor)) => (stage, Reverse(major), Reverse(minor), String::new()),
        None => (3, Reverse(0), Reverse(0), version.to_owned()),
    }
}

/// Major number, stage (0 GA, 1 beta, 2 alpha) and number of the stage.
fn parse(text: &str) -> Option<(u64, u8, u64)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (major, rest) = text.split_at(digits);
    let major = major.parse().ok()?;
    let (stage, minor) = match rest {
        "" => return Some((major, 0, 0)),
        _ if rest.starts_with("beta") => (1, &rest[4..]),
        _ if rest.starts_with("alpha") => (2, &rest[5..]),
        _ => return None,
    };
    Some((major, stage, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stable_versions_come_first() {
        let mut versions = ["v1alpha1", "v2", "foo", "v1beta2", "v1beta10", "v1", "v2alpha1"];
        versions.sort_by_key(|version| rank(version));
        assert_eq!(versions, ["v2", "v1", "v1beta10", "v1beta2", "v2alpha1", "v1alpha1", "foo"]);
    }
}
