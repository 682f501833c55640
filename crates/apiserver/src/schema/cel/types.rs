//! What can be said about a rule before it runs: names that are not declared, operators on what they do not take,
//! results of the wrong type. A type that is not known fits everywhere: nothing is refused that could run.

use super::super::format::Format;
use super::super::{Schema, Type};
use super::names::{escaped, unescaped};
use super::value::visible_metadata;
use super::{children, library};
use kube_cel::cel::common::ast::{
    CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators as op,
};

/// The type of an expression.
#[derive(Debug, Clone, PartialEq)]
enum Ty<'s> {
    /// Not known before the rule runs.
    Dyn,
    /// A named type without parts: `bool`, `int`, `string`, `timestamp` and so on.
    Simple(&'static str),
    List(Box<Ty<'s>>),
    Map(Box<Ty<'s>>),
    /// An object with declared fields.
    Object(Node<'s>),
}

/// A schema node; two are the same only if they are one.
#[derive(Debug, Clone, Copy)]
struct Node<'s>(&'s Schema);

impl PartialEq for Node<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

const BOOL: Ty<'static> = Ty::Simple("bool");
const INT: Ty<'static> = Ty::Simple("int");
const STRING: Ty<'static> = Ty::Simple("string");

impl<'s> Ty<'s> {
    fn of(schema: &'s Schema) -> Self {
        if schema.nullable {
            // null has no overloads, and which of the two it is shows only later.
            return match schema.kind {
                Type::Object if schema.additional.is_none() => Ty::Object(Node(schema)),
                _ => Ty::Dyn,
            };
        }
        let format = schema.checks.as_ref().and_then(|checks| checks.format).map(Format::name);
        match (schema.kind, format) {
            (Type::Any | Type::IntOrString, _) => Ty::Dyn,
            (Type::Boolean, _) => BOOL,
            (Type::Integer, _) => INT,
            (Type::Number, _) => Ty::Simple("double"),
            (Type::String, Some("byte")) => Ty::Simple("bytes"),
            (Type::String, Some("date" | "date-time")) => Ty::Simple("timestamp"),
            (Type::String, Some("duration")) => Ty::Simple("duration"),
            (Type::String, _) => STRING,
            (Type::Array, _) => Ty::List(Box::new(schema.items().map_or(Ty::Dyn, Ty::of))),
            (Type::Object, _) => match &schema.additional {
                Some(values) => Ty::Map(Box::new(Ty::of(values))),
                None => Ty::Object(Node(schema)),
            },
        }
    }

    fn name(&self) -> String {
        match self {
            Ty::Dyn => "dyn".to_owned(),
            Ty::Simple(name) => (*name).to_owned(),
            Ty::List(item) => format!("list({})", item.name()),
            Ty::Map(value) => format!("map(string, {})", value.name()),
            Ty::Object(_) => "object".to_owned(),
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Ty::Simple("int" | "uint" | "double"))
    }
}

/// What an expression must come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Wanted {
    /// A rule.
    Bool,
    /// A message.
    Text,
}

/// Checks an expression on values of a schema; `optional` says that `oldSelf` is an optional. The error is the text
/// behind `compilation failed: `, or behind the path if the type of the result is wrong.
pub(in super::super) fn check(
    tree: &IdedExpr,
    source: &str,
    schema: &Schema,
    optional: bool,
    wanted: Wanted,
) -> Result<(), String> {
    let old = if optional { Ty::Dyn } else { Ty::of(schema) };
    let mut checker = Checker { source, variables: vec![("self", Ty::of(schema)), ("oldSelf", old)] };
    let found = checker.infer(tree).map_err(|fault| format!("compilation failed: ERROR: <input>:{fault}"))?;
    match (wanted, found) {
        (_, Ty::Dyn) | (Wanted::Bool, BOOL) | (Wanted::Text, STRING) => Ok(()),
        (Wanted::Bool, _) => Err("cel expression must evaluate to a bool".to_owned()),
        (Wanted::Text, _) => Err("messageExpression must evaluate to a string".to_owned()),
    }
}

struct Checker<'s> {
    source: &'s str,
    variables: Vec<(&'s str, Ty<'s>)>,
}

impl<'s> Checker<'s> {
    /// `LINE:COLUMN: WHAT`, at the first place where the text stands.
    fn fault(&self, at: &str, what: String) -> String {
        let place = self.source.find(at).unwrap_or(0);
        let before = &self.source[..place];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("{line}:{column}: {what}")
    }

    fn undeclared(&self, name: &str) -> String {
        self.fault(name, format!("undeclared reference to '{name}' (in container '')"))
    }

    fn infer(&mut self, node: &'s IdedExpr) -> Result<Ty<'s>, String> {
        match &node.expr {
            Expr::Literal(literal) => Ok(literal_type(literal)),
            Expr::Ident(name) => self.identifier(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                let mut item = None;
                for element in &list.elements {
                    let found = self.infer(element)?;
                    item = Some(match item {
                        None => found,
                        Some(known) if known == found => known,
                        Some(_) => Ty::Dyn,
                    });
                }
                Ok(Ty::List(Box::new(item.unwrap_or(Ty::Dyn))))
            }
            Expr::Map(_) => {
                for child in children(node) {
                    self.infer(child)?;
                }
                Ok(Ty::Map(Box::new(Ty::Dyn)))
            }
            Expr::Comprehension(loop_) => self.loop_(loop_),
            Expr::Struct(_) | Expr::Unspecified => Ok(Ty::Dyn),
        }
    }

    fn identifier(&self, name: &str) -> Result<Ty<'s>, String> {
        if let Some((_, found)) = self.variables.iter().rev().find(|(own, _)| *own == name) {
            return Ok(found.clone());
        }
        match library::type_by_name(name) {
            Some(_) => Ok(Ty::Simple("type")),
            None => Err(self.undeclared(name)),
        }
    }

    fn select(&mut self, select: &'s SelectExpr) -> Result<Ty<'s>, String> {
        let operand = self.infer(&select.operand)?;
        let undefined =
            || self.fault(&format!(".{}", select.field), format!("undefined field '{}'", select.field));
        let found = match operand {
            Ty::Dyn => Ty::Dyn,
            Ty::Map(value) => *value,
            Ty::Object(Node(schema)) => self.declared(schema, &select.field).ok_or_else(undefined)?,
            other => {
                let what = format!("type '{}' does not support field selection", other.name());
                return Err(self.fault(&format!(".{}", select.field), what));
            }
        };
        Ok(if select.test { BOOL } else { found })
    }

    fn declared(&self, schema: &'s Schema, spelled: &str) -> Option<Ty<'s>> {
        let name = unescaped(spelled);
        if escaped(&name) != spelled {
            return None;
        }
        if schema.resource && name == "metadata" {
            return Some(Ty::Object(Node(visible_metadata())));
        }
        schema.property(&name).map(Ty::of)
    }

    fn loop_(&mut self, loop_: &'s ComprehensionExpr) -> Result<Ty<'s>, String> {
        let (key, value) = match self.infer(&loop_.iter_range)? {
            Ty::List(item) if loop_.iter_var2.is_some() => (INT, *item),
            Ty::List(item) => (*item, Ty::Dyn),
            Ty::Map(value) => (STRING, *value),
            Ty::Dyn => (Ty::Dyn, Ty::Dyn),
            other => {
                let what =
                    format!("expression of type '{}' cannot be range of a comprehension", other.name());
                return Err(self.fault("", what));
            }
        };
        let start = match self.infer(&loop_.accu_init)? {
            Ty::List(_) => Ty::Dyn,
            other => other,
        };
        let depth = self.variables.len();
        self.variables.push((&loop_.accu_var, start.clone()));
        self.variables.push((&loop_.iter_var, key));
        if let Some(name) = &loop_.iter_var2 {
            self.variables.push((name, value));
        }
        let inside = self.infer(&loop_.loop_cond).and_then(|_| self.infer(&loop_.loop_step));
        self.variables.truncate(depth + 1);
        let result = inside.and_then(|_| self.infer(&loop_.result));
        self.variables.truncate(depth);
        // What a list is made of is not followed.
        result.map(|found| {
            if matches!(loop_.accu_init.expr, Expr::List(_)) { Ty::List(Box::new(Ty::Dyn)) } else { found }
        })
    }

    fn call(&mut self, call: &'s CallExpr) -> Result<Ty<'s>, String> {
        if let ("optMap" | "optFlatMap", [IdedExpr { expr: Expr::Ident(name), .. }, body]) =
            (call.func_name.as_str(), call.args.as_slice())
        {
            self.variables.push((name, Ty::Dyn));
            let inside = self.infer(body);
            self.variables.pop();
            return inside.map(|_| Ty::Dyn);
        }
        let space = match call.target.as_deref().map(|target| &target.expr) {
            Some(Expr::Ident(name)) if !self.variables.iter().any(|(own, _)| own == name) => {
                Some(name.as_str())
            }
            _ => None,
        };
        if let Some(space) = space.filter(|space| !library::SPACES.contains(space)) {
            return Err(self.undeclared(space));
        }
        let target = match (&call.target, space) {
            (Some(target), None) => Some(self.infer(target)?),
            _ => None,
        };
        let mut args = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            args.push(self.infer(arg)?);
        }
        let name = call.func_name.as_str();
        match args.as_slice() {
            [left, right] if is_binary(name) => self.binary(name, left, right),
            _ if name.starts_with(['_', '@', '!', '-']) => Ok(result_of_operator(name, &args)),
            _ if library::FUNCTIONS.contains(&name) => Ok(result_of(name, target.as_ref(), space)),
            _ => Err(self.undeclared(name)),
        }
    }

    fn binary(&self, name: &str, left: &Ty<'s>, right: &Ty<'s>) -> Result<Ty<'s>, String> {
        let none = || {
            let sign = name.trim_matches('_');
            let what = format!(
                "found no matching overload for '{name}' applied to '({}, {})'",
                left.name(),
                right.name()
            );
            Err(self.fault(&format!("{sign} "), what))
        };
        if *left == Ty::Dyn || *right == Ty::Dyn {
            return Ok(match name {
                op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO => Ty::Dyn,
                _ => BOOL,
            });
        }
        let times = |ty: &Ty<'_>| matches!(ty, Ty::Simple("timestamp" | "duration"));
        match name {
            op::ADD if matches!((left, right), (Ty::List(_), Ty::List(_))) => Ok(Ty::List(Box::new(Ty::Dyn))),
            op::ADD | op::SUBSTRACT if times(left) && times(right) => Ok(Ty::Dyn),
            op::ADD if left == right && matches!(left, Ty::Simple("string" | "bytes")) => Ok(left.clone()),
            op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO => {
                if left == right && left.is_number() { Ok(left.clone()) } else { none() }
            }
            op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS => {
                let ordered = matches!(left, Ty::Simple(kind) if !["null_type", "type"].contains(kind));
                let fits = (left == right && ordered) || (left.is_number() && right.is_number());
                if fits { Ok(BOOL) } else { none() }
            }
            // Equality of what can never be equal is a slip of the pen, as upstream sees it.
            _ => match (left, right) {
                (Ty::Simple(a), Ty::Simple(b)) if a != b && ![*a, *b].contains(&"null_type") => {
                    if left.is_number() && right.is_number() { Ok(BOOL) } else { none() }
                }
                _ => Ok(BOOL),
            },
        }
    }
}

fn is_binary(name: &str) -> bool {
    [
        op::ADD,
        op::SUBSTRACT,
        op::MULTIPLY,
        op::DIVIDE,
        op::MODULO,
        op::LESS,
        op::LESS_EQUALS,
        op::GREATER,
        op::GREATER_EQUALS,
        op::EQUALS,
        op::NOT_EQUALS,
    ]
    .contains(&name)
}

fn literal_type(literal: &LiteralValue) -> Ty<'static> {
    Ty::Simple(match literal {
        LiteralValue::Boolean(_) => "bool",
        LiteralValue::Bytes(_) => "bytes",
        LiteralValue::Double(_) => "double",
        LiteralValue::Int(_) => "int",
        LiteralValue::Null => "null_type",
        LiteralValue::String(_) => "string",
        LiteralValue::UInt(_) => "uint",
    })
}

fn result_of_operator<'s>(name: &str, args: &[Ty<'s>]) -> Ty<'s> {
    match (name, args) {
        (op::LOGICAL_AND | op::LOGICAL_OR | op::LOGICAL_NOT | op::IN | op::NOT_STRICTLY_FALSE, _) => BOOL,
        (op::INDEX, [Ty::List(part) | Ty::Map(part), _]) => part.as_ref().clone(),
        (op::CONDITIONAL, [_, then, otherwise]) if then == otherwise => then.clone(),
        (op::NEGATE, [operand]) => operand.clone(),
        _ => Ty::Dyn,
    }
}

/// The result of a function, where one name has one.
fn result_of<'s>(name: &str, target: Option<&Ty<'s>>, space: Option<&str>) -> Ty<'s> {
    match name {
        "size" | "getDate" | "getDayOfMonth" | "getDayOfWeek" | "getDayOfYear" | "getFullYear"
        | "getHours" | "getMilliseconds" | "getMinutes" | "getMonth" | "getSeconds" | "prefixLength" => INT,
        "matches" | "startsWith" | "endsWith" | "hasValue" | "isIP" | "isCIDR" | "isURL" | "isQuantity"
        | "isSemver" | "isSorted" | "isGreaterThan" | "isLessThan" | "containsIP" | "containsCIDR"
        | "intersects" | "equivalent" | "contains" | "bool" => BOOL,
        "lowerAscii" | "upperAscii" | "trim" | "replace" | "substring" | "charAt" | "join" | "find" => STRING,
        "format" if space.is_none() => STRING,
        "string" if target.is_none() => STRING,
        "split" | "findAll" => Ty::List(Box::new(STRING)),
        "timestamp" => Ty::Simple("timestamp"),
        "duration" => Ty::Simple("duration"),
        "type" => Ty::Simple("type"),
        "double" => Ty::Simple("double"),
        "int" => INT,
        "uint" => Ty::Simple("uint"),
        "bytes" => Ty::Simple("bytes"),
        _ => Ty::Dyn,
    }
}
