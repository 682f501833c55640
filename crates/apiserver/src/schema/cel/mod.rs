//! CEL as rules use it (`spec/apiserver.md` 13.5). The parser and the functions are those of `kube-cel`; the types,
//! the prices and the walk over the object are ours.
//!
//! ```text
//! text ── parse ── macros ── types (refuses what cannot be) ── estimate (refuses what may take too long)
//!                     └───── eval: value, operators, library, each step paid for
//! ```

mod estimate;
mod eval;
mod library;
mod macros;
mod names;
mod nesting;
mod operators;
#[cfg(test)]
mod tests;
mod types;
mod value;

use super::Schema;
use crate::stack::with_room;
use eval::{Fault, Machine};
use kube_cel::cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue};
use kube_cel::cel::parser::Parser;
use regex::Regex;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use value::Val;

pub(super) use estimate::{LIMIT as ESTIMATE_LIMIT, estimate};
pub(super) use types::{Wanted, check};

/// What one evaluation of a rule may cost (upstream's number; ours counts nodes, items and tens of characters too).
const RULE_COST: u64 = 1_000_000;
/// What all rules on one object may cost together (upstream's number).
const OBJECT_COST: u64 = 10_000_000;
/// Longest source of a rule; the parser's work grows with it.
const SOURCE_LIMIT: usize = 64 * 1024;

/// A parsed expression.
#[derive(Debug, Clone)]
pub(super) struct Expression {
    tree: Arc<IdedExpr>,
    variables: Arc<BTreeSet<String>>,
    /// The patterns that the expression spells out.
    patterns: Arc<BTreeMap<String, Regex>>,
}

impl Expression {
    pub(super) fn compile(source: &str) -> Result<Expression, String> {
        if source.len() > SOURCE_LIMIT {
            return Err(format!("expression has {} bytes, at most {SOURCE_LIMIT} are allowed", source.len()));
        }
        nesting::check(source)?;
        let mut tree =
            with_room(|| parse(source)).unwrap_or_else(|| Err(at_start("syntax error".to_owned())))?;
        let variables = tree.references().variables().into_iter().map(str::to_owned).collect();
        macros::expand(&mut tree).map_err(at_start)?;
        let mut patterns = BTreeMap::new();
        collect_patterns(&tree, &mut patterns).map_err(at_start)?;
        Ok(Expression { tree: Arc::new(tree), variables: Arc::new(variables), patterns: Arc::new(patterns) })
    }

    /// Whether the expression names a variable.
    pub(super) fn mentions(&self, variable: &str) -> bool {
        self.variables.contains(variable)
    }

    pub(super) fn tree(&self) -> &IdedExpr {
        &self.tree
    }
}

fn parse(source: &str) -> Result<IdedExpr, String> {
    let parser = Parser::new().enable_optional_syntax(true).max_recursion_depth(nesting::BRACKETS);
    parser.parse(source).map_err(|errors| {
        let text = errors.to_string();
        text.lines().next().unwrap_or_default().to_owned()
    })
}

fn at_start(fault: String) -> String {
    format!("ERROR: <input>:1:1: {fault}")
}

/// Makes every pattern that is a literal ready, and refuses those that are none.
fn collect_patterns(node: &IdedExpr, patterns: &mut BTreeMap<String, Regex>) -> Result<(), String> {
    if let Expr::Call(call) = &node.expr
        && ["matches", "find", "findAll"].contains(&call.func_name.as_str())
    {
        let at = if call.target.is_some() { 0 } else { 1 };
        if let Some(Expr::Literal(LiteralValue::String(text))) = call.args.get(at).map(|arg| &arg.expr) {
            let text = text.inner();
            patterns.insert(text.to_owned(), library::pattern(text, library::RULE_PATTERN)?);
        }
    }
    children(node).into_iter().try_for_each(|child| collect_patterns(child, patterns))
}

/// The nodes right below a node.
fn children(node: &IdedExpr) -> Vec<&IdedExpr> {
    match &node.expr {
        Expr::Call(call) => call.target.iter().map(|target| &**target).chain(&call.args).collect(),
        Expr::Comprehension(loop_) => {
            vec![&loop_.iter_range, &loop_.accu_init, &loop_.loop_cond, &loop_.loop_step, &loop_.result]
        }
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => {
            let entries = map.entries.iter().filter_map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => Some([&entry.key, &entry.value]),
                EntryExpr::StructField(_) => None,
            });
            entries.flatten().collect()
        }
        Expr::Select(select) => vec![&*select.operand],
        Expr::Struct(_) | Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
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
        Budget { left: OBJECT_COST, spent: false }
    }
}

impl Budget {
    pub(super) fn is_spent(&self) -> bool {
        self.spent
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
pub(super) struct Scope<'v> {
    value: Val<'v>,
    old: Option<Val<'v>>,
}

impl<'v> Scope<'v> {
    pub(super) fn new(schema: &'v Schema, value: &'v Value, old: Option<&'v Value>) -> Self {
        Scope { value: Val::of(value, schema), old: old.map(|old| Val::of(old, schema)) }
    }

    fn run<'e>(&self, expression: &'e Expression, optional: bool, budget: &mut Budget) -> eval::Outcome<'e>
    where
        'v: 'e,
    {
        let old = match (&self.old, optional) {
            (Some(old), false) => old.clone(),
            (Some(old), true) => Val::Optional(Some(Rc::new(old.clone()))),
            (None, _) => Val::Optional(None),
        };
        let variables = vec![("self", Ok(self.value.clone())), ("oldSelf", Ok(old))];
        let limit = RULE_COST.min(budget.left);
        let mut machine = Machine::new(variables, &expression.patterns, limit);
        let result = machine.evaluate(&expression.tree);
        budget.left -= limit - machine.left;
        budget.spent |= matches!(result, Err(Fault::Spent));
        result
    }

    pub(super) fn evaluate(&self, expression: &Expression, optional: bool, budget: &mut Budget) -> Verdict {
        match self.run(expression, optional, budget) {
            Ok(Val::Bool(true)) => Verdict::Holds,
            Ok(Val::Bool(false)) => Verdict::Fails,
            Ok(_) => Verdict::Error("cel expression must evaluate to a bool".to_owned()),
            Err(Fault::Error(fault)) => Verdict::Error(fault),
            Err(Fault::Spent) => Verdict::Error("out of budget".to_owned()),
        }
    }

    /// The result of a `messageExpression`, if it is a text.
    pub(super) fn text(
        &self,
        expression: &Expression,
        optional: bool,
        budget: &mut Budget,
    ) -> Option<String> {
        match self.run(expression, optional, budget) {
            Ok(Val::Text(text)) => Some(text.to_string()),
            _ => None,
        }
    }
}
