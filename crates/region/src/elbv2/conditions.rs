//! Rule conditions: reading, limits, answers (`spec/aws.md` 1.5).

use serde::{Deserialize, Serialize};

use super::quota;
use crate::dataplane::{self, Cidr, QueryPair};
use crate::wire::{Fault, Input, Members};

const LONGEST_VALUE: usize = 128;
const LONGEST_HEADER_NAME: usize = 40;
const LONGEST_METHOD: usize = 40;
const FIELDS: &[&str] =
    &["path-pattern", "host-header", "http-header", "http-request-method", "query-string", "source-ip"];

/// One condition of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Condition {
    HostHeader(Vec<String>),
    PathPattern(Vec<String>),
    HttpHeader { name: String, values: Vec<String> },
    HttpRequestMethod(Vec<String>),
    QueryString(Vec<Pair>),
    SourceIp(Vec<String>),
}

/// A pair of a query string; without key any key will do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pair {
    key: Option<String>,
    value: String,
}

/// Reads and checks all conditions of a rule.
pub(super) fn read(input: &Input<'_>) -> Result<Vec<Condition>, Fault> {
    let given = input.list()?.ok_or_else(|| Fault::missing(input.path()))?;
    if given.is_empty() {
        return Err(Fault::validation("A condition must be specified"));
    }
    let conditions: Vec<Condition> = given.iter().map(Condition::read).collect::<Result<_, _>>()?;
    for field in ["host-header", "path-pattern", "http-request-method", "source-ip"] {
        if conditions.iter().filter(|condition| condition.field() == field).count() > 1 {
            return Err(Fault::validation(format!("A rule can only have one '{field}' condition")));
        }
    }
    let values: usize = conditions.iter().map(|condition| condition.values().len()).sum();
    if values > quota::CONDITION_VALUES_PER_RULE {
        return Err(Fault::validation(format!(
            "A rule can only have '{}' condition values, {values} were given",
            quota::CONDITION_VALUES_PER_RULE
        )));
    }
    let wildcards: usize = conditions.iter().map(Condition::wildcards).sum();
    if wildcards > quota::CONDITION_WILDCARDS_PER_RULE {
        return Err(Fault::validation(format!(
            "A rule can only have '{}' condition wildcards, {wildcards} were given",
            quota::CONDITION_WILDCARDS_PER_RULE
        )));
    }
    Ok(conditions)
}

impl Condition {
    fn read(input: &Input<'_>) -> Result<Self, Fault> {
        let field = input.member("Field").text()?;
        let Some(field) = field else {
            return Err(Fault::validation("A condition field must be specified"));
        };
        if !FIELDS.contains(&field.as_str()) {
            return Err(Fault::validation(format!(
                "Condition field '{field}' must be one of '[{}]'",
                FIELDS.join(", ")
            )));
        }
        let config = input.member(match field.as_str() {
            "host-header" => "HostHeaderConfig",
            "path-pattern" => "PathPatternConfig",
            "http-header" => "HttpHeaderConfig",
            "http-request-method" => "HttpRequestMethodConfig",
            "query-string" => "QueryStringConfig",
            _ => "SourceIpConfig",
        });
        if input.member("RegexValues").is_given() || config.member("RegexValues").is_given() {
            return Err(Fault::new(
                "InvalidConfigurationRequest",
                format!("This region does not match regular expressions in '{field}' conditions yet"),
            ));
        }
        let condition = if field == "query-string" {
            Self::QueryString(read_pairs(&config)?)
        } else {
            Self::from_values(&field, read_values(input, &config)?, &config)?
        };
        condition.check()?;
        Ok(condition)
    }

    fn from_values(field: &str, values: Vec<String>, config: &Input<'_>) -> Result<Self, Fault> {
        Ok(match field {
            "host-header" => Self::HostHeader(values),
            "path-pattern" => Self::PathPattern(values),
            "http-request-method" => Self::HttpRequestMethod(values),
            "source-ip" => Self::SourceIp(values),
            _ => Self::HttpHeader { name: config.member("HttpHeaderName").required_text()?, values },
        })
    }

    fn field(&self) -> &'static str {
        match self {
            Self::HostHeader(_) => "host-header",
            Self::PathPattern(_) => "path-pattern",
            Self::HttpHeader { .. } => "http-header",
            Self::HttpRequestMethod(_) => "http-request-method",
            Self::QueryString(_) => "query-string",
            Self::SourceIp(_) => "source-ip",
        }
    }

    /// Everything that is compared with a request.
    fn values(&self) -> Vec<&str> {
        match self {
            Self::HostHeader(values)
            | Self::PathPattern(values)
            | Self::HttpHeader { values, .. }
            | Self::HttpRequestMethod(values)
            | Self::SourceIp(values) => values.iter().map(String::as_str).collect(),
            Self::QueryString(pairs) => pairs.iter().map(|pair| pair.value.as_str()).collect(),
        }
    }

    fn wildcards(&self) -> usize {
        let in_text = |text: &str| text.matches(['*', '?']).count();
        match self {
            Self::HttpRequestMethod(_) | Self::SourceIp(_) => 0,
            Self::QueryString(pairs) => {
                pairs.iter().map(|pair| in_text(&pair.value) + pair.key.as_deref().map_or(0, in_text)).sum()
            }
            _ => self.values().into_iter().map(in_text).sum(),
        }
    }

    fn check(&self) -> Result<(), Fault> {
        let (field, values) = (self.field(), self.values());
        if values.is_empty() {
            return Err(Fault::validation(format!("A condition value must be specified for '{field}'")));
        }
        if values.len() > quota::VALUES_PER_CONDITION {
            return Err(Fault::validation(format!(
                "A '{field}' condition can only have '{}' values, {} were given",
                quota::VALUES_PER_CONDITION,
                values.len()
            )));
        }
        for value in values {
            let length = value.chars().count();
            if length > LONGEST_VALUE || (length == 0 && field != "query-string") {
                return Err(Fault::validation(format!(
                    "Condition value '{value}' of '{field}' must have between 1 and {LONGEST_VALUE} characters"
                )));
            }
            self.check_value(value)?;
        }
        if let Self::HttpHeader { name, .. } = self {
            check_header_name(name)?;
        }
        Ok(())
    }

    fn check_value(&self, value: &str) -> Result<(), Fault> {
        let good = match self {
            Self::HostHeader(_) => is_host_pattern(value),
            Self::PathPattern(_) => value.bytes().all(|byte| is_alphanumeric_or(byte, b"_-.$/~\"'@:+&*?")),
            Self::HttpRequestMethod(_) => {
                value.len() <= LONGEST_METHOD
                    && value.bytes().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_'))
            }
            Self::SourceIp(_) => value.parse::<Cidr>().is_ok(),
            Self::HttpHeader { .. } | Self::QueryString(_) => {
                value.chars().all(|character| !character.is_control())
            }
        };
        if good {
            return Ok(());
        }
        Err(Fault::validation(format!("Condition value '{value}' is not valid for '{}'", self.field())))
    }

    /// As DescribeRules answers it: host and path also in the short form.
    pub(super) fn render(&self) -> Members {
        let config = |values: &Vec<String>| Members::new().with("Values", values);
        let base = Members::new().with("Field", self.field());
        match self {
            Self::HostHeader(values) => base.with("Values", values).with("HostHeaderConfig", config(values)),
            Self::PathPattern(values) => {
                base.with("Values", values).with("PathPatternConfig", config(values))
            }
            Self::HttpHeader { name, values } => base
                .with("HttpHeaderConfig", Members::new().with("HttpHeaderName", name).with("Values", values)),
            Self::HttpRequestMethod(values) => base.with("HttpRequestMethodConfig", config(values)),
            Self::SourceIp(values) => base.with("SourceIpConfig", config(values)),
            Self::QueryString(pairs) => {
                let pair =
                    |pair: &Pair| Members::new().maybe("Key", pair.key.as_ref()).with("Value", &pair.value);
                let pairs: Vec<Members> = pairs.iter().map(pair).collect();
                base.with("QueryStringConfig", Members::new().with("Values", pairs))
            }
        }
    }

    /// As the data plane evaluates it.
    pub(super) fn for_data_plane(&self) -> dataplane::Condition {
        match self {
            Self::HostHeader(values) => dataplane::Condition::HostHeader(values.clone()),
            Self::PathPattern(values) => dataplane::Condition::PathPattern(values.clone()),
            Self::HttpHeader { name, values } => {
                dataplane::Condition::HttpHeader { name: name.clone(), values: values.clone() }
            }
            Self::HttpRequestMethod(values) => dataplane::Condition::HttpRequestMethod(values.clone()),
            Self::SourceIp(values) => dataplane::Condition::SourceIp(
                values
                    .iter()
                    .map(|value| value.parse().expect("checked when the rule was written"))
                    .collect(),
            ),
            Self::QueryString(pairs) => dataplane::Condition::QueryString(
                pairs
                    .iter()
                    .map(|pair| QueryPair { key: pair.key.clone(), value: pair.value.clone() })
                    .collect(),
            ),
        }
    }
}

/// `Values` of the condition itself or of its configuration, not both different.
fn read_values(input: &Input<'_>, config: &Input<'_>) -> Result<Vec<String>, Fault> {
    let (short, long) = (input.member("Values").texts()?, config.member("Values").texts()?);
    if !short.is_empty() && !long.is_empty() && short != long {
        return Err(Fault::validation(
            "You cannot specify both 'Values' and a condition configuration with other values",
        ));
    }
    Ok(if long.is_empty() { short } else { long })
}

fn read_pairs(config: &Input<'_>) -> Result<Vec<Pair>, Fault> {
    let mut pairs = Vec::new();
    for given in config.member("Values").list()?.unwrap_or_default() {
        let key = given.member("Key").sized_text(0..=LONGEST_VALUE)?.filter(|key| !key.is_empty());
        pairs.push(Pair { key, value: given.member("Value").required_text()? });
    }
    Ok(pairs)
}

fn check_header_name(name: &str) -> Result<(), Fault> {
    let refuse = |rule: &str| Err(Fault::validation(format!("The HTTP header name '{name}' {rule}")));
    if name.is_empty() || name.len() > LONGEST_HEADER_NAME {
        return refuse(&format!("must have between 1 and {LONGEST_HEADER_NAME} characters"));
    }
    if name.eq_ignore_ascii_case("host") {
        return refuse("is not allowed: use a host-header condition");
    }
    if http::HeaderName::try_from(name).is_err() {
        return refuse("is not valid");
    }
    Ok(())
}

/// At least one dot, and only letters after the last one (`spec/aws.md` 1.5).
fn is_host_pattern(value: &str) -> bool {
    let allowed = value.bytes().all(|byte| is_alphanumeric_or(byte, b"-.*?"));
    let last = value.rsplit_once('.').map(|(_, last)| last);
    // A wildcard may stand where letters would.
    let ends_in_letters = last.is_some_and(|last| {
        !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'*' | b'?'))
    });
    allowed && ends_in_letters
}

fn is_alphanumeric_or(byte: u8, others: &[u8]) -> bool {
    byte.is_ascii_alphanumeric() || others.contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Value, decode_query};

    fn conditions(query: &str) -> Result<Vec<Condition>, Fault> {
        let root: Value = decode_query(query.as_bytes()).unwrap();
        read(&Input::new(&root).member("C"))
    }

    #[test]
    fn short_and_long_form_are_one_condition() {
        let short =
            conditions("C.member.1.Field=host-header&C.member.1.Values.member.1=example.com").unwrap();
        let long = conditions(
            "C.member.1.Field=host-header&C.member.1.HostHeaderConfig.Values.member.1=example.com",
        )
        .unwrap();
        assert_eq!(short, long);
        let both = conditions(
            "C.member.1.Field=host-header&C.member.1.Values.member.1=a.com\
             &C.member.1.HostHeaderConfig.Values.member.1=b.com",
        );
        assert_eq!(both.unwrap_err().code, "ValidationError");
    }

    #[test]
    fn values_that_break_a_limit_are_refused() {
        let one = |field: &str, value: &str| {
            conditions(&format!("C.member.1.Field={field}&C.member.1.Values.member.1={value}"))
        };
        let long = "a".repeat(129);
        for (field, value) in [
            ("host-header", "localhost"),
            ("host-header", "example.c0m"),
            ("host-header", "exa_mple.com"),
            ("path-pattern", "/a%23"),
            ("path-pattern", long.as_str()),
            ("http-request-method", "get"),
            ("source-ip", "10.0.0.1"),
            ("source-ip", "10.0.0.0/40"),
            ("cookie", "x"),
        ] {
            let fault = one(field, value).unwrap_err();
            assert_eq!(fault.code, "ValidationError", "{field} {value}");
            assert!(
                fault.message.contains(if field == "cookie" { "cookie" } else { value })
                    || value.contains('%'),
                "{}",
                fault.message
            );
        }
        for (field, value) in [
            ("host-header", "*.example.com"),
            ("path-pattern", "/img/*"),
            ("source-ip", "10.0.0.0/8"),
            ("http-request-method", "GET"),
        ] {
            assert!(one(field, value).is_ok(), "{field} {value}");
        }
    }

    #[test]
    fn counts_are_limited_per_condition_and_per_rule() {
        let values = |condition: u32, field: &str, count: u32| {
            let value = |n| format!("C.member.{condition}.Values.member.{n}=/p{n}");
            let mut parts = vec![format!("C.member.{condition}.Field={field}")];
            parts.extend((1..=count).map(value));
            parts.join("&")
        };
        let message = |query: &str| conditions(query).unwrap_err().message;
        assert!(message(&values(1, "path-pattern", 4)).contains("can only have '3' values"));
        let header = |n: u32| {
            format!("{}&C.member.{n}.HttpHeaderConfig.HttpHeaderName=X-{n}", values(n, "http-header", 3))
        };
        assert!(
            message(&format!("{}&{}", header(1), header(2))).contains("can only have '5' condition values")
        );
        let twice = format!("{}&{}", values(1, "path-pattern", 1), values(2, "path-pattern", 1));
        assert!(message(&twice).contains("only have one 'path-pattern'"));
        let wild = "C.member.1.Field=path-pattern&C.member.1.Values.member.1=/*/*/*/*/*/*";
        assert!(message(wild).contains("'5' condition wildcards"));
        assert!(message("C=").contains("must be specified"));
    }
}
