//! Manifests named on the command line: a file, a folder of files, or `-` for stdin.

use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

/// How many files of a folder are read: a folder with more is the wrong one.
const FILES_MAX: usize = 10_000;

/// A file and the objects in it.
#[derive(Debug)]
pub struct ManifestFile {
    /// Its path as it was given, or `stdin`.
    pub name: String,
    /// Its objects, each API group as it was written.
    pub objects: Vec<Value>,
}

/// Reads the objects of all YAML and JSON files of a path, in bytewise order
/// of file name.
///
/// # Errors
/// When a file cannot be read, or does not hold objects.
pub fn read(path: &Path) -> anyhow::Result<Vec<ManifestFile>> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read stdin")?;
        let objects = okra_api::manifests::parse_as_written(&text).context("stdin")?;
        return Ok(vec![ManifestFile { name: "stdin".to_owned(), objects }]);
    }
    files(path)?.into_iter().map(|file| read_file(&file)).collect()
}

fn read_file(file: &Path) -> anyhow::Result<ManifestFile> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let objects = okra_api::manifests::parse_as_written(&text);
    Ok(ManifestFile {
        name: file.display().to_string(),
        objects: objects.with_context(|| file.display().to_string())?,
    })
}

fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if metadata.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = vec![];
    for entry in fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
        let file = entry.with_context(|| format!("cannot read {}", path.display()))?.path();
        let extension = file.extension().and_then(OsStr::to_str);
        if matches!(extension, Some("yaml" | "yml" | "json")) && file.is_file() {
            files.push(file);
        }
        anyhow::ensure!(files.len() <= FILES_MAX, "{} has more than {FILES_MAX} manifests", path.display());
    }
    files.sort();
    Ok(files)
}
