//! Operators on values: arithmetic that notices overflow, comparison across kinds of numbers, lists by their type.

use super::super::ListType;
use super::eval::{Fault, Machine, Outcome, keys_of};
use super::value::Val;
use kube_cel::cel::common::ast::operators as op;
use std::cmp::Ordering;
use std::rc::Rc;

const OPERATORS: &[&str] = &[
    op::ADD,
    op::SUBSTRACT,
    op::MULTIPLY,
    op::DIVIDE,
    op::MODULO,
    op::EQUALS,
    op::NOT_EQUALS,
    op::LESS,
    op::LESS_EQUALS,
    op::GREATER,
    op::GREATER_EQUALS,
    op::IN,
    op::INDEX,
    op::OPT_INDEX,
    op::LOGICAL_NOT,
    op::NEGATE,
];

pub(super) fn is_operator(name: &str) -> bool {
    OPERATORS.contains(&name)
}

pub(super) fn apply<'v>(machine: &mut Machine<'v>, name: &str, mut args: Vec<Val<'v>>) -> Outcome<'v> {
    let (right, left) = match (args.pop(), args.pop()) {
        (Some(only), None) => return unary(name, only),
        (Some(right), Some(left)) => (right, left),
        _ => return Err(Fault::no_overload()),
    };
    match name {
        op::EQUALS | op::NOT_EQUALS => {
            let lighter = left.lighter(&right);
            machine.pay(lighter)?;
            if by_key(&left) || by_key(&right) {
                machine.pay(lighter.saturating_mul(lighter))?;
            }
            Ok(Val::Bool(left.same(&right) == (name == op::EQUALS)))
        }
        op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS => {
            machine.pay(left.lighter(&right))?;
            // Not a number is neither less nor more.
            let Some(order) = compare(&left, &right)? else { return Ok(Val::Bool(false)) };
            Ok(Val::Bool(match name {
                op::LESS => order.is_lt(),
                op::LESS_EQUALS => order.is_le(),
                op::GREATER => order.is_gt(),
                _ => order.is_ge(),
            }))
        }
        op::IN => contains(machine, &right, &left),
        op::INDEX => index(&left, &right)?.ok_or_else(|| missing(&left, &right)),
        op::OPT_INDEX => optional_index(&left, &right),
        op::ADD => add(machine, left, right),
        _ => arithmetic(name, left, right),
    }
}

fn unary<'v>(name: &str, value: Val<'v>) -> Outcome<'v> {
    let overflow = || Fault::new("integer overflow");
    match (name, value) {
        (op::LOGICAL_NOT, Val::Bool(truth)) => Ok(Val::Bool(!truth)),
        (op::NEGATE, Val::Int(number)) => number.checked_neg().map(Val::Int).ok_or_else(overflow),
        (op::NEGATE, Val::Double(number)) => Ok(Val::Double(-number)),
        _ => Err(Fault::no_overload()),
    }
}

fn by_key(list: &Val<'_>) -> bool {
    matches!(list.list_type(), Some(ListType::Set | ListType::Map(_)))
}

fn compare<'v>(left: &Val<'v>, right: &Val<'v>) -> Result<Option<Ordering>, Fault> {
    Ok(match (left, right) {
        (left, right) if left.is_number() && right.is_number() => left.compare_numbers(right),
        (Val::Text(left), Val::Text(right)) => Some((**left).cmp(right)),
        (Val::Bytes(left), Val::Bytes(right)) => Some(left.cmp(right)),
        (Val::Bool(left), Val::Bool(right)) => Some(left.cmp(right)),
        (Val::Other(left), Val::Other(right)) => match left.partial_cmp(right) {
            Some(order) => Some(order),
            None => return Err(Fault::no_overload()),
        },
        _ => return Err(Fault::no_overload()),
    })
}

fn contains<'v>(machine: &mut Machine<'v>, container: &Val<'v>, wanted: &Val<'v>) -> Outcome<'v> {
    if let Some(items) = container.items() {
        let price = wanted.weight(machine.left + 1);
        machine.pay((items.len() as u64).saturating_mul(price))?;
        return Ok(Val::Bool(items.iter().any(|item| item.same(wanted))));
    }
    match container {
        Val::JsonMap(..) | Val::Map(_) => Ok(Val::Bool(container.lookup(wanted).is_some())),
        _ => Err(Fault::no_overload()),
    }
}

/// The item at a position or under a key, if it is there.
fn index<'v>(container: &Val<'v>, key: &Val<'v>) -> Result<Option<Val<'v>>, Fault> {
    let position = match key {
        Val::Int(number) => usize::try_from(*number).ok(),
        Val::UInt(number) => usize::try_from(*number).ok(),
        Val::Double(number) if number.fract() == 0.0 && *number >= 0.0 => Some(*number as usize),
        _ => None,
    };
    Ok(match container {
        Val::JsonList(items, schema) => {
            let schema = schema.items().unwrap_or_else(|| super::value::untyped());
            position.and_then(|at| items.get(at)).map(|item| Val::of(item, schema))
        }
        Val::List(items) => position.and_then(|at| items.get(at)).cloned(),
        Val::JsonMap(..) | Val::Map(_) => container.lookup(key),
        Val::Optional(Some(value)) => return optional_index(value, key).map(Some),
        Val::Optional(None) => Some(Val::Optional(None)),
        _ => return Err(Fault::no_overload()),
    })
}

fn optional_index<'v>(container: &Val<'v>, key: &Val<'v>) -> Outcome<'v> {
    let found = match container {
        Val::Optional(None) => None,
        Val::Optional(Some(value)) => index(value, key)?,
        value => index(value, key)?,
    };
    Ok(Val::Optional(found.map(Rc::new)))
}

fn missing(container: &Val<'_>, key: &Val<'_>) -> Fault {
    match (container, key) {
        (Val::JsonMap(..) | Val::Map(_), Val::Text(key)) => Fault::new(format!("no such key: {}", &**key)),
        (Val::JsonMap(..) | Val::Map(_), _) => Fault::new("no such key"),
        (_, Val::Int(at)) => Fault::new(format!("index out of bounds: {at}")),
        _ => Fault::new("index out of bounds"),
    }
}

fn add<'v>(machine: &mut Machine<'v>, left: Val<'v>, right: Val<'v>) -> Outcome<'v> {
    match (left, right) {
        (Val::Text(left), Val::Text(right)) => {
            machine.pay((left.len() + right.len()) as u64 / 10)?;
            Ok(Val::text(&[&*left, &*right].concat()))
        }
        (Val::Bytes(left), Val::Bytes(right)) => {
            machine.pay((left.len() + right.len()) as u64 / 10)?;
            Ok(Val::Bytes(Rc::new([left.as_slice(), right.as_slice()].concat())))
        }
        (left, right) if left.is_list() && right.is_list() => {
            let (first, second) = (left.items().unwrap_or_default(), right.items().unwrap_or_default());
            join(machine, &left, first, second)
        }
        (left, right) => arithmetic(op::ADD, left, right),
    }
}

/// `+` of lists: sets become their union, lists with keys merge by key, others are put one behind the other.
fn join<'v>(
    machine: &mut Machine<'v>,
    list: &Val<'v>,
    mut first: Vec<Val<'v>>,
    second: Vec<Val<'v>>,
) -> Outcome<'v> {
    machine.pay((first.len() + second.len()) as u64)?;
    match list {
        Val::JsonList(_, schema) if by_key(list) => {
            machine.pay((first.len() as u64).saturating_mul(second.len() as u64))?;
            let keys = keys_of(schema);
            let same = |left: &Val<'v>, right: &Val<'v>| match keys {
                None => left.same(right),
                Some(keys) => keys.iter().all(|key| match (left.select(key), right.select(key)) {
                    (Some(left), Some(right)) => left.same(&right),
                    (left, right) => left.is_none() && right.is_none(),
                }),
            };
            for item in second {
                match first.iter_mut().find(|own| same(own, &item)) {
                    Some(own) => *own = item,
                    None => first.push(item),
                }
            }
        }
        _ => first.extend(second),
    }
    Ok(Val::list(first))
}

/// Arithmetic of one kind of whole numbers; `None` where the result has no place.
struct Whole<T> {
    add: fn(T, T) -> Option<T>,
    subtract: fn(T, T) -> Option<T>,
    multiply: fn(T, T) -> Option<T>,
    divide: fn(T, T) -> Option<T>,
    remainder: fn(T, T) -> Option<T>,
}

impl<T: Default + PartialEq> Whole<T> {
    fn calculate(&self, name: &str, left: T, right: T) -> Result<T, Fault> {
        let is_zero = right == T::default();
        let operation = match name {
            op::DIVIDE if is_zero => return Err(Fault::new("division by zero")),
            op::MODULO if is_zero => return Err(Fault::new("modulus by zero")),
            op::ADD => self.add,
            op::SUBSTRACT => self.subtract,
            op::MULTIPLY => self.multiply,
            op::DIVIDE => self.divide,
            op::MODULO => self.remainder,
            _ => return Err(Fault::no_overload()),
        };
        operation(left, right).ok_or_else(|| Fault::new("integer overflow"))
    }
}

fn arithmetic<'v>(name: &str, left: Val<'v>, right: Val<'v>) -> Outcome<'v> {
    match (left, right) {
        (Val::Int(left), Val::Int(right)) => {
            let by = Whole {
                add: i64::checked_add,
                subtract: i64::checked_sub,
                multiply: i64::checked_mul,
                divide: i64::checked_div,
                remainder: i64::checked_rem,
            };
            by.calculate(name, left, right).map(Val::Int)
        }
        (Val::UInt(left), Val::UInt(right)) => {
            let by = Whole {
                add: u64::checked_add,
                subtract: u64::checked_sub,
                multiply: u64::checked_mul,
                divide: u64::checked_div,
                remainder: u64::checked_rem,
            };
            by.calculate(name, left, right).map(Val::UInt)
        }
        (Val::Double(left), Val::Double(right)) => match name {
            op::ADD => Ok(Val::Double(left + right)),
            op::SUBSTRACT => Ok(Val::Double(left - right)),
            op::MULTIPLY => Ok(Val::Double(left * right)),
            op::DIVIDE => Ok(Val::Double(left / right)),
            _ => Err(Fault::no_overload()),
        },
        // Times and durations.
        (Val::Other(left), Val::Other(right)) => {
            let result = match name {
                op::ADD => left + right,
                op::SUBSTRACT => left - right,
                _ => return Err(Fault::no_overload()),
            };
            result.map(Val::from_cel).map_err(|error| Fault::new(super::library::in_words(&error)))
        }
        _ => Err(Fault::no_overload()),
    }
}
