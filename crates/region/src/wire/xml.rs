//! The Query protocol's answers.

use jiff::fmt::strtime;

use super::{Fault, Members, Value};

/// The document of an accepted call. Calls without output members have no
/// result element in the models of CloudWatch; the others have an empty one.
pub(crate) fn response_document(
    namespace: &str,
    action: &str,
    result: Option<&Members>,
    request_id: &str,
) -> String {
    let mut out = String::with_capacity(1024);
    out.push_str(&format!("<{action}Response xmlns=\"{namespace}\">"));
    if let Some(members) = result {
        out.push_str(&format!("<{action}Result>"));
        write_members(&mut out, members);
        out.push_str(&format!("</{action}Result>"));
    }
    out.push_str("<ResponseMetadata>");
    write_text(&mut out, "RequestId", request_id);
    out.push_str(&format!("</ResponseMetadata></{action}Response>"));
    out
}

/// The document of a refused call.
pub(crate) fn error_document(namespace: &str, fault: &Fault, request_id: &str) -> String {
    let mut out = format!("<ErrorResponse xmlns=\"{namespace}\"><Error>");
    write_text(&mut out, "Type", if fault.is_sender() { "Sender" } else { "Receiver" });
    write_text(&mut out, "Code", fault.code);
    write_text(&mut out, "Message", &fault.message);
    out.push_str("</Error>");
    write_text(&mut out, "RequestId", request_id);
    out.push_str("</ErrorResponse>");
    out
}

fn write_members(out: &mut String, members: &Members) {
    for (name, value) in &members.0 {
        write_value(out, name, value);
    }
}

fn write_value(out: &mut String, name: &str, value: &Value) {
    match value {
        Value::Bool(value) => write_text(out, name, &value.to_string()),
        Value::Int(value) => write_text(out, name, &value.to_string()),
        Value::Float(value) => write_text(out, name, &value.to_string()),
        Value::Text(value) => write_text(out, name, value),
        Value::Time(value) => {
            let text = strtime::format("%Y-%m-%dT%H:%M:%S.%3fZ", *value)
                .expect("a timestamp has every part that the format names");
            write_text(out, name, &text);
        }
        Value::List(values) => nested(out, name, |out| {
            for value in values {
                write_value(out, "member", value);
            }
        }),
        Value::Structure(members) => nested(out, name, |out| write_members(out, members)),
        Value::Dictionary(entries) => nested(out, name, |out| {
            for (key, value) in entries {
                nested(out, "entry", |out| {
                    write_text(out, "key", key);
                    write_value(out, "value", value);
                });
            }
        }),
    }
}

fn nested(out: &mut String, name: &str, inner: impl FnOnce(&mut String)) {
    out.push('<');
    out.push_str(name);
    out.push('>');
    inner(out);
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

fn write_text(out: &mut String, name: &str, text: &str) {
    nested(out, name, |out| {
        for character in text.chars() {
            match character {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\r' => out.push_str("&#xD;"),
                // XML 1.0 has no way to write other control characters.
                control if control.is_control() && !matches!(control, '\n' | '\t') => out.push('\u{fffd}'),
                other => out.push(other),
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_structures_and_times_are_written_as_the_models_say() {
        let result = Members::new()
            .with("Rules", vec![Members::new().with("Priority", "1").with("IsDefault", false)])
            .with("Created", "2026-01-01T10:00:00Z".parse::<jiff::Timestamp>().unwrap())
            .with("Name", "a<b&\"c\"\u{1}");
        assert_eq!(
            response_document("urn:x", "Do", Some(&result), "id-1"),
            "<DoResponse xmlns=\"urn:x\"><DoResult><Rules><member><Priority>1</Priority>\
             <IsDefault>false</IsDefault></member></Rules><Created>2026-01-01T10:00:00.000Z</Created>\
             <Name>a&lt;b&amp;&quot;c&quot;\u{fffd}</Name></DoResult><ResponseMetadata>\
             <RequestId>id-1</RequestId></ResponseMetadata></DoResponse>"
        );
    }
}
