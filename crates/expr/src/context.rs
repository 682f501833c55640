//! What one evaluation has used of its limits, and its notion of now.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use regex::{Regex, RegexBuilder};

use crate::error::EvalError;
use crate::limits::{
    MAX_DEPTH, MAX_ELEMENTS, MAX_PATTERN_BYTES, MAX_STEPS, MAX_TEXT_BYTES, STEPS_PER_PATTERN,
};
use crate::value::{Key, Value};

/// Every function that produces or walks a value pays here first.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) now: Timestamp,
    steps: u64,
    elements: usize,
    text_bytes: usize,
}

fn exceeded(what: &'static str, limit: usize) -> EvalError {
    EvalError::Limit { what, limit: limit as u64 }
}

impl Context {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { now, steps: 0, elements: 0, text_bytes: 0 }
    }

    /// Pays for visits of nodes or elements.
    pub(crate) fn steps(&mut self, count: usize) -> Result<(), EvalError> {
        self.steps = self.steps.saturating_add(count as u64);
        if self.steps > MAX_STEPS {
            return Err(EvalError::Limit { what: "steps", limit: MAX_STEPS });
        }
        Ok(())
    }

    /// Pays for a pass over text, which is far quicker a byte than a step.
    pub(crate) fn scan(&mut self, bytes: usize) -> Result<(), EvalError> {
        self.steps(bytes / 16)
    }

    /// Pays for elements about to be produced.
    pub(crate) fn elements(&mut self, count: usize) -> Result<(), EvalError> {
        self.elements = self.elements.saturating_add(count);
        if self.elements > MAX_ELEMENTS {
            return Err(exceeded("elements", MAX_ELEMENTS));
        }
        self.steps(count)
    }

    /// Pays for text about to be produced.
    pub(crate) fn text_bytes(&mut self, count: usize) -> Result<(), EvalError> {
        self.text_bytes = self.text_bytes.saturating_add(count);
        if self.text_bytes > MAX_TEXT_BYTES {
            return Err(exceeded("bytes of text", MAX_TEXT_BYTES));
        }
        self.scan(count)
    }

    /// Pays for a walk over a whole value, which may share its parts.
    pub(crate) fn walk(&mut self, value: &Value) -> Result<(), EvalError> {
        self.steps(value.extent().size)
    }

    pub(crate) fn text(&mut self, text: String) -> Result<Value, EvalError> {
        self.text_bytes(text.len())?;
        Ok(text.into())
    }

    pub(crate) fn array(&mut self, items: Vec<Value>) -> Result<Value, EvalError> {
        self.elements(items.len())?;
        checked(Value::array(items))
    }

    pub(crate) fn map(&mut self, entries: BTreeMap<Key, Value>) -> Result<Value, EvalError> {
        self.elements(entries.len())?;
        checked(Value::Map(entries.into()))
    }

    /// A pattern that is computed, not literal.
    pub(crate) fn pattern(&mut self, pattern: &str) -> Result<Regex, EvalError> {
        self.steps = self.steps.saturating_add(STEPS_PER_PATTERN);
        self.steps(pattern.len())?;
        compile_pattern(pattern).map_err(|reason| EvalError::Pattern { pattern: pattern.to_owned(), reason })
    }

    /// What `write` writes, as far as the limit allows.
    pub(crate) fn written(
        &mut self,
        write: impl FnOnce(&mut dyn fmt::Write) -> fmt::Result,
    ) -> Result<Value, EvalError> {
        let room = MAX_TEXT_BYTES.saturating_sub(self.text_bytes);
        let mut target = Bounded { text: String::new(), room };
        match write(&mut target) {
            Ok(()) => self.text(target.text),
            Err(fmt::Error) => Err(exceeded("bytes of text", MAX_TEXT_BYTES)),
        }
    }
}

/// Refuses a value that is nested too deeply or, with its shared parts counted each time, too large.
pub(crate) fn checked(value: Value) -> Result<Value, EvalError> {
    let extent = value.extent();
    if extent.depth > MAX_DEPTH {
        return Err(exceeded("levels of nesting in a value", MAX_DEPTH));
    }
    if extent.size > MAX_ELEMENTS {
        return Err(exceeded("elements in a value", MAX_ELEMENTS));
    }
    Ok(value)
}

/// Compiles a pattern, or says why it cannot be.
pub(crate) fn compile_pattern(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(pattern)
        .size_limit(MAX_PATTERN_BYTES)
        .dfa_size_limit(MAX_PATTERN_BYTES)
        .nest_limit(u32::try_from(MAX_DEPTH).expect("the constant is small"))
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => format!("compiles to more than {limit} bytes"),
        // The library draws the pattern and an arrow; its last line says what is wrong.
        other => {
            other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        }
    })
}

struct Bounded {
    text: String,
    room: usize,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.text.len() + text.len() > self.room {
            return Err(fmt::Error);
        }
        self.text.push_str(text);
        Ok(())
    }
}
