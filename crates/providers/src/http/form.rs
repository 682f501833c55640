//! Forms, as bodies and as queries of addresses.

use form_urlencoded::{Serializer, byte_serialize};

/// One value of a form.
pub(crate) fn value(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

/// A whole form, fields in the order they are given.
pub(crate) fn encoded<K: AsRef<str>, V: AsRef<str>>(fields: &[(K, V)]) -> String {
    Serializer::new(String::new()).extend_pairs(fields).finish()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_has_a_meaning_in_a_form_is_encoded() {
        let form = super::encoded(&[("query", "rate(x{a=\"b\"}[5m]) > 1"), ("k", "a&b c")]);
        assert_eq!(form, "query=rate%28x%7Ba%3D%22b%22%7D%5B5m%5D%29+%3E+1&k=a%26b+c");
    }
}
