//! Claims: which of several processes on one folder does a piece of work. A claim is a lock of the kernel's on a file, so
//! that it ends with its process however that ends, and no claim can go stale. Claims save work and nothing else: without
//! them, or where a file system knows no locks, the same cells are computed twice and come out the same.

use crate::error::{Error, Result};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// A piece of work that is this process's until it is dropped.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
    /// Holds the lock; none where the file system knows none.
    file: Option<File>,
}

impl Claim {
    /// Claims `name` among those of `folder`; nothing where a living process has.
    pub(crate) fn try_new(folder: &Path, name: &str) -> Result<Option<Self>> {
        let path = folder.join(name);
        let failed = |action| {
            let path = path.clone();
            move |source: io::Error| Error::Io { action, path, source }
        };
        fs::create_dir_all(folder).map_err(failed("create"))?;
        let file =
            File::options().create(true).truncate(false).write(true).open(&path).map_err(failed("open"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Claim { path, file: Some(file) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                Ok(Some(Claim { path, file: None }))
            }
            Err(TryLockError::Error(error)) => Err(failed("lock")(error)),
        }
    }
}

impl Claim {
    /// A claim that holds no lock: for what is done whoever does it as well.
    pub(crate) fn without_lock(folder: &Path, name: &str) -> Self {
        Claim { path: folder.join(name), file: None }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // While the lock is held, so that nobody's newer file goes; one that stays is in nobody's way.
        if self.file.is_some() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let claims = folder.path().join("claims");
        let first = Claim::try_new(&claims, "a").unwrap().expect("free");
        assert!(Claim::try_new(&claims, "a").unwrap().is_none());
        assert!(Claim::try_new(&claims, "b").unwrap().is_some());
        drop(first);
        assert!(Claim::try_new(&claims, "a").unwrap().is_some());
        assert_eq!(fs::read_dir(&claims).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_a_dead_process_left_claims_nothing() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "").unwrap();
        assert!(Claim::try_new(folder.path(), "a").unwrap().is_some());
    }
}
