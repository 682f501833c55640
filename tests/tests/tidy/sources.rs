//! Every Rust file of the checkout, read once.

use std::fs;
use std::path::{Path, PathBuf};

/// One Rust file.
pub struct Source {
    /// Path relative to the checkout, with `/` between the parts.
    pub path: String,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// The crate's folder name (`domain`), or `""` outside `crates/`.
    pub fn room(&self) -> &str {
        self.path.strip_prefix("crates/").and_then(|rest| rest.split('/').next()).unwrap_or("")
    }

    /// Whether this file is part of what is shipped: not a test, bench or example.
    pub fn is_product(&self) -> bool {
        let parts: Vec<&str> = self.path.split('/').collect();
        let name = parts.last().copied().unwrap_or("");
        parts.contains(&"src")
            && !parts.iter().any(|part| matches!(*part, "tests" | "testkit"))
            && !matches!(name, "tests.rs" | "testkit.rs")
            && !name.ends_with("_tests.rs")
            && !self.path.starts_with("tests/")
    }

    /// The lines of product code: what stands before the first test module.
    pub fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self.text.find("\n#[cfg(test)]\nmod ").unwrap_or(self.text.len());
        self.text[..end].lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// The root of the checkout.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().expect("the tests crate lies below the root").to_path_buf()
}

/// All Rust files below `crates/` and `tests/`, in order of path.
pub fn all() -> Vec<Source> {
    let mut found = Vec::new();
    for folder in ["crates", "tests"] {
        collect(&root().join(folder), &mut found);
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 20, "the walk lost its way: {} files", found.len());
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder of the checkout can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file is text");
            let relative = path.strip_prefix(root()).expect("below the root");
            found.push(Source { path: relative.to_string_lossy().replace('\\', "/"), text });
        }
    }
}
