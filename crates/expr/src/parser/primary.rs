//! Literals, names, brackets, and what may follow them.

use crate::ast::{Access, Expr, Method, Pointer, Unary};
use crate::error::{CompileError, CompileErrorKind};
use crate::token::Kind;
use crate::value::Value;

use super::{NOT, Parser, SIGN};

impl Parser {
    pub(super) fn primary(&mut self) -> Result<Expr, CompileError> {
        let (unary, precedence) = match self.kind() {
            Kind::Operator("not" | "!") => (Unary::Not, NOT),
            Kind::Operator("-") => (Unary::Minus, SIGN),
            Kind::Operator("+") => (Unary::Plus, SIGN),
            _ => {
                let base = self.base()?;
                return self.path(base);
            }
        };
        self.advance();
        let operand = self.expression(precedence)?;
        let node = self.node(Expr::Unary(unary, Box::new(operand)))?;
        self.path(node)
    }

    /// What a path can begin with.
    fn base(&mut self) -> Result<Expr, CompileError> {
        let parsed = match self.kind().clone() {
            Kind::Bracket('(') => {
                self.advance();
                let inner = self.expression(0)?;
                self.expect_bracket(')')?;
                return Ok(inner);
            }
            Kind::Bracket('[') => self.array()?,
            Kind::Bracket('{') => self.map()?,
            Kind::Operator("#" | ".") => self.pointer()?,
            Kind::Number(text) => {
                let value = self.number(&text)?;
                self.advance();
                Expr::Literal(value)
            }
            Kind::String(text) => {
                self.advance();
                Expr::Literal(text.into())
            }
            Kind::Bytes(bytes) => {
                self.advance();
                Expr::Literal(Value::Bytes(bytes.into()))
            }
            Kind::Identifier(name) => self.name(name)?,
            _ => return self.unexpected(),
        };
        self.node(parsed)
    }

    fn name(&mut self, name: String) -> Result<Expr, CompileError> {
        let offset = self.offset();
        self.advance();
        match name.as_str() {
            "true" => return Ok(Expr::Literal(Value::Bool(true))),
            "false" => return Ok(Expr::Literal(Value::Bool(false))),
            "nil" => return Ok(Expr::Literal(Value::Nil)),
            _ if self.at_bracket('(') => return self.call(name, offset, None),
            _ => {}
        }
        if let Some(place) = self.variables.iter().rposition(|(own, _)| *own == name) {
            return Ok(Expr::Variable(place));
        }
        match name.as_str() {
            "result" if self.with_result => Ok(Expr::Result),
            _ => self.fail(CompileErrorKind::UnknownName(name), offset),
        }
    }

    /// `#`, `#index`, `#acc`, or the dot of `.field`, which stands for `#.field`.
    fn pointer(&mut self) -> Result<Expr, CompileError> {
        let offset = self.offset();
        let Some(has_accumulator) = self.predicates.last().copied() else {
            let message = "cannot use pointer accessor outside predicate".to_owned();
            return self.fail(CompileErrorKind::Pointer(message), offset);
        };
        if !self.take("#") {
            return Ok(Expr::Pointer(Pointer::Element));
        }
        let Kind::Identifier(name) = self.kind().clone() else {
            return Ok(Expr::Pointer(Pointer::Element));
        };
        // `# and` and its like are operators, so a name here belongs to the pointer.
        self.advance();
        match name.as_str() {
            "index" => Ok(Expr::Pointer(Pointer::Index)),
            "acc" if has_accumulator => Ok(Expr::Pointer(Pointer::Accumulator)),
            _ => self.fail(CompileErrorKind::Pointer(format!("unknown pointer #{name}")), offset),
        }
    }

    fn number(&self, text: &str) -> Result<Value, CompileError> {
        let radix = match text.get(..2) {
            Some("0x" | "0X") => Some(16),
            Some("0o" | "0O") => Some(8),
            Some("0b" | "0B") => Some(2),
            _ => None,
        };
        let value = match radix {
            Some(radix) => i64::from_str_radix(&text[2..], radix).ok().map(Value::Int),
            None if text.contains(['.', 'e', 'E']) => {
                text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float)
            }
            None => text.parse().ok().map(Value::Int),
        };
        let reason = || CompileErrorKind::BadLiteral(format!("invalid or too large number literal {text}"));
        value.ok_or_else(|| CompileError::new(reason(), self.offset()))
    }

    fn array(&mut self) -> Result<Expr, CompileError> {
        self.expect_bracket('[')?;
        let mut items = Vec::new();
        while !self.take_bracket(']') {
            if !items.is_empty() {
                self.expect(",")?;
                if self.take_bracket(']') {
                    break;
                }
            }
            items.push(self.expression(0)?);
        }
        Ok(Expr::Array(items))
    }

    fn map(&mut self) -> Result<Expr, CompileError> {
        self.expect_bracket('{')?;
        let mut entries = Vec::new();
        while !self.take_bracket('}') {
            if !entries.is_empty() {
                self.expect(",")?;
                if self.take_bracket('}') {
                    break;
                }
            }
            let key = match self.kind().clone() {
                Kind::Number(text) | Kind::String(text) | Kind::Identifier(text) => {
                    self.advance();
                    self.node(Expr::Literal(text.into()))?
                }
                Kind::Bracket('(') => self.expression(0)?,
                _ => return self.unexpected(),
            };
            self.expect(":")?;
            entries.push((key, self.expression(0)?));
        }
        Ok(Expr::Map(entries))
    }

    /// The accesses that follow a base: they are one path, which an optional access may end.
    pub(super) fn path(&mut self, base: Expr) -> Result<Expr, CompileError> {
        let mut base = base;
        let mut accesses: Vec<Access> = Vec::new();
        loop {
            let optional = self.at("?.");
            if optional || self.at(".") {
                self.advance();
                if optional && self.take_bracket('[') {
                    accesses.push(self.index(true)?);
                } else {
                    let (name, offset) = self.member_name()?;
                    if self.at_bracket('(') {
                        base = self.method(path(base, std::mem::take(&mut accesses)), &name, offset)?;
                        continue;
                    }
                    accesses.push(Access::Field { name: name.into(), optional });
                }
            } else if self.take_bracket('[') {
                accesses.push(self.index(false)?);
            } else {
                return Ok(path(base, accesses));
            }
            self.node(Expr::Result)?;
        }
    }

    /// The name after a dot; operators such as `not` are names here.
    fn member_name(&mut self) -> Result<(String, usize), CompileError> {
        let offset = self.offset();
        let name = match self.kind() {
            Kind::Identifier(name) => name.clone(),
            Kind::Operator(word) if word.starts_with(|c: char| c.is_ascii_alphabetic()) => (*word).to_owned(),
            _ => return self.unexpected(),
        };
        self.advance();
        Ok((name, offset))
    }

    fn method(&mut self, value: Expr, name: &str, offset: usize) -> Result<Expr, CompileError> {
        let Some(method) = Method::named(name) else {
            return self.fail(CompileErrorKind::UnknownMethod(name.to_owned()), offset);
        };
        self.expect_bracket('(')?;
        self.expect_bracket(')')?;
        self.node(Expr::Method(method, Box::new(value)))
    }

    /// An index or a slice, after `[`.
    fn index(&mut self, optional: bool) -> Result<Access, CompileError> {
        let offset = self.offset();
        let from = if self.at(":") { None } else { Some(self.expression(0)?) };
        if !self.take(":") {
            self.expect_bracket(']')?;
            let Some(index) = from else { return self.unexpected() };
            if let Expr::Literal(Value::Float(number)) = &index {
                return self.fail(CompileErrorKind::FloatIndex(number.to_string()), offset);
            }
            return Ok(Access::Index { index, optional });
        }
        let to = if self.at_bracket(']') { None } else { Some(self.expression(0)?) };
        self.expect_bracket(']')?;
        Ok(Access::Slice { from, to, optional })
    }
}

fn path(base: Expr, accesses: Vec<Access>) -> Expr {
    if accesses.is_empty() { base } else { Expr::Path(Box::new(base), accesses) }
}
