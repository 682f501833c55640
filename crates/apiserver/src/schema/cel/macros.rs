//! Loops with two variables (`l.all(i, x, ...)`, `m.transformMap(k, v, ...)`), which the parser leaves as calls: they
//! become loops like the others.

use kube_cel::cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, ListExpr, LiteralValue,
    MapEntryExpr, MapExpr, operators as op,
};

/// Adds entries to the map that a loop makes; no rule can spell it.
pub(super) const MERGE: &str = "@merge";
const ACCUMULATOR: &str = "@result";

/// Turns the calls that are loops into loops, everywhere in a tree.
pub(super) fn expand(node: &mut IdedExpr) -> Result<(), String> {
    match &mut node.expr {
        Expr::Call(call) => {
            call.target.iter_mut().try_for_each(|target| expand(target))?;
            call.args.iter_mut().try_for_each(expand)?;
            if let Some(loop_) = as_loop(call)? {
                node.expr = Expr::Comprehension(Box::new(loop_));
            }
            Ok(())
        }
        Expr::Comprehension(loop_) => {
            let parts =
                [&mut loop_.iter_range, &mut loop_.accu_init, &mut loop_.loop_cond, &mut loop_.loop_step];
            parts.into_iter().try_for_each(expand)?;
            expand(&mut loop_.result)
        }
        Expr::List(list) => list.elements.iter_mut().try_for_each(expand),
        Expr::Map(map) => map.entries.iter_mut().try_for_each(|entry| match &mut entry.expr {
            EntryExpr::MapEntry(entry) => {
                expand(&mut entry.key)?;
                expand(&mut entry.value)
            }
            EntryExpr::StructField(_) => Err("unsupported map literal".to_owned()),
        }),
        Expr::Select(select) => expand(&mut select.operand),
        Expr::Struct(_) => Err("message literals are not supported".to_owned()),
        Expr::Unspecified => Err("empty expression".to_owned()),
        Expr::Ident(_) | Expr::Literal(_) => Ok(()),
    }
}

fn as_loop(call: &mut CallExpr) -> Result<Option<ComprehensionExpr>, String> {
    let several = matches!(call.func_name.as_str(), "transformList" | "transformMap" | "transformMapEntry");
    let wanted = match call.func_name.as_str() {
        "all" | "exists" | "existsOne" | "exists_one" => 3..=3,
        "transformList" | "transformMap" | "transformMapEntry" => 3..=4,
        _ => return Ok(None),
    };
    if call.target.is_none() || !wanted.contains(&call.args.len()) {
        return if several { Err(format!("invalid arguments of {}", call.func_name)) } else { Ok(None) };
    }
    let Some(range) = call.target.take() else { return Ok(None) };
    let mut args = std::mem::take(&mut call.args).into_iter();
    let mut name = || match args.next().map(|arg| arg.expr) {
        Some(Expr::Ident(name)) => Ok(name),
        _ => Err("argument must be a simple name".to_owned()),
    };
    let (first, second) = (name()?, name()?);
    let rest: Vec<IdedExpr> = args.collect();
    let parts = parts(&call.func_name, &first, rest)?;
    Ok(Some(ComprehensionExpr {
        iter_range: *range,
        iter_var: first,
        iter_var2: Some(second),
        accu_var: ACCUMULATOR.to_owned(),
        accu_init: parts.start,
        loop_cond: parts.condition,
        loop_step: parts.step,
        result: parts.result,
    }))
}

struct Parts {
    start: IdedExpr,
    condition: IdedExpr,
    step: IdedExpr,
    result: IdedExpr,
}

fn parts(name: &str, key: &str, mut rest: Vec<IdedExpr>) -> Result<Parts, String> {
    let body = rest.pop().ok_or("a loop needs a body")?;
    let filter = rest.pop();
    let truth = |flag: bool| node(Expr::Literal(LiteralValue::Boolean(flag.into())));
    let number = |number: i64| node(Expr::Literal(LiteralValue::Int(number.into())));
    let open = |operand| call(op::NOT_STRICTLY_FALSE, vec![operand]);
    let filtered = |step| match filter {
        Some(filter) => call(op::CONDITIONAL, vec![filter, step, accumulator()]),
        None => step,
    };
    Ok(match name {
        "all" => Parts {
            start: truth(true),
            condition: open(accumulator()),
            step: call(op::LOGICAL_AND, vec![accumulator(), body]),
            result: accumulator(),
        },
        "exists" => Parts {
            start: truth(false),
            condition: open(call(op::LOGICAL_NOT, vec![accumulator()])),
            step: call(op::LOGICAL_OR, vec![accumulator(), body]),
            result: accumulator(),
        },
        "existsOne" | "exists_one" => Parts {
            start: number(0),
            condition: truth(true),
            step: call(
                op::CONDITIONAL,
                vec![body, call(op::ADD, vec![accumulator(), number(1)]), accumulator()],
            ),
            result: call(op::EQUALS, vec![accumulator(), number(1)]),
        },
        "transformList" => Parts {
            start: node(Expr::List(ListExpr::new(Vec::new()))),
            condition: truth(true),
            step: filtered(call(op::ADD, vec![accumulator(), node(Expr::List(ListExpr::new(vec![body])))])),
            result: accumulator(),
        },
        _ => {
            let entries = match (name, body.expr) {
                ("transformMapEntry", Expr::Map(map)) => map,
                ("transformMapEntry", _) => return Err("transformMapEntry needs a map literal".to_owned()),
                (_, body) => one_entry(key, IdedExpr { id: 0, expr: body }),
            };
            Parts {
                start: node(Expr::Map(MapExpr::default())),
                condition: truth(true),
                step: filtered(call(MERGE, vec![accumulator(), node(Expr::Map(entries))])),
                result: accumulator(),
            }
        }
    })
}

/// `{key: body}`
fn one_entry(key: &str, body: IdedExpr) -> MapExpr {
    let entry = MapEntryExpr { key: node(Expr::Ident(key.to_owned())), value: body, optional: false };
    MapExpr { entries: vec![IdedEntryExpr { id: 0, expr: EntryExpr::MapEntry(entry) }] }
}

fn node(expr: Expr) -> IdedExpr {
    IdedExpr { id: 0, expr }
}

fn call(name: &str, args: Vec<IdedExpr>) -> IdedExpr {
    node(Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args }))
}

fn accumulator() -> IdedExpr {
    node(Expr::Ident(ACCUMULATOR.to_owned()))
}
