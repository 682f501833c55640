//! Errors tell their story once: the causes behind a message, without those
//! that the message quotes already (kube does).

use std::error::Error;

/// An error and its causes in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let told = cause.to_string();
        if !text.contains(&told) {
            text = format!("{text}: {told}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use thiserror::Error;

    use super::*;

    #[derive(Debug, Error)]
    #[error("outer")]
    struct Outer(#[source] Quoting);

    #[derive(Debug, Error)]
    #[error("middle: inner")]
    struct Quoting(#[source] Inner);

    #[derive(Debug, Error)]
    #[error("inner")]
    struct Inner;

    #[test]
    fn a_cause_that_is_quoted_is_not_repeated() {
        assert_eq!(chain(&Outer(Quoting(Inner))), "outer: middle: inner");
    }
}
