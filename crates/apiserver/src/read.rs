//! Get and list (spec/apiserver.md 7).

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::api::{Api, Call};
use crate::http::accept::Form;
use crate::http::query::option_error;
use crate::http::reply::Reply;
use crate::http::status::ApiError;
use crate::kinds::Kind;
use crate::list;
use crate::present::{Page, Presenter};
use crate::schema::FieldReason;
use crate::selector::{FieldSelector, LabelSelector};
use crate::store::{HistoryError, ObjectName, Record, Revision, Snapshot};

/// How long a request for a future revision waits for it (spec/apiserver.md 7.2).
const FUTURE_REVISION_WAIT: Duration = Duration::from_secs(3);

/// Which objects a list or watch is about.
#[derive(Clone, Default)]
pub(crate) struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selection {
    pub(crate) fn parse(call: &Call, kind: &Kind) -> Result<Self, ApiError> {
        let labels = LabelSelector::parse(call.query.text("labelSelector"))
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        let fields = FieldSelector::parse(call.query.text("fieldSelector"))
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        for label in fields.fields() {
            kind.check_field_label(label).map_err(|error| ApiError::bad_request(error.to_string()))?;
        }
        Ok(Self { labels, fields })
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// The name that every selected object must have.
    pub(crate) fn pinned_name(&self) -> Option<&str> {
        self.fields.pinned("metadata.name")
    }

    pub(crate) fn matches(&self, kind: &Kind, name: &ObjectName, record: &Record) -> bool {
        let labelled = self.labels.is_empty() || self.labels.matches_labels(Some(&record.labels()));
        labelled && (self.fields.is_empty() || self.fields_match(kind, name, record))
    }

    /// The object is only decoded for fields that its name does not tell.
    fn fields_match(&self, kind: &Kind, name: &ObjectName, record: &Record) -> bool {
        let object = OnceCell::new();
        self.fields.matches_with(|label| match label {
            "metadata.name" => name.name.clone(),
            "metadata.namespace" => name.namespace.clone(),
            _ => kind.field_value(object.get_or_init(|| kind.view(record)), label),
        })
    }
}

/// A parsed `continue` parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    /// The snapshot of the first page; `None` continues at the latest state.
    revision: Option<Revision>,
    after: ObjectName,
}

impl Token {
    fn encode(&self) -> String {
        let revision = self.revision.map_or(-1, |revision| i64::try_from(revision).unwrap_or(i64::MAX));
        let start = format!("{}/{}\0", self.after.namespace, self.after.name);
        let token = json!({"v": "meta.k8s.io/v1", "rv": revision, "start": start});
        URL_SAFE_NO_PAD.encode(token.to_string())
    }

    fn decode(text: &str) -> Result<Self, ApiError> {
        let invalid = |why: &str| {
            ApiError::bad_request(format!("invalid continue token: continue key is not valid: {why}"))
        };
        let bytes =
            URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| invalid("it is no base64"))?;
        let token: Value = serde_json::from_slice(&bytes).map_err(|_| invalid("it is no JSON"))?;
        if token["v"] != "meta.k8s.io/v1" {
            return Err(invalid("unknown version"));
        }
        let revision = match token["rv"].as_i64() {
            Some(-1) => None,
            Some(number) => Some(Revision::try_from(number).map_err(|_| invalid("negative revision"))?),
            None => return Err(invalid("no revision")),
        };
        let start = token["start"].as_str().unwrap_or_default();
        let start = start.strip_suffix('\0').ok_or_else(|| invalid("no start"))?;
        let (namespace, name) = start.split_once('/').ok_or_else(|| invalid("no name"))?;
        if name.contains('/') || [namespace, name].contains(&"..") {
            return Err(invalid("path in a name"));
        }
        Ok(Self { revision, after: ObjectName::new(namespace, name) })
    }
}

/// Which state a list shows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Consistency {
    /// The latest, which must have reached this revision.
    NotOlderThan(Revision),
    Exact(Revision),
    Continue(Token),
}

impl Api {
    pub(crate) async fn get(&self, call: &Call, kind: &Kind, name: &ObjectName) -> Result<Reply, ApiError> {
        let asked = call.query.text("resourceVersion");
        if !asked.is_empty() {
            self.wait_for(parse_revision(asked)?).await?;
        }
        let record = self.existing(kind, name)?;
        Ok(Presenter::new(self, call, kind)?.record(200, &record))
    }

    /// The object, or the 404 about it.
    pub(crate) fn existing(&self, kind: &Kind, name: &ObjectName) -> Result<Arc<Record>, ApiError> {
        let found = self.store.get(&kind.resource, name);
        found.ok_or_else(|| ApiError::not_found(&kind.group, &kind.plural, &name.name))
    }

    pub(crate) async fn list(
        &self,
        call: &Call,
        kind: &Arc<Kind>,
        namespace: Option<&str>,
    ) -> Result<Reply, ApiError> {
        let page = self.page(call, kind, namespace).await?;
        if call.form == Form::default() {
            return Ok(list::reply(kind, &page.metadata(), page.items));
        }
        Ok(Presenter::new(self, call, kind)?.page(&page))
    }

    /// The page of a list that the parameters ask for.
    pub(crate) async fn page(
        &self,
        call: &Call,
        kind: &Kind,
        namespace: Option<&str>,
    ) -> Result<Page, ApiError> {
        let selection = Selection::parse(call, kind)?;
        let limit = call.query.integer("limit")?.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(0);
        let consistency = consistency(call, limit > 0)?;
        let snapshot = self.snapshot(kind, namespace, &selection, &consistency).await?;
        let after = match &consistency {
            Consistency::Continue(token) => Some(&token.after),
            _ => None,
        };
        Ok(cut(kind, snapshot, &selection, after, limit))
    }

    async fn snapshot(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        selection: &Selection,
        consistency: &Consistency,
    ) -> Result<Snapshot, ApiError> {
        match consistency {
            Consistency::NotOlderThan(revision) => {
                self.wait_for(*revision).await?;
                Ok(self.latest(kind, namespace, selection))
            }
            Consistency::Exact(revision) => {
                self.wait_for(*revision).await?;
                let found = self.store.list_at(&kind.resource, namespace, *revision).await;
                let expired = |_| ApiError::expired("The resourceVersion for the provided list is too old.");
                found.map_err(|error| untold(&error, expired))
            }
            Consistency::Continue(Token { revision: None, .. }) => {
                Ok(self.store.list(&kind.resource, namespace))
            }
            Consistency::Continue(token @ Token { revision: Some(revision), .. }) => {
                self.wait_for(*revision).await?;
                let found = self.store.list_at(&kind.resource, namespace, *revision).await;
                found.map_err(|error| untold(&error, |_| expired_token(token)))
            }
        }
    }

    fn latest(&self, kind: &Kind, namespace: Option<&str>, selection: &Selection) -> Snapshot {
        let pinned = selection.pinned_name().filter(|_| namespace.is_some() || !kind.namespaced);
        let Some(name) = pinned else { return self.store.list(&kind.resource, namespace) };
        self.store.list_one(&kind.resource, &ObjectName::new(namespace.unwrap_or_default(), name))
    }

    /// Waits a little until `revision` exists.
    pub(crate) async fn wait_for(&self, revision: Revision) -> Result<(), ApiError> {
        if revision <= self.store.revision() {
            return Ok(());
        }
        let mut newest = self.store.subscribe_all();
        tokio::select! {
            biased;
            reached = newest.wait_for(|newest| *newest >= revision) => {
                reached.map(drop).map_err(|_| ApiError::unavailable("the server is stopping"))
            }
            () = self.clock.sleep(FUTURE_REVISION_WAIT) => {
                Err(ApiError::future_revision(revision, self.store.revision()))
            }
        }
    }
}

/// The answer where an older state cannot be told; `expired` makes it from the oldest revision that is known.
pub(crate) fn untold(error: &HistoryError, expired: impl FnOnce(Revision) -> ApiError) -> ApiError {
    match error {
        HistoryError::Compacted(compacted) => expired(compacted.oldest),
        HistoryError::Unreadable(_) => ApiError::internal("the history cannot be read"),
        HistoryError::Closed => ApiError::unavailable("the server is stopping"),
    }
}

fn expired_token(token: &Token) -> ApiError {
    let mut error = ApiError::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new \
         list without the continue parameter, or use the continue token in this response to retrieve the \
         remainder of the results. Continuing with the provided token results in an inconsistent list - \
         objects that were created, modified, or deleted between the time the first chunk was returned and \
         now may show up in the list.",
    );
    error.resume = Some(Token { revision: None, after: token.after.clone() }.encode());
    error
}

/// The page of `snapshot` that begins behind `after`.
fn cut(
    kind: &Kind,
    snapshot: Snapshot,
    selection: &Selection,
    after: Option<&ObjectName>,
    limit: usize,
) -> Page {
    let behind = |name: &ObjectName| after.is_none_or(|after| name > after);
    let everything = selection.is_everything();
    let mut matching = snapshot
        .items
        .into_iter()
        .filter(|(name, record)| behind(name) && (everything || selection.matches(kind, name, record)));
    if limit == 0 {
        let items = matching.map(|(_, record)| record).collect();
        return Page { revision: snapshot.revision, items, resume: None, remaining: None };
    }
    let page: Vec<_> = matching.by_ref().take(limit).collect();
    let rest = matching.count();
    let last = page.last().map(|(name, _)| name.clone());
    let resume =
        last.filter(|_| rest > 0).map(|after| Token { revision: Some(snapshot.revision), after }.encode());
    Page {
        revision: snapshot.revision,
        items: page.into_iter().map(|(_, record)| record).collect(),
        resume,
        remaining: (rest > 0 && everything).then_some(rest),
    }
}

/// A resourceVersion as a number; empty and `0` are any state.
pub(crate) fn parse_revision(text: &str) -> Result<Revision, ApiError> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| {
        ApiError::bad_request(format!(
            "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
        ))
    })
}

/// A 422 about a list option.
pub(crate) fn list_option(path: &str, reason: FieldReason, message: impl Into<String>) -> ApiError {
    option_error("ListOptions", path, reason, message.into())
}

fn consistency(call: &Call, limited: bool) -> Result<Consistency, ApiError> {
    let query = &call.query;
    let forbidden =
        |path: &str, why: &str| list_option(path, FieldReason::Forbidden, format!("Forbidden: {why}"));
    if query.get("sendInitialEvents").is_some() {
        return Err(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    let (asked, rule) = (query.text("resourceVersion"), query.text("resourceVersionMatch"));
    let token = query.text("continue");
    if !token.is_empty() {
        if !rule.is_empty() {
            let why = "resourceVersionMatch is forbidden when continue is provided";
            return Err(forbidden("resourceVersionMatch", why));
        }
        if !asked.is_empty() && asked != "0" {
            return Err(ApiError::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        return Token::decode(token).map(Consistency::Continue);
    }
    if asked.is_empty() && !rule.is_empty() {
        let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
        return Err(forbidden("resourceVersionMatch", why));
    }
    let revision = parse_revision(asked)
        .map_err(|error| ApiError::bad_request(format!("invalid resource version: {}", error.message)))?;
    match (rule, revision) {
        ("", revision) if revision > 0 && limited => Ok(Consistency::Exact(revision)),
        ("" | "NotOlderThan", revision) => Ok(Consistency::NotOlderThan(revision)),
        ("Exact", 0) => {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            Err(forbidden("resourceVersionMatch", why))
        }
        ("Exact", revision) => Ok(Consistency::Exact(revision)),
        (other, _) => Err(list_option(
            "resourceVersionMatch",
            FieldReason::NotSupported,
            format!("Unsupported value: {other:?}: supported values: \"Exact\", \"NotOlderThan\", \"\""),
        )),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whatever clients send is a token or a bad request.
    fn is_judged(text: &str) {
        if let Err(error) = Token::decode(text) {
            assert_eq!(error.code, 400, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_token_comes_back(
            namespace in "[a-z0-9-]{0,63}", name in "[a-zA-Z0-9:][a-zA-Z0-9.:-]{0,80}", revision in any::<Option<u32>>(),
        ) {
            let token = Token { revision: revision.map(u64::from), after: ObjectName::new(namespace, name) };
            prop_assert_eq!(Token::decode(&token.encode()).unwrap(), token);
        }

        #[test]
        fn any_text_is_judged(text in ".{0,300}") {
            is_judged(&text);
        }

        #[test]
        fn any_bytes_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            is_judged(&URL_SAFE_NO_PAD.encode(bytes));
        }

        #[test]
        fn any_document_is_judged(revision in any::<i64>(), start in ".{0,100}", version in "(meta.k8s.io/v1)?") {
            let token = json!({"v": version, "rv": revision, "start": start});
            is_judged(&URL_SAFE_NO_PAD.encode(token.to_string()));
        }
    }

    #[test]
    fn a_continue_token_survives_the_way_to_the_client_and_back() {
        let token = Token { revision: Some(7), after: ObjectName::new("ns", "a.b") };
        assert_eq!(Token::decode(&token.encode()).unwrap(), token);
        let open = Token { revision: None, ..token };
        assert_eq!(Token::decode(&open.encode()).unwrap(), open);
    }

    #[test]
    fn a_forged_token_is_a_bad_request() {
        for text in
            ["!", "e30", &URL_SAFE_NO_PAD.encode(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"../x/y\u0000"}"#)]
        {
            let error = Token::decode(text).unwrap_err();
            assert_eq!(error.code, 400, "{text}");
            assert!(error.message.starts_with("invalid continue token"), "{}", error.message);
        }
    }

    #[test]
    fn revisions_are_decimal_numbers() {
        assert_eq!(parse_revision("007").unwrap(), 7);
        assert_eq!(parse_revision("abc").unwrap_err().code, 400);
        assert_eq!(parse_revision("-1").unwrap_err().code, 400);
    }
}
