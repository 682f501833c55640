//! From tokens to a checked tree, by operator precedence (`spec/analysis.md` 3.2).
//!
//! Everything that can be known without data is checked here: names, argument counts, pattern
//! literals, limits. Types are not: they depend on what was measured, and a guard such as
//! `isNil(result) || result < 1` must work.

mod call;
mod primary;

use crate::ast::{Expr, Known, Operator, Scalar, Term, Unary};
use crate::context::compile_pattern;
use crate::error::{CompileError, CompileErrorKind};
use crate::limits::{MAX_DEPTH, MAX_NODES, MAX_SOURCE_BYTES};
use crate::token::{Kind, Token, tokenize};
use crate::value::Value;

/// Reads a whole expression. `result` is a name only if `with_result`.
pub(crate) fn parse(source: &str, with_result: bool) -> Result<Expr, CompileError> {
    if source.len() > MAX_SOURCE_BYTES {
        let kind = CompileErrorKind::Limit { what: "bytes", limit: MAX_SOURCE_BYTES };
        return Err(CompileError::new(kind, 0));
    }
    let tokens = tokenize(source)?;
    let mut parser = Parser {
        tokens,
        position: 0,
        with_result,
        depth: 0,
        nodes: 0,
        variables: Vec::new(),
        predicates: Vec::new(),
    };
    let expression = parser.expression(0)?;
    match parser.kind() {
        Kind::End => Ok(expression),
        _ => parser.unexpected(),
    }
}

struct Parser {
    tokens: Vec<Token>,
    position: usize,
    with_result: bool,
    depth: usize,
    nodes: usize,
    /// Variables in scope and what is known of them.
    variables: Vec<(String, Known)>,
    /// The predicates around the present token, and whether each has `#acc`.
    predicates: Vec<bool>,
}

/// Precedences of what is not an operator of [`BINARY`].
const PIPE: u8 = 0;
const NOT: u8 = 50;
const SIGN: u8 = 90;

/// Operators as written, with precedence. Only the order of the numbers matters.
const BINARY: [(&str, Operator, u8); 24] = [
    ("or", Operator::Or, 10),
    ("||", Operator::Or, 10),
    ("and", Operator::And, 15),
    ("&&", Operator::And, 15),
    ("==", Operator::Equal, 20),
    ("!=", Operator::NotEqual, 20),
    ("<", Operator::Less, 20),
    ("<=", Operator::LessOrEqual, 20),
    (">", Operator::Greater, 20),
    (">=", Operator::GreaterOrEqual, 20),
    ("in", Operator::In, 20),
    ("matches", Operator::Matches, 20),
    ("contains", Operator::Contains, 20),
    ("startsWith", Operator::StartsWith, 20),
    ("endsWith", Operator::EndsWith, 20),
    ("..", Operator::Range, 25),
    ("+", Operator::Add, 30),
    ("-", Operator::Subtract, 30),
    ("*", Operator::Multiply, 60),
    ("/", Operator::Divide, 60),
    ("%", Operator::Modulo, 60),
    ("**", Operator::Power, 100),
    ("^", Operator::Power, 100),
    ("??", Operator::Coalesce, 200),
];

impl Parser {
    fn kind(&self) -> &Kind {
        &self.tokens[self.position].kind
    }

    fn offset(&self) -> usize {
        self.tokens[self.position].start
    }

    /// Goes on to the next token. The last one, the end, stays.
    fn advance(&mut self) {
        self.position = (self.position + 1).min(self.tokens.len() - 1);
    }

    fn at(&self, symbol: &str) -> bool {
        matches!(self.kind(), Kind::Operator(operator) if *operator == symbol)
    }

    fn at_bracket(&self, bracket: char) -> bool {
        *self.kind() == Kind::Bracket(bracket)
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = self.at(symbol);
        if found {
            self.advance();
        }
        found
    }

    fn take_bracket(&mut self, bracket: char) -> bool {
        let found = self.at_bracket(bracket);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), CompileError> {
        if self.take(symbol) { Ok(()) } else { self.unexpected() }
    }

    fn expect_bracket(&mut self, bracket: char) -> Result<(), CompileError> {
        if self.take_bracket(bracket) { Ok(()) } else { self.unexpected() }
    }

    fn fail<T>(&self, kind: CompileErrorKind, offset: usize) -> Result<T, CompileError> {
        Err(CompileError::new(kind, offset))
    }

    fn unexpected<T>(&self) -> Result<T, CompileError> {
        let offset = self.offset();
        self.fail(CompileErrorKind::UnexpectedToken { token: self.kind().describe(), offset }, offset)
    }

    /// Counts a node against the limit.
    fn node(&mut self, expression: Expr) -> Result<Expr, CompileError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return self.fail(CompileErrorKind::Limit { what: "nodes", limit: MAX_NODES }, self.offset());
        }
        Ok(expression)
    }

    fn too_deep<T>(&self) -> Result<T, CompileError> {
        self.fail(CompileErrorKind::Limit { what: "levels of nesting", limit: MAX_DEPTH }, self.offset())
    }

    /// An expression whose operators bind at least as tightly as `precedence`.
    fn expression(&mut self, precedence: u8) -> Result<Expr, CompileError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.too_deep();
        }
        let parsed = match precedence {
            PIPE if self.take("let") => self.variable(),
            PIPE if self.take("if") => self.conditional(),
            _ => self.operators(precedence),
        };
        self.depth -= 1;
        parsed
    }

    /// `let name = value; body`, after `let`.
    fn variable(&mut self) -> Result<Expr, CompileError> {
        let offset = self.offset();
        let Kind::Identifier(name) = self.kind().clone() else { return self.unexpected() };
        self.advance();
        let is_result = self.with_result && name == "result";
        let is_literal = matches!(name.as_str(), "true" | "false" | "nil");
        let is_variable = self.variables.iter().any(|(own, _)| *own == name);
        if is_result || is_literal || is_variable || call::is_function(&name) {
            return self.fail(CompileErrorKind::Redeclared(name), offset);
        }
        self.expect("=")?;
        let value = self.expression(0)?;
        self.expect(";")?;
        self.variables.push((name, self.known(&value)));
        let body = self.expression(0)?;
        self.variables.pop();
        self.node(Expr::Let(Box::new([value, body])))
    }

    /// `if c { a } else if d { b } else { e }`, after `if`.
    fn conditional(&mut self) -> Result<Expr, CompileError> {
        let condition = self.expression(0)?;
        let then = self.braced()?;
        self.expect("else")?;
        let otherwise = if self.at("if") { self.expression(0)? } else { self.braced()? };
        self.node(Expr::Conditional(Box::new([condition, then, otherwise])))
    }

    fn braced(&mut self) -> Result<Expr, CompileError> {
        self.expect_bracket('{')?;
        let inner = self.expression(0)?;
        self.expect_bracket('}')?;
        Ok(inner)
    }

    /// `c ? a : b` or `a ?: b`, at the question mark.
    fn ternary(&mut self, condition: Expr) -> Result<Expr, CompileError> {
        self.expect("?")?;
        if self.take(":") {
            let otherwise = self.expression(0)?;
            return self.node(Expr::Elvis(Box::new([condition, otherwise])));
        }
        let then = self.expression(0)?;
        self.expect(":")?;
        let otherwise = self.expression(0)?;
        self.node(Expr::Conditional(Box::new([condition, then, otherwise])))
    }

    /// A primary and the operators that follow it. Between the two nothing stays on the stack: a
    /// primary may be nested.
    fn operators(&mut self, precedence: u8) -> Result<Expr, CompileError> {
        match self.primary() {
            Ok(first) => self.operators_after(first, precedence),
            failed => failed,
        }
    }

    fn operators_after(&mut self, first: Expr, precedence: u8) -> Result<Expr, CompileError> {
        let mut left = first;
        let mut terms: Vec<Term> = Vec::new();
        let mut pipes = 0;
        loop {
            if precedence == PIPE && self.at("|") {
                pipes += 1;
                if self.depth + pipes > MAX_DEPTH {
                    return self.too_deep();
                }
                self.advance();
                left = self.pipe(fold(left, std::mem::take(&mut terms)))?;
            } else if let Some((operator, binding, negated)) = self.binary_operator(precedence)? {
                self.check_coalesce(operator, &terms)?;
                let known = self.known_fold(&left, &terms);
                terms.push(self.term(operator, binding, negated, known)?);
            } else if precedence == PIPE && self.at("?") {
                return self.ternary(fold(left, terms));
            } else {
                return Ok(fold(left, terms));
            }
        }
    }

    fn check_coalesce(&self, operator: Operator, terms: &[Term]) -> Result<(), CompileError> {
        let after = terms.last().is_some_and(|term| term.operator == Operator::Coalesce);
        if after && operator != Operator::Coalesce {
            let kind = CompileErrorKind::MixedCoalesce(operator.symbol().to_owned());
            return self.fail(kind, self.offset());
        }
        Ok(())
    }

    /// The operator here, if it binds tightly enough; `not in` and its like are one.
    fn binary_operator(&self, precedence: u8) -> Result<Option<(Operator, u8, bool)>, CompileError> {
        let Kind::Operator(symbol) = self.kind() else { return Ok(None) };
        let (symbol, negated) = match (*symbol, self.tokens.get(self.position + 1).map(|token| &token.kind)) {
            ("not", Some(Kind::Operator(next))) => (*next, true),
            ("not", _) => return self.unexpected(),
            (symbol, _) => (symbol, false),
        };
        let found = BINARY.iter().find(|(name, _, _)| *name == symbol);
        let Some((_, operator, binding)) = found else {
            return if negated { self.unexpected() } else { Ok(None) };
        };
        let negatable = matches!(
            operator,
            Operator::In | Operator::Matches | Operator::Contains | Operator::StartsWith | Operator::EndsWith
        );
        if negated && !negatable {
            return self.unexpected();
        }
        Ok((*binding >= precedence).then_some((*operator, *binding, negated)))
    }

    /// An operator and its right side.
    fn term(
        &mut self,
        operator: Operator,
        binding: u8,
        negated: bool,
        left: Known,
    ) -> Result<Term, CompileError> {
        let begin = self.offset();
        self.position += if negated { 2 } else { 1 };
        let offset = self.offset();
        let right_associative = operator == Operator::Power;
        let right = self.expression(if right_associative { binding } else { binding + 1 })?;
        let known = (left, self.known(&right));
        let pattern = match (&right, operator) {
            (Expr::Literal(Value::String(text)), Operator::Matches) => {
                Some(Box::new(self.pattern(text, offset)?))
            }
            _ => None,
        };
        let mut chain = Vec::new();
        if is_ordering(operator) {
            while let Some((next, binding, false)) = self.binary_operator(binding)?
                && is_ordering(next)
            {
                self.advance();
                chain.push((next, self.expression(binding + 1)?));
            }
        }
        let term = Term { operator, place: (begin, offset), negated, right, known, pattern, chain };
        self.node(Expr::Literal(Value::Nil))?;
        Ok(term)
    }

    fn pattern(&self, text: &str, offset: usize) -> Result<regex::Regex, CompileError> {
        compile_pattern(text).map_err(|reason| {
            CompileError::new(CompileErrorKind::Pattern { pattern: text.to_owned(), reason }, offset)
        })
    }

    /// What is known of an expression's type before it is evaluated.
    fn known(&self, expression: &Expr) -> Known {
        match expression {
            Expr::Literal(value) => Scalar::of(value).map_or(Known::Dynamic, Known::Scalar),
            Expr::Result => Known::Result,
            Expr::Variable(place) => self.variables.get(*place).map_or(Known::Dynamic, |(_, known)| *known),
            Expr::Unary(Unary::Not, _) => Known::Scalar(Scalar::Bool),
            Expr::Unary(_, inner) => self.known(inner),
            Expr::Fold(first, terms) => self.known_fold(first, terms),
            Expr::Call(function, _) => function.returns,
            Expr::Predicate(predicate) => predicate.kind.returns(),
            _ => Known::Dynamic,
        }
    }

    fn known_fold(&self, first: &Expr, terms: &[Term]) -> Known {
        match terms.last().map(|term| term.operator) {
            None => self.known(first),
            Some(Operator::Divide | Operator::Power) => Known::Scalar(Scalar::Float),
            Some(Operator::Modulo) => Known::Scalar(Scalar::Int),
            Some(
                Operator::Range
                | Operator::Add
                | Operator::Subtract
                | Operator::Multiply
                | Operator::Coalesce,
            ) => Known::Dynamic,
            Some(_) => Known::Scalar(Scalar::Bool),
        }
    }
}

fn is_ordering(operator: Operator) -> bool {
    matches!(operator, Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual)
}

fn fold(first: Expr, terms: Vec<Term>) -> Expr {
    if terms.is_empty() { first } else { Expr::Fold(Box::new(first), terms) }
}
