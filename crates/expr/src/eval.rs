//! The walk over the tree.

mod predicates;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::ast::{Access, Expr, Known, Method, Operator, Pointer, Scalar, Term, Unary};
use crate::context::{Context, checked};
use crate::error::EvalError;
use crate::functions::Function;
use crate::operators;
use crate::value::{Key, Value};

type Outcome = Result<Value, EvalError>;

/// Evaluates a tree for one `result`.
pub(crate) fn evaluate(expression: &Expr, result: &Value, now: Timestamp) -> Outcome {
    evaluator(result, now)?.value(expression)
}

/// Evaluates the beginning of a list of operators.
pub(crate) fn evaluate_fold(first: &Expr, terms: &[Term], result: &Value, now: Timestamp) -> Outcome {
    evaluator(result, now)?.fold(first, terms)
}

fn evaluator(result: &Value, now: Timestamp) -> Result<Evaluator, EvalError> {
    let result = checked(result.clone())?;
    Ok(Evaluator { result, context: Context::new(now), variables: Vec::new(), scopes: Vec::new() })
}

struct Evaluator {
    result: Value,
    context: Context,
    /// Variables in scope; the parser knows the place of each.
    variables: Vec<Value>,
    /// What `#` is in each predicate around the present expression.
    scopes: Vec<Scope>,
}

struct Scope {
    element: Value,
    index: usize,
    accumulator: Value,
}

fn boolean(construct: &'static str, value: &Value) -> Result<bool, EvalError> {
    match value {
        Value::Bool(value) => Ok(*value),
        other => Err(EvalError::Operand { operator: construct, expected: "bool", got: other.type_name() }),
    }
}

impl Evaluator {
    fn value(&mut self, expression: &Expr) -> Outcome {
        self.context.steps(1)?;
        match expression {
            Expr::Literal(value) => Ok(value.clone()),
            Expr::Result => Ok(self.result.clone()),
            Expr::Variable(place) => Ok(self.variables[*place].clone()),
            Expr::Pointer(pointer) => Ok(self.pointer(*pointer)),
            Expr::Unary(unary, operand) => self.unary(*unary, operand),
            Expr::Fold(first, terms) => self.fold(first, terms),
            Expr::Path(base, accesses) => self.path(base, accesses),
            Expr::Call(function, arguments) => self.call(function, arguments),
            Expr::Predicate(predicate) => self.predicate(predicate),
            Expr::Method(method, value) => self.method(*method, value),
            Expr::Array(items) => self.array(items),
            Expr::Map(entries) => self.map(entries),
            Expr::Conditional(parts) => self.conditional(parts),
            Expr::Elvis(parts) => self.elvis(parts),
            Expr::Let(parts) => self.variable(parts),
        }
    }

    fn values(&mut self, expressions: &[Expr]) -> Result<Vec<Value>, EvalError> {
        let mut values = Vec::with_capacity(expressions.len());
        for expression in expressions {
            values.push(self.value(expression)?);
        }
        Ok(values)
    }

    fn call(&mut self, function: Function, arguments: &[Expr]) -> Outcome {
        let arguments = self.values(arguments)?;
        function.call(&mut self.context, &arguments)
    }

    fn array(&mut self, items: &[Expr]) -> Outcome {
        let items = self.values(items)?;
        self.context.array(items)
    }

    fn pointer(&self, pointer: Pointer) -> Value {
        let scope = self.scopes.last().expect("the parser admits a pointer only in a predicate");
        match pointer {
            Pointer::Element => scope.element.clone(),
            Pointer::Index => Value::Int(i64::try_from(scope.index).unwrap_or(i64::MAX)),
            Pointer::Accumulator => scope.accumulator.clone(),
        }
    }

    fn unary(&mut self, unary: Unary, operand: &Expr) -> Outcome {
        let operand = self.value(operand)?;
        match (unary, &operand) {
            (Unary::Not, _) => boolean("not", &operand).map(|value| Value::Bool(!value)),
            (Unary::Plus, Value::Int(_) | Value::Float(_)) => Ok(operand),
            (Unary::Minus, Value::Int(number)) => Ok(Value::Int(number.wrapping_neg())),
            (Unary::Minus, Value::Float(number)) => Ok(Value::Float(-number)),
            (Unary::Minus, Value::Duration(nanoseconds)) => Ok(Value::Duration(nanoseconds.wrapping_neg())),
            (_, other) => {
                let operator = if unary == Unary::Plus { "+" } else { "-" };
                Err(EvalError::Operand { operator, expected: "a number", got: other.type_name() })
            }
        }
    }

    fn fold(&mut self, first: &Expr, terms: &[Term]) -> Outcome {
        let mut left = self.value(first)?;
        for term in terms {
            left = self.term(left, term)?;
        }
        Ok(left)
    }

    fn term(&mut self, left: Value, term: &Term) -> Outcome {
        self.context.steps(1)?;
        match term.operator {
            Operator::Or | Operator::And => {
                let decides = term.operator == Operator::Or;
                if boolean(term.operator.symbol(), &left)? == decides {
                    return Ok(Value::Bool(decides));
                }
                let right = self.value(&term.right)?;
                boolean(term.operator.symbol(), &right).map(Value::Bool)
            }
            Operator::Coalesce => match left {
                Value::Nil => self.value(&term.right),
                left => Ok(left),
            },
            _ => self.eager_term(&left, term),
        }
    }

    fn eager_term(&mut self, left: &Value, term: &Term) -> Outcome {
        let right = self.value(&term.right)?;
        if let (Value::String(text), Some(pattern)) = (left, &term.pattern) {
            self.context.steps(text.len())?;
            return Ok(Value::Bool(pattern.is_match(text) != term.negated));
        }
        if matches!(term.operator, Operator::Equal | Operator::NotEqual) {
            self.check_comparable(term)?;
        }
        let value = operators::apply(&mut self.context, term.operator, left, &right)?;
        if !term.chain.is_empty() {
            return self.chain(value, right, &term.chain);
        }
        match value {
            Value::Bool(value) => Ok(Value::Bool(value != term.negated)),
            other => Ok(other),
        }
    }

    /// The rest of `a < b < c`, which is `a < b && b < c`.
    fn chain(&mut self, value: Value, right: Value, chain: &[(Operator, Expr)]) -> Outcome {
        let (mut value, mut left) = (value, right);
        for (operator, right) in chain {
            if matches!(value, Value::Bool(false)) {
                break;
            }
            let right = self.value(right)?;
            value = operators::apply(&mut self.context, *operator, &left, &right)?;
            left = right;
        }
        Ok(value)
    }

    /// Refuses `==` between scalars that are known to be unlike.
    fn check_comparable(&self, term: &Term) -> Result<(), EvalError> {
        let scalar = |known| match known {
            Known::Dynamic => None,
            Known::Result => Scalar::of(&self.result),
            Known::Scalar(scalar) => Some(scalar),
        };
        match (scalar(term.known.0), scalar(term.known.1)) {
            (Some(left), Some(right)) if !left.comparable(right) => Err(EvalError::Mismatched {
                operator: term.operator.symbol(),
                left: left.name(),
                right: right.name(),
            }),
            _ => Ok(()),
        }
    }

    fn path(&mut self, base: &Expr, accesses: &[Access]) -> Outcome {
        let mut value = self.value(base)?;
        for access in accesses {
            self.context.steps(1)?;
            let (Access::Field { optional, .. }
            | Access::Index { optional, .. }
            | Access::Slice { optional, .. }) = access;
            if *optional && matches!(value, Value::Nil) {
                return Ok(Value::Nil);
            }
            value = self.access(value, access)?;
        }
        Ok(value)
    }

    fn access(&mut self, value: Value, access: &Access) -> Outcome {
        match access {
            Access::Field { name, .. } => operators::field(&value, name),
            Access::Index { index, .. } => {
                let index = self.value(index)?;
                operators::index(&value, &index)
            }
            Access::Slice { from, to, .. } => {
                let from = from.as_ref().map(|from| self.value(from)).transpose()?;
                let to = to.as_ref().map(|to| self.value(to)).transpose()?;
                operators::slice(&mut self.context, &value, from.as_ref(), to.as_ref())
            }
        }
    }

    fn map(&mut self, entries: &[(Expr, Expr)]) -> Outcome {
        let mut map = BTreeMap::new();
        for (key, value) in entries {
            let key = self.value(key)?;
            let Some(key @ Key::String(_)) = Key::of(&key) else {
                let expected = "a string as key";
                return Err(EvalError::Operand { operator: "{}", expected, got: key.type_name() });
            };
            map.insert(key, self.value(value)?);
        }
        self.context.map(map)
    }

    fn conditional(&mut self, [condition, then, otherwise]: &[Expr; 3]) -> Outcome {
        let condition = self.value(condition)?;
        self.value(if boolean("?:", &condition)? { then } else { otherwise })
    }

    fn elvis(&mut self, [condition, otherwise]: &[Expr; 2]) -> Outcome {
        let condition = self.value(condition)?;
        if boolean("?:", &condition)? { Ok(condition) } else { self.value(otherwise) }
    }

    fn variable(&mut self, [value, body]: &[Expr; 2]) -> Outcome {
        let value = self.value(value)?;
        self.variables.push(value);
        let outcome = self.value(body);
        self.variables.pop();
        outcome
    }

    fn method(&mut self, method: Method, value: &Expr) -> Outcome {
        let value = self.value(value)?;
        let missing = || EvalError::NoMember { member: method.name().to_owned(), from: value.type_name() };
        match &value {
            Value::Time(time) => time_method(method, time).ok_or_else(missing),
            Value::Duration(nanoseconds) => duration_method(method, *nanoseconds).ok_or_else(missing),
            _ => Err(missing()),
        }
    }
}

fn time_method(method: Method, time: &jiff::Zoned) -> Option<Value> {
    let number = match method {
        Method::Year => i64::from(time.year()),
        Method::Month => i64::from(time.month()),
        Method::Day => i64::from(time.day()),
        Method::Hour => i64::from(time.hour()),
        Method::Minute => i64::from(time.minute()),
        Method::Second => i64::from(time.second()),
        Method::YearDay => i64::from(time.day_of_year()),
        Method::Weekday => i64::from(time.weekday().to_sunday_zero_offset()),
        Method::Unix => time.timestamp().as_second(),
        Method::UnixMilli => time.timestamp().as_millisecond(),
        _ => return None,
    };
    Some(Value::Int(number))
}

fn duration_method(method: Method, nanoseconds: i64) -> Option<Value> {
    let seconds = nanoseconds as f64 / 1e9;
    Some(match method {
        Method::Hours => Value::Float(seconds / 3_600.0),
        Method::Minutes => Value::Float(seconds / 60.0),
        Method::Seconds => Value::Float(seconds),
        Method::Milliseconds => Value::Int(nanoseconds / 1_000_000),
        _ => return None,
    })
}
