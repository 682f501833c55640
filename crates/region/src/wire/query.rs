//! The Query protocol's requests: a form whose names are paths.

use std::borrow::Cow;

use super::{Fault, Members, Value};

/// Most parameters of one request: RegisterTargets with 1,000 targets of three
/// members each fits three times.
const MAX_PARAMETERS: usize = 10_000;

/// Deepest path of a parameter. The deepest of the models met here,
/// `Actions.member.N.ForwardConfig.TargetGroups.member.N.Weight`, has eight parts.
const MAX_DEPTH: usize = 16;

/// The pairs of a form or of a query string, decoded.
pub(crate) fn pairs(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

/// Reads a form into a structure of structures; lists stay structures with
/// numbered members until somebody asks for a list.
pub(crate) fn decode(form: &[u8]) -> Result<Value, Fault> {
    let mut root = Members::new();
    for (count, (name, value)) in pairs(form).into_iter().enumerate() {
        if count >= MAX_PARAMETERS {
            return Err(malformed(format!("a request may have {MAX_PARAMETERS} parameters at most")));
        }
        let parts: Vec<&str> = name.split('.').collect();
        if parts.len() > MAX_DEPTH {
            return Err(malformed(format!("parameter '{name}' is deeper than {MAX_DEPTH} levels")));
        }
        insert(&mut root, &parts, value).map_err(|()| {
            malformed(format!("parameter '{name}' is given twice, or both as value and as structure"))
        })?;
    }
    Ok(Value::Structure(root))
}

fn malformed(message: String) -> Fault {
    Fault::new("MalformedQueryString", message)
}

fn insert(members: &mut Members, parts: &[&str], value: String) -> Result<(), ()> {
    let (name, rest) = parts.split_first().ok_or(())?;
    // A long list arrives in order, so its last member is nearly always the one meant.
    let found = members.0.iter().rposition(|(key, _)| key == name);
    if rest.is_empty() {
        if found.is_some() {
            return Err(());
        }
        members.0.push((Cow::Owned((*name).to_owned()), Value::Text(value)));
        return Ok(());
    }
    let index = match found {
        Some(index) => index,
        None => {
            members.0.push((Cow::Owned((*name).to_owned()), Value::Structure(Members::new())));
            members.0.len() - 1
        }
    };
    match &mut members.0[index].1 {
        Value::Structure(inner) => insert(inner, rest, value),
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_be_both_a_value_and_a_structure() {
        for form in ["A=1&A=2", "A=1&A.B=2", "A.B=2&A=1"] {
            assert_eq!(decode(form.as_bytes()).unwrap_err().code, "MalformedQueryString", "{form}");
        }
    }

    #[test]
    fn depth_and_number_of_parameters_are_limited() {
        let deep = vec!["a"; MAX_DEPTH + 1].join(".");
        assert!(decode(format!("{deep}=1").as_bytes()).unwrap_err().message.contains("deeper than 16"));
        let many: String = (0..=MAX_PARAMETERS).map(|n| format!("m.{n}=&")).collect();
        assert!(decode(many.as_bytes()).unwrap_err().message.contains("10000 parameters"));
    }
}
