//! CEL rules (`x-kubernetes-validations`, `spec/apiserver.md` 13.5): what a rule says, and running all rules of a
//! schema on an object.

use super::cel::{self, Budget, Expression, Scope, Verdict, Wanted};
use super::validate::Past;
use super::{FieldError, FieldReason, Path, Properties, Schema, Type};
use crate::table::JsonPath;
use serde_json::{Map, Value, json};

/// Longest `message`.
const MESSAGE_LIMIT: usize = 2_048;
/// Longest result of a `messageExpression`; a longer one is cut.
const MESSAGE_RESULT_LIMIT: usize = 5 * 1024;

/// Most rounds that all rules of a schema may be estimated to take together, ten times what one may (13.5).
const SCHEMA_LIMIT: u64 = 10 * cel::ESTIMATE_LIMIT;

/// One rule as the CRD states it.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(super) text: String,
    expression: Option<Expression>,
    message: String,
    message_text: String,
    message_expression: Option<Expression>,
    reason: FieldReason,
    field_path: String,
    optional_old: bool,
}

impl Rule {
    /// A rule that compares with the old value runs only where there is one.
    fn is_transition(&self) -> bool {
        self.expression.as_ref().is_some_and(|expression| expression.mentions("oldSelf"))
    }
}

/// Reads the rules of a node.
pub(crate) fn read(fields: &Map<String, Value>, path: &Path<'_>, errors: &mut Vec<FieldError>) -> Vec<Rule> {
    let written = fields.get("x-kubernetes-validations").and_then(Value::as_array);
    let place = path.field("x-kubernetes-validations");
    let rules = written.into_iter().flatten().enumerate();
    rules.filter_map(|(index, rule)| read_rule(rule, &place.index(index), errors)).collect()
}

fn read_rule(rule: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) -> Option<Rule> {
    let text = |name: &str| rule.get(name).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
    let source = text("rule");
    if source.is_empty() {
        errors.push(FieldError::required(path.field("rule"), "rule is not specified"));
        return None;
    }
    let message = text("message");
    if message.contains(['\n', '\r']) {
        errors.push(FieldError::invalid_str(
            path.field("message"),
            &message,
            "message must not contain line breaks",
        ));
    }
    if message.len() > MESSAGE_LIMIT {
        errors.push(FieldError::too_long(path.field("message"), MESSAGE_LIMIT));
    }
    let expression = match Expression::compile(&source) {
        Ok(expression) => Some(expression),
        Err(fault) => {
            errors.push(refused(rule, path, "rule", &format!("compilation failed: {fault}")));
            None
        }
    };
    let dynamic = text("messageExpression");
    let message_expression = match (dynamic.as_str(), Expression::compile(&dynamic)) {
        ("", _) => None,
        (_, Ok(expression)) => Some(expression),
        (_, Err(fault)) => {
            let why = format!("messageExpression compilation failed: {fault}");
            errors.push(refused(rule, path, "messageExpression", &why));
            None
        }
    };
    Some(Rule {
        text: source,
        expression,
        message,
        message_text: dynamic,
        message_expression,
        reason: reason(&text("reason"), path, errors),
        field_path: text("fieldPath"),
        optional_old: rule.get("optionalOldSelf").and_then(Value::as_bool).unwrap_or(false),
    })
}

fn reason(text: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) -> FieldReason {
    match text {
        "" | "FieldValueInvalid" => FieldReason::Invalid,
        "FieldValueForbidden" => FieldReason::Forbidden,
        "FieldValueRequired" => FieldReason::Required,
        "FieldValueDuplicate" => FieldReason::Duplicate,
        _ => {
            let known =
                ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];
            errors.push(FieldError::not_one_of(path.field("reason"), &json!(text), &known));
            FieldReason::Invalid
        }
    }
}

/// A refused rule is shown as a whole, in the words of upstream's type.
fn refused(rule: &Value, path: &Path<'_>, field: &str, why: &str) -> FieldError {
    let text = |name: &str| rule.get(name).and_then(Value::as_str).unwrap_or_default();
    let shown = json!({
        "Rule": text("rule"),
        "Message": text("message"),
        "MessageExpression": text("messageExpression"),
        "Reason": rule.get("reason"),
        "FieldPath": text("fieldPath"),
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    });
    FieldError::invalid(path.field(field), &shown, why)
}

/// Checks the rules of a whole schema against the schema: fields they name, types, what they may cost.
pub(crate) fn compile(schema: &Schema, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let total = compile_node(schema, path, errors);
    if total > SCHEMA_LIMIT {
        let why = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor \
                   of more than 100x (try simplifying the rules, or adding maxItems, maxProperties, and maxLength where \
                   arrays, maps, and strings are declared)";
        errors.push(FieldError::forbidden(path, why));
    }
}

fn compile_node(schema: &Schema, path: &Path<'_>, errors: &mut Vec<FieldError>) -> u64 {
    if !schema.has_rules {
        return 0;
    }
    let mut total = 0u64;
    for (index, rule) in schema.rules.iter().enumerate() {
        let place = path.field("x-kubernetes-validations");
        total = total.saturating_add(check_rule(rule, schema, &place.index(index), errors));
    }
    let place = path.field("properties");
    if let Properties::Own(properties) = &schema.properties {
        for (name, child) in properties {
            total = total.saturating_add(compile_node(child, &place.key(name), errors));
        }
    }
    // A rule inside a list or map runs once for each item.
    let checks = schema.checks.as_deref();
    let many = |limit: Option<u64>, below: u64| below.saturating_mul(limit.unwrap_or(1).max(1));
    if let Some(values) = &schema.additional {
        let below = compile_node(values, &path.field("additionalProperties"), errors);
        total = total.saturating_add(many(checks.and_then(|checks| checks.max_properties), below));
    }
    if let Some(items) = &schema.items {
        let below = compile_node(items, &path.field("items"), errors);
        total = total.saturating_add(many(checks.and_then(|checks| checks.max_items), below));
    }
    total
}

/// Returns the rounds the rule may take.
fn check_rule(rule: &Rule, schema: &Schema, path: &Path<'_>, errors: &mut Vec<FieldError>) -> u64 {
    let mut rounds = 0;
    let shown = json!({"rule": rule.text, "message": rule.message, "messageExpression": rule.message_text,
        "fieldPath": rule.field_path});
    if let Some(expression) = &rule.expression {
        let checked = cel::check(expression.tree(), &rule.text, schema, rule.optional_old, Wanted::Bool);
        rounds = cel::estimate(expression.tree(), schema);
        if let Err(why) = checked {
            errors.push(refused(&shown, path, "rule", &why));
        } else if rounds > cel::ESTIMATE_LIMIT {
            let why = "estimated rule cost exceeds budget by factor of more than 100x (try simplifying the rule, or \
                       adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)";
            errors.push(FieldError::forbidden(path.field("rule"), why));
            rounds = 0;
        }
    }
    if let Some(expression) = &rule.message_expression {
        let text = &rule.message_text;
        let checked = cel::check(expression.tree(), text, schema, rule.optional_old, Wanted::Text);
        if let Err(why) = checked {
            errors.push(refused(&shown, path, "messageExpression", &why));
        }
    }
    check_field_path(rule, schema, path, errors);
    rounds
}

/// The path must lead to a declared field, by names alone.
fn check_field_path(rule: &Rule, schema: &Schema, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if rule.field_path.is_empty() {
        return;
    }
    let parsed = JsonPath::parse(&rule.field_path).ok();
    let fields = parsed.as_ref().and_then(JsonPath::as_fields).filter(|fields| !fields.is_empty());
    if fields.is_none_or(|fields| schema.at(&fields).is_none()) {
        let why = "fieldPath must be a valid path";
        errors.push(FieldError::invalid_str(path.field("fieldPath"), &rule.field_path, why));
    }
}

/// Runs the rules of a schema on an object.
pub(crate) fn check(schema: &Schema, object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let mut budget = Budget::default();
    visit(schema, object, old, &Path::Root, &mut budget, errors);
    if budget.is_spent() {
        let why =
            "validation failed due to running out of cost budget, no further validation rules will be run";
        errors.push(FieldError::invalid_bare("", why));
    }
}

fn visit(
    schema: &Schema,
    value: &Value,
    old: Option<&Value>,
    path: &Path<'_>,
    budget: &mut Budget,
    errors: &mut Vec<FieldError>,
) {
    if !schema.has_rules || value.is_null() || budget.is_spent() {
        return;
    }
    run(schema, value, old, path, budget, errors);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let old = old.and_then(|old| old.get(name));
                if let Some(child) = schema.property(name) {
                    visit(child, value, old, &path.field(name), budget, errors);
                } else if let Some(values) = &schema.additional {
                    visit(values, value, old, &path.key(name), budget, errors);
                }
            }
        }
        Value::Array(items) => {
            let Some(child) = schema.items() else { return };
            let past = Past::of(schema, old);
            for (index, item) in items.iter().enumerate() {
                visit(child, item, past.item(schema, item), &path.index(index), budget, errors);
            }
        }
        _ => {}
    }
}

fn run(
    schema: &Schema,
    value: &Value,
    old: Option<&Value>,
    path: &Path<'_>,
    budget: &mut Budget,
    errors: &mut Vec<FieldError>,
) {
    if schema.rules.is_empty() {
        return;
    }
    let unchanged = old == Some(value);
    let old = old.filter(|old| !old.is_null());
    let mut scope = None;
    for rule in &schema.rules {
        let Some(expression) = &rule.expression else { continue };
        let transition = rule.is_transition();
        // An unchanged value is not refused again; a transition needs something it comes from.
        if (unchanged && !transition) || (transition && old.is_none() && !rule.optional_old) {
            continue;
        }
        let scope = scope.get_or_insert_with(|| Scope::new(schema, value, old));
        let verdict = scope.evaluate(expression, rule.optional_old, budget);
        if budget.is_spent() {
            return;
        }
        match verdict {
            Verdict::Holds => {}
            Verdict::Fails => {
                let dynamic = rule.message_expression.as_ref();
                let dynamic = dynamic.and_then(|message| scope.text(message, rule.optional_old, budget));
                errors.push(failure(rule, dynamic, schema, value, path));
            }
            Verdict::Error(fault) => {
                let kind = match schema.kind {
                    Type::Array => "array",
                    Type::Object | Type::Any => "object",
                    Type::String | Type::IntOrString => "string",
                    Type::Integer => "integer",
                    Type::Number => "number",
                    Type::Boolean => "boolean",
                };
                let why = format!("{fault} evaluating rule: {}", rule.text);
                errors.push(FieldError::invalid(path, &json!(kind), why));
            }
        }
    }
}

fn failure(
    rule: &Rule,
    dynamic: Option<String>,
    schema: &Schema,
    value: &Value,
    path: &Path<'_>,
) -> FieldError {
    let usable =
        dynamic.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty() && !text.contains('\n'));
    let message = match usable {
        Some(mut text) => {
            let end =
                (0..=MESSAGE_RESULT_LIMIT.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or(0));
            text
        }
        None if !rule.message.is_empty() => rule.message.clone(),
        None => format!("failed rule: {}", rule.text),
    };
    let place = format!("{path}{}", rule.field_path);
    let place = place.strip_prefix('.').unwrap_or(&place);
    match rule.reason {
        FieldReason::Forbidden => FieldError::forbidden(place, message),
        FieldReason::Required => FieldError::required(place, &message),
        FieldReason::Duplicate => {
            FieldError::with_reason(place, FieldReason::Duplicate, "Duplicate value".to_owned())
        }
        _ if matches!(schema.kind, Type::Object | Type::Array | Type::Any) || !rule.field_path.is_empty() => {
            FieldError::invalid_bare(place, message)
        }
        _ => FieldError::invalid(place, value, message),
    }
}

/// Whether an error makes the value unusable for rules.
pub(crate) fn prevents(error: &FieldError) -> bool {
    use FieldReason::{NotSupported, Required, TooLong, TooMany, TypeInvalid};
    matches!(error.reason, TypeInvalid | Required | NotSupported | TooLong | TooMany)
}

/// The error that says that rules were not run.
pub(crate) fn unchecked() -> FieldError {
    FieldError::invalid(
        "",
        &Value::Null,
        "some validation rules were not checked because the object was invalid; correct the existing errors to \
         complete validation",
    )
}
