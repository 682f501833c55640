//! Secrets at rest: AES-256-GCM with a key outside of the database.
//!
//! Who gets hold of the database alone, a copy of it for instance, reads no
//! Secret (spec/apiserver.md 19.1).

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::StoreError;
use super::record::{ObjectName, ResourceId, Revision};
use crate::clock::Chance;

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// The resource whose objects are sealed.
const SEALED: &str = "/secrets";

/// The key of one folder.
pub(super) struct Seal {
    key: LessSafeKey,
    chance: Arc<dyn Chance>,
}

/// Which state of which object: a sealed value fits no other.
pub(super) struct Place<'a> {
    pub(super) revision: Revision,
    pub(super) resource: &'a ResourceId,
    pub(super) name: &'a ObjectName,
}

impl Place<'_> {
    pub(super) fn is_sealed(&self) -> bool {
        self.resource.as_str() == SEALED
    }

    fn text(&self) -> String {
        let ObjectName { namespace, name } = self.name;
        format!("{}\0{namespace}\0{name}\0{}", self.resource, self.revision)
    }
}

impl Seal {
    /// The key kept in `folder`; made there if `may_make` says that nothing is sealed yet.
    pub(super) fn open(folder: &Path, chance: Arc<dyn Chance>, may_make: bool) -> Result<Self, StoreError> {
        let file = key_file(folder);
        let failed = |source| StoreError::Folder { path: file.display().to_string(), source };
        if may_make && !file.exists() {
            let mut key = [0; KEY_BYTES];
            chance.fill(&mut key);
            let mut made =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).map_err(failed)?;
            made.write_all(&key).and_then(|()| made.sync_all()).map_err(failed)?;
        }
        Self::read(&file, chance)
    }

    /// The key that shall take the place of the one in `folder`, if there is one.
    pub(super) fn next(folder: &Path, chance: Arc<dyn Chance>) -> Result<Option<Self>, StoreError> {
        let file = next_key_file(folder);
        if file.exists() { Self::read(&file, chance).map(Some) } else { Ok(None) }
    }

    fn read(file: &Path, chance: Arc<dyn Chance>) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Folder { path: file.display().to_string(), source };
        let key = std::fs::read(file).map_err(failed)?;
        let key = UnboundKey::new(&AES_256_GCM, &key).map_err(|_| StoreError::Contents {
            path: file.display().to_string(),
            detail: format!("it has {} bytes, a key has {KEY_BYTES}", key.len()),
        })?;
        Ok(Self { key: LessSafeKey::new(key), chance })
    }

    /// The value as it is stored: a nonce of its own, then the sealed JSON.
    pub(super) fn seal(&self, place: &Place<'_>, json: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        self.chance.fill(&mut nonce);
        let mut sealed = json.to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place.text()),
                &mut sealed,
            )
            .expect("an object is far shorter than what AES-GCM can seal");
        [&nonce[..], &sealed].concat()
    }

    /// The JSON of a stored value; `None` if another key or another place sealed it.
    pub(super) fn unseal(&self, place: &Place<'_>, stored: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = stored.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let json = self.key.open_in_place(nonce, Aad::from(place.text()), &mut sealed).ok()?;
        Some(json.to_vec())
    }
}

/// Where the key of a folder is.
pub(super) fn key_file(folder: &Path) -> PathBuf {
    folder.join("secrets.key")
}

/// Where a new key waits for the next start.
pub(super) fn next_key_file(folder: &Path) -> PathBuf {
    folder.join("secrets.key.next")
}

/// Makes the new key the only one.
pub(super) fn promote_next_key(folder: &Path) -> Result<(), StoreError> {
    let renamed = std::fs::rename(next_key_file(folder), key_file(folder));
    let synced = renamed.and_then(|()| File::open(folder)).and_then(|folder| folder.sync_all());
    synced.map_err(|source| StoreError::Folder { path: folder.display().to_string(), source })
}
