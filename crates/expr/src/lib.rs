//! The condition language of analysis templates: expr-lang as Argo Rollouts uses it.
//!
//! ```
//! use okra_expr::{Program, Value};
//!
//! let condition = Program::compile("len(result) > 0 && result[0] < 0.01")?;
//! let measured = Value::array(vec![Value::Float(0.003)]);
//! assert!(condition.evaluate(&measured, jiff::Timestamp::UNIX_EPOCH)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Source → [`token`] → [`parser`] (names, argument counts, patterns, limits) → [`ast`] →
//! [`eval`] (types, limits) → value.
//!
//! What it never does:
//! - read a clock, a file or the environment: now is an argument, time zones are built in;
//! - give a value where the language has an error: an index out of range, an access on nil and an
//!   order between unlike types are errors, never false;
//! - panic, or cost more than [`limits`] allow.
//!
//! It departs from expr-lang on purpose where `spec/analysis.md` 3.1 and 3.6 say so: types are
//! checked while evaluating, so that `isNil(result) || result < 1` works, and `isNil` and
//! `default` look at their argument. `\d`, `\w` and `\s` in patterns know Unicode.

mod ast;
mod context;
mod error;
mod eval;
mod explain;
mod functions;
pub mod limits;
mod operators;
mod parser;
mod text;
mod time;
mod token;
mod value;

use jiff::Timestamp;

pub use error::{CompileError, CompileErrorKind, EvalError};
pub use value::{Array, FloatKey, Key, Map, Value};

/// Whether a pattern is found in a text, as `text matches pattern` finds it. A pattern that is no
/// regular expression is found nowhere. For rules that name metrics by a pattern.
pub fn pattern_matches(pattern: &str, text: &str) -> bool {
    context::compile_pattern(pattern).is_ok_and(|pattern| pattern.is_match(text))
}

/// A condition, checked and ready to be evaluated any number of times.
#[derive(Debug, Clone)]
pub struct Program {
    source: Box<str>,
    expression: ast::Expr,
}

impl Program {
    /// Reads a condition on `result`.
    ///
    /// # Errors
    ///
    /// All that is wrong without knowing the data: syntax, unknown names and functions, argument
    /// counts, pattern literals, limits. Types are not looked at.
    pub fn compile(source: &str) -> Result<Self, CompileError> {
        Ok(Self { source: source.into(), expression: parser::parse(source, true)? })
    }

    /// Reads an expression for a time, such as the ends of a range query; it has no `result`.
    ///
    /// # Errors
    ///
    /// As [`Program::compile`].
    pub fn compile_time(source: &str) -> Result<TimeProgram, CompileError> {
        Ok(TimeProgram { expression: parser::parse(source, false)? })
    }

    /// Whether the condition holds for this result.
    ///
    /// # Errors
    ///
    /// If an operation does not fit the types it meets, the value is no boolean, or a limit is
    /// exceeded. On a result without data every error except a limit is [`EvalError::NoData`].
    pub fn evaluate(&self, result: &Value, now: Timestamp) -> Result<bool, EvalError> {
        let outcome = eval::evaluate(&self.expression, result, now).and_then(|value| match value {
            Value::Bool(value) => Ok(value),
            other => Err(EvalError::NotBool(other.type_name())),
        });
        outcome.map_err(|error| match error {
            limit @ EvalError::Limit { .. } => limit,
            error if result.is_nil_or_empty() => EvalError::NoData(Box::new(error)),
            error => error,
        })
    }

    /// The part of the condition that made it what it is for this result: of parts joined by `&&`
    /// the first that is false, of parts joined by `||` the first that is true.
    pub fn deciding_limb(&self, result: &Value, now: Timestamp) -> Option<&str> {
        explain::deciding_limb(&self.source, &self.expression, result, now)
    }

    /// The value of the expression, whatever its type.
    ///
    /// # Errors
    ///
    /// As [`Program::evaluate`], but without asking for a boolean.
    pub fn value(&self, result: &Value, now: Timestamp) -> Result<Value, EvalError> {
        eval::evaluate(&self.expression, result, now)
    }
}

/// An expression that yields a time.
#[derive(Debug, Clone)]
pub struct TimeProgram {
    expression: ast::Expr,
}

impl TimeProgram {
    /// The time it yields.
    ///
    /// # Errors
    ///
    /// If it yields something else, or nothing.
    pub fn evaluate(&self, now: Timestamp) -> Result<Timestamp, EvalError> {
        match eval::evaluate(&self.expression, &Value::Nil, now)? {
            Value::Time(time) => Ok(time.timestamp()),
            other => Err(EvalError::NotTime(other.type_name())),
        }
    }
}
