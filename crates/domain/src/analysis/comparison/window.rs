//! How the queries of a comparison name the window that they are asked for.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// Milliseconds of a second.
const SECOND: i64 = 1_000;

/// The arguments `okra.window…` of one look, for both queries of a metric with a `baseline`.
///
/// `okra.window` is a duration as Go, Prometheus and okra read it, `okra.windowSeconds` a number;
/// `okra.windowStart` and `okra.windowEnd` are times of RFC 3339. Milliseconds are the finest.
pub fn window_arguments(since: Timestamp, until: Timestamp) -> BTreeMap<String, String> {
    let milliseconds = until.as_millisecond().saturating_sub(since.as_millisecond()).max(0);
    let duration = if milliseconds % SECOND == 0 {
        format!("{}s", milliseconds / SECOND)
    } else {
        format!("{milliseconds}ms")
    };
    BTreeMap::from([
        ("okra.window".to_owned(), duration),
        ("okra.windowSeconds".to_owned(), (milliseconds as f64 / SECOND as f64).to_string()),
        ("okra.windowStart".to_owned(), since.to_string()),
        ("okra.windowEnd".to_owned(), until.to_string()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_named_in_the_words_of_prometheus() {
        let since: Timestamp = "2026-11-21T15:00:00Z".parse().unwrap();
        let until: Timestamp = "2026-11-21T15:01:30.5Z".parse().unwrap();
        let arguments = window_arguments(since, until);
        assert_eq!(arguments["okra.window"], "90500ms");
        assert_eq!(arguments["okra.windowSeconds"], "90.5");
        assert_eq!(arguments["okra.windowStart"], "2026-11-21T15:00:00Z");
        assert_eq!(arguments["okra.windowEnd"], "2026-11-21T15:01:30.5Z");
        let whole = window_arguments(since, "2026-11-21T15:00:30Z".parse().unwrap());
        assert_eq!((&*whole["okra.window"], &*whole["okra.windowSeconds"]), ("30s", "30"));
    }
}
