//! What can be said about a rule before it runs: fields that are not declared, results that are no truth value,
//! loops that may take too long (`spec/apiserver.md` 13.5).

use super::cel::escaped;
use super::{Schema, Type};
use kube_cel::cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators,
};
use std::collections::BTreeMap;

/// Most steps a rule may be estimated to take. Upstream's limit is 10,000,000 units of cost; this one refuses the
/// same shapes (loops in loops over lists without `maxItems`), not the same numbers.
const STEP_LIMIT: u64 = 10_000_000;
/// Items of a list or map without a limit: what fits into a request.
const UNBOUNDED: u64 = 1_000_000;

/// Which variable stands for a value of which schema; none if that is not known.
type Types<'s> = BTreeMap<String, Option<&'s Schema>>;

fn start(schema: &Schema) -> Types<'_> {
    BTreeMap::from([("self".to_owned(), Some(schema)), ("oldSelf".to_owned(), Some(schema))])
}

/// The schema of what an expression selects, if it is a path from a variable.
fn schema_of<'s>(node: &IdedExpr, types: &Types<'s>) -> Option<&'s Schema> {
    match &node.expr {
        Expr::Ident(name) => types.get(name).copied().flatten(),
        Expr::Select(select) if !select.test => child(schema_of(&select.operand, types)?, &select.field),
        Expr::Call(CallExpr { func_name, args, .. }) if func_name == operators::INDEX => {
            let of = schema_of(args.first()?, types)?;
            of.items().or(of.additional.as_deref())
        }
        _ => None,
    }
}

fn child<'s>(schema: &'s Schema, spelled: &str) -> Option<&'s Schema> {
    let declared = schema.properties().iter().find(|(name, _)| escaped(name) == spelled);
    declared.map(|(_, child)| child).or(schema.additional.as_deref())
}

/// Whether every field of the node is declared, so that another one cannot be meant.
fn is_closed(schema: &Schema) -> bool {
    match schema.kind {
        Type::Object => schema.additional.is_none(),
        Type::Any | Type::IntOrString => false,
        // Scalars and lists have no fields at all, but methods do not look like fields.
        _ => true,
    }
}

/// The first field a rule names that the schema does not declare.
pub(super) fn undefined_field(tree: &IdedExpr, schema: &Schema) -> Option<String> {
    undefined(tree, &start(schema))
}

fn undefined(node: &IdedExpr, types: &Types<'_>) -> Option<String> {
    match &node.expr {
        Expr::Select(select) => {
            if let Some(found) = undefined(&select.operand, types) {
                return Some(found);
            }
            let of = schema_of(&select.operand, types)?;
            (is_closed(of) && child(of, &select.field).is_none()).then(|| select.field.clone())
        }
        Expr::Call(call) => call
            .target
            .iter()
            .map(|target| &**target)
            .chain(&call.args)
            .find_map(|part| undefined(part, types)),
        Expr::Comprehension(comprehension) => {
            let inner = inside(comprehension, types);
            undefined(&comprehension.iter_range, types)
                .or_else(|| undefined(&comprehension.accu_init, types))
                .or_else(|| undefined(&comprehension.loop_cond, &inner))
                .or_else(|| undefined(&comprehension.loop_step, &inner))
                .or_else(|| undefined(&comprehension.result, &inner))
        }
        Expr::List(list) => list.elements.iter().find_map(|element| undefined(element, types)),
        Expr::Map(map) => map.entries.iter().find_map(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => {
                undefined(&entry.key, types).or_else(|| undefined(&entry.value, types))
            }
            EntryExpr::StructField(_) => None,
        }),
        _ => None,
    }
}

/// The variables inside a loop: over a list its items, over a map its keys.
fn inside<'s>(comprehension: &ComprehensionExpr, types: &Types<'s>) -> Types<'s> {
    let of = schema_of(&comprehension.iter_range, types);
    let mut inner = types.clone();
    inner.insert(comprehension.iter_var.clone(), of.and_then(Schema::items));
    inner.insert(comprehension.accu_var.clone(), None);
    if let Some(second) = &comprehension.iter_var2 {
        inner.insert(second.clone(), None);
    }
    inner
}

/// Whether the result can be told to be something else than a truth value.
pub(super) fn is_never_bool(tree: &IdedExpr, schema: &Schema) -> bool {
    match &tree.expr {
        Expr::Literal(literal) => !matches!(literal, LiteralValue::Boolean(_)),
        Expr::List(_) | Expr::Map(_) => true,
        Expr::Ident(_) | Expr::Select(_) => match schema_of(tree, &start(schema)).map(|schema| schema.kind) {
            None | Some(Type::Any | Type::Boolean) => false,
            Some(_) => true,
        },
        Expr::Call(call) => {
            [operators::ADD, operators::SUBSTRACT, operators::MULTIPLY, operators::DIVIDE, operators::MODULO]
                .contains(&call.func_name.as_str())
                || (call.func_name == "size" && call.args.len() + usize::from(call.target.is_some()) == 1)
        }
        _ => false,
    }
}

/// Whether the loops of a rule may take more steps than allowed.
pub(super) fn exceeds_limit(tree: &IdedExpr, schema: &Schema) -> bool {
    steps(tree, &start(schema)) > STEP_LIMIT
}

fn steps(node: &IdedExpr, types: &Types<'_>) -> u64 {
    let sum = |parts: &mut dyn Iterator<Item = u64>| parts.fold(0u64, u64::saturating_add);
    match &node.expr {
        Expr::Select(select) => steps(&select.operand, types),
        Expr::Call(call) => sum(&mut call
            .target
            .iter()
            .map(|target| &**target)
            .chain(&call.args)
            .map(|part| steps(part, types))),
        Expr::Comprehension(comprehension) => {
            let rounds = items_of(&comprehension.iter_range, types);
            let inner = inside(comprehension, types);
            let body = steps(&comprehension.loop_step, &inner)
                .saturating_add(steps(&comprehension.loop_cond, &inner));
            let outside =
                steps(&comprehension.iter_range, types).saturating_add(steps(&comprehension.result, &inner));
            rounds.saturating_mul(body.saturating_add(1)).saturating_add(outside)
        }
        Expr::List(list) => sum(&mut list.elements.iter().map(|element| steps(element, types))),
        Expr::Map(map) => sum(&mut map.entries.iter().map(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => steps(&entry.key, types).saturating_add(steps(&entry.value, types)),
            EntryExpr::StructField(_) => 0,
        })),
        _ => 0,
    }
}

/// How many items a loop may run over.
fn items_of(range: &IdedExpr, types: &Types<'_>) -> u64 {
    if let Expr::List(list) = &range.expr {
        return list.elements.len() as u64;
    }
    // What another loop or function makes is not longer than what it was made from.
    if let Expr::Comprehension(inner) = &range.expr {
        return items_of(&inner.iter_range, types);
    }
    let checks = schema_of(range, types).and_then(|schema| schema.checks.as_ref());
    checks.and_then(|checks| checks.max_items.or(checks.max_properties)).unwrap_or(UNBOUNDED)
}
