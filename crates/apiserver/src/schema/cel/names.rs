//! How rules spell the names of fields that are no CEL identifiers (`spec/apiserver.md` 13.5).

const RESERVED: &[&str] = &[
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

const ESCAPES: &[(&str, &str)] =
    &[("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__")];

/// The name of a field as rules spell it.
pub(super) fn escaped(name: &str) -> String {
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    ESCAPES.iter().fold(name.to_owned(), |name, (plain, spelled)| name.replace(plain, spelled))
}

/// The name of the field that a rule spells so.
pub(super) fn unescaped(spelled: &str) -> String {
    let inner = spelled.strip_prefix("__").and_then(|rest| rest.strip_suffix("__"));
    if let Some(word) = inner.filter(|word| RESERVED.contains(word)) {
        return word.to_owned();
    }
    let mut name = String::with_capacity(spelled.len());
    let mut rest = spelled;
    while let Some(first) = rest.chars().next() {
        match ESCAPES.iter().find(|(_, escape)| rest.starts_with(escape)) {
            Some((plain, escape)) => {
                name.push_str(plain);
                rest = &rest[escape.len()..];
            }
            None => {
                name.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_escaped_as_upstream_does() {
        let cases = [
            ("namespace", "__namespace__"),
            ("a.b-c/d", "a__dot__b__dash__c__slash__d"),
            ("my__field", "my__underscores__field"),
            ("my_field", "my_field"),
            ("int", "int"),
        ];
        for (name, spelled) in cases {
            assert_eq!(escaped(name), spelled);
            assert_eq!(unescaped(spelled), name);
        }
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in "[a-z_./-]{0,12}") {
            prop_assert_eq!(unescaped(&escaped(&name)), name);
        }
    }
}
