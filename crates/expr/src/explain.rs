//! Which part of a condition decided.

use jiff::Timestamp;

use crate::ast::{Expr, Operator, Term};
use crate::eval::{evaluate, evaluate_fold};
use crate::value::Value;

/// The text of the limb that decided: of `a && b && c` the first that is false, of `a || b || c`
/// the first that is true. None if no single limb did, or the condition is no such list.
pub(crate) fn deciding_limb<'s>(
    source: &'s str,
    expression: &Expr,
    result: &Value,
    now: Timestamp,
) -> Option<&'s str> {
    let Expr::Fold(first, terms) = expression else { return None };
    let is_logical = |term: &Term| matches!(term.operator, Operator::And | Operator::Or);
    // What stands before the first logical operator is one limb; after it only such operators
    // follow, since all others bind more tightly.
    let begin = terms.iter().position(is_logical)?;
    let (head, limbs) = terms.split_at(begin);
    let operator = limbs.first()?.operator;
    if limbs.iter().any(|term| term.operator != operator) {
        return None;
    }
    let decides = |value| matches!(value, Ok(Value::Bool(value)) if value == (operator == Operator::Or));
    let ends = limbs.iter().map(|term| term.place.0).chain([source.len()]);
    let mut texts = std::iter::once(0).chain(limbs.iter().map(|term| term.place.1)).zip(ends);
    let text = |(from, to): (usize, usize)| source.get(from..to).map(str::trim);
    let whole = texts.next()?;
    if decides(evaluate_fold(first, head, result, now)) {
        return text(whole);
    }
    let found = limbs.iter().zip(texts).find(|(term, _)| decides(evaluate(&term.right, result, now)));
    found.and_then(|(_, place)| text(place))
}
