//! The syntax tree. Names are resolved, arguments counted and pattern literals compiled.
//!
//! Operators of one level form a list, not a chain of nodes, so that the tree is never deeper
//! than the source is nested.

use regex::Regex;

use crate::functions::Function;
use crate::value::Value;

#[derive(Debug, Clone)]
pub(crate) enum Expr {
    Literal(Value),
    /// The measured value.
    Result,
    /// A variable of `let`, by its place among the variables in scope.
    Variable(usize),
    /// What `#`, `#index` and `#acc` stand for in the innermost predicate.
    Pointer(Pointer),
    Unary(Unary, Box<Expr>),
    /// `first op right op right …`, evaluated from the left.
    Fold(Box<Expr>, Vec<Term>),
    /// `base.name[index]…`. An optional access on nil ends the whole path with nil.
    Path(Box<Expr>, Vec<Access>),
    Call(Function, Vec<Expr>),
    Predicate(Box<Predicate>),
    /// A call of a method, with the value first.
    Method(Method, Box<Expr>),
    Array(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    Conditional(Box<[Expr; 3]>),
    /// `a ?: b`: a if it is true, else b.
    Elvis(Box<[Expr; 2]>),
    /// `let x = value; body`.
    Let(Box<[Expr; 2]>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pointer {
    Element,
    Index,
    Accumulator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unary {
    Not,
    Minus,
    Plus,
}

/// One operator of a [`Expr::Fold`] and its right operand.
#[derive(Debug, Clone)]
pub(crate) struct Term {
    pub(crate) operator: Operator,
    /// Where the operator and its right operand begin in the source.
    pub(crate) place: (usize, usize),
    /// `not in`, `not matches` and so on.
    pub(crate) negated: bool,
    pub(crate) right: Expr,
    /// For `==` and `!=`: what is known of the operands before evaluation.
    pub(crate) known: (Known, Known),
    /// For `matches` with a literal on its right.
    pub(crate) pattern: Option<Box<Regex>>,
    /// For `a < b < c`: `< c`.
    pub(crate) chain: Vec<(Operator, Expr)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Matches,
    Contains,
    StartsWith,
    EndsWith,
    Range,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Coalesce,
}

impl Operator {
    /// The operator as written.
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
            Self::Matches => "matches",
            Self::Contains => "contains",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Range => "..",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Power => "**",
            Self::Coalesce => "??",
        }
    }
}

/// One step of a path.
#[derive(Debug, Clone)]
pub(crate) enum Access {
    Field { name: Value, optional: bool },
    Index { index: Expr, optional: bool },
    Slice { from: Option<Expr>, to: Option<Expr>, optional: bool },
}

/// A call of a function that takes a predicate.
#[derive(Debug, Clone)]
pub(crate) struct Predicate {
    pub(crate) kind: PredicateKind,
    pub(crate) array: Expr,
    pub(crate) predicate: Option<Expr>,
    /// The initial value of `reduce`, the order of `sortBy`.
    pub(crate) extra: Option<Expr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PredicateKind {
    All,
    None,
    Any,
    One,
    Filter,
    Map,
    Count,
    Sum,
    Find,
    FindIndex,
    FindLast,
    FindLastIndex,
    GroupBy,
    SortBy,
    Reduce,
}

impl PredicateKind {
    pub(crate) const ALL: [(Self, &'static str); 15] = [
        (Self::All, "all"),
        (Self::None, "none"),
        (Self::Any, "any"),
        (Self::One, "one"),
        (Self::Filter, "filter"),
        (Self::Map, "map"),
        (Self::Count, "count"),
        (Self::Sum, "sum"),
        (Self::Find, "find"),
        (Self::FindIndex, "findIndex"),
        (Self::FindLast, "findLast"),
        (Self::FindLastIndex, "findLastIndex"),
        (Self::GroupBy, "groupBy"),
        (Self::SortBy, "sortBy"),
        (Self::Reduce, "reduce"),
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own)| *own == name).map(|(kind, _)| *kind)
    }

    pub(crate) fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(kind, _)| *kind == self);
        found.expect("ALL names every kind").1
    }

    pub(crate) fn predicate_is_optional(self) -> bool {
        matches!(self, Self::Count | Self::Sum)
    }

    pub(crate) fn takes_extra(self) -> bool {
        matches!(self, Self::Reduce | Self::SortBy)
    }

    /// The argument counts it takes, in words.
    pub(crate) fn expected(self) -> String {
        let expected = match self {
            Self::Count | Self::Sum => "1 to 2",
            Self::Reduce | Self::SortBy => "2 to 3",
            _ => "2",
        };
        expected.to_owned()
    }

    pub(crate) fn returns(self) -> Known {
        match self {
            Self::All | Self::None | Self::Any | Self::One => Known::Scalar(Scalar::Bool),
            Self::Count => Known::Scalar(Scalar::Int),
            _ => Known::Dynamic,
        }
    }
}

/// What is known of the type of an expression before it is evaluated: enough to refuse `==`
/// between unlike scalars, as the language's own compiler does (`spec/analysis.md` 3.6 d).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Dynamic,
    /// Whatever `result` is.
    Result,
    Scalar(Scalar),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    Bool,
    Int,
    Float,
    String,
    Time,
    Duration,
}

impl Scalar {
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(_) => Some(Self::Bool),
            Value::Int(_) => Some(Self::Int),
            Value::Float(_) => Some(Self::Float),
            Value::String(_) => Some(Self::String),
            Value::Time(_) => Some(Self::Time),
            Value::Duration(_) => Some(Self::Duration),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float64",
            Self::String => "string",
            Self::Time => "time.Time",
            Self::Duration => "time.Duration",
        }
    }

    /// Whether `==` may join the two.
    pub(crate) fn comparable(self, other: Self) -> bool {
        let is_number = |kind| matches!(kind, Self::Int | Self::Float);
        self == other || (is_number(self) && is_number(other))
    }
}

/// Methods of times and durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    YearDay,
    Weekday,
    Unix,
    UnixMilli,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

impl Method {
    pub(crate) const ALL: [(Self, &'static str); 14] = [
        (Self::Year, "Year"),
        (Self::Month, "Month"),
        (Self::Day, "Day"),
        (Self::Hour, "Hour"),
        (Self::Minute, "Minute"),
        (Self::Second, "Second"),
        (Self::YearDay, "YearDay"),
        (Self::Weekday, "Weekday"),
        (Self::Unix, "Unix"),
        (Self::UnixMilli, "UnixMilli"),
        (Self::Hours, "Hours"),
        (Self::Minutes, "Minutes"),
        (Self::Seconds, "Seconds"),
        (Self::Milliseconds, "Milliseconds"),
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own)| *own == name).map(|(method, _)| *method)
    }

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(method, _)| *method == self).expect("ALL names every method").1
    }
}
