//! `k=v,k=v` on the command line.

use std::collections::BTreeMap;
use std::str::FromStr;

/// Pairs in the order of their keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairs(pub BTreeMap<String, String>);

impl FromStr for Pairs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pair = |part: &str| match part.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                Ok((key.trim().to_owned(), value.trim().to_owned()))
            }
            _ => Err(format!("{part:?} is not KEY=VALUE")),
        };
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(pair).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_as_people_write_them() {
        let pairs: Pairs = "service=web, tier = front,empty=,url=a=b".parse().unwrap();
        let pairs: Vec<(&str, &str)> =
            pairs.0.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("empty", ""), ("service", "web"), ("tier", "front"), ("url", "a=b")]);
        assert_eq!("".parse(), Ok(Pairs::default()));
        assert!("service".parse::<Pairs>().is_err() && "=x".parse::<Pairs>().is_err());
    }
}
