//! Where a watch begins and how long it lives (spec/apiserver.md 8.2, 8.5).

use std::time::Duration;

use crate::api::Call;
use crate::http::status::ApiError;
use crate::read::{list_option, parse_revision};
use crate::schema::FieldReason;
use crate::store::Revision;

/// The position a watch starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Only what comes after a revision.
    After(Revision),
    /// Only what comes after this moment.
    Now,
    /// The present objects first, then what changes.
    Initial {
        /// Whether a bookmark says where the present objects end.
        marked: bool,
        not_older_than: Revision,
    },
}

pub(super) struct WatchOptions {
    pub(super) start: Start,
    pub(super) bookmarks: bool,
    /// `None` leaves the time to the server.
    pub(super) timeout: Option<Duration>,
}

impl WatchOptions {
    pub(super) fn parse(call: &Call) -> Result<Self, ApiError> {
        let query = &call.query;
        if !query.text("continue").is_empty() {
            return Err(forbidden("continue", "continue is forbidden for watch"));
        }
        let rule = query.text("resourceVersionMatch");
        let initial = query.get("sendInitialEvents").map(|_| query.flag("sendInitialEvents"));
        let revision = parse_revision(query.text("resourceVersion"))?;
        let timeout = match query.integer("timeoutSeconds")? {
            None | Some(0) => None,
            Some(seconds) => Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0))),
        };
        let start = start(revision, rule, initial)?;
        Ok(Self { start, bookmarks: query.flag("allowWatchBookmarks"), timeout })
    }
}

fn forbidden(path: &str, why: &str) -> ApiError {
    list_option(path, FieldReason::Forbidden, format!("Forbidden: {why}"))
}

fn start(revision: Revision, rule: &str, initial: Option<bool>) -> Result<Start, ApiError> {
    let path = "resourceVersionMatch";
    match (initial, rule) {
        (None, "") if revision == 0 => Ok(Start::Initial { marked: true, not_older_than: 0 }),
        (None, "") => Ok(Start::After(revision)),
        (Some(true), "NotOlderThan") => Ok(Start::Initial { marked: true, not_older_than: revision }),
        (Some(false), "NotOlderThan") if revision == 0 => Ok(Start::Now),
        (Some(false), "NotOlderThan") => Ok(Start::After(revision)),
        (None, "NotOlderThan") => Err(forbidden(
            path,
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        )),
        (Some(_), "") => {
            Err(forbidden(path, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
        }
        (_, other) => Err(list_option(
            path,
            FieldReason::NotSupported,
            format!("Unsupported value: {other:?}: supported values: \"NotOlderThan\""),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_start_positions() {
        let initial = |not_older_than| Start::Initial { marked: true, not_older_than };
        assert_eq!(start(0, "", None).unwrap(), initial(0));
        assert_eq!(start(5, "", None).unwrap(), Start::After(5));
        assert_eq!(start(5, "NotOlderThan", Some(true)).unwrap(), initial(5));
        assert_eq!(start(0, "NotOlderThan", Some(false)).unwrap(), Start::Now);
        assert_eq!(start(5, "NotOlderThan", Some(false)).unwrap(), Start::After(5));
        for (rule, initial) in
            [("", Some(true)), ("NotOlderThan", None), ("Exact", None), ("Exact", Some(true))]
        {
            assert_eq!(start(5, rule, initial).unwrap_err().code, 422, "{rule} {initial:?}");
        }
    }
}
