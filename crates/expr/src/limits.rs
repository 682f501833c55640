//! What an expression and its evaluation may cost (`spec/analysis.md` 3.6 e).
//!
//! An expression comes from a template that anyone with write access to a namespace may
//! change, and it is evaluated inside the controller that moves production traffic.

/// Bytes of source text. The longest conditions in the wild have a few hundred.
pub const MAX_SOURCE_BYTES: usize = 8 * 1024;

/// Nodes of the syntax tree: the limit of the language this one follows.
pub const MAX_NODES: usize = 10_000;

/// Nesting of expressions, and of values. Bounds the stack of parser and evaluator; JSON
/// readers stop at 128.
pub const MAX_DEPTH: usize = 200;

/// Array and map elements one evaluation may produce, and that one value may hold.
pub const MAX_ELEMENTS: usize = 1_000_000;

/// Bytes of text one evaluation may produce.
pub const MAX_TEXT_BYTES: usize = 8 * 1024 * 1024;

/// Steps of one evaluation. A step is a visit of a node or of an element, or a byte matched by a
/// pattern. It stands for wall time (at most one second), which a pure evaluator cannot see.
pub const MAX_STEPS: u64 = 4_000_000;

/// Bytes of a compiled pattern, so that an automaton stays small enough to run in step with
/// [`MAX_STEPS`].
pub const MAX_PATTERN_BYTES: usize = 256 * 1024;

/// Steps charged for compiling a pattern that is computed and so not compiled with the expression.
pub(crate) const STEPS_PER_PATTERN: u64 = 10_000;
