//! The border to the CEL interpreter: compiling, counting steps, turning JSON into CEL values by schema.

use super::{Schema, Type, parse_go_duration};
use kube_cel::KubeCelExt;
use kube_cel::cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, operators};
use kube_cel::cel::objects::{Key, Map, OptionalValue};
use kube_cel::cel::parser::Parser;
use kube_cel::cel::{Context, ExecutionError, Value as CelValue, functions};
use serde_json::Value;
use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

/// Most loop steps of one evaluation of a rule. Upstream allows 1,000,000 units of cost, and a step of a loop costs
/// some five of them.
const RULE_STEPS: u64 = 200_000;
/// Most loop steps of all rules on one object.
const OBJECT_STEPS: u64 = 2_000_000;
/// Longest source of a rule; the parser's work grows with it.
const SOURCE_LIMIT: usize = 64 * 1024;
/// Called by every step of every loop; no rule can spell it.
const STEP: &str = "@step";

thread_local! {
    /// Steps left for the evaluation that runs on this thread.
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// A compiled expression whose loops count their steps.
#[derive(Debug, Clone)]
pub(super) struct Expression {
    tree: Arc<IdedExpr>,
    variables: Arc<BTreeSet<String>>,
}

impl Expression {
    pub(super) fn compile(source: &str) -> Result<Expression, String> {
        if source.len() > SOURCE_LIMIT {
            return Err(format!("expression has {} bytes, at most {SOURCE_LIMIT} are allowed", source.len()));
        }
        let mut tree = Parser::new().enable_optional_syntax(true).parse(source).map_err(|errors| {
            let text = errors.to_string();
            text.lines().next().unwrap_or_default().to_owned()
        })?;
        let variables = tree.references().variables().into_iter().map(str::to_owned).collect();
        count_steps(&mut tree)?;
        Ok(Expression { tree: Arc::new(tree), variables: Arc::new(variables) })
    }

    /// Whether the expression names a variable.
    pub(super) fn mentions(&self, variable: &str) -> bool {
        self.variables.contains(variable)
    }

    pub(super) fn tree(&self) -> &IdedExpr {
        &self.tree
    }
}

/// Puts a call before the condition of every loop. Refuses what the interpreter cannot evaluate.
fn count_steps(node: &mut IdedExpr) -> Result<(), String> {
    match &mut node.expr {
        Expr::Call(call) => {
            call.target.iter_mut().try_for_each(|target| count_steps(target))?;
            call.args.iter_mut().try_for_each(count_steps)
        }
        Expr::Comprehension(comprehension) => {
            for part in [
                &mut comprehension.iter_range,
                &mut comprehension.accu_init,
                &mut comprehension.loop_cond,
                &mut comprehension.loop_step,
                &mut comprehension.result,
            ] {
                count_steps(part)?;
            }
            let condition = std::mem::take(&mut comprehension.loop_cond);
            let step = CallExpr { func_name: STEP.to_owned(), target: None, args: Vec::new() };
            let step = IdedExpr { id: condition.id, expr: Expr::Call(step) };
            let both = CallExpr {
                func_name: operators::LOGICAL_AND.to_owned(),
                target: None,
                args: vec![step, condition],
            };
            comprehension.loop_cond = IdedExpr { id: node.id, expr: Expr::Call(both) };
            Ok(())
        }
        Expr::List(list) => list.elements.iter_mut().try_for_each(count_steps),
        Expr::Map(map) => map.entries.iter_mut().try_for_each(|entry| match &mut entry.expr {
            EntryExpr::MapEntry(entry) => {
                count_steps(&mut entry.key)?;
                count_steps(&mut entry.value)
            }
            EntryExpr::StructField(_) => Err("ERROR: <input>:1:1: unsupported map literal".to_owned()),
        }),
        Expr::Select(select) => count_steps(&mut select.operand),
        Expr::Struct(_) => Err("ERROR: <input>:1:1: message literals are not supported".to_owned()),
        Expr::Unspecified => Err("ERROR: <input>:1:1: empty expression".to_owned()),
        Expr::Ident(_) | Expr::Literal(_) => Ok(()),
    }
}

/// What the rules on one object may still cost.
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
    spent: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { left: OBJECT_STEPS, spent: false }
    }
}

impl Budget {
    pub(super) fn is_spent(&self) -> bool {
        self.spent
    }

    /// Runs one evaluation with what is left.
    fn run<T>(&mut self, evaluate: impl FnOnce() -> T) -> T {
        let limit = RULE_STEPS.min(self.left);
        STEPS.set(limit);
        let result = evaluate();
        let rest = STEPS.get();
        self.left -= limit - rest;
        self.spent |= rest == 0;
        result
    }
}

/// What a rule says about a value.
#[derive(Debug)]
pub(super) enum Verdict {
    Holds,
    Fails,
    Error(String),
}

/// The variables of the rules at one node.
pub(super) struct Scope {
    value: CelValue,
    old: Option<CelValue>,
}

static BASE: LazyLock<Context<'static>> = LazyLock::new(|| {
    let mut context = Context::default().with_all();
    context.add_function(STEP, || {
        let left = STEPS.get();
        STEPS.set(left.saturating_sub(1));
        left > 1
    });
    // Types are values of CEL that the interpreter lacks. Rules only compare them, so their name will do.
    context.add_function("type", |value: CelValue| -> Result<CelValue, ExecutionError> {
        Ok(type_value(type_name(&value)))
    });
    context.add_function("dyn", |value: CelValue| -> Result<CelValue, ExecutionError> { Ok(value) });
    for name in TYPE_NAMES {
        context.add_variable_from_value(*name, type_value(name));
    }
    context
});

const TYPE_NAMES: &[&str] = &["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "uint"];

/// No text a rule can hold looks like this by chance.
fn type_value(name: &str) -> CelValue {
    CelValue::String(Arc::new(format!("\u{0}type {name}")))
}

fn type_name(value: &CelValue) -> &'static str {
    match value {
        CelValue::Bool(_) => "bool",
        CelValue::Bytes(_) => "bytes",
        CelValue::Float(_) => "double",
        CelValue::Int(_) => "int",
        CelValue::UInt(_) => "uint",
        CelValue::List(_) => "list",
        CelValue::Map(_) => "map",
        CelValue::Null => "null_type",
        CelValue::String(_) => "string",
        _ => "google.protobuf.Any",
    }
}

impl Scope {
    pub(super) fn new(schema: &Schema, value: &Value, old: Option<&Value>) -> Self {
        Scope { value: to_cel(schema, value), old: old.map(|old| to_cel(schema, old)) }
    }

    fn resolve(
        &self,
        expression: &Expression,
        optional: bool,
        budget: &mut Budget,
    ) -> Result<CelValue, ExecutionError> {
        let mut context = BASE.new_inner_scope();
        context.add_variable_from_value("self", self.value.clone());
        if expression.mentions("oldSelf") {
            let old = match (&self.old, optional) {
                (Some(old), false) => old.clone(),
                (Some(old), true) => CelValue::Opaque(Arc::new(OptionalValue::of(old.clone()))),
                (None, _) => CelValue::Opaque(Arc::new(OptionalValue::none())),
            };
            context.add_variable_from_value("oldSelf", old);
        }
        budget.run(|| CelValue::resolve(expression.tree(), &context))
    }

    pub(super) fn evaluate(&self, expression: &Expression, optional: bool, budget: &mut Budget) -> Verdict {
        match self.resolve(expression, optional, budget) {
            Ok(CelValue::Bool(true)) => Verdict::Holds,
            Ok(CelValue::Bool(false)) => Verdict::Fails,
            Ok(_) => Verdict::Error("cel expression must evaluate to a bool".to_owned()),
            Err(error) => Verdict::Error(in_words(&error)),
        }
    }

    /// The result of a `messageExpression`, if it is a text.
    pub(super) fn text(
        &self,
        expression: &Expression,
        optional: bool,
        budget: &mut Budget,
    ) -> Option<String> {
        match self.resolve(expression, optional, budget) {
            Ok(CelValue::String(text)) => Some(text.to_string()),
            _ => None,
        }
    }
}

/// Errors in the words of upstream's interpreter, without the values.
fn in_words(error: &ExecutionError) -> String {
    match error {
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::UndeclaredReference(name) => format!("undeclared reference to '{name}'"),
        ExecutionError::Overflow(..) => "integer overflow".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "index out of bounds".to_owned(),
        ExecutionError::FunctionError { message, .. } => message.clone(),
        _ => "no such overload".to_owned(),
    }
}

/// The name of a field as rules spell it.
pub(super) fn escaped(name: &str) -> String {
    const RESERVED: &[&str] = &[
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ];
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    name.replace("__", "__underscores__")
        .replace('.', "__dot__")
        .replace('-', "__dash__")
        .replace('/', "__slash__")
}

fn to_cel(schema: &Schema, value: &Value) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(flag) => CelValue::Bool(*flag),
        Value::Number(_) => number(schema.kind, value),
        Value::String(text) => string(schema, text),
        Value::Array(items) => {
            let convert =
                |item: &Value| schema.items().map_or_else(|| untyped(item), |schema| to_cel(schema, item));
            CelValue::List(Arc::new(items.iter().map(convert).collect()))
        }
        Value::Object(fields) => {
            let mut entries = HashMap::with_capacity(fields.len());
            for (name, value) in fields {
                if let Some(child) = schema.property(name) {
                    let converted = if schema.resource && name == "metadata" {
                        visible_metadata(value)
                    } else {
                        to_cel(child, value)
                    };
                    entries.insert(Key::String(Arc::new(escaped(name))), converted);
                } else if let Some(values) = &schema.additional {
                    entries.insert(Key::String(Arc::new(name.clone())), to_cel(values, value));
                } else if schema.kind == Type::Any {
                    entries.insert(Key::String(Arc::new(name.clone())), untyped(value));
                }
            }
            CelValue::Map(Map { map: Arc::new(entries) })
        }
    }
}

/// Of metadata rules see two fields only.
fn visible_metadata(value: &Value) -> CelValue {
    let names = ["name", "generateName"].into_iter();
    let entries =
        names.filter_map(|name| Some((Key::String(Arc::new(name.to_owned())), untyped(value.get(name)?))));
    CelValue::Map(Map { map: Arc::new(entries.collect()) })
}

fn number(kind: Type, value: &Value) -> CelValue {
    let float = value.as_f64().unwrap_or(f64::NAN);
    match (kind, value.as_i64()) {
        (Type::Number, _) => CelValue::Float(float),
        (_, Some(whole)) => CelValue::Int(whole),
        (Type::Integer, None) if float.fract() == 0.0 => CelValue::Int(float as i64),
        (_, None) => value.as_u64().map_or(CelValue::Float(float), CelValue::UInt),
    }
}

/// Texts with a format have a type of their own; one that does not fit stays a text.
fn string(schema: &Schema, text: &str) -> CelValue {
    let plain = || CelValue::String(Arc::new(text.to_owned()));
    let format = schema.checks.as_ref().and_then(|checks| checks.format).map(super::format::Format::name);
    match format {
        Some("byte") => {
            use base64::Engine;
            let decoded = base64::engine::general_purpose::STANDARD.decode(text);
            decoded.map_or_else(|_| plain(), |bytes| CelValue::Bytes(Arc::new(bytes)))
        }
        Some("date-time") => {
            functions::time::timestamp(Arc::new(text.to_owned())).unwrap_or_else(|_| plain())
        }
        Some("duration") if parse_go_duration(text).is_some() => {
            functions::time::duration(Arc::new(text.to_owned())).unwrap_or_else(|_| plain())
        }
        _ => plain(),
    }
}

fn untyped(value: &Value) -> CelValue {
    static ANY: LazyLock<Schema> = LazyLock::new(|| Schema::of(Type::Any));
    to_cel(&ANY, value)
}
