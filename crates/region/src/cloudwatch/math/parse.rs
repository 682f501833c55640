//! Text to tree.

/// Deepest nesting: an expression has 2,048 characters at most, people write
/// a handful of levels.
const MAX_DEPTH: usize = 64;

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    Number(f64),
    Text(String),
    /// The id of a query, or a word such as REPEAT.
    Name(String),
    List(Vec<Expression>),
    Negative(Box<Expression>),
    Binary(Operator, Box<Expression>, Box<Expression>),
    Call(String, Vec<Expression>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

impl Operator {
    /// Longer ones first, since `<` begins `<=`.
    const ALL: [(&'static str, Self, u8); 11] = [
        ("<=", Self::LessOrEqual, 1),
        (">=", Self::GreaterOrEqual, 1),
        ("==", Self::Equal, 1),
        ("!=", Self::NotEqual, 1),
        ("<", Self::Less, 1),
        (">", Self::Greater, 1),
        ("+", Self::Add, 2),
        ("-", Self::Subtract, 2),
        ("*", Self::Multiply, 3),
        ("/", Self::Divide, 3),
        ("^", Self::Power, 5),
    ];
}

/// A minus sign binds tighter than `*` and looser than `^`.
const NEGATION: u8 = 4;

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseError {
    #[error("at character {position}: {wanted} expected, found {found}")]
    Unexpected { position: usize, wanted: &'static str, found: String },
    #[error("it is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
}

impl Expression {
    pub(crate) fn parse(text: &str) -> Result<Self, ParseError> {
        let mut parser = Parser { text, position: 0, depth: 0 };
        let expression = parser.expression(0)?;
        parser.skip_space();
        if parser.rest().is_empty() {
            Ok(expression)
        } else {
            Err(parser.unexpected("an operator or the end"))
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    position: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start().len();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(token);
        if found {
            self.position += token.len();
        }
        found
    }

    fn unexpected(&self, wanted: &'static str) -> ParseError {
        let found = self.rest().chars().next().map_or("the end".into(), |found| format!("'{found}'"));
        ParseError::Unexpected { position: self.position + 1, wanted, found }
    }

    /// Pratt: operators that bind at least as tightly as `least`.
    fn expression(&mut self, least: u8) -> Result<Expression, ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ParseError::TooDeep);
        }
        let mut left = if self.eat("-") {
            Expression::Negative(Box::new(self.expression(NEGATION)?))
        } else {
            self.operand()?
        };
        loop {
            self.skip_space();
            let rest = self.rest();
            let found =
                Operator::ALL.iter().find(|(token, _, power)| rest.starts_with(token) && *power >= least);
            let Some((token, operator, power)) = found else { break };
            self.position += token.len();
            let right = self.expression(power + 1)?;
            left = Expression::Binary(*operator, Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operand(&mut self) -> Result<Expression, ParseError> {
        if self.eat("(") {
            let inner = self.expression(0)?;
            return if self.eat(")") { Ok(inner) } else { Err(self.unexpected("')'")) };
        }
        if self.eat("[") {
            return Ok(Expression::List(self.arguments("]")?));
        }
        self.skip_space();
        match self.rest().chars().next() {
            Some('"' | '\'') => self.text_literal(),
            Some(first) if first.is_ascii_digit() || first == '.' => self.number(),
            Some(first) if first.is_ascii_alphabetic() => {
                let name = self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_').to_owned();
                if self.eat("(") {
                    Ok(Expression::Call(name, self.arguments(")")?))
                } else {
                    Ok(Expression::Name(name))
                }
            }
            _ => Err(self.unexpected("a number, an id, a function or '('")),
        }
    }

    /// Expressions between commas up to a closing bracket.
    fn arguments(&mut self, close: &'static str) -> Result<Vec<Expression>, ParseError> {
        let mut arguments = Vec::new();
        if self.eat(close) {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression(0)?);
            if self.eat(close) {
                return Ok(arguments);
            }
            if !self.eat(",") {
                return Err(self.unexpected("',' or a closing bracket"));
            }
        }
    }

    fn number(&mut self) -> Result<Expression, ParseError> {
        let start = self.position;
        let digits = self.take_while(|byte| byte.is_ascii_digit() || byte == b'.');
        match digits.parse() {
            Ok(number) => Ok(Expression::Number(number)),
            Err(_) => {
                self.position = start;
                Err(self.unexpected("a number"))
            }
        }
    }

    fn text_literal(&mut self) -> Result<Expression, ParseError> {
        let quote = self.rest().as_bytes()[0];
        self.position += 1;
        let text = self.take_while(|byte| byte != quote).to_owned();
        if self.rest().is_empty() {
            return Err(self.unexpected("a closing quote"));
        }
        self.position += 1;
        Ok(Expression::Text(text))
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.bytes().take_while(|byte| wanted(*byte)).count();
        self.position += length;
        &rest[..length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: f64) -> Box<Expression> {
        Box::new(Expression::Number(value))
    }

    #[test]
    fn operators_bind_as_in_arithmetic() {
        let parsed = Expression::parse("1 - 2 * 3 - 4").unwrap();
        let product = Box::new(Expression::Binary(Operator::Multiply, number(2.0), number(3.0)));
        let left = Box::new(Expression::Binary(Operator::Subtract, number(1.0), product));
        assert_eq!(parsed, Expression::Binary(Operator::Subtract, left, number(4.0)));
        let squared = Box::new(Expression::Binary(Operator::Power, number(2.0), number(2.0)));
        assert_eq!(Expression::parse("-2^2").unwrap(), Expression::Negative(squared));
    }

    #[test]
    fn what_is_no_expression_is_refused_with_its_place() {
        for (text, message) in [
            ("", "at character 1"),
            ("1 +", "at character 4: a number, an id, a function or '(' expected, found the end"),
            ("(1", "')' expected"),
            ("1 2", "an operator or the end expected, found '2'"),
            ("SUM(1", "',' or a closing bracket"),
            ("METRICS(\"a", "a closing quote"),
            ("1..2", "a number expected"),
            ("1 § 2", "found '§'"),
        ] {
            let error = Expression::parse(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
        assert_eq!(Expression::parse(&"(".repeat(2000)), Err(ParseError::TooDeep));
    }
}
