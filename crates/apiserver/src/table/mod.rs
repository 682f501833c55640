//! Table answers (`spec/apiserver.md` 4.3): columns and cells, for custom resources and built-in kinds.

mod jsonpath;

use jiff::Timestamp;
pub use jsonpath::{JsonPath, JsonPathError};
use serde_json::Value;

/// How objects of one kind become rows.
#[derive(Debug, Clone)]
pub struct Printer {}

impl Printer {
    /// The printer of a custom resource: its `additionalPrinterColumns`, or Age if the list is absent.
    pub fn custom(_additional_printer_columns: Option<&Value>) -> Result<Printer, JsonPathError> {
        unimplemented!()
    }
    /// The printer of a built-in kind; kinds without one get `Created At`.
    pub fn builtin(_group: &str, _kind: &str) -> Printer {
        unimplemented!()
    }
    /// The `columnDefinitions`.
    pub fn columns(&self) -> &Value {
        unimplemented!()
    }
    /// The cells of one row; `now` gives ages their meaning.
    pub fn cells(&self, _object: &Value, _now: Timestamp) -> Vec<Value> {
        unimplemented!()
    }
    /// The cells of a bookmark row.
    pub fn bookmark_cells(&self) -> Vec<Value> {
        unimplemented!()
    }
}
