//! How many rounds the loops of a rule may take, told from the limits of the schema (`spec/apiserver.md` 13.5). What
//! a rule really costs is counted when it runs; this refuses the shapes that no budget can hold.

use super::super::Schema;
use super::names::{escaped, unescaped};
use super::{children, library};
use kube_cel::cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, operators as op};

/// Most rounds a rule may be estimated to take. Upstream's limit is 10,000,000 units of cost; this one refuses the
/// same shapes (loops in loops over lists without `maxItems`), not the same numbers.
pub(in super::super) const LIMIT: u64 = 10_000_000;
/// Items of a list or map without a limit: what fits into a request.
const UNBOUNDED: u64 = 1_000_000;

/// Which variable stands for a value of which schema; none if that is not known.
type Types<'s> = Vec<(&'s str, Option<&'s Schema>)>;

/// The rounds of all loops of a rule at a node.
pub(in super::super) fn estimate(tree: &IdedExpr, schema: &Schema) -> u64 {
    rounds(tree, &mut vec![("self", Some(schema)), ("oldSelf", Some(schema))])
}

/// The schema of what an expression selects, if it is a path from a variable.
fn schema_of<'s>(node: &IdedExpr, types: &Types<'s>) -> Option<&'s Schema> {
    match &node.expr {
        Expr::Ident(name) => types.iter().rev().find(|(own, _)| own == name)?.1,
        Expr::Select(select) if !select.test => {
            let of = schema_of(&select.operand, types)?;
            let name = unescaped(&select.field);
            let declared = of.property(&name).filter(|_| escaped(&name) == select.field);
            declared.or(of.additional.as_deref())
        }
        Expr::Call(CallExpr { func_name, args, .. }) if func_name == op::INDEX => {
            let of = schema_of(args.first()?, types)?;
            of.items().or(of.additional.as_deref())
        }
        _ => None,
    }
}

fn rounds<'s>(node: &'s IdedExpr, types: &mut Types<'s>) -> u64 {
    let Expr::Comprehension(loop_) = &node.expr else {
        return children(node).into_iter().map(|child| rounds(child, types)).fold(0, u64::saturating_add);
    };
    let count = items_of(&loop_.iter_range, types);
    let outside = rounds(&loop_.iter_range, types);
    let depth = types.len();
    enter(loop_, types);
    let inside = rounds(&loop_.loop_step, types).saturating_add(rounds(&loop_.loop_cond, types));
    types.truncate(depth);
    count.saturating_mul(inside.saturating_add(1)).saturating_add(outside)
}

/// The variables inside a loop: over a list its items, over a map its keys, and its values as second.
fn enter<'s>(loop_: &'s ComprehensionExpr, types: &mut Types<'s>) {
    let of = schema_of(&loop_.iter_range, types);
    let value = of.and_then(|of| of.items().or(of.additional.as_deref()));
    types.push((&loop_.accu_var, None));
    match &loop_.iter_var2 {
        None => types.push((&loop_.iter_var, of.and_then(Schema::items))),
        Some(second) => {
            types.push((&loop_.iter_var, None));
            types.push((second, value));
        }
    }
}

/// How many items a loop may run over.
fn items_of(range: &IdedExpr, types: &Types<'_>) -> u64 {
    match &range.expr {
        Expr::List(list) => return list.elements.len() as u64,
        Expr::Map(map) => return map.entries.len() as u64,
        // What a loop makes is not longer than what it was made from.
        Expr::Comprehension(inner) => return items_of(&inner.iter_range, types),
        Expr::Call(call) if call.func_name == op::ADD => {
            return call.args.iter().map(|arg| items_of(arg, types)).fold(0, u64::saturating_add);
        }
        Expr::Call(call) if library::KEEPS_LENGTH.contains(&call.func_name.as_str()) => {
            if let Some(target) = &call.target {
                return items_of(target, types);
            }
        }
        _ => {}
    }
    let checks = schema_of(range, types).and_then(|schema| schema.checks.as_ref());
    checks.and_then(|checks| checks.max_items.or(checks.max_properties)).unwrap_or(UNBOUNDED)
}
