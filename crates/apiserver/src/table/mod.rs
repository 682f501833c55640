//! Table answers (`spec/apiserver.md` 4.3): columns and cells, for custom resources and built-in kinds.

mod age;
mod builtin;
mod custom;
mod jsonpath;

use jiff::Timestamp;
pub use jsonpath::{JsonPath, JsonPathError};
use serde_json::{Value, json};

/// How objects of one kind become rows.
#[derive(Debug, Clone)]
pub struct Printer {
    columns: Value,
    cells: Cells,
}

#[derive(Debug, Clone)]
enum Cells {
    Custom(Vec<custom::Column>),
    Builtin(builtin::CellsOf),
}

impl Printer {
    /// The printer of a custom resource: its `additionalPrinterColumns`, or Age if the list is absent.
    pub fn custom(additional_printer_columns: Option<&Value>) -> Result<Printer, JsonPathError> {
        let columns = custom::columns(additional_printer_columns)?;
        let definitions = columns.iter().map(custom::Column::definition);
        let definitions = std::iter::once(name_column()).chain(definitions).collect();
        Ok(Printer { columns: definitions, cells: Cells::Custom(columns) })
    }

    /// The printer of a built-in kind; kinds without one get `Created At`.
    pub fn builtin(group: &str, kind: &str) -> Printer {
        let (definitions, cells) = builtin::printer(group, kind);
        Printer { columns: definitions, cells: Cells::Builtin(cells) }
    }

    /// The `columnDefinitions`.
    pub fn columns(&self) -> &Value {
        &self.columns
    }

    /// The cells of one row; `now` gives ages their meaning.
    pub fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        match &self.cells {
            Cells::Custom(columns) => {
                let name = object["metadata"]["name"].clone();
                std::iter::once(name).chain(columns.iter().map(|column| column.cell(object, now))).collect()
            }
            Cells::Builtin(cells) => cells(object, now),
        }
    }

    /// The cells of a bookmark row: an empty name, then nulls.
    pub fn bookmark_cells(&self) -> Vec<Value> {
        let count = self.columns.as_array().map_or(1, Vec::len);
        let mut cells = vec![Value::Null; count];
        cells[0] = Value::from("");
        cells
    }
}

fn column(name: &str, kind: &str, format: &str, description: &str, priority: i64) -> Value {
    json!({"name": name, "type": kind, "format": format, "description": description, "priority": priority})
}

fn name_column() -> Value {
    let description = "Name must be unique within a namespace.";
    column("Name", "string", "name", description, 0)
}

#[cfg(test)]
mod tests;
