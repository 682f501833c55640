//! Functions of rules. Those that look at one text or count are done here; all others are the library's, which gets
//! copies of what they need, paid for before.

use super::eval::{Fault, Machine, Outcome};
use super::value::Val;
use kube_cel::KubeCelExt;
use kube_cel::cel::common::ast::{CallExpr, Expr, IdedExpr};
use kube_cel::cel::{Context, ExecutionError, Value as CelValue};
use regex::{Regex, RegexBuilder};
use std::rc::Rc;
use std::sync::LazyLock;

/// Most bytes that a compiled pattern of a rule may take.
pub(super) const RULE_PATTERN: usize = 1 << 20;
/// The same for a pattern that comes from the object, which is compiled each time it is met.
pub(super) const FOUND_PATTERN: usize = 1 << 16;
/// What compiling a pattern costs: some ten thousand times a step.
pub(super) const PATTERN_PRICE: u64 = 10_000;
/// Most digits behind the point that `format` may be asked for.
const PRECISION_LIMIT: u64 = 1_000;

/// The library's functions.
static LIBRARY: LazyLock<Context<'static>> = LazyLock::new(|| Context::default().with_all());

/// The types that rules can name, and the functions that convert to them.
const TYPES: &[&str] =
    &["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "uint", "type"];

/// Names in front of functions.
pub(super) const SPACES: &[&str] =
    &["base64", "format", "ip", "lists", "math", "optional", "sets", "strings"];

/// Every function a rule may call, the ones with a name in front without it.
pub(super) const FUNCTIONS: &[&str] = &[
    "abs",
    "add",
    "asApproximateFloat",
    "asInteger",
    "bitAnd",
    "bitNot",
    "bitOr",
    "bitShiftLeft",
    "bitShiftRight",
    "bitXor",
    "bool",
    "byte",
    "bytes",
    "ceil",
    "charAt",
    "cidr",
    "compareTo",
    "contains",
    "containsCIDR",
    "containsIP",
    "date",
    "datetime",
    "decode",
    "distinct",
    "dns1035Label",
    "dns1035LabelPrefix",
    "dns1123Label",
    "dns1123LabelPrefix",
    "dns1123Subdomain",
    "dns1123SubdomainPrefix",
    "double",
    "duration",
    "dyn",
    "encode",
    "endsWith",
    "equivalent",
    "family",
    "find",
    "findAll",
    "first",
    "flatten",
    "floor",
    "format",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getEscapedPath",
    "getFullYear",
    "getHost",
    "getHostname",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getPort",
    "getQuery",
    "getScheme",
    "getSeconds",
    "greatest",
    "hasValue",
    "indexOf",
    "int",
    "intersects",
    "ip",
    "isCIDR",
    "isCIDRv4",
    "isCIDRv6",
    "isCanonical",
    "isFinite",
    "isGlobalUnicast",
    "isGreaterThan",
    "isIP",
    "isIPv4",
    "isIPv6",
    "isInf",
    "isInteger",
    "isLessThan",
    "isLinkLocalMulticast",
    "isLinkLocalUnicast",
    "isLoopback",
    "isNaN",
    "isQuantity",
    "isSemver",
    "isSorted",
    "isURL",
    "isUnspecified",
    "join",
    "labelValue",
    "last",
    "lastIndexOf",
    "least",
    "lowerAscii",
    "major",
    "masked",
    "matches",
    "max",
    "min",
    "minor",
    "named",
    "none",
    "of",
    "ofNonZeroValue",
    "optFlatMap",
    "optMap",
    "or",
    "orValue",
    "patch",
    "prefixLength",
    "qualifiedName",
    "quantity",
    "quote",
    "range",
    "replace",
    "reverse",
    "round",
    "semver",
    "sign",
    "size",
    "slice",
    "sort",
    "split",
    "sqrt",
    "startsWith",
    "string",
    "sub",
    "substring",
    "sum",
    "timestamp",
    "trim",
    "trunc",
    "type",
    "uint",
    "upperAscii",
    "uri",
    "url",
    "uuid",
    "validate",
    "value",
];

/// Functions of a list that give no longer one.
pub(super) const KEEPS_LENGTH: &[&str] = &["distinct", "reverse", "slice", "sort"];

pub(super) fn type_by_name(name: &str) -> Option<&'static str> {
    TYPES.iter().find(|own| **own == name).copied()
}

/// A pattern within limits; the error is what is wrong with it.
pub(super) fn pattern(text: &str, size: usize) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(size).build().map_err(|error| {
        let error = error.to_string();
        format!("error parsing regexp: {}", error.lines().last().unwrap_or_default())
    })
}

/// Calls a function: `space.name(args)`, `target.name(args)` or `name(args)`.
pub(super) fn call<'v>(
    machine: &mut Machine<'v>,
    space: Option<&str>,
    name: &str,
    target: Option<Val<'v>>,
    args: Vec<Val<'v>>,
) -> Outcome<'v> {
    if let Some(space) = space {
        return match (space, name, args.as_slice()) {
            ("optional", "none", []) => Ok(Val::Optional(None)),
            ("optional", "of", [value]) => Ok(Val::Optional(Some(Rc::new(value.clone())))),
            ("optional", "ofNonZeroValue", [value]) => {
                Ok(Val::Optional((!is_zero(value)).then(|| Rc::new(value.clone()))))
            }
            _ => delegated(machine, Some(space), name, None, args),
        };
    }
    match (name, &target, args.as_slice()) {
        ("type", None, [value]) => Ok(Val::Type(value.type_name())),
        ("dyn", None, [value]) => Ok(value.clone()),
        ("size", Some(value), []) | ("size", None, [value]) => size(machine, value),
        ("string", None, [Val::Text(text)]) => Ok(Val::Text(text.clone())),
        ("int", None, [Val::Int(number)]) => Ok(Val::Int(*number)),
        ("bool", None, [Val::Bool(flag)]) => Ok(Val::Bool(*flag)),
        ("bool", None, [Val::Text(text)]) => match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Val::Bool(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Val::Bool(false)),
            _ => Err(Fault::new("type conversion error from 'string' to 'bool'")),
        },
        ("contains" | "startsWith" | "endsWith", Some(Val::Text(text)), [Val::Text(part)]) => {
            machine.pay((text.len() + part.len()) as u64 / 10)?;
            Ok(Val::Bool(match name {
                "contains" => text.contains(&**part),
                "startsWith" => text.starts_with(&**part),
                _ => text.ends_with(&**part),
            }))
        }
        ("matches", Some(Val::Text(text)), [Val::Text(pattern)])
        | ("matches", None, [Val::Text(text), Val::Text(pattern)]) => {
            pay_for_pattern(machine, text, pattern)?;
            machine.with_pattern(pattern, |pattern| Val::Bool(pattern.is_match(text)))
        }
        ("find", Some(Val::Text(text)), [Val::Text(pattern)]) => {
            pay_for_pattern(machine, text, pattern)?;
            machine.with_pattern(pattern, |pattern| {
                Val::text(pattern.find(text).map(|found| found.as_str()).unwrap_or_default())
            })
        }
        ("findAll", Some(Val::Text(text)), [Val::Text(pattern), limit @ ..]) => {
            let limit = match limit {
                [] => usize::MAX,
                [Val::Int(limit)] => usize::try_from(*limit).unwrap_or(usize::MAX),
                _ => return Err(Fault::no_overload()),
            };
            pay_for_pattern(machine, text, pattern)?;
            machine.pay(text.len() as u64)?;
            machine.with_pattern(pattern, |pattern| {
                Val::list(
                    pattern.find_iter(text).take(limit).map(|found| Val::text(found.as_str())).collect(),
                )
            })
        }
        ("hasValue", Some(Val::Optional(value)), []) => Ok(Val::Bool(value.is_some())),
        ("value", Some(Val::Optional(value)), []) => match value {
            Some(value) => Ok(value.as_ref().clone()),
            None => Err(Fault::new("optional.none() dereference")),
        },
        ("orValue", Some(Val::Optional(value)), [otherwise]) => {
            Ok(value.as_ref().map_or_else(|| otherwise.clone(), |value| value.as_ref().clone()))
        }
        ("or", Some(Val::Optional(value)), [otherwise]) => match value {
            Some(_) => Ok(Val::Optional(value.clone())),
            None => Ok(otherwise.clone()),
        },
        _ => delegated(machine, None, name, target, args),
    }
}

fn size<'v>(machine: &mut Machine<'v>, value: &Val<'v>) -> Outcome<'v> {
    if let Val::Text(text) = value {
        machine.pay(text.len() as u64 / 10)?;
    }
    let size = value.size().ok_or_else(Fault::no_overload)?;
    Ok(Val::Int(size as i64))
}

fn is_zero(value: &Val<'_>) -> bool {
    match value {
        Val::Null => true,
        Val::Bool(flag) => !flag,
        Val::Int(number) => *number == 0,
        Val::UInt(number) => *number == 0,
        Val::Double(number) => *number == 0.0,
        other => other.size() == Some(0),
    }
}

/// A search costs in proportion to text times pattern, as upstream counts it.
fn pay_for_pattern(machine: &mut Machine<'_>, text: &str, pattern: &str) -> Result<(), Fault> {
    machine.pay((1 + text.len() as u64 / 10).saturating_mul(1 + pattern.len() as u64 / 4))
}

/// Lets the library do it: target and arguments become variables of a call.
fn delegated<'v>(
    machine: &mut Machine<'v>,
    space: Option<&str>,
    name: &str,
    target: Option<Val<'v>>,
    args: Vec<Val<'v>>,
) -> Outcome<'v> {
    if !FUNCTIONS.contains(&name) {
        return Err(Fault::new(format!("undeclared reference to '{name}'")));
    }
    pay_before(machine, space, name, target.as_ref(), &args)?;
    let variable = |name: &str| IdedExpr { id: 0, expr: Expr::Ident(name.to_owned()) };
    let mut context = LIBRARY.new_inner_scope();
    let target = match (space, target) {
        (Some(space), _) => Some(variable(space)),
        (None, Some(target)) => {
            context.add_variable_from_value("@target", target.to_cel());
            Some(variable("@target"))
        }
        (None, None) => None,
    };
    let mut names = Vec::with_capacity(args.len());
    for (index, arg) in args.iter().enumerate() {
        let name = format!("@{index}");
        context.add_variable_from_value(name.clone(), arg.to_cel());
        names.push(variable(&name));
    }
    let call = CallExpr { func_name: name.to_owned(), target: target.map(Box::new), args: names };
    let node = IdedExpr { id: 0, expr: Expr::Call(call) };
    let result = CelValue::resolve(&node, &context).map_err(|error| Fault::new(in_words(&error)))?;
    let result = Val::from_cel(result);
    let price = result.weight(machine.left + 1);
    machine.pay(price)?;
    Ok(result)
}

/// The price of a call: what it is given, and more where the work or the result grows faster than that.
fn pay_before<'v>(
    machine: &mut Machine<'v>,
    space: Option<&str>,
    name: &str,
    target: Option<&Val<'v>>,
    args: &[Val<'v>],
) -> Result<(), Fault> {
    for value in target.into_iter().chain(args) {
        let price = value.weight(machine.left + 1);
        machine.pay(price)?;
    }
    let size = |value: Option<&Val<'v>>| value.and_then(Val::size).unwrap_or(1) as u64;
    let (first, second) = (args.first(), args.get(1));
    let square = |left: u64, right: u64| left.saturating_mul(right);
    let more = match (space, name, first) {
        (Some("lists"), "range", Some(Val::Int(count))) => u64::try_from(*count).unwrap_or(0),
        (Some("sets"), ..) => square(size(first), size(second)),
        (None, "distinct" | "sort", _) => square(size(target), size(target)),
        (None, "indexOf" | "lastIndexOf", _) => square(size(target), size(first)) / 10,
        (None, "join", _) => square(size(target), size(first)) / 10,
        // Each place where the old text stands, or every place if it is empty, becomes the new text.
        (None, "replace", _) => {
            let places = size(target) / size(first).max(1) + 1;
            square(places, size(second)) / 10
        }
        (None, "format", _) => precision(target),
        (Some("math"), ..) | (Some(_), ..) | (None, ..) => 0,
    };
    machine.pay(more)
}

/// The digits that a format asks for; too many are more than any budget.
fn precision(format: Option<&Val<'_>>) -> u64 {
    let Some(Val::Text(format)) = format else { return 0 };
    let digits = format.split("%.").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse::<u64>().ok().filter(|digits| *digits <= PRECISION_LIMIT).unwrap_or(u64::MAX)
    });
    digits.fold(0, u64::saturating_add)
}

/// Errors in the words of upstream's interpreter, without the values.
pub(super) fn in_words(error: &ExecutionError) -> String {
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
