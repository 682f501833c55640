//! Calls: functions, functions with a predicate, and pipes.

use crate::ast::{Expr, Predicate, PredicateKind};
use crate::error::{CompileError, CompileErrorKind};
use crate::functions;
use crate::token::Kind;

use super::Parser;

/// Whether a name is taken by a function.
pub(super) fn is_function(name: &str) -> bool {
    PredicateKind::named(name).is_some() || functions::named(name).is_some()
}

impl Parser {
    /// `left | name(arguments)`, after the bar.
    pub(super) fn pipe(&mut self, left: Expr) -> Result<Expr, CompileError> {
        let offset = self.offset();
        let Kind::Identifier(name) = self.kind().clone() else { return self.unexpected() };
        self.advance();
        let call = self.call(name, offset, Some(left))?;
        let node = self.node(call)?;
        self.path(node)
    }

    /// A call whose name is read and whose bracket is next.
    pub(super) fn call(
        &mut self,
        name: String,
        offset: usize,
        piped: Option<Expr>,
    ) -> Result<Expr, CompileError> {
        if let Some(kind) = PredicateKind::named(&name) {
            return self.predicate_call(kind, piped);
        }
        let Some(function) = functions::named(&name) else {
            return self.fail(CompileErrorKind::UnknownName(name), offset);
        };
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
        Ok(Expr::Call(function, arguments))
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
        let expected = match (kind.predicate_is_optional(), kind.takes_extra()) {
            (true, _) => "1 or 2",
            (_, true) => "2 or 3",
            _ => "2",
        };
        let is_piped = piped.is_some();
        self.expect_bracket('(')?;
        let array = match piped {
            Some(array) => array,
            None if self.at_bracket(')') => {
                return self.wrong_count(kind.name(), expected.to_owned(), 0, offset);
            }
            None => self.expression(0)?,
        };
        let mut predicate = None;
        let mut extra = None;
        if self.more_arguments(is_piped)? {
            predicate = Some(Box::new(self.predicate(kind)?));
            if kind.takes_extra() && self.more_arguments(false)? {
                extra = Some(Box::new(self.expression(0)?));
            }
        }
        self.take(",");
        if !self.at_bracket(')') && matches!(self.kind(), Kind::End) {
            return self.unexpected();
        }
        if predicate.is_none() && !kind.predicate_is_optional() {
            return self.wrong_count(kind.name(), expected.to_owned(), 1, offset);
        }
        self.expect_bracket(')')?;
        Ok(Expr::Predicate(Predicate { kind, array: Box::new(array), predicate, extra }))
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
