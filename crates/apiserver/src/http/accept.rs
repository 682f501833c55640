//! Which form of an answer the client wants (spec/apiserver.md 4.1).

use super::status::ApiError;

/// The encoding of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Encoding {
    #[default]
    Json,
    Yaml,
}

/// What objects are turned into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    #[default]
    Object,
    Table,
    Partial,
}

/// The form an answer takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) encoding: Encoding,
    pub(crate) shape: Shape,
    /// `meta.k8s.io/v1beta1` instead of `v1`.
    pub(crate) beta: bool,
    pub(crate) pretty: bool,
}

impl Form {
    /// The apiVersion of Tables and PartialObjectMetadata.
    pub(crate) fn meta_version(&self) -> &'static str {
        if self.beta { "meta.k8s.io/v1beta1" } else { "meta.k8s.io/v1" }
    }
}

/// One entry of an `Accept` header.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Clause {
    pub(crate) media: String,
    parameters: Vec<(String, String)>,
    quality: f32,
}

impl Clause {
    pub(crate) fn parameter(&self, name: &str) -> &str {
        let found = self.parameters.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }
}

/// The clauses of an `Accept` header, the most wanted first.
pub(crate) fn clauses(header: &str) -> Vec<Clause> {
    let mut clauses: Vec<Clause> = header.split(',').filter_map(clause).collect();
    clauses.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    clauses
}

fn clause(text: &str) -> Option<Clause> {
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next().filter(|media| !media.is_empty())?.to_ascii_lowercase();
    let mut found = Clause { media, parameters: Vec::new(), quality: 1.0 };
    for (key, value) in parts.filter_map(|part| part.split_once('=')) {
        let (key, value) = (key.trim(), value.trim().trim_matches('"'));
        if key == "q" {
            found.quality = value.parse().unwrap_or(0.0);
        } else {
            found.parameters.push((key.to_owned(), value.to_owned()));
        }
    }
    Some(found)
}

const ACCEPTED: &str = "only the following media types are accepted: application/json, application/yaml, \
                        application/vnd.kubernetes.protobuf";

/// Chooses the form of an answer about objects.
pub(crate) fn negotiate(header: Option<&str>) -> Result<Form, ApiError> {
    let header = header.unwrap_or_default();
    if header.trim().is_empty() {
        return Ok(Form::default());
    }
    clauses(header).iter().find_map(form).ok_or_else(|| ApiError::new(406, "NotAcceptable", ACCEPTED))
}

fn form(clause: &Clause) -> Option<Form> {
    let encoding = match clause.media.as_str() {
        "application/json" | "*/*" | "application/*" => Encoding::Json,
        "application/yaml" => Encoding::Yaml,
        _ => return None,
    };
    let shape = match clause.parameter("as") {
        "" => return Some(Form { encoding, ..Form::default() }),
        "Table" => Shape::Table,
        "PartialObjectMetadata" | "PartialObjectMetadataList" => Shape::Partial,
        _ => return None,
    };
    let beta = match (clause.parameter("g"), clause.parameter("v")) {
        ("meta.k8s.io", "v1") => false,
        ("meta.k8s.io", "v1beta1") => true,
        _ => return None,
    };
    Some(Form { encoding, shape, beta, pretty: false })
}

/// Whether the client can unpack gzip.
pub(crate) fn takes_gzip(header: &str) -> bool {
    clauses(header).iter().any(|clause| clause.media == "gzip" && clause.quality > 0.0)
}

/// Whether JSON is to be indented: asked for, or a person looks (spec/apiserver.md 2.4).
pub(crate) fn pretty(parameter: Option<&str>, user_agent: &str) -> bool {
    match parameter {
        Some(value) => value == "true" || value == "1",
        None => ["curl", "Wget", "Mozilla/5.0"].iter().any(|prefix| user_agent.starts_with(prefix)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubectl_gets_a_table() {
        let header = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;\
                      g=meta.k8s.io,application/json";
        assert_eq!(negotiate(Some(header)).unwrap().shape, Shape::Table);
    }

    #[test]
    fn protobuf_first_falls_through_to_json() {
        let form = negotiate(Some("application/vnd.kubernetes.protobuf,application/json")).unwrap();
        assert_eq!((form.encoding, form.shape), (Encoding::Json, Shape::Object));
        assert_eq!(negotiate(Some("application/vnd.kubernetes.protobuf")).unwrap_err().code, 406);
    }

    #[test]
    fn gzip_is_offered_or_not() {
        assert!(takes_gzip("gzip") && takes_gzip("deflate, gzip;q=0.5"));
        assert!(!takes_gzip("") && !takes_gzip("identity") && !takes_gzip("gzip;q=0"));
    }

    #[test]
    fn quality_decides_before_order() {
        let form = negotiate(Some("application/yaml;q=0.5, application/json")).unwrap();
        assert_eq!(form.encoding, Encoding::Json);
        assert_eq!(negotiate(None).unwrap(), Form::default());
    }
}
