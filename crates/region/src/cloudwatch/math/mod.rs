//! Metric math: a small parser and evaluator (`spec/aws.md` 5.1).
//!
//! Known are numbers, ids of other queries, `+ - * / ^`, comparisons (1 or 0),
//! parentheses, lists in brackets, and the functions ABS, AVG, CEIL, FILL,
//! FLOOR, IF, MAX, METRICS, MIN, PERIOD, SUM. Everything else is refused by
//! name. What is missing stays missing: a point exists where all its operands
//! do, and a division by zero gives none.

mod evaluate;
mod parse;

pub(super) use evaluate::{Evaluator, Series};
pub(super) use parse::Expression;
