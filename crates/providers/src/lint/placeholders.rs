//! What the placeholders of a template stand for, as far as it is known.

use std::collections::{BTreeMap, BTreeSet};

use okra_domain::analysis::substitute::{ArgumentSource, Arguments, SecretKey, Values};
use serde_json::Value as Json;

use super::{Findings, list};

/// Begin of the arguments that okra itself gives to the runs of a Cell.
const BUILT_IN: &str = "okra.";

/// What stands for a value that is not known.
const UNKNOWN: &str = "unknown-argument";

/// The arguments of a template.
pub(super) struct Known {
    /// Declared, with or without a value.
    declared: BTreeSet<String>,
    /// Without a value, or given by okra.
    open: BTreeSet<String>,
    sources: BTreeMap<String, ArgumentSource>,
}

impl Known {
    pub(super) fn read(spec: &Json, findings: &mut Findings) -> Self {
        let mut known = Self { declared: BTreeSet::new(), open: BTreeSet::new(), sources: BTreeMap::new() };
        for (place, argument) in list(spec, "args").iter().enumerate() {
            let path = format!("spec.args[{place}]");
            match argument["name"].as_str().filter(|name| !name.is_empty()) {
                None => findings.error(path, "an argument needs a name"),
                Some(name) if known.declared.contains(name) => {
                    findings.error(path, format!("argument {name:?} is declared twice"));
                }
                Some(name) => known.declare(name, argument, &path, findings),
            }
        }
        let mentioned = |tag: &str| tag.strip_prefix("args.").map(str::to_owned);
        let built_in = placeholders(&spec["metrics"], "").into_iter().filter_map(|(_, tag)| mentioned(&tag));
        for name in built_in.filter(|name| name.starts_with(BUILT_IN)) {
            if !known.declared.contains(&name) {
                known.open.insert(name);
            }
        }
        for name in &known.open {
            known.sources.insert(name.clone(), ArgumentSource::Literal(UNKNOWN.to_owned()));
        }
        known
    }

    fn declare(&mut self, name: &str, argument: &Json, path: &str, findings: &mut Findings) {
        self.declared.insert(name.to_owned());
        let (value, from) = (&argument["value"], &argument["valueFrom"]);
        if !value.is_null() && !from.is_null() {
            findings.error(path, format!("argument {name:?} has both value and valueFrom"));
        }
        let secret = &from["secretKeyRef"];
        let source = match (value, secret["name"].as_str(), secret["key"].as_str()) {
            (Json::String(text), ..) => ArgumentSource::Literal(text.clone()),
            (Json::Null, Some(name), Some(key)) => {
                ArgumentSource::Secret(SecretKey { name: name.to_owned(), key: key.to_owned() })
            }
            (Json::Null, ..) => {
                if !secret.is_null() {
                    findings.error(format!("{path}.valueFrom.secretKeyRef"), "needs both name and key");
                }
                self.open.insert(name.to_owned());
                return;
            }
            (other, ..) => {
                findings.error(format!("{path}.value"), format!("must be a string, got {other}"));
                self.open.insert(name.to_owned());
                return;
            }
        };
        self.sources.insert(name.to_owned(), source);
    }

    /// Reports placeholders that are no arguments; whether there are none.
    pub(super) fn check(&self, value: &Json, path: &str, findings: &mut Findings) -> bool {
        let known = |tag: &str| {
            tag.strip_prefix("args.")
                .is_some_and(|name| self.declared.contains(name) || self.open.contains(name))
        };
        let unknown: Vec<_> = placeholders(value, path).into_iter().filter(|(_, tag)| !known(tag)).collect();
        for (path, tag) in &unknown {
            findings.error(path.clone(), format!("failed to resolve {{{{{tag}}}}}"));
        }
        unknown.is_empty()
    }

    /// Whether a value depends on what is not known.
    pub(super) fn is_open(&self, value: &Json) -> bool {
        let open = |tag: &str| tag.strip_prefix("args.").is_some_and(|name| self.open.contains(name));
        placeholders(value, "").iter().any(|(_, tag)| open(tag))
    }

    /// Whether a value depends on what is not known, or is secret.
    pub(super) fn is_hidden(&self, value: &Json) -> bool {
        let secret = |tag: &str| {
            let source = tag.strip_prefix("args.").and_then(|name| self.sources.get(name));
            matches!(source, Some(ArgumentSource::Secret(_)))
        };
        self.is_open(value) || placeholders(value, "").iter().any(|(_, tag)| secret(tag))
    }

    /// What stands for the placeholders of metrics whose placeholders were checked.
    pub(super) fn values(&self) -> Values {
        let arguments: Arguments = self.sources.clone().into_iter().collect();
        arguments.for_planning().unwrap_or_default()
    }

    /// Reports arguments that no metric mentions.
    pub(super) fn check_use(&self, spec: &Json, findings: &mut Findings) {
        let used: BTreeSet<String> =
            placeholders(&spec["metrics"], "").into_iter().map(|(_, tag)| tag).collect();
        for (place, argument) in list(spec, "args").iter().enumerate() {
            if let Some(name) =
                argument["name"].as_str().filter(|name| !used.contains(&format!("args.{name}")))
            {
                findings.warning(format!("spec.args[{place}]"), format!("no metric uses argument {name:?}"));
            }
        }
    }
}

/// The placeholders in all texts and keys of a value, each with the path of its text.
fn placeholders(value: &Json, path: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    match value {
        Json::String(text) => found.extend(tags(text).map(|tag| (path.to_owned(), tag))),
        Json::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                found.extend(placeholders(item, &format!("{path}[{place}]")));
            }
        }
        Json::Object(fields) => {
            for (key, value) in fields {
                found.extend(tags(key).map(|tag| (path.to_owned(), tag)));
                found.extend(placeholders(value, &format!("{path}.{key}")));
            }
        }
        _ => {}
    }
    found
}

/// What stands between double braces.
fn tags(text: &str) -> impl Iterator<Item = String> {
    let parts = text.split("{{").skip(1);
    parts.filter_map(|part| part.split_once("}}").map(|(tag, _)| tag.trim().to_owned()))
}
