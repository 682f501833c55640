//! Numbers as Go writes them: a whole number has no fraction, whatever its
//! client wrote. What is stored as `1` is read as the integer 1, so `1.0` and
//! `1` must not stay two values (spec/apiserver.md 15.3: 2.0 is the integer 2).

use std::borrow::Cow;

use serde_json::{Number, Value};

/// Beyond this not every integer is a double, and a double says less than its digits.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The number as it is kept; `None` for what JSON cannot say.
pub(crate) fn kept(number: f64) -> Option<Number> {
    if number.fract() == 0.0 && number.abs() < EXACT {
        Some(Number::from(number as i64))
    } else {
        Number::from_f64(number)
    }
}

/// The same value with its own number, if it is one, as it is kept.
pub(crate) fn plain(value: &Value) -> Cow<'_, Value> {
    match value {
        Value::Number(number) if number.is_f64() => {
            let kept = number.as_f64().and_then(kept);
            kept.map_or(Cow::Borrowed(value), |number| Cow::Owned(Value::Number(number)))
        }
        _ => Cow::Borrowed(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_no_fraction() {
        for (number, text) in [
            (1.0, "1"),
            (0.0, "0"),
            (-0.0, "0"),
            (-3.0, "-3"),
            (1e3, "1000"),
            (1.5, "1.5"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (1e300, "1e+300"),
        ] {
            assert_eq!(kept(number).map(|number| number.to_string()).as_deref(), Some(text));
        }
        assert_eq!(kept(f64::NAN), None);
    }
}
