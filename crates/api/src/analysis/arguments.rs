//! What the arguments of a run are (`spec/okra.md` 3.4.5, `spec/analysis.md` 1.5).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use thiserror::Error;

use super::field_path::{FieldPathError, field_path};
use super::template::{Argument, ArgumentSource};
use crate::cell::AnalysisArgument;

/// Arguments with nothing left to resolve but secrets, and what to warn about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvedArguments {
    /// Template order, then caller order, then built-in ones that are used.
    pub args: Vec<Argument>,
    /// Names that the caller gives and no template declares.
    pub undeclared: Vec<String>,
}

/// An argument has no value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ArgumentError {
    /// Neither declared with a value nor given one.
    #[error("args.{0} was not resolved")]
    Unresolved(String),
    /// Given by the caller more than once.
    #[error("args.{0} is given twice")]
    Duplicate(String),
    /// An argument of the caller without a name.
    #[error("args[{0}] has no name")]
    Unnamed(usize),
    /// Both a value and a source.
    #[error("args.{0} has both value and valueFrom")]
    Ambiguous(String),
    /// A source that means nothing here.
    #[error("args.{0}: podTemplateHashValue has no meaning for a Cell")]
    PodTemplateHash(String),
    /// A field reference leads nowhere.
    #[error("args.{name} was not resolved")]
    Field {
        /// Name of the argument.
        name: String,
        /// Why.
        #[source]
        source: FieldPathError,
    },
}

/// Resolves the arguments of one run.
///
/// `declared` comes from [`super::merge_templates`]; `given` from the step;
/// `cell` is the Cell as JSON, with the status that the plan is about to
/// write; `built_in` are the `okra.*` arguments, of which only those are
/// taken that `metrics` mention. A given argument replaces the declared
/// source as a whole; secrets stay references.
///
/// # Errors
/// When an argument ends without a value; names it.
pub fn resolve_arguments(
    declared: &[Argument],
    given: &[AnalysisArgument],
    cell: &Value,
    built_in: &BTreeMap<String, String>,
    metrics: &[Value],
) -> Result<ResolvedArguments, ArgumentError> {
    let mut args = declared.to_vec();
    let mut undeclared = vec![];
    let mut seen = BTreeSet::new();
    for (index, argument) in given.iter().enumerate() {
        if argument.name.is_empty() {
            return Err(ArgumentError::Unnamed(index));
        }
        if !seen.insert(argument.name.as_str()) {
            return Err(ArgumentError::Duplicate(argument.name.clone()));
        }
        let Some(source) = given_source(argument)? else { continue };
        match args.iter_mut().find(|declared| declared.name == argument.name) {
            Some(declared) => *declared = source,
            None => {
                undeclared.push(argument.name.clone());
                args.push(source);
            }
        }
    }
    for argument in &mut args {
        if !argument.has_source()
            && let Some(value) = built_in.get(&argument.name)
        {
            argument.value = Some(value.clone());
        }
        resolve(argument, cell)?;
    }
    let known: BTreeSet<String> = args.iter().map(|argument| argument.name.clone()).collect();
    let text = Value::from(metrics.to_vec()).to_string();
    let used = built_in
        .iter()
        .filter(|(name, _)| !known.contains(*name) && text.contains(&format!("args.{name}")))
        .map(|(name, value)| Argument::literal(name, value));
    args.extend(used);
    Ok(ResolvedArguments { args, undeclared })
}

/// What the caller says about an argument, or nothing when it only names it.
fn given_source(argument: &AnalysisArgument) -> Result<Option<Argument>, ArgumentError> {
    let name = argument.name.clone();
    let from = argument.value_from.clone().unwrap_or_default();
    if from.pod_template_hash_value.is_some() {
        return Err(ArgumentError::PodTemplateHash(name));
    }
    match (&argument.value, from.field_ref) {
        (Some(_), Some(_)) => Err(ArgumentError::Ambiguous(name)),
        (Some(value), None) => Ok(Some(Argument::literal(name, value))),
        (None, Some(field)) => {
            let source = ArgumentSource { field_ref: Some(field), secret_key_ref: None };
            Ok(Some(Argument { name, value: None, value_from: Some(source) }))
        }
        (None, None) => Ok(None),
    }
}

fn resolve(argument: &mut Argument, cell: &Value) -> Result<(), ArgumentError> {
    if !argument.has_source() {
        return Err(ArgumentError::Unresolved(argument.name.clone()));
    }
    let Some(from) = &argument.value_from else { return Ok(()) };
    let secret = from.secret_key_ref.is_some();
    if argument.value.is_some() || (secret && from.field_ref.is_some()) {
        return Err(ArgumentError::Ambiguous(argument.name.clone()));
    }
    if let Some(field) = &from.field_ref {
        let value = field_path(cell, &field.field_path)
            .map_err(|source| ArgumentError::Field { name: argument.name.clone(), source })?;
        *argument = Argument::literal(&argument.name, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn declared(args: Value) -> Vec<Argument> {
        serde_json::from_value(args).unwrap()
    }

    fn given(args: Value) -> Vec<AnalysisArgument> {
        serde_json::from_value(args).unwrap()
    }

    fn run(declared_args: Value, given_args: Value) -> Result<ResolvedArguments, ArgumentError> {
        let cell = json!({"metadata": {"name": "web"}, "status": {"desiredVersion": "2.0.0"}});
        let built_in = BTreeMap::from([("okra.cell".to_owned(), "web".to_owned())]);
        resolve_arguments(&declared(declared_args), &given(given_args), &cell, &built_in, &[])
    }

    fn pairs(resolved: &ResolvedArguments) -> Vec<(&str, Option<&str>)> {
        resolved.args.iter().map(|arg| (arg.name.as_str(), arg.value.as_deref())).collect()
    }

    #[test]
    fn h_40_each_argument_keeps_its_own_value() {
        let resolved = run(
            json!([{"name": "a"}, {"name": "b", "value": "default"}, {"name": "c", "value": "kept"}]),
            json!([{"name": "b", "value": "2"}, {"name": "a", "value": "1"}, {"name": "x", "value": "9"}]),
        )
        .unwrap();
        assert_eq!(
            pairs(&resolved),
            [("a", Some("1")), ("b", Some("2")), ("c", Some("kept")), ("x", Some("9"))]
        );
        assert_eq!(resolved.undeclared, ["x"]);
    }

    #[test]
    fn h_41_the_order_is_that_of_the_template_then_of_the_step() {
        let one = run(
            json!([{"name": "b"}, {"name": "a"}]),
            json!([{"name": "a", "value": ""}, {"name": "b", "value": ""}]),
        );
        let other = run(
            json!([{"name": "b"}, {"name": "a"}]),
            json!([{"name": "b", "value": ""}, {"name": "a", "value": ""}]),
        );
        assert_eq!(one, other);
        assert_eq!(pairs(&one.unwrap()), [("b", Some("")), ("a", Some(""))]);
    }

    #[test]
    fn h_06_field_references_work_whether_declared_or_not() {
        let from = json!({"fieldRef": {"fieldPath": "status.desiredVersion"}});
        for declared in [json!([]), json!([{"name": "v"}]), json!([{"name": "v", "value": "1.0.0"}])] {
            let resolved = run(declared, json!([{"name": "v", "valueFrom": from}])).unwrap();
            assert_eq!(resolved.args, [Argument::literal("v", "2.0.0")]);
        }
        let resolved = run(json!([{"name": "v", "valueFrom": from}]), json!([])).unwrap();
        assert_eq!(resolved.args, [Argument::literal("v", "2.0.0")]);
        let missing = json!({"fieldRef": {"fieldPath": "status.nothing"}});
        let error = run(json!([]), json!([{"name": "v", "valueFrom": missing}])).unwrap_err();
        assert_eq!(error.to_string(), "args.v was not resolved");
    }

    #[test]
    fn an_override_replaces_the_whole_source() {
        let secret = json!({"secretKeyRef": {"name": "s", "key": "k"}});
        let kept = run(json!([{"name": "t", "valueFrom": secret}]), json!([])).unwrap();
        assert_eq!(kept.args[0].value_from.as_ref().unwrap().secret_key_ref.as_ref().unwrap().key, "k");
        let replaced =
            run(json!([{"name": "t", "valueFrom": secret}]), json!([{"name": "t", "value": ""}])).unwrap();
        assert_eq!(replaced.args, [Argument::literal("t", "")]);
    }

    #[test]
    fn an_argument_without_a_value_is_named() {
        let error = run(json!([{"name": "a"}]), json!([{"name": "a"}])).unwrap_err();
        assert_eq!(error.to_string(), "args.a was not resolved");
        let hash = json!({"podTemplateHashValue": "Latest"});
        let error = run(json!([]), json!([{"name": "a", "valueFrom": hash}])).unwrap_err();
        assert_eq!(error, ArgumentError::PodTemplateHash("a".to_owned()));
        let twice = json!([{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]);
        assert_eq!(run(json!([]), twice), Err(ArgumentError::Duplicate("a".to_owned())));
    }

    #[test]
    fn built_in_arguments_are_added_where_they_are_used_and_give_way_to_declared_ones() {
        let cell = json!({});
        let built_in = BTreeMap::from([
            ("okra.cell".to_owned(), "web".to_owned()),
            ("okra.step".to_owned(), "2".to_owned()),
        ]);
        let metrics = [json!({"name": "m", "provider": {"web": {"url": "http://x/{{ args.okra.cell }}"}}})];
        let resolve =
            |args: Value| resolve_arguments(&declared(args), &[], &cell, &built_in, &metrics).unwrap().args;
        assert_eq!(resolve(json!([])), [Argument::literal("okra.cell", "web")]);
        assert_eq!(resolve(json!([{"name": "okra.cell"}])), [Argument::literal("okra.cell", "web")]);
        assert_eq!(
            resolve(json!([{"name": "okra.cell", "value": "mine"}])),
            [Argument::literal("okra.cell", "mine")]
        );
    }
}
