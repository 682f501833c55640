//! HTTP as the API uses it: paths, parameters, bodies, forms of answers, failures.

pub(crate) mod accept;
pub(crate) mod body;
pub(crate) mod json;
pub(crate) mod path;
pub(crate) mod query;
pub(crate) mod reply;
pub(crate) mod status;
pub(crate) mod yaml;
