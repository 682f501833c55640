//! From source text to tokens.

use crate::error::{CompileError, CompileErrorKind};

/// A token and where it begins, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// A number as written, without `_`.
    Number(String),
    String(String),
    Bytes(Vec<u8>),
    Identifier(String),
    /// Also the words that are operators.
    Operator(&'static str),
    Bracket(char),
    End,
}

impl Kind {
    /// The token as a message shows it.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Number(text) | Self::Identifier(text) => format!("{text:?}"),
            Self::String(text) => format!("string {text:?}"),
            Self::Bytes(_) => "byte string".to_owned(),
            Self::Operator(text) => format!("{text:?}"),
            Self::Bracket(bracket) => format!("\"{bracket}\""),
            Self::End => "end of expression".to_owned(),
        }
    }
}

/// Longest first, so that the first match is the token.
const SYMBOLS: [&str; 27] = [
    "??", "?.", "..", "**", "&&", "||", "==", "!=", "<=", ">=", "?", "|", "!", "<", ">", "=", "+", "-", "*",
    "/", "%", "^", ":", ";", ",", ".", "#",
];

const WORDS: [&str; 11] =
    ["in", "or", "and", "not", "matches", "contains", "startsWith", "endsWith", "let", "if", "else"];

pub(crate) fn tokenize(source: &str) -> Result<Vec<Token>, CompileError> {
    let mut lexer = Lexer { source, position: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blank()?;
        let start = lexer.position;
        let kind = lexer.next_kind()?;
        let ended = kind == Kind::End;
        tokens.push(Token { kind, start });
        if ended {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    source: &'a str,
    position: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.position..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn peek_second(&self) -> Option<char> {
        self.rest().chars().nth(1)
    }

    fn advance(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.position += next.len_utf8();
        Some(next)
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.position += end;
        &rest[..end]
    }

    fn bad<T>(&self, reason: impl Into<String>) -> Result<T, CompileError> {
        Err(CompileError::new(CompileErrorKind::BadLiteral(reason.into()), self.position))
    }

    fn skip_blank(&mut self) -> Result<(), CompileError> {
        loop {
            self.take_while(char::is_whitespace);
            if self.rest().starts_with("//") {
                self.take_while(|c| c != '\n');
            } else if self.rest().starts_with("/*") {
                match self.rest().find("*/") {
                    Some(end) => self.position += end + 2,
                    None => return self.bad("unclosed comment"),
                }
            } else {
                return Ok(());
            }
        }
    }

    fn next_kind(&mut self) -> Result<Kind, CompileError> {
        let Some(first) = self.peek() else { return Ok(Kind::End) };
        let second = self.peek_second();
        let digit_follows = second.is_some_and(|c| c.is_ascii_digit());
        match first {
            '"' | '\'' => {
                let bytes = self.quoted(Escapes::Text)?;
                let text = String::from_utf8(bytes).expect("escapes of text make characters, not bytes");
                Ok(Kind::String(text))
            }
            '`' => self.raw_string(),
            'b' if matches!(second, Some('"' | '\'')) => {
                self.advance();
                Ok(Kind::Bytes(self.quoted(Escapes::Bytes)?))
            }
            '0'..='9' => self.number(),
            '.' if digit_follows => self.number(),
            '(' | ')' | '[' | ']' | '{' | '}' => {
                self.advance();
                Ok(Kind::Bracket(first))
            }
            _ if is_name_start(first) => Ok(self.name()),
            _ => self.symbol(first),
        }
    }

    fn name(&mut self) -> Kind {
        let name = self.take_while(|c| is_name_start(c) || c.is_numeric());
        match WORDS.iter().find(|word| **word == name) {
            Some(word) => Kind::Operator(word),
            None => Kind::Identifier(name.to_owned()),
        }
    }

    fn symbol(&mut self, first: char) -> Result<Kind, CompileError> {
        let rest = self.rest();
        // `a ?.5 : b` is a condition with a number.
        let number_follows = rest.starts_with("?.") && rest[2..].starts_with(|c: char| c.is_ascii_digit());
        let found =
            SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol) && !(number_follows && **symbol == "?."));
        match found {
            Some(symbol) => {
                self.position += symbol.len();
                Ok(Kind::Operator(symbol))
            }
            None => Err(CompileError::new(CompileErrorKind::UnexpectedCharacter(first), self.position)),
        }
    }

    fn number(&mut self) -> Result<Kind, CompileError> {
        let start = self.position;
        let rest = self.rest().as_bytes();
        let radix_letter = rest.get(1).copied().filter(|_| rest[0] == b'0');
        if matches!(radix_letter, Some(b'x' | b'X' | b'o' | b'O' | b'b' | b'B')) {
            self.position += 2;
            self.take_while(|c| c.is_ascii_hexdigit() || c == '_');
        } else {
            self.decimal();
        }
        if self.peek().is_some_and(|c| is_name_start(c) || c.is_numeric()) {
            let end = self.rest().chars().next().map_or(0, char::len_utf8);
            return self.bad(format!("bad number syntax: {:?}", &self.source[start..self.position + end]));
        }
        Ok(Kind::Number(self.source[start..self.position].replace('_', "")))
    }

    fn decimal(&mut self) {
        let is_digit = |c: char| c.is_ascii_digit() || c == '_';
        self.take_while(is_digit);
        // `1..2` is a range, `1.name` a member.
        if self.peek() == Some('.') && self.peek_second().is_some_and(|c| c.is_ascii_digit()) {
            self.advance();
            self.take_while(is_digit);
        }
        let exponent = self.rest().as_bytes();
        if matches!(exponent.first(), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(exponent.get(1), Some(b'+' | b'-')));
            if exponent.get(1 + sign).is_some_and(u8::is_ascii_digit) {
                self.position += 1 + sign;
                self.take_while(is_digit);
            }
        }
    }

    fn raw_string(&mut self) -> Result<Kind, CompileError> {
        self.advance();
        let mut text = String::new();
        loop {
            match self.advance() {
                // A doubled backtick stands for one.
                Some('`') if self.peek() == Some('`') => {
                    self.advance();
                    text.push('`');
                }
                Some('`') => return Ok(Kind::String(text)),
                Some(c) => text.push(c),
                None => return self.bad("literal not terminated"),
            }
        }
    }

    /// A string in quotes, as bytes.
    fn quoted(&mut self, escapes: Escapes) -> Result<Vec<u8>, CompileError> {
        let quote = self.advance();
        let mut bytes = Vec::new();
        loop {
            match self.advance() {
                None | Some('\n') => return self.bad("literal not terminated"),
                next if next == quote => return Ok(bytes),
                Some('\\') => self.escape(escapes, &mut bytes)?,
                Some(c) if escapes == Escapes::Bytes && !c.is_ascii() => {
                    return self.bad(format!("byte string holds {c:?}, which is no byte"));
                }
                Some(c) => push_char(&mut bytes, c),
            }
        }
    }

    fn escape(&mut self, escapes: Escapes, bytes: &mut Vec<u8>) -> Result<(), CompileError> {
        let Some(letter) = self.advance() else { return self.bad("literal not terminated") };
        let code = match letter {
            'a' => 0x07,
            'b' => 0x08,
            'f' => 0x0c,
            'n' => 0x0a,
            'r' => 0x0d,
            't' => 0x09,
            'v' => 0x0b,
            '\\' | '\'' | '"' | '`' => u32::from(letter),
            'x' => self.digits(2, 16)?,
            'u' if escapes == Escapes::Text && self.peek() == Some('{') => self.braced_code()?,
            'u' if escapes == Escapes::Text => self.unicode_escape()?,
            'U' if escapes == Escapes::Text => self.digits(8, 16)?,
            '0'..='3' => {
                self.position -= 1;
                self.digits(3, 8)?
            }
            other => return self.bad(format!("unknown escape \\{other}")),
        };
        if escapes == Escapes::Bytes {
            bytes.push(u8::try_from(code).expect("two hexadecimal or three octal digits below \\400"));
            return Ok(());
        }
        match char::from_u32(code) {
            Some(c) => push_char(bytes, c),
            None => return self.bad(format!("escape of {code:#x}, which is no character")),
        }
        Ok(())
    }

    fn braced_code(&mut self) -> Result<u32, CompileError> {
        self.advance();
        let digits = self.take_while(|c| c.is_ascii_hexdigit());
        let code = u32::from_str_radix(digits, 16).ok();
        match (code, self.advance()) {
            (Some(code), Some('}')) => Ok(code),
            _ => self.bad("bad escape \\u{…}"),
        }
    }

    /// `\uXXXX`, where two may form one character as in JSON.
    fn unicode_escape(&mut self) -> Result<u32, CompileError> {
        let high = self.digits(4, 16)?;
        if !(0xd800..0xdc00).contains(&high) || !self.rest().starts_with("\\u") {
            return Ok(high);
        }
        self.position += 2;
        let low = self.digits(4, 16)?;
        if !(0xdc00..0xe000).contains(&low) {
            return self.bad("half of a surrogate pair");
        }
        Ok(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
    }

    fn digits(&mut self, count: usize, radix: u32) -> Result<u32, CompileError> {
        let digits = self.rest().get(..count).filter(|text| text.chars().all(|c| c.is_digit(radix)));
        match digits.and_then(|digits| u32::from_str_radix(digits, radix).ok()) {
            Some(code) => {
                self.position += count;
                Ok(code)
            }
            None => self.bad(format!("escape needs {count} digits of base {radix}")),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Text,
    Bytes,
}

fn push_char(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == '$'
}
