//! Calls: functions, functions with a predicate, and pipes.

use crate::ast::{Expr, Predicate, PredicateKind};
use crate::error::{CompileError, CompileErrorKind};
use crate::functions::{self, Function};

use super::Parser;

/// Whether a name is taken by a function.
pub(super) fn is_function(name: &str) -> bool {
    PredicateKind::named(name).is_some() || functions::named(name).is_some()
}

impl Parser {
    /// `left | name(arguments)`, after the bar.
    pub(super) fn pipe(&mut self, left: Expr) -> Result<Expr, CompileError> {
        match self.call(Some(left)) {
            Ok(call) => self.path(call),
            failed => failed,
        }
    }

    /// A call, at its name.
    pub(super) fn call(&mut self, piped: Option<Expr>) -> Result<Expr, CompileError> {
        let (name, offset) = self.identifier()?;
        if let Some(kind) = PredicateKind::named(&name) {
            return self.predicate_call(kind, piped);
        }
        match functions::named(&name) {
            Some(function) => self.function_call(function, offset, piped),
            None => self.fail(CompileErrorKind::UnknownName(name), offset),
        }
    }

    fn function_call(
        &mut self,
        function: Function,
        offset: usize,
        piped: Option<Expr>,
    ) -> Result<Expr, CompileError> {
        self.expect_bracket('(')?;
        let mut arguments: Vec<Expr> = piped.into_iter().collect();
        let already = arguments.len();
        while !self.take_bracket(')') {
            if arguments.len() > already {
                self.expect(",")?;
                if self.take_bracket(')') {
                    break;
                }
            }
            arguments.push(self.expression(0)?);
        }
        if !function.takes(arguments.len()) {
            return self.wrong_count(function.name, function.expected(), arguments.len(), offset);
        }
        self.node(Expr::Call(function, arguments))
    }

    fn wrong_count<T>(
        &self,
        function: &'static str,
        expected: String,
        got: usize,
        offset: usize,
    ) -> Result<T, CompileError> {
        self.fail(CompileErrorKind::ArgumentCount { function, expected, got }, offset)
    }

    fn predicate_call(&mut self, kind: PredicateKind, piped: Option<Expr>) -> Result<Expr, CompileError> {
        let offset = self.offset();
        self.expect_bracket('(')?;
        let is_piped = piped.is_some();
        let array = match piped {
            Some(array) => array,
            None if self.at_bracket(')') => return self.wrong_count(kind.name(), kind.expected(), 0, offset),
            None => self.expression(0)?,
        };
        let mut call = Box::new(Predicate { kind, array, predicate: None, extra: None });
        if self.more_arguments(is_piped)? {
            call.predicate = Some(self.predicate(kind)?);
            if kind.takes_extra() && self.more_arguments(false)? {
                call.extra = Some(self.expression(0)?);
            }
        }
        self.take(",");
        if call.predicate.is_none() && !kind.predicate_is_optional() && self.at_bracket(')') {
            return self.wrong_count(kind.name(), kind.expected(), 1, offset);
        }
        self.expect_bracket(')')?;
        self.node(Expr::Predicate(call))
    }

    /// Whether another argument follows, with the comma before it read unless it is the first.
    fn more_arguments(&mut self, is_first: bool) -> Result<bool, CompileError> {
        if self.at_bracket(')') {
            return Ok(false);
        }
        if !is_first {
            self.expect(",")?;
        }
        Ok(!self.at_bracket(')'))
    }

    /// `{ expression }` or a bare expression, in which `#` is an element.
    fn predicate(&mut self, kind: PredicateKind) -> Result<Expr, CompileError> {
        self.predicates.push(kind == PredicateKind::Reduce);
        let parsed = if self.at_bracket('{') { self.braced() } else { self.expression(0) };
        self.predicates.pop();
        parsed
    }
}
