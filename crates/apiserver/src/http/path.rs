//! Paths: which resource a request is about (spec/apiserver.md 1.2).

use percent_encoding::percent_decode_str;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Objects of a group and version.
    Resource(ResourcePath),
    /// Anything else: discovery, health, schemas.
    Other(String),
}

/// A path below `/api/v1` or `/apis/GROUP/VERSION`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourcePath {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: Option<String>,
    pub(crate) resource: String,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
    /// More segments than any route of ours has.
    pub(crate) deeper: bool,
}

impl ResourcePath {
    /// `R` or `R/SUB`, as authorisation names it.
    pub(crate) fn resource_and_subresource(&self) -> String {
        match &self.subresource {
            Some(subresource) => format!("{}/{subresource}", self.resource),
            None => self.resource.clone(),
        }
    }
}

/// Takes a request path apart.
pub(crate) fn parse(path: &str) -> Target {
    let other = || Target::Other(path.to_owned());
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (group, version, rest) = match segments.as_slice() {
        ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
        ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
        _ => return other(),
    };
    let Some(parts) = rest.iter().map(|part| decode(part)).collect::<Option<Vec<String>>>() else {
        return other();
    };
    let mut target =
        ResourcePath { group: group.to_owned(), version: version.to_owned(), ..ResourcePath::default() };
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let below = match parts.as_slice() {
        // Subresources of the Namespace itself; all else below it is content.
        ["namespaces", _, "status" | "finalize"] => parts.as_slice(),
        ["namespaces", namespace, below @ ..] if !below.is_empty() => {
            target.namespace = Some((*namespace).to_owned());
            below
        }
        all => all,
    };
    let mut below = below.iter().map(|part| (*part).to_owned());
    target.resource = below.next().unwrap_or_default();
    target.name = below.next();
    target.subresource = below.next();
    target.deeper = below.next().is_some();
    Target::Resource(target)
}

/// A decoded segment; `None` for one that is not UTF-8 or empty.
fn decode(segment: &str) -> Option<String> {
    let text = percent_decode_str(segment).decode_utf8().ok()?;
    (!text.is_empty()).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(path: &str) -> ResourcePath {
        match parse(path) {
            Target::Resource(found) => found,
            Target::Other(other) => panic!("{other} is no resource"),
        }
    }

    #[test]
    fn namespaced_objects_and_subresources() {
        let found = resource("/apis/apps/v1/namespaces/prod/deployments/web/scale");
        assert_eq!((found.group.as_str(), found.version.as_str()), ("apps", "v1"));
        assert_eq!(found.namespace.as_deref(), Some("prod"));
        assert_eq!(found.name.as_deref(), Some("web"));
        assert_eq!(found.resource_and_subresource(), "deployments/scale");
    }

    #[test]
    fn a_namespace_is_an_object_and_its_status_a_subresource() {
        let found = resource("/api/v1/namespaces/prod");
        assert_eq!((found.namespace, found.resource.as_str()), (None, "namespaces"));
        let found = resource("/api/v1/namespaces/prod/finalize");
        assert_eq!((found.resource.as_str(), found.subresource.as_deref()), ("namespaces", Some("finalize")));
        let found = resource("/api/v1/namespaces/prod/pods");
        assert_eq!((found.namespace.as_deref(), found.resource.as_str()), (Some("prod"), "pods"));
    }

    #[test]
    fn discovery_is_no_resource() {
        for path in
            ["/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/openapi/v3", "/healthz", "/"]
        {
            assert_eq!(parse(path), Target::Other(path.to_owned()), "{path}");
        }
    }

    #[test]
    fn names_are_percent_decoded() {
        let found = resource("/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Aadmin");
        assert_eq!(found.name.as_deref(), Some("system:admin"));
    }
}
