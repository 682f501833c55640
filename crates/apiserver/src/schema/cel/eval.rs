//! Running a rule: every node it visits, every item it walks over and every character it copies has a price, and what
//! is left of the budget decides how far it gets (`spec/apiserver.md` 13.5).
//!
//! The library's own interpreter copies each value it selects and knows no price, so that a short rule on a large
//! object could hold a thread for minutes. Parsing and functions are the library's.

use super::super::{ListType, Schema};
use super::value::{Key, Text, Val};
use super::{library, operators};
use kube_cel::cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, ListExpr, LiteralValue, MapExpr, SelectExpr,
    operators as op,
};
use regex::Regex;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Why an evaluation ended without a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The budget is spent; nothing may absorb this.
    Spent,
    /// The rule's own fault, in the words of upstream's interpreter.
    Error(String),
}

impl Fault {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Fault::Error(text.into())
    }

    pub(super) fn no_overload() -> Self {
        Fault::new("no such overload")
    }
}

pub(super) type Outcome<'v> = Result<Val<'v>, Fault>;

/// One evaluation: the variables in scope and what may still be spent. What a loop gathers may be a fault that a later
/// round makes good (`[0, 1].exists(x, 1 / x == 1)`), so a variable may hold one.
pub(super) struct Machine<'v> {
    variables: Vec<(&'v str, Outcome<'v>)>,
    patterns: &'v BTreeMap<String, Regex>,
    pub(super) left: u64,
}

impl<'v> Machine<'v> {
    pub(super) fn new(
        variables: Vec<(&'v str, Outcome<'v>)>,
        patterns: &'v BTreeMap<String, Regex>,
        left: u64,
    ) -> Self {
        Machine { variables, patterns, left }
    }

    /// Takes a price from the budget.
    pub(super) fn pay(&mut self, price: u64) -> Result<(), Fault> {
        match self.left.checked_sub(price) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                Err(Fault::Spent)
            }
        }
    }

    /// A pattern; those that a rule spells out are ready.
    pub(super) fn with_pattern<T>(
        &mut self,
        text: &str,
        use_it: impl FnOnce(&Regex) -> T,
    ) -> Result<T, Fault> {
        if let Some(pattern) = self.patterns.get(text) {
            return Ok(use_it(pattern));
        }
        self.pay(library::PATTERN_PRICE + text.len() as u64)?;
        let pattern = library::pattern(text, library::FOUND_PATTERN).map_err(Fault::Error)?;
        Ok(use_it(&pattern))
    }

    fn variable(&self, name: &str) -> Option<&Outcome<'v>> {
        self.variables.iter().rev().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    pub(super) fn evaluate(&mut self, node: &'v IdedExpr) -> Outcome<'v> {
        self.pay(1)?;
        match &node.expr {
            Expr::Literal(literal) => Ok(literal_value(literal)),
            Expr::Ident(name) => match self.variable(name) {
                Some(value) => value.clone(),
                None => library::type_by_name(name)
                    .map(Val::Type)
                    .ok_or_else(|| Fault::new(format!("undeclared reference to '{name}'"))),
            },
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => self.list(list),
            Expr::Map(map) => self.map(map),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Struct(_) | Expr::Unspecified => Err(Fault::new("unsupported expression")),
        }
    }

    fn select(&mut self, select: &'v SelectExpr) -> Outcome<'v> {
        let operand = self.evaluate(&select.operand)?;
        let missing = || Fault::new(format!("no such key: {}", select.field));
        match operand {
            Val::Optional(value) => Ok(optional_field(value, &select.field)),
            Val::JsonMap(..) | Val::Map(_) => {
                let found = operand.select(&select.field);
                if select.test { Ok(Val::Bool(found.is_some())) } else { found.ok_or_else(missing) }
            }
            _ => Err(Fault::no_overload()),
        }
    }

    fn call(&mut self, call: &'v CallExpr) -> Outcome<'v> {
        if let (None, [left, right]) = (&call.target, call.args.as_slice()) {
            match call.func_name.as_str() {
                op::LOGICAL_OR => return self.either(left, right, true),
                op::LOGICAL_AND => return self.either(left, right, false),
                op::OPT_SELECT => return self.optional_select(left, right),
                _ => {}
            }
        }
        match (call.func_name.as_str(), call.args.as_slice()) {
            (op::CONDITIONAL, [condition, then, otherwise]) => match self.evaluate(condition)? {
                Val::Bool(true) => self.evaluate(then),
                Val::Bool(false) => self.evaluate(otherwise),
                _ => Err(Fault::no_overload()),
            },
            (op::NOT_STRICTLY_FALSE, [operand]) => match self.evaluate(operand) {
                Err(Fault::Spent) => Err(Fault::Spent),
                Ok(Val::Bool(false)) => Ok(Val::Bool(false)),
                _ => Ok(Val::Bool(true)),
            },
            ("optMap" | "optFlatMap", [name, body]) => self.optional_map(call, name, body),
            (name, args) if operators::is_operator(name) => {
                let args = args.iter().map(|arg| self.evaluate(arg)).collect::<Result<Vec<_>, _>>()?;
                operators::apply(self, name, args)
            }
            _ => self.function(call),
        }
    }

    /// `||` (decided by true) and `&&` (decided by false): an error on one side gives way to a decision on the other.
    fn either(&mut self, left: &'v IdedExpr, right: &'v IdedExpr, deciding: bool) -> Outcome<'v> {
        let truth = |outcome: Outcome<'v>| match outcome {
            Ok(Val::Bool(truth)) => Ok(truth),
            Ok(_) => Err(Fault::no_overload()),
            Err(fault) => Err(fault),
        };
        let first = truth(self.evaluate(left));
        if first == Ok(deciding) || first == Err(Fault::Spent) {
            return first.map(Val::Bool);
        }
        match truth(self.evaluate(right)) {
            Err(Fault::Spent) => Err(Fault::Spent),
            Ok(second) if second == deciding => Ok(Val::Bool(second)),
            second => first.and(second).map(Val::Bool),
        }
    }

    /// `a.?b`
    fn optional_select(&mut self, operand: &'v IdedExpr, field: &'v IdedExpr) -> Outcome<'v> {
        let operand = self.evaluate(operand)?;
        let Val::Text(field) = self.evaluate(field)? else { return Err(Fault::no_overload()) };
        Ok(match operand {
            Val::Optional(value) => optional_field(value, &field),
            value => Val::Optional(value.select(&field).map(Rc::new)),
        })
    }

    /// `a.optMap(x, f(x))` and `a.optFlatMap(x, f(x))`, whose `f` gives an optional itself.
    fn optional_map(&mut self, call: &'v CallExpr, name: &'v IdedExpr, body: &'v IdedExpr) -> Outcome<'v> {
        let (Some(target), Expr::Ident(name)) = (&call.target, &name.expr) else {
            return Err(Fault::no_overload());
        };
        match self.evaluate(target)? {
            Val::Optional(None) => Ok(Val::Optional(None)),
            Val::Optional(Some(value)) => {
                self.variables.push((name, Ok(value.as_ref().clone())));
                let result = self.evaluate(body);
                self.variables.pop();
                let result = result?;
                Ok(if call.func_name == "optFlatMap" { result } else { Val::Optional(Some(Rc::new(result))) })
            }
            _ => Err(Fault::no_overload()),
        }
    }

    fn function(&mut self, call: &'v CallExpr) -> Outcome<'v> {
        // `sets.contains(a, b)`: a name in front that is no variable is part of the function's name.
        let space = match call.target.as_deref().map(|target| &target.expr) {
            Some(Expr::Ident(name)) if self.variable(name).is_none() => Some(name.as_str()),
            _ => None,
        };
        let target = match (&call.target, space) {
            (Some(target), None) => Some(self.evaluate(target)?),
            _ => None,
        };
        let args = call.args.iter().map(|arg| self.evaluate(arg)).collect::<Result<Vec<_>, _>>()?;
        library::call(self, space, &call.func_name, target, args)
    }

    fn list(&mut self, list: &'v ListExpr) -> Outcome<'v> {
        let mut items = Vec::with_capacity(list.elements.len());
        for (index, element) in list.elements.iter().enumerate() {
            let value = self.evaluate(element)?;
            match value {
                Val::Optional(value) if list.optional_indices.contains(&index) => {
                    items.extend(value.map(|value| value.as_ref().clone()));
                }
                value => items.push(value),
            }
        }
        Ok(Val::list(items))
    }

    fn map(&mut self, map: &'v MapExpr) -> Outcome<'v> {
        let mut entries = BTreeMap::new();
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else {
                return Err(Fault::new("unsupported map literal"));
            };
            let key = self.evaluate(&entry.key)?;
            let key = Key::of(&key).ok_or_else(|| Fault::new("unsupported key type"))?;
            match self.evaluate(&entry.value)? {
                Val::Optional(None) if entry.optional => {}
                Val::Optional(Some(value)) if entry.optional => {
                    entries.insert(key, value.as_ref().clone());
                }
                value => {
                    entries.insert(key, value);
                }
            }
        }
        Ok(Val::Map(Rc::new(entries)))
    }

    fn comprehension(&mut self, loop_: &'v ComprehensionExpr) -> Outcome<'v> {
        let range = self.evaluate(&loop_.iter_range)?;
        let start = self.evaluate(&loop_.accu_init)?;
        let rounds = rounds(&range, loop_.iter_var2.is_some()).ok_or_else(Fault::no_overload)?;
        self.pay(rounds.len() as u64)?;
        let depth = self.variables.len();
        self.variables.push((&loop_.accu_var, Ok(start)));
        let result = self.rounds(loop_, rounds, depth);
        self.variables.truncate(depth);
        result
    }

    fn rounds(
        &mut self,
        loop_: &'v ComprehensionExpr,
        rounds: Rounds<'v>,
        accumulator: usize,
    ) -> Outcome<'v> {
        for (first, second) in rounds {
            match self.evaluate(&loop_.loop_cond)? {
                Val::Bool(true) => {}
                Val::Bool(false) => break,
                _ => return Err(Fault::no_overload()),
            }
            self.variables.push((&loop_.iter_var, Ok(first)));
            if let (Some(name), Some(value)) = (&loop_.iter_var2, second) {
                self.variables.push((name, Ok(value)));
            }
            let done = self.step(&loop_.loop_step, &loop_.accu_var, accumulator);
            self.variables.truncate(accumulator + 1);
            done?;
        }
        self.evaluate(&loop_.result)
    }

    /// One step of a loop. A list or map that grows is not copied for each item.
    fn step(&mut self, step: &'v IdedExpr, name: &str, accumulator: usize) -> Result<(), Fault> {
        let is_accumulator = |node: &IdedExpr| matches!(&node.expr, Expr::Ident(own) if own == name);
        if let Expr::Call(CallExpr { func_name, args, target: None }) = &step.expr {
            match (func_name.as_str(), args.as_slice()) {
                (op::CONDITIONAL, [condition, then, otherwise]) if is_accumulator(otherwise) => {
                    return match self.evaluate(condition)? {
                        Val::Bool(true) => self.step(then, name, accumulator),
                        Val::Bool(false) => Ok(()),
                        _ => Err(Fault::no_overload()),
                    };
                }
                (op::ADD, [own, IdedExpr { expr: Expr::List(list), .. }]) if is_accumulator(own) => {
                    let Val::List(new) = self.list(list)? else { return Err(Fault::no_overload()) };
                    if let Ok(Val::List(items)) = &mut self.variables[accumulator].1 {
                        Rc::make_mut(items).extend(new.iter().cloned());
                        return Ok(());
                    }
                    return Err(Fault::no_overload());
                }
                (super::macros::MERGE, [own, IdedExpr { expr: Expr::Map(map), .. }])
                    if is_accumulator(own) =>
                {
                    let Val::Map(new) = self.map(map)? else { return Err(Fault::no_overload()) };
                    if let Ok(Val::Map(entries)) = &mut self.variables[accumulator].1 {
                        let entries = Rc::make_mut(entries);
                        for (key, value) in new.iter() {
                            if entries.insert(key.clone(), value.clone()).is_some() {
                                return Err(Fault::new("insert failed: key already exists"));
                            }
                        }
                        return Ok(());
                    }
                    return Err(Fault::no_overload());
                }
                _ => {}
            }
        }
        let outcome = self.evaluate(step);
        if matches!(outcome, Err(Fault::Spent)) {
            return Err(Fault::Spent);
        }
        self.variables[accumulator].1 = outcome;
        Ok(())
    }
}

type Rounds<'v> = Vec<(Val<'v>, Option<Val<'v>>)>;

/// What a loop walks over: items, or keys of a map; with two variables position and item, or key and value.
fn rounds<'v>(range: &Val<'v>, two: bool) -> Option<Rounds<'v>> {
    if let Some(items) = range.items() {
        let items = items.into_iter();
        return Some(match two {
            false => items.map(|item| (item, None)).collect(),
            true => items.enumerate().map(|(index, item)| (Val::Int(index as i64), Some(item))).collect(),
        });
    }
    let entries = range.entries()?.into_iter();
    Some(match two {
        false => entries.map(|(key, _)| (key, None)).collect(),
        true => entries.map(|(key, value)| (key, Some(value))).collect(),
    })
}

fn optional_field<'v>(value: Option<Rc<Val<'v>>>, field: &str) -> Val<'v> {
    Val::Optional(value.and_then(|value| value.select(field)).map(Rc::new))
}

fn literal_value(literal: &LiteralValue) -> Val<'_> {
    match literal {
        LiteralValue::Boolean(flag) => Val::Bool(*flag.inner()),
        LiteralValue::Bytes(bytes) => Val::Bytes(Rc::new(bytes.inner().to_vec())),
        LiteralValue::Double(number) => Val::Double(*number.inner()),
        LiteralValue::Int(number) => Val::Int(*number.inner()),
        LiteralValue::Null => Val::Null,
        LiteralValue::String(text) => Val::Text(Text::Part(text.inner())),
        LiteralValue::UInt(number) => Val::UInt(*number.inner()),
    }
}

/// Whether two lists are joined by key (13.5), and by which.
pub(super) fn keys_of(schema: &Schema) -> Option<&[String]> {
    match &schema.list_type {
        ListType::Map(keys) => Some(keys),
        _ => None,
    }
}
