//! Everything that survives a restart, and the file that holds it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::eks::Eks;
use crate::elbv2::Elb;
use crate::identity::RoleSession;

/// Everything that survives a restart, except metrics.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Where the API listened, so that a restart can listen there again.
    pub(crate) api_port: Option<u16>,
    pub(crate) elb: Elb,
    pub(crate) eks: Eks,
    /// Temporary credentials by access key id.
    pub(crate) sessions: BTreeMap<String, RoleSession>,
}

/// Version of the file's form. A file of another one is refused, not guessed at.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Written<'a, T> {
    format: u32,
    content: &'a T,
}

#[derive(Deserialize)]
struct Header {
    format: u32,
}

#[derive(Deserialize)]
struct Content<T> {
    content: T,
}

/// One JSON file that is replaced as a whole, or nothing at all.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    path: Option<PathBuf>,
}

impl Snapshot {
    /// The file of that name in a folder, which is made for its owner alone;
    /// without a folder nothing is kept.
    pub(crate) fn open(folder: Option<&Path>, name: &str) -> io::Result<Self> {
        let Some(folder) = folder else { return Ok(Self { path: None }) };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        Ok(Self { path: Some(folder.join(name)) })
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What was saved last, if anything was.
    pub(crate) fn load<T: DeserializeOwned>(&self) -> io::Result<Option<T>> {
        let Some(path) = &self.path else { return Ok(None) };
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let header: Header = serde_json::from_slice(&bytes)?;
        if header.format != FORMAT {
            let message = format!("the file has format {}, this version reads {FORMAT}", header.format);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let content: Content<T> = serde_json::from_slice(&bytes)?;
        Ok(Some(content.content))
    }

    /// The bytes of a snapshot, made while the content is at hand.
    pub(crate) fn encode<T: Serialize>(content: &T) -> io::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&Written { format: FORMAT, content })?)
    }

    /// Replaces the file: after this returns a crash finds the new content,
    /// before it the old. Blocks.
    pub(crate) fn save(&self, bytes: &[u8]) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let next = path.with_extension("next");
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&next, path)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_read_back_and_only_its_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let snapshot = Snapshot::open(Some(&folder.path().join("deep/er")), "state.json").unwrap();
        assert_eq!(snapshot.load::<State>().unwrap(), None);
        let state = State { api_port: Some(4567), ..State::default() };
        snapshot.save(&Snapshot::encode(&state).unwrap()).unwrap();
        assert_eq!(snapshot.load::<State>().unwrap(), Some(state));
        let mode = fs::metadata(snapshot.path().unwrap()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_of_another_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = Snapshot::open(Some(folder.path()), "state.json").unwrap();
        fs::write(snapshot.path().unwrap(), br#"{"format": 7, "content": {}}"#).unwrap();
        assert!(snapshot.load::<State>().unwrap_err().to_string().contains("format 7"));
    }
}
