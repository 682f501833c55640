//! What can be wrong with an expression, before and while it is evaluated.

use thiserror::Error;

/// The source is not an expression of the language. Found without data.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .0.kind)]
pub struct CompileError(Box<Fault>);

/// Boxed, since every step of the parser carries room for it on the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    kind: CompileErrorKind,
    offset: usize,
}

impl CompileError {
    pub(crate) fn new(kind: CompileErrorKind, offset: usize) -> Self {
        Self(Box::new(Fault { kind, offset }))
    }

    /// What is wrong.
    pub fn kind(&self) -> &CompileErrorKind {
        &self.0.kind
    }

    /// Where it is wrong, in bytes from the start of the source.
    pub fn offset(&self) -> usize {
        self.0.offset
    }
}

/// The kinds of [`CompileError`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CompileErrorKind {
    /// A limit of [`crate::limits`] is exceeded.
    #[error("expression has more than {limit} {what}")]
    Limit {
        /// What there is too much of, with its unit.
        what: &'static str,
        /// How much there may be.
        limit: usize,
    },
    /// A token stands where none of its kind may stand.
    #[error("unexpected token {token} at offset {offset}")]
    UnexpectedToken {
        /// The token as written.
        token: String,
        /// Bytes from the start of the source.
        offset: usize,
    },
    /// A character that begins no token.
    #[error("unrecognized character {0:?}")]
    UnexpectedCharacter(char),
    /// A string or comment without end, or an escape that the language does not have.
    #[error("{0}")]
    BadLiteral(String),
    /// A name that is neither `result`, a variable, nor (with arguments) a function.
    #[error("unknown name {0}")]
    UnknownName(String),
    /// A method that no value of the language has.
    #[error("unknown method {0}")]
    UnknownMethod(String),
    /// A `let` of a name that has a meaning already.
    #[error("cannot redeclare {0}")]
    Redeclared(String),
    /// A call with too many or too few arguments.
    #[error("invalid number of arguments for {function} (expected {expected}, got {got})")]
    ArgumentCount {
        /// Name of the function.
        function: &'static str,
        /// The counts it takes, in words.
        expected: String,
        /// The count it was given.
        got: usize,
    },
    /// `#` or `.name` outside of a predicate, or `#name` with a name that its predicate lacks.
    #[error("{0}")]
    Pointer(String),
    /// `??` beside another operator without parentheses.
    #[error("operator ({0}) and coalesce expressions (??) cannot be mixed, wrap either in parentheses")]
    MixedCoalesce(String),
    /// A pattern literal that is no regular expression, or too large a one.
    #[error("invalid pattern {pattern:?}: {reason}")]
    Pattern {
        /// The pattern as written.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An index literal that is not a whole number.
    #[error("array index must be an integer, got {0}")]
    FloatIndex(String),
}

/// The expression has no value for this `result`.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A condition yielded something else than a boolean.
    #[error("expected bool, but got {0}")]
    NotBool(&'static str),
    /// A time expression yielded something else than a time.
    #[error("expected time.Time, but got {0}")]
    NotTime(&'static str),
    /// The evaluation failed on a result without data, which is the likely cause.
    #[error("metric result is nil or empty: no data returned from the metric provider")]
    NoData(#[source] Box<EvalError>),
    /// A limit of [`crate::limits`] is exceeded.
    #[error("evaluation needs more than {limit} {what}")]
    Limit {
        /// What there is too much of, with its unit.
        what: &'static str,
        /// How much there may be.
        limit: u64,
    },
    /// An operator between types that it does not join.
    #[error("invalid operation: {operator} (mismatched types {left} and {right})")]
    Mismatched {
        /// The operator as written.
        operator: &'static str,
        /// Type of the left operand.
        left: &'static str,
        /// Type of the right operand.
        right: &'static str,
    },
    /// An operand of a type that the operator does not take.
    #[error("invalid operation: {operator} needs {expected}, but got {got}")]
    Operand {
        /// The operator or construct as written.
        operator: &'static str,
        /// The types it takes.
        expected: &'static str,
        /// The type it was given.
        got: &'static str,
    },
    /// An argument of a type or value that the function does not take.
    #[error("invalid argument for {function}: {reason}")]
    Argument {
        /// Name of the function.
        function: &'static str,
        /// What is wrong with the argument.
        reason: String,
    },
    /// A member of something that has none.
    #[error("cannot fetch {member} from {from}")]
    NoMember {
        /// The member asked for.
        member: String,
        /// Type of the value that was asked.
        from: &'static str,
    },
    /// A field that the record does not have.
    #[error("no field {field} (the record has {known})")]
    NoField {
        /// The field asked for.
        field: String,
        /// The fields there are.
        known: String,
    },
    /// An index that the array does not have.
    #[error("index out of range: {index} (array length is {length})")]
    OutOfRange {
        /// The index asked for.
        index: i64,
        /// Elements of the array.
        length: usize,
    },
    /// The remainder of a division by zero.
    #[error("integer divide by zero")]
    DivideByZero,
    /// A computed pattern that is no regular expression.
    #[error("invalid pattern {pattern:?}: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl EvalError {
    pub(crate) fn argument(function: &'static str, reason: impl Into<String>) -> Self {
        Self::Argument { function, reason: reason.into() }
    }
}
