//! The set of kinds that is served at one moment, and its replacement.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use bytes::Bytes;
use serde_json::{Map, Value};

use super::version::rank;
use super::{Kind, Source};
use crate::builtin;
use crate::openapi::{self, OpenApiKind, OpenApiSource};

/// An OpenAPI document and its hash.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) json: Bytes,
    pub(crate) hash: String,
}

/// The kinds of one group and version.
pub(crate) struct GroupVersion {
    pub(crate) group: String,
    pub(crate) version: String,
    /// By plural name, in the order of discovery.
    pub(crate) kinds: Vec<Arc<Kind>>,
    document: OnceLock<Document>,
}

impl GroupVersion {
    fn new(group: &str, version: &str, kinds: Vec<Arc<Kind>>) -> Self {
        Self { group: group.to_owned(), version: version.to_owned(), kinds, document: OnceLock::new() }
    }

    /// `v1` or `GROUP/VERSION`.
    pub(crate) fn name(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The path of discovery and of the OpenAPI document, without a slash in front.
    pub(crate) fn path(&self) -> String {
        if self.group.is_empty() { format!("api/{}", self.version) } else { format!("apis/{}", self.name()) }
    }

    fn open_api(&self) -> Value {
        let kinds: Vec<_> = self.kinds.iter().map(|kind| open_api_kind(kind)).collect();
        openapi::document(&self.group, &self.version, &kinds)
    }

    /// The OpenAPI document; built at the first request.
    pub(crate) fn document(&self) -> &Document {
        self.document.get_or_init(|| {
            let document = self.open_api();
            let json = serde_json::to_vec(&document).expect("a JSON value encodes");
            Document { hash: openapi::hash(&json), json: json.into() }
        })
    }
}

fn open_api_kind(kind: &Kind) -> OpenApiKind<'_> {
    OpenApiKind {
        kind: &kind.kind,
        plural: &kind.plural,
        namespaced: kind.namespaced,
        status: kind.status,
        scale: kind.scale.is_some(),
        source: match &kind.source {
            Source::Builtin(_) => OpenApiSource::Builtin,
            Source::Custom(custom) => OpenApiSource::Custom {
                schema: &custom.open_api,
                selectable_fields: custom.selectable.as_ref(),
            },
        },
    }
}

/// All kinds, by group and version.
#[derive(Default)]
pub(crate) struct Registry {
    versions: BTreeMap<(String, String), Arc<GroupVersion>>,
    swagger: OnceLock<Swagger>,
}

/// The OpenAPI document of version 2 in its two encodings.
pub(crate) struct Swagger {
    pub(crate) json: Bytes,
    pub(crate) protobuf: Bytes,
}

impl Registry {
    fn builtins() -> Self {
        let mut registry = Self::default();
        for definition in builtin::kinds() {
            registry.insert(Arc::new(Kind::builtin(definition)));
        }
        registry
    }

    fn insert(&mut self, kind: Arc<Kind>) {
        let place = (kind.group.clone(), kind.version.clone());
        let mut kinds = self.versions.get(&place).map(|found| found.kinds.clone()).unwrap_or_default();
        kinds.retain(|other| other.plural != kind.plural);
        kinds.push(kind);
        let found = GroupVersion::new(&place.0, &place.1, kinds);
        self.versions.insert(place, Arc::new(found));
    }

    /// Removes every version of a custom resource.
    fn remove(&mut self, group: &str, plural: &str) {
        let places: Vec<_> = self.versions.keys().filter(|(own, _)| own == group).cloned().collect();
        for place in places {
            let found = &self.versions[&place];
            if !found.kinds.iter().any(|kind| kind.plural == plural) {
                continue;
            }
            let kinds: Vec<_> = found.kinds.iter().filter(|kind| kind.plural != plural).cloned().collect();
            if kinds.is_empty() {
                self.versions.remove(&place);
            } else {
                let rest = GroupVersion::new(&place.0, &place.1, kinds);
                self.versions.insert(place, Arc::new(rest));
            }
        }
    }

    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Kind>> {
        let found = self.group_version(group, version)?;
        found.kinds.iter().find(|kind| kind.plural == plural).cloned()
    }

    /// The kind an apiVersion and kind name, in that version.
    pub(crate) fn find_kind(&self, api_version: &str, kind: &str) -> Option<Arc<Kind>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let found = self.group_version(group, version)?;
        found.kinds.iter().find(|candidate| candidate.kind == kind).cloned()
    }

    pub(crate) fn group_version(&self, group: &str, version: &str) -> Option<&Arc<GroupVersion>> {
        self.versions.get(&(group.to_owned(), version.to_owned()))
    }

    /// Versions of one group, the preferred one first.
    pub(crate) fn versions_of(&self, group: &str) -> Vec<&Arc<GroupVersion>> {
        let mut versions: Vec<_> = self.versions.values().filter(|found| found.group == group).collect();
        versions.sort_by_key(|found| rank(&found.version));
        versions
    }

    /// All groups but the core group, by name.
    pub(crate) fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = self.versions.keys().map(|(group, _)| group.as_str()).collect();
        groups.dedup();
        groups.retain(|group| !group.is_empty());
        groups
    }

    /// The OpenAPI document of version 2; built at the first request.
    pub(crate) fn swagger(&self) -> &Swagger {
        self.swagger.get_or_init(|| {
            let mut schemas = Map::new();
            for found in self.versions.values() {
                if let Value::Object(own) = found.open_api()["components"]["schemas"].take() {
                    schemas.extend(own);
                }
            }
            let document = openapi::swagger(&schemas);
            let json = serde_json::to_vec(&document).expect("a JSON value encodes");
            Swagger { json: json.into(), protobuf: openapi::protobuf(&document).into() }
        })
    }

    /// Every group and version.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<GroupVersion>> {
        self.versions.values()
    }

    /// One kind per stored resource, in its preferred version.
    pub(crate) fn stored_kinds(&self) -> Vec<Arc<Kind>> {
        let mut kinds: BTreeMap<_, Arc<Kind>> = BTreeMap::new();
        for found in self.versions.values() {
            for kind in found.kinds.iter().filter(|kind| kind.stored && kind.group != "events.k8s.io") {
                let known = kinds.entry(kind.resource.clone()).or_insert_with(|| kind.clone());
                if rank(&kind.version) < rank(&known.version) {
                    *known = kind.clone();
                }
            }
        }
        kinds.into_values().collect()
    }
}

/// The registry in use; readers keep the one they began with.
pub(crate) struct Kinds {
    current: ArcSwap<Registry>,
}

impl Kinds {
    pub(crate) fn new() -> Self {
        Self { current: ArcSwap::from_pointee(Registry::builtins()) }
    }

    pub(crate) fn current(&self) -> Arc<Registry> {
        self.current.load_full()
    }

    /// Replaces all versions of a custom resource at once; only the definition
    /// controller calls this, so that no replacement is lost.
    pub(crate) fn replace(&self, group: &str, plural: &str, kinds: Vec<Kind>) {
        let versions = self.current.load().versions.clone();
        let mut next = Registry { versions, ..Registry::default() };
        next.remove(group, plural);
        for kind in kinds {
            next.insert(Arc::new(kind));
        }
        self.current.store(Arc::new(next));
    }
}
