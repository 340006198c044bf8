//! A folder of files that is whole or damaged: `digests` names every file in it, as `sha256sum --check` reads it too.

use crate::{Disk, Error, Result, identity::sha256};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

pub(crate) const DIGESTS: &str = "digests";

/// Files of a folder by name.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    contents: BTreeMap<String, Vec<u8>>,
}

impl Folder {
    /// Every file that `digests` names.
    ///
    /// # Errors
    /// [`Error::Damaged`] where one is missing or differs from its digest; [`Error::Io`] where the disk refuses.
    pub(crate) fn read(disk: &dyn Disk, path: &Path) -> Result<Self> {
        let mut contents = BTreeMap::new();
        for (name, digest) in digests(disk, &path.join(DIGESTS))? {
            let path = path.join(&name);
            let bytes = optional(disk, &path)?
                .ok_or_else(|| damaged(&path, None, format!("missing, though `{DIGESTS}` lists it")))?;
            if sha256(&bytes) != digest {
                return Err(damaged(&path, None, format!("differs from its digest in `{DIGESTS}`")));
            }
            contents.insert(name, bytes);
        }
        Ok(Self { path: path.into(), contents })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.contents.get(name).map(Vec::as_slice)
    }

    /// A file that every such folder has.
    pub(crate) fn need(&self, name: &str) -> Result<&[u8]> {
        self.get(name).ok_or_else(|| damaged(&self.path.join(name), None, "missing".into()))
    }
}

/// The file that lists others with their digests.
pub(crate) fn listed(contents: &[(String, Vec<u8>)]) -> Vec<u8> {
    let lines = contents.iter().map(|(name, bytes)| format!("{}  {name}\n", sha256(bytes)));
    lines.collect::<String>().into_bytes()
}

/// Name and digest of every file.
fn digests(disk: &dyn Disk, path: &Path) -> Result<Vec<(String, String)>> {
    let bytes = optional(disk, path)?.ok_or_else(|| damaged(path, None, "missing".into()))?;
    let text = String::from_utf8_lossy(&bytes);
    let mut digests = Vec::new();
    for (i, line) in text.lines().enumerate() {
        match line.split_once("  ") {
            Some((digest, name)) if digest.len() == 64 && is_plain(name) => {
                digests.push((name.to_string(), digest.to_string()));
            }
            _ => {
                let what = "not a digest and a file name".to_string();
                return Err(damaged(path, Some(i as u64 + 1), what));
            }
        }
    }
    Ok(digests)
}

/// Bytes of a file, or nothing where there is none.
pub(crate) fn optional(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>> {
    match disk.read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", path)(error)),
    }
}

/// Whether a name is one that a cell or a file of it may have: no separators, nothing hidden.
pub(crate) fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Io { action, path, source }
}

pub(crate) fn damaged(path: &Path, line: Option<u64>, what: String) -> Error {
    let remedy = "delete the cell's folder and run the experiment again".into();
    Error::Damaged { path: path.into(), line, what, remedy }
}
