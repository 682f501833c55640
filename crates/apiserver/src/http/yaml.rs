//! YAML bodies to values, within limits (spec/apiserver.md 4.4, 18).

use serde_saphyr::options::{AliasLimits, DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Error, Options, from_slice_with_options, options};

use super::json::{self, Decoded, Duplicate};
use crate::stack::with_room;

/// Deepest nesting; people do not write deeper (spec/apiserver.md 18).
const DEPTH: usize = 100;

/// Nodes that aliases may add to what is written: a few lines of aliases of
/// aliases would otherwise fill the memory.
const ALIASED_NODES: usize = 10_000;

/// Decodes YAML, which includes JSON: kubectl sends JSON under YAML's name.
pub(crate) fn decode(body: &[u8]) -> Result<Decoded, String> {
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
        && let Ok(decoded) = json::decode(body)
        && decoded.duplicates.is_empty()
    {
        return Ok(decoded);
    }
    with_room(|| parse(body)).unwrap_or_else(|| Err("the document cannot be parsed".to_owned()))
}

fn parse(body: &[u8]) -> Result<Decoded, String> {
    let decoded = match from_slice_with_options(body, limited(DuplicateKeyPolicy::Error)) {
        Ok(value) => Decoded { value, duplicates: Vec::new() },
        Err(Error::DuplicateMappingKey { key, location }) => {
            let mut decoded: Decoded =
                from_slice_with_options(body, limited(DuplicateKeyPolicy::PassThrough)).map_err(in_words)?;
            // Only the first one is known with its line.
            if let (Some(key), Some(first)) = (key, decoded.duplicates.first_mut()) {
                *first = Duplicate::Line(location.line(), key);
            }
            decoded
        }
        Err(error) => return Err(in_words(error)),
    };
    // Aliases inside aliases nest deeper than the text does.
    if json::is_deep(&decoded.value) { Err("exceeded max depth".to_owned()) } else { Ok(decoded) }
}

fn limited(duplicate_keys: DuplicateKeyPolicy) -> Options {
    let budget = serde_saphyr::budget! { max_depth: DEPTH };
    let mut alias_limits = AliasLimits::default();
    alias_limits.max_total_replayed_events = ALIASED_NODES;
    options! {
        budget: budget,
        alias_limits: alias_limits,
        duplicate_keys: duplicate_keys,
        // `<<` is a key like any other in what clients send.
        merge_keys: MergeKeyPolicy::AsOrdinary,
        with_snippet: false,
    }
}

fn in_words(error: Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn json_under_the_name_of_yaml_is_understood() {
        assert_eq!(decode(br#"{"a": [1, "x"]}"#).unwrap().value, json!({"a": [1, "x"]}));
        assert_eq!(decode(b"a:\n- 1\n- x\n").unwrap().value, json!({"a": [1, "x"]}));
        assert_eq!(decode(b"").unwrap().value, Value::Null);
    }

    #[test]
    fn a_key_that_is_there_twice_is_named_with_its_line() {
        let decoded = decode(b"data:\n  b: '0'\n  a: '1'\n  a: '2'\n").unwrap();
        assert_eq!(decoded.value, json!({"data": {"b": "0", "a": "2"}}));
        let texts: Vec<String> = decoded.duplicates.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["line 4: key \"a\" already set in map"]);
    }

    #[test]
    fn aliases_and_depth_are_limited() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let refs = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb += &format!("a{level}: &a{level} [{refs}]\n");
        }
        assert!(decode(bomb.as_bytes()).is_err(), "a bomb of aliases");
        assert!(decode("[".repeat(DEPTH + 1).as_bytes()).is_err());
        let deep = format!("{}{}", "[".repeat(DEPTH + 1), "]".repeat(DEPTH + 1));
        assert!(decode(deep.as_bytes()).is_err(), "too deep");
        assert!(decode(b"a: &x 1\nb: *x\n").is_ok(), "an alias as such is no fault");
    }
}
