//! Names of cluster secrets (`spec/okra.md` 3.1.5-5, H-59).

use crate::naming::{hash, object_name};

/// The name of a cluster's secret: its own, lower-cased, with a short hash
/// where that changed it.
pub fn plain(cluster: &str) -> String {
    object_name(cluster)
}

/// The name where another cluster of that name, of another region or account,
/// has the plain one.
pub fn apart(cluster: &str, source: &str) -> String {
    object_name(&format!("{}-{}", plain(cluster), hash(source)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h_59_every_eks_name_becomes_a_legal_one_and_two_stay_two() {
        assert_eq!(plain("web-1"), "web-1");
        let changed = plain("Web_1");
        assert!(changed.starts_with("web-1-"), "{changed}");
        assert_ne!(changed, plain("WEB_1"));
        let east = apart("web-1", "arn:aws:eks:us-east-1:1:cluster/web-1");
        assert_ne!(east, apart("web-1", "arn:aws:eks:us-east-1:2:cluster/web-1"));
        assert!(east.starts_with("web-1-"));
    }
}
