//! The seam between the store and the file system: every call that can fail goes through [`Disk`], so that a
//! test can make the n-th one fail.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

/// What the store asks of a file system.
pub trait Disk: Send + Sync {
    /// Creates a folder and its parents; one that exists is fine.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Writes a file whole and waits until it is on the disk.
    fn write_file(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Renames a file or a folder; a folder that is there and not empty is not replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Waits until the entries of a folder are on the disk.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder and everything in it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Reads a file whole.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Names in a folder, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Whether there is such a file or folder.
    fn exists(&self, path: &Path) -> io::Result<bool>;
}

/// The file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn write_file(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = fs::File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        // Elsewhere a folder cannot be opened as a file, and its entries need no such call.
        if cfg!(unix) { fs::File::open(path)?.sync_all() } else { Ok(()) }
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }
}

/// A file system whose n-th call fails, for tests of whatever writes through a [`Disk`].
#[derive(Debug)]
pub struct FailingDisk {
    at: usize,
    for_good: bool,
    calls: AtomicUsize,
}

impl FailingDisk {
    /// The `at`-th call (from 1) fails, the others reach the disk: a full disk, say, that is freed again.
    pub fn once(at: usize) -> Self {
        Self { at, for_good: false, calls: AtomicUsize::new(0) }
    }

    /// The `at`-th call (from 1) and all later ones fail: what a killed process leaves behind.
    pub fn from(at: usize) -> Self {
        Self { at, for_good: true, calls: AtomicUsize::new(0) }
    }

    /// Whether a call has failed.
    pub fn fired(&self) -> bool {
        self.calls.load(Ordering::SeqCst) >= self.at
    }

    fn call(&self) -> io::Result<()> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if call == self.at || (self.for_good && call > self.at) {
            return Err(io::Error::other(format!("call {call} made to fail")));
        }
        Ok(())
    }
}

impl Disk for FailingDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.call()?;
        RealDisk.create_dir_all(path)
    }

    fn write_file(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.call() {
            // The worst a failing write does: half of it is there.
            if !self.for_good || self.calls.load(Ordering::SeqCst) == self.at {
                let _ = fs::write(path, &bytes[..bytes.len() / 2]);
            }
            return Err(error);
        }
        RealDisk.write_file(path, bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call()?;
        RealDisk.rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.call()?;
        RealDisk.sync_dir(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.call()?;
        RealDisk.remove_dir_all(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.call()?;
        RealDisk.read(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.call()?;
        RealDisk.list(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.call()?;
        RealDisk.exists(path)
    }
}
