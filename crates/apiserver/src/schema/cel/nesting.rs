//! A look at the text of a rule before the parser gets it: the parser, the checks and the evaluation call themselves
//! once a level of brackets and once a link of a chain like `a.b.c` or `1 + 2 + 3`.

/// Deepest nesting of brackets.
pub(super) const BRACKETS: u16 = 50;
/// Most links on the way from the whole rule to any part of it. `&&`, `||` and commas put parts side by side.
const LINKS: usize = 100;

/// Refuses a text that nests too deeply.
pub(super) fn check(source: &str) -> Result<(), String> {
    let bytes = source.as_bytes();
    // Links since the last separator: of the rule itself, and of each open bracket.
    let mut open = vec![0usize];
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let own = open.len() - 1;
        match byte {
            b'"' | b'\'' => {
                at = end_of_text(bytes, at);
                continue;
            }
            b'(' | b'[' | b'{' => open.push(1),
            b')' | b']' | b'}' if own > 0 => {
                open.pop();
                // A call or an index is a link of what it stands behind.
                open[own - 1] += 1;
            }
            b',' => open[own] = 0,
            b'&' | b'|' if bytes.get(at + 1) == Some(&byte) => open[own] = 0,
            b'.' | b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'=' | b'!' | b'?' => open[own] += 1,
            _ => {}
        }
        if open.len() > usize::from(BRACKETS) + 1 || open.iter().sum::<usize>() > LINKS {
            return Err("ERROR: <input>:1:1: expression is nested too deeply".to_owned());
        }
        at += 1;
    }
    Ok(())
}

/// Where the text that begins with the quote at `start` is over.
fn end_of_text(bytes: &[u8], start: usize) -> usize {
    let quote = bytes[start];
    let before = &bytes[start.saturating_sub(2)..start];
    let raw = before.iter().rev().take_while(|byte| b"rRbB".contains(byte)).any(|byte| b"rR".contains(byte));
    let long = bytes[start..].starts_with(&[quote; 3]);
    let mut at = start + if long { 3 } else { 1 };
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if !raw => at += 2,
            _ if long && bytes[at..].starts_with(&[quote; 3]) => return at + 3,
            _ if !long && byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_and_brackets_are_limited() {
        for fine in [
            "self.a.b.c.all(x, x.y[0].z == 1) && self.d",
            &vec!["a.b == 1"; 2_000].join(" && "),
            &format!("f({})", vec!["a.b"; 2_000].join(", ")),
            &format!("'{}'.size() > 0", ".+([".repeat(1_000)),
            r#"r'\'.size() + "\"".size() + '\''.size() > 0"#,
            r#"'''it's "+"+"+" '''.size() > 0"#,
        ] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        for deep in [
            "(".repeat(60),
            "a.".repeat(300),
            ["1"; 300].join("+"),
            "!".repeat(300),
            "a?b:".repeat(300),
            "a[0]".repeat(300),
            "f(a.b.c.d.e + ".repeat(45),
            [r"r'\'"; 300].join("+"),
        ] {
            assert!(check(&deep).is_err(), "{deep}");
        }
    }
}
