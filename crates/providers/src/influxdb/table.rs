//! Annotated CSV, in which InfluxDB answers: tables one below the other, each with the types of
//! its columns above it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use csv::StringRecord;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use okra_expr::Value;

/// The lines above a table that are asked for.
pub(super) const ANNOTATIONS: [&str; 3] = ["datatype", "group", "default"];

/// The column of the values.
const VALUE_COLUMN: &str = "_value";

/// What stands above the records of one table.
#[derive(Default)]
struct Head {
    types: Vec<String>,
    defaults: Vec<String>,
    columns: Option<Vec<String>>,
}

impl Head {
    fn place(&self, column: &str) -> Option<usize> {
        self.columns.iter().flatten().position(|name| name == column)
    }
}

/// The values of all records of all tables, in their order; what is wrong, if it is no such answer
/// or an error of the query.
pub(super) fn values(body: &[u8]) -> Result<Vec<Value>, String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(body);
    let mut head = Head::default();
    let mut values = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| format!("the answer is no annotated CSV: {error}"))?;
        let texts = || record.iter().map(str::to_owned).collect::<Vec<_>>();
        match record.get(0).unwrap_or_default() {
            "#datatype" => head = Head { types: texts(), ..Head::default() },
            "#default" => head.defaults = texts(),
            annotation if annotation.starts_with('#') => {}
            _ if head.types.is_empty() => {
                return Err("the answer is no annotated CSV: it has no types".to_owned());
            }
            _ if head.columns.is_none() => head.columns = Some(texts()),
            _ => values.push(value(&head, &record)?),
        }
    }
    Ok(values)
}

fn value(head: &Head, record: &StringRecord) -> Result<Value, String> {
    if let Some(error) = head.place("error") {
        return Err(format!("query failed: {}", record.get(error).unwrap_or_default()));
    }
    let place = head.place(VALUE_COLUMN).ok_or("the answer has no column _value")?;
    let kind = head.types.get(place).map(String::as_str).unwrap_or_default();
    let text = record.get(place).ok_or("a record of the answer has no _value")?;
    let default = head.defaults.get(place).map(String::as_str).unwrap_or_default();
    let text = if text.is_empty() { default } else { text };
    typed(kind, text).ok_or_else(|| format!("value {text:?} of the answer is no {kind}"))
}

/// A value of a type; nothing is nil, except as a text.
fn typed(kind: &str, text: &str) -> Option<Value> {
    match kind {
        "string" => Some(Value::from(text)),
        _ if text.is_empty() => Some(Value::Nil),
        "double" => text.parse().ok().map(Value::Float),
        "long" => text.parse().ok().map(Value::Int),
        // The language has no whole numbers without sign.
        "unsignedLong" => {
            text.parse::<i64>().map(Value::Int).ok().or_else(|| text.parse().ok().map(Value::Float))
        }
        "boolean" => text.parse().ok().map(Value::Bool),
        "dateTime" | "dateTime:RFC3339" | "dateTime:RFC3339Nano" => {
            let time: Timestamp = text.parse().ok()?;
            Some(Value::Time(Arc::new(time.to_zoned(TimeZone::UTC))))
        }
        "base64Binary" => STANDARD.decode(text).ok().map(|bytes| Value::Bytes(bytes.into())),
        _ => Some(Value::from(text)),
    }
}

#[cfg(test)]
mod tests {
    use okra_expr::Program;

    use super::*;

    fn table(kind: &str, default: &str, values: &[&str]) -> String {
        let head =
            format!("#datatype,string,long,{kind}\n#group,false,false,false\n#default,_result,,{default}\n");
        let rows: String = values.iter().map(|value| format!(",,0,{value}\n")).collect();
        format!("{head},result,table,_value\n{rows}\n")
    }

    fn texts(body: &str) -> Result<Vec<String>, String> {
        Ok(values(body.as_bytes())?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_type_has_its_value() {
        for (kind, value, expected) in [
            ("double", "0.5", "0.5"),
            ("double", "NaN", "NaN"),
            ("double", "+Inf", "+Inf"),
            ("double", "", "null"),
            ("long", "-3", "-3"),
            ("unsignedLong", "18446744073709551615", "18446744073709552000"),
            ("boolean", "true", "true"),
            ("string", "\"a,\"\"b\"\"\"", "\"a,\\\"b\\\"\""),
            ("string", "", "\"\""),
        ] {
            assert_eq!(texts(&table(kind, "", &[value])).unwrap(), [expected], "{kind} {value}");
        }
        assert_eq!(texts(&table("long", "7", &["", "1"])).unwrap(), ["7", "1"]);
        let times = values(table("dateTime:RFC3339", "", &["2026-11-21T12:00:00Z"]).as_bytes()).unwrap();
        let program = Program::compile("result[0] < now()").unwrap();
        let now = "2026-11-21T12:00:01Z".parse().unwrap();
        assert!(program.evaluate(&Value::array(times), now).unwrap());
    }

    #[test]
    fn tables_below_each_other_keep_their_types() {
        let both = table("long", "", &["1"]) + &table("double", "", &["2.5", "3"]);
        assert_eq!(texts(&both).unwrap(), ["1", "2.5", "3"]);
        assert_eq!(texts("").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_answer_says_so() {
        let error =
            "#datatype,string,string\n#group,true,true\n#default,,\n,error,reference\n,Failed to parse,897\n";
        assert_eq!(texts(error).unwrap_err(), "query failed: Failed to parse");
        for (body, part) in [
            ("a,b\nc,d\n", "it has no types"),
            ("#datatype,string\n,x\n,1\n", "has no column _value"),
            (&*table("long", "", &["x"]), "value \"x\" of the answer is no long"),
        ] {
            assert!(texts(body).unwrap_err().contains(part), "{body}");
        }
        assert!(values(b"\xff\xfe,\n").is_err());
    }
}
