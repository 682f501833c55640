//! Literals, names, brackets, and what may follow them.

use crate::ast::{Access, Expr, Method, Pointer, Unary};
use crate::error::{CompileError, CompileErrorKind};
use crate::token::Kind;
use crate::value::Value;

use super::{NOT, Parser, SIGN};

impl Parser {
    pub(super) fn primary(&mut self) -> Result<Expr, CompileError> {
        let base = match self.kind() {
            Kind::Operator("not" | "!") => self.unary(Unary::Not, NOT),
            Kind::Operator("-") => self.unary(Unary::Minus, SIGN),
            Kind::Operator("+") => self.unary(Unary::Plus, SIGN),
            Kind::Bracket('(') => self.group(),
            Kind::Bracket('[') => self.array(),
            Kind::Bracket('{') => self.map(),
            Kind::Identifier(_) => self.name(),
            _ => self.simple(),
        };
        match base {
            Ok(base) => self.path(base),
            failed => failed,
        }
    }

    fn unary(&mut self, unary: Unary, precedence: u8) -> Result<Expr, CompileError> {
        self.advance();
        let operand = Box::new(self.expression(precedence)?);
        self.node(Expr::Unary(unary, operand))
    }

    fn group(&mut self) -> Result<Expr, CompileError> {
        self.advance();
        let inner = self.expression(0);
        if inner.is_ok() {
            self.expect_bracket(')')?;
        }
        inner
    }

    /// A literal, or a pointer.
    fn simple(&mut self) -> Result<Expr, CompileError> {
        let parsed = match self.kind().clone() {
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
            _ => return self.unexpected(),
        };
        self.node(parsed)
    }

    /// A call or a name.
    fn name(&mut self) -> Result<Expr, CompileError> {
        let is_call = self.tokens.get(self.position + 1).is_some_and(|next| next.kind == Kind::Bracket('('));
        if is_call { self.call(None) } else { self.plain_name() }
    }

    fn plain_name(&mut self) -> Result<Expr, CompileError> {
        let (name, offset) = self.identifier()?;
        let variable = self.variables.iter().rposition(|(own, _)| *own == name);
        let parsed = match (name.as_str(), variable) {
            ("true", _) => Expr::Literal(Value::Bool(true)),
            ("false", _) => Expr::Literal(Value::Bool(false)),
            ("nil", _) => Expr::Literal(Value::Nil),
            ("result", _) if self.with_result => Expr::Result,
            (_, Some(place)) => Expr::Variable(place),
            _ => return self.fail(CompileErrorKind::UnknownName(name), offset),
        };
        self.node(parsed)
    }

    /// A name and where it stands.
    pub(super) fn identifier(&mut self) -> Result<(String, usize), CompileError> {
        let offset = self.offset();
        let Kind::Identifier(name) = self.kind().clone() else { return self.unexpected() };
        self.advance();
        Ok((name, offset))
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
        self.node(Expr::Array(items))
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
            entries.push(self.entry()?);
        }
        self.node(Expr::Map(entries))
    }

    /// A key and its value.
    fn entry(&mut self) -> Result<(Expr, Expr), CompileError> {
        let key = match self.kind().clone() {
            Kind::Number(text) | Kind::String(text) | Kind::Identifier(text) => {
                self.advance();
                self.node(Expr::Literal(text.into()))?
            }
            Kind::Bracket('(') => self.expression(0)?,
            _ => return self.unexpected(),
        };
        self.expect(":")?;
        Ok((key, self.expression(0)?))
    }

    /// The accesses that follow a base: they are one path, which an optional access may end.
    pub(super) fn path(&mut self, base: Expr) -> Result<Expr, CompileError> {
        let mut base = base;
        let mut accesses: Vec<Access> = Vec::new();
        loop {
            if self.take_bracket('[') {
                accesses.push(self.index(false)?);
            } else if self.at(".") || self.at("?.") {
                match self.member()? {
                    Member::Access(access) => accesses.push(access),
                    Member::Method(method) => {
                        let value = Box::new(path(base, std::mem::take(&mut accesses)));
                        base = Expr::Method(method, value);
                    }
                }
            } else {
                return Ok(path(base, accesses));
            }
            self.node(Expr::Result)?;
        }
    }

    /// What follows a dot.
    fn member(&mut self) -> Result<Member, CompileError> {
        let optional = self.take("?.");
        if optional && self.take_bracket('[') {
            return self.index(true).map(Member::Access);
        }
        if !optional {
            self.expect(".")?;
        }
        let (name, offset) = self.member_name()?;
        if !self.take_bracket('(') {
            return Ok(Member::Access(Access::Field { name: name.into(), optional }));
        }
        let Some(method) = Method::named(&name) else {
            return self.fail(CompileErrorKind::UnknownMethod(name), offset);
        };
        self.expect_bracket(')')?;
        Ok(Member::Method(method))
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

enum Member {
    Access(Access),
    Method(Method),
}

fn path(base: Expr, accesses: Vec<Access>) -> Expr {
    if accesses.is_empty() { base } else { Expr::Path(Box::new(base), accesses) }
}
