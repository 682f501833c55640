//! Names within the limits of Kubernetes (H-61).

use okra_api::names::OBJECT_NAME_MAX;
use sha2::{Digest as _, Sha256};

/// Hexadecimal digits of a hash that stand for what was cut off: 40 bits keep
/// a million names apart with a chance of one in two.
const HASH_DIGITS: usize = 10;

/// `text` as an object name: lower case and legal characters, else cut and hashed.
pub fn object_name(text: &str) -> String {
    let lower: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c } else { '-' })
        .collect();
    let ends = |text: &str| text.trim_matches(['-', '.']).len() == text.len();
    if lower == text && ends(text) && text.len() <= OBJECT_NAME_MAX {
        return lower;
    }
    let kept: String = lower.chars().take(OBJECT_NAME_MAX - HASH_DIGITS - 1).collect();
    format!("{}-{}", kept.trim_matches(['-', '.']), hash(text)).trim_start_matches('-').to_owned()
}

/// A short hash of a text.
pub fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().flat_map(|byte| [byte >> 4, byte & 15]).take(HASH_DIGITS).map(digit).collect()
}

fn digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).expect("four bits are one hexadecimal digit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h_61_names_are_legal_and_stay_apart() {
        assert_eq!(object_name("web-1-default-web"), "web-1-default-web");
        assert!(object_name("Web_1").starts_with("web-1-"));
        assert!(object_name("web-").ends_with(|end: char| end.is_ascii_alphanumeric()));
        assert_ne!(object_name("Web_1"), object_name("web-1"));
        assert!(object_name(&"x".repeat(400)).len() <= OBJECT_NAME_MAX);
    }
}
