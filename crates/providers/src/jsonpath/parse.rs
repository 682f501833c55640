//! From text to steps.

use serde_json::Value;

use super::{
    Comparison, Filter, JsonPath, JsonPathError, MAX_FILTER_DEPTH, MAX_PATH_BYTES, Operand, Part, Path, Step,
};

type Parsed<T> = Result<T, JsonPathError>;

fn bad<T>(message: impl Into<String>) -> Parsed<T> {
    Err(JsonPathError::new(message))
}

/// Reads texts and `{…}`.
pub(super) fn template(text: &str) -> Parsed<JsonPath> {
    if text.len() > MAX_PATH_BYTES {
        return bad(format!("jsonPath has more than {MAX_PATH_BYTES} bytes"));
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        if !before.is_empty() {
            parts.push(Part::Text(before.to_owned()));
        }
        let mut reader = Reader { rest: after, depth: 0 };
        parts.push(reader.action()?);
        rest = reader.rest;
    }
    if rest.contains('}') {
        return bad("jsonPath has a closing brace without an opening one");
    }
    if !parts.iter().any(|part| matches!(part, Part::Path(_))) && !text.contains('{') {
        return bad("jsonPath needs braces, such as {$.a.b}");
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    Ok(JsonPath { parts })
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, text: &str) -> Parsed<()> {
        if self.take(text) {
            return Ok(());
        }
        let found = self.peek().map_or("its end".to_owned(), |c| format!("{c:?}"));
        bad(format!("jsonPath needs {text:?}, but there is {found}"))
    }

    fn skip_blank(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !accept(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// What stands in braces, after the opening one.
    fn action(&mut self) -> Parsed<Part> {
        self.skip_blank();
        if matches!(self.peek(), Some('"' | '\'')) {
            let text = self.quoted()?;
            self.skip_blank();
            self.expect("}")?;
            return Ok(Part::Text(text));
        }
        for word in ["range", "end"] {
            let after = self.rest.strip_prefix(word);
            if after.is_some_and(|after| after.starts_with([' ', '}'])) {
                return bad(format!("jsonPath has {{{word}}}, which makes a text, not a value"));
            }
        }
        let path = self.path()?;
        self.skip_blank();
        self.expect("}")?;
        Ok(Part::Path(path))
    }

    fn path(&mut self) -> Parsed<Path> {
        let from_root = if self.take("@") {
            false
        } else {
            self.take("$");
            true
        };
        let mut steps = Vec::new();
        // The first name needs no dot.
        if self.peek().is_some_and(is_name) {
            steps.push(self.field()?);
        }
        loop {
            if self.take("..") {
                steps.push(Step::Recursive);
                if self.peek().is_some_and(is_name) {
                    steps.push(self.field()?);
                } else if self.take("*") {
                    steps.push(Step::Wildcard);
                }
            } else if self.take(".") {
                match self.peek() {
                    Some('*') => {
                        self.take("*");
                        steps.push(Step::Wildcard);
                    }
                    Some('[') => {}
                    _ => steps.push(self.field()?),
                }
            } else if self.take("[") {
                steps.push(self.bracket()?);
            } else {
                return Ok(Path { from_root, steps });
            }
        }
    }

    /// A name, in which a backslash makes the next character part of it.
    fn field(&mut self) -> Parsed<Step> {
        let mut name = String::new();
        loop {
            match self.peek() {
                Some('\\') => {
                    self.take("\\");
                    let Some(next) = self.peek() else { return bad("jsonPath ends in a backslash") };
                    self.rest = &self.rest[next.len_utf8()..];
                    name.push(next);
                }
                Some(next) if is_name(next) => name.push_str(self.take_while(|c| c != '\\' && is_name(c))),
                _ if name.is_empty() => return bad("jsonPath has a dot without a name"),
                _ => return Ok(Step::Field(name)),
            }
        }
    }

    fn quoted(&mut self) -> Parsed<String> {
        let quote = self.peek().unwrap_or('"');
        self.rest = &self.rest[quote.len_utf8()..];
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((place, next)) = chars.next() {
            match next {
                _ if next == quote => {
                    self.rest = &self.rest[place + next.len_utf8()..];
                    return Ok(text);
                }
                '\\' => text.extend(chars.next().map(|(_, escaped)| match escaped {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other => other,
                })),
                other => text.push(other),
            }
        }
        bad("jsonPath has a quote without its end")
    }

    /// What stands in brackets, after the opening one.
    fn bracket(&mut self) -> Parsed<Step> {
        self.skip_blank();
        if self.take("?") {
            return self.filter();
        }
        let mut steps = vec![self.selector()?];
        self.skip_blank();
        while self.take(",") {
            self.skip_blank();
            steps.push(self.selector()?);
            self.skip_blank();
        }
        self.expect("]")?;
        match steps.len() {
            1 => Ok(steps.swap_remove(0)),
            _ => Ok(Step::Union(steps)),
        }
    }

    fn selector(&mut self) -> Parsed<Step> {
        match self.peek() {
            Some('*') => {
                self.take("*");
                Ok(Step::Wildcard)
            }
            Some('\'' | '"') => self.quoted().map(Step::Field),
            _ => self.slice(),
        }
    }

    fn slice(&mut self) -> Parsed<Step> {
        let from = self.integer()?;
        if !self.take(":") {
            return from
                .map(Step::Index)
                .ok_or_else(|| JsonPathError::new("jsonPath has an index that is no number"));
        }
        let to = self.integer()?;
        let step = if self.take(":") { self.integer()?.unwrap_or(1) } else { 1 };
        if step < 1 {
            return bad("jsonPath has a slice with a step below 1");
        }
        Ok(Step::Slice { from, to, step })
    }

    fn integer(&mut self) -> Parsed<Option<i64>> {
        let digits = self.take_while(|c| c.is_ascii_digit() || c == '-');
        match digits {
            "" => Ok(None),
            _ => digits.parse().map(Some).map_err(|_| JsonPathError::new(format!("{digits:?} is no index"))),
        }
    }

    /// `(left)` or `(left op right)` and the closing bracket.
    fn filter(&mut self) -> Parsed<Step> {
        self.depth += 1;
        if self.depth > MAX_FILTER_DEPTH {
            return bad(format!("jsonPath has more than {MAX_FILTER_DEPTH} filters inside each other"));
        }
        self.expect("(")?;
        let left = self.operand()?;
        self.skip_blank();
        let comparison = match self.comparison() {
            Some(comparison) => Some((comparison, self.operand()?)),
            None => None,
        };
        self.skip_blank();
        self.expect(")")?;
        self.skip_blank();
        self.expect("]")?;
        self.depth -= 1;
        Ok(Step::Filter(Filter { left, comparison }))
    }

    fn comparison(&mut self) -> Option<Comparison> {
        const COMPARISONS: [(&str, Comparison); 6] = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        COMPARISONS.iter().find(|(symbol, _)| self.take(symbol)).map(|(_, comparison)| *comparison)
    }

    fn operand(&mut self) -> Parsed<Operand> {
        self.skip_blank();
        match self.peek() {
            Some('\'' | '"') => self.quoted().map(|text| Operand::Literal(Value::String(text))),
            Some('@' | '$' | '.' | '[') => self.path().map(Operand::Path),
            _ => {
                let word = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.'));
                match serde_json::from_str(word) {
                    Ok(literal @ (Value::Number(_) | Value::Bool(_) | Value::Null)) => {
                        Ok(Operand::Literal(literal))
                    }
                    _ => bad(format!("jsonPath cannot compare with {word:?}")),
                }
            }
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | '\\')
}
