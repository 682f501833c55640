//! Paths of the REST API to actions.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::wire::{Members, Value, query_pairs};

/// The action of a request and the members that its path and query carry;
/// `None` for a path that the region does not have.
pub(crate) fn route(method: &str, path: &str, query: &str) -> Option<(&'static str, Members)> {
    let decoded: Vec<String> = path
        .trim_start_matches('/')
        .split('/')
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
    let (action, path_members) = match_path(method, &parts)?;
    let mut members = Members::new();
    for (name, value) in path_members {
        members = members.with(name, *value);
    }
    for (name, value) in query_pairs(query.as_bytes()) {
        add_query(&mut members, name, value);
    }
    Some((action, members))
}

type Matched<'a, 'b> = (&'static str, Vec<(&'static str, &'b &'a str)>);

fn match_path<'a, 'b>(method: &str, parts: &'b [&'a str]) -> Option<Matched<'a, 'b>> {
    Some(match (method, parts) {
        ("GET", ["clusters"]) => ("ListClusters", vec![]),
        ("POST", ["clusters"]) => ("CreateCluster", vec![]),
        ("GET", ["clusters", name]) => ("DescribeCluster", vec![("name", name)]),
        ("DELETE", ["clusters", name]) => ("DeleteCluster", vec![("name", name)]),
        ("POST", ["clusters", name, "updates"]) => ("UpdateClusterVersion", vec![("name", name)]),
        ("GET", ["clusters", name, "updates"]) => ("ListUpdates", vec![("name", name)]),
        ("GET", ["clusters", name, "updates", id]) => {
            ("DescribeUpdate", vec![("name", name), ("updateId", id)])
        }
        (_, ["tags", arn]) => (tag_action(method)?, vec![("resourceArn", arn)]),
        (_, ["clusters", name, "access-entries"]) => {
            let action = match method {
                "GET" => "ListAccessEntries",
                "POST" => "CreateAccessEntry",
                _ => return None,
            };
            (action, vec![("clusterName", name)])
        }
        (_, ["clusters", name, "access-entries", principal]) => {
            let action = match method {
                "GET" => "DescribeAccessEntry",
                "POST" => "UpdateAccessEntry",
                "DELETE" => "DeleteAccessEntry",
                _ => return None,
            };
            (action, vec![("clusterName", name), ("principalArn", principal)])
        }
        (_, ["clusters", name, "access-entries", principal, "access-policies"]) => {
            let action = match method {
                "GET" => "ListAssociatedAccessPolicies",
                "POST" => "AssociateAccessPolicy",
                _ => return None,
            };
            (action, vec![("clusterName", name), ("principalArn", principal)])
        }
        ("DELETE", ["clusters", name, "access-entries", principal, "access-policies", policy]) => (
            "DisassociateAccessPolicy",
            vec![("clusterName", name), ("principalArn", principal), ("policyArn", policy)],
        ),
        _ => return None,
    })
}

fn tag_action(method: &str) -> Option<&'static str> {
    match method {
        "GET" => Some("ListTagsForResource"),
        "POST" => Some("TagResource"),
        "DELETE" => Some("UntagResource"),
        _ => None,
    }
}

/// Repeated names are lists (`tagKeys=a&tagKeys=b`).
fn add_query(members: &mut Members, name: String, value: String) {
    const LISTS: &[&str] = &["tagKeys", "include"];
    if !LISTS.contains(&name.as_str()) {
        members.0.push((Cow::Owned(name), Value::Text(value)));
        return;
    }
    match members.0.iter_mut().find(|(known, _)| *known == name) {
        Some((_, Value::List(values))) => values.push(Value::Text(value)),
        _ => members.0.push((Cow::Owned(name), Value::List(vec![Value::Text(value)]))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_and_lists_gathered() {
        let (action, members) = route(
            "DELETE",
            "/tags/arn%3Aaws%3Aeks%3Aus-east-1%3A123456789012%3Acluster%2Fweb",
            "tagKeys=a&tagKeys=b",
        )
        .unwrap();
        assert_eq!(action, "UntagResource");
        assert_eq!(
            members.get("resourceArn"),
            Some(&Value::Text("arn:aws:eks:us-east-1:123456789012:cluster/web".into()))
        );
        assert_eq!(members.get("tagKeys"), Some(&Value::from(vec!["a", "b"])));
        assert!(route("PUT", "/clusters", "").is_none());
        assert!(route("GET", "/clusters/web/nodegroups", "").is_none());
    }
}
