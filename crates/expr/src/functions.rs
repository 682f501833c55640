//! The functions without a predicate (`spec/analysis.md` 3.1, 3.4).

mod collections;
mod conversions;
mod numbers;
mod strings;
mod times;

use std::ops::RangeInclusive;

pub(crate) use collections::{is_descending, sorted};

use crate::ast::{Known, Scalar};
use crate::context::Context;
use crate::error::EvalError;
use crate::value::Value;

/// A function as calls in the tree refer to it.
pub(crate) type Function = &'static Signature;

type Outcome = Result<Value, EvalError>;

/// Name, argument counts and body of a function.
#[derive(Debug)]
pub(crate) struct Signature {
    pub(crate) name: &'static str,
    arguments: RangeInclusive<usize>,
    pub(crate) returns: Known,
    body: fn(&mut Context, &[Value]) -> Outcome,
}

impl Signature {
    pub(crate) fn takes(&self, count: usize) -> bool {
        self.arguments.contains(&count)
    }

    /// The accepted counts in words.
    pub(crate) fn expected(&self) -> String {
        match (self.arguments.start(), self.arguments.end()) {
            (least, most) if least == most => least.to_string(),
            (least, &MANY) => format!("at least {least}"),
            (least, most) => format!("{least} to {most}"),
        }
    }

    /// Calls the function. The parser has counted the arguments.
    pub(crate) fn call(&self, context: &mut Context, arguments: &[Value]) -> Outcome {
        (self.body)(context, arguments)
    }
}

pub(crate) fn named(name: &str) -> Option<Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// No more arguments than an expression has nodes.
const MANY: usize = crate::limits::MAX_NODES;

const ANY: Known = Known::Dynamic;
const BOOL: Known = Known::Scalar(Scalar::Bool);
const INT: Known = Known::Scalar(Scalar::Int);
const FLOAT: Known = Known::Scalar(Scalar::Float);
const STRING: Known = Known::Scalar(Scalar::String);
const TIME: Known = Known::Scalar(Scalar::Time);
const DURATION: Known = Known::Scalar(Scalar::Duration);

const fn function(
    name: &'static str,
    arguments: RangeInclusive<usize>,
    returns: Known,
    body: fn(&mut Context, &[Value]) -> Outcome,
) -> Signature {
    Signature { name, arguments, returns, body }
}

static FUNCTIONS: [Signature; 62] = [
    function("asInt", 1..=1, INT, conversions::as_int),
    function("asFloat", 1..=1, FLOAT, conversions::as_float),
    function("isNaN", 1..=1, BOOL, conversions::is_nan),
    function("isInf", 1..=1, BOOL, conversions::is_inf),
    function("isNil", 1..=1, BOOL, conversions::is_nil),
    function("default", 2..=2, ANY, conversions::default),
    function("int", 1..=1, INT, conversions::int),
    function("float", 1..=1, FLOAT, conversions::float),
    function("string", 1..=1, STRING, conversions::string),
    function("type", 1..=1, STRING, conversions::type_of),
    function("toJSON", 1..=1, STRING, conversions::to_json),
    function("fromJSON", 1..=1, ANY, conversions::from_json),
    function("toBase64", 1..=1, STRING, conversions::to_base64),
    function("fromBase64", 1..=1, STRING, conversions::from_base64),
    function("len", 1..=1, INT, collections::len),
    function("first", 1..=1, ANY, collections::first),
    function("last", 1..=1, ANY, collections::last),
    function("get", 2..=2, ANY, collections::get),
    function("take", 2..=2, ANY, collections::take),
    function("reverse", 1..=1, ANY, collections::reverse),
    function("uniq", 1..=1, ANY, collections::uniq),
    function("concat", 1..=MANY, ANY, collections::concat),
    function("flatten", 1..=1, ANY, collections::flatten),
    function("sort", 1..=2, ANY, collections::sort),
    function("keys", 1..=1, ANY, collections::keys),
    function("values", 1..=1, ANY, collections::values),
    function("toPairs", 1..=1, ANY, collections::to_pairs),
    function("fromPairs", 1..=1, ANY, collections::from_pairs),
    function("abs", 1..=1, ANY, numbers::abs),
    function("ceil", 1..=1, FLOAT, numbers::ceil),
    function("floor", 1..=1, FLOAT, numbers::floor),
    function("round", 1..=1, FLOAT, numbers::round),
    function("max", 1..=MANY, ANY, numbers::max),
    function("min", 1..=MANY, ANY, numbers::min),
    function("mean", 1..=MANY, FLOAT, numbers::mean),
    function("median", 1..=MANY, FLOAT, numbers::median),
    function("bitand", 2..=2, INT, numbers::bit_and),
    function("bitor", 2..=2, INT, numbers::bit_or),
    function("bitxor", 2..=2, INT, numbers::bit_xor),
    function("bitnand", 2..=2, INT, numbers::bit_nand),
    function("bitnot", 1..=1, INT, numbers::bit_not),
    function("bitshl", 2..=2, INT, numbers::shift_left),
    function("bitshr", 2..=2, INT, numbers::shift_right),
    function("bitushr", 2..=2, INT, numbers::shift_right_unsigned),
    function("trim", 1..=2, STRING, strings::trim),
    function("trimPrefix", 1..=2, STRING, strings::trim_prefix),
    function("trimSuffix", 1..=2, STRING, strings::trim_suffix),
    function("upper", 1..=1, STRING, strings::upper),
    function("lower", 1..=1, STRING, strings::lower),
    function("split", 2..=3, ANY, strings::split),
    function("splitAfter", 2..=3, ANY, strings::split_after),
    function("replace", 3..=4, STRING, strings::replace),
    function("repeat", 2..=2, STRING, strings::repeat),
    function("join", 1..=2, STRING, strings::join),
    function("indexOf", 2..=2, INT, strings::index_of),
    function("lastIndexOf", 2..=2, INT, strings::last_index_of),
    function("hasPrefix", 2..=2, BOOL, strings::has_prefix),
    function("hasSuffix", 2..=2, BOOL, strings::has_suffix),
    function("now", 0..=1, TIME, times::now),
    function("duration", 1..=1, DURATION, times::duration),
    function("date", 1..=4, TIME, times::date),
    function("timezone", 1..=1, ANY, times::timezone),
];

/// The whole number that an argument is; a measured float is cut.
fn whole(function: &'static str, value: &Value) -> Result<i64, EvalError> {
    match value {
        Value::Int(number) => Ok(*number),
        // Saturating: what does not fit is out of every range that follows.
        Value::Float(number) => Ok(*number as i64),
        other => Err(unfit(function, "a number", other)),
    }
}

fn number(function: &'static str, value: &Value) -> Result<f64, EvalError> {
    value.as_float().ok_or_else(|| unfit(function, "a number", value))
}

fn text<'a>(function: &'static str, value: &'a Value) -> Result<&'a str, EvalError> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(unfit(function, "a string", other)),
    }
}

fn items<'a>(function: &'static str, value: &'a Value) -> Result<&'a [Value], EvalError> {
    match value {
        Value::Array(array) => Ok(array.items()),
        other => Err(unfit(function, "an array", other)),
    }
}

fn unfit(function: &'static str, expected: &str, got: &Value) -> EvalError {
    EvalError::argument(function, format!("expected {expected}, but got {}", got.type_name()))
}
