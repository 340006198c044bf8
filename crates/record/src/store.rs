//! The store: one folder a cell under `<root>/cells`, which appears whole or not at all.
//!
//! A cell is built in a temporary sibling, synced and renamed into place. A cell that is replaced steps aside
//! first, to `.old-<id>`, where readers still find it until the new one stands: whenever the process dies, a
//! reader sees the old cell or the new one.

use crate::claim::Claim;
use crate::{
    Cell, CellFiles, Disk, Error, RealDisk, Result, SCHEMA_VERSION, Status,
    identity::sha256,
    order, rows,
    temporary::{self, PREFIX as TEMPORARY},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

const CELL: &str = "cell.json";
const DIGESTS: &str = "digests";
/// Folder of claims.
const CLAIMS: &str = "claims";
/// Folder of unfinished cells.
const UNFINISHED: &str = "unfinished";
/// What the name of a checkpoint ends in that is set aside.
const DAMAGED: &str = "damaged";
const OLD: &str = ".old-";

/// Cells on disk.
#[derive(Clone)]
pub struct Store {
    root: PathBuf,
    disk: Arc<dyn Disk>,
}

/// What a folder of cells holds.
#[derive(Debug, Default)]
pub struct Scan {
    /// The cells that read well, in the order of [`order::cells`].
    pub cells: Vec<CellFiles>,
    /// One error a cell that does not; such a cell counts as missing.
    pub damaged: Vec<Error>,
}

impl Store {
    /// A store under `root`. Touches nothing: folders appear with the first write.
    pub fn open(root: impl Into<PathBuf>) -> Self {
        Self::with_disk(root, Arc::new(RealDisk))
    }

    /// As [`Store::open`], through a [`Disk`] of the caller's.
    pub fn with_disk(root: impl Into<PathBuf>, disk: Arc<dyn Disk>) -> Self {
        Self { root: root.into(), disk }
    }

    /// The root folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of a cell, whether or not it is there.
    pub fn cell_dir(&self, id: &str) -> PathBuf {
        self.cells_dir().join(id)
    }

    fn cells_dir(&self) -> PathBuf {
        self.root.join("cells")
    }

    /// Writes `experiment.toml`, the configuration that made the cells.
    pub fn write_experiment(&self, toml: &str) -> Result<()> {
        self.disk.create_dir_all(&self.root).map_err(io_error("create", &self.root))?;
        let temporary = self.root.join(temporary::name("experiment", std::process::id()));
        self.disk.write_file(&temporary, toml.as_bytes()).map_err(io_error("write", &temporary))?;
        let path = self.root.join("experiment.toml");
        self.disk.rename(&temporary, &path).map_err(io_error("rename to", &path))?;
        self.disk.sync_dir(&self.root).map_err(io_error("sync", &self.root))
    }

    /// Text of `experiment.toml`, where there is one.
    pub fn experiment(&self) -> Result<Option<String>> {
        let path = self.root.join("experiment.toml");
        match self.read_optional(&path)? {
            None => Ok(None),
            Some(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Ok(Some(text)),
                Err(error) => Err(damaged(&path, None, format!("not UTF-8 text: {error}"))),
            },
        }
    }

    /// Name of the experiment that its cells are of, as the first that reads well says.
    pub fn experiment_name(&self) -> Option<String> {
        let names = self.disk.list(&self.cells_dir()).ok()?;
        let mut ids = names.iter().filter(|name| is_plain(name));
        ids.find_map(|id| Some(self.read(id).ok()??.cell.experiment))
    }

    /// Writes a cell, in place of one with the same identity.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for an identity that is no plain name or a number in `cell.json` that JSON cannot
    /// hold (NaN, infinity); [`Error::Io`] where the disk refuses. The store then holds what it held before,
    /// or the new cell.
    pub fn write(&self, files: &CellFiles) -> Result<()> {
        check(&files.cell)?;
        let id = &files.cell.id;
        let (cells, target) = (self.cells_dir(), self.cell_dir(id));
        let old = cells.join(format!("{OLD}{id}"));
        let temporary = cells.join(temporary::name(id, std::process::id()));
        self.disk.create_dir_all(&cells).map_err(io_error("create", &cells))?;
        self.remove(&temporary)?;
        self.disk.create_dir_all(&temporary).map_err(io_error("create", &temporary))?;
        for (name, bytes) in encode(files)? {
            let path = temporary.join(name);
            self.disk.write_file(&path, &bytes).map_err(io_error("write", &path))?;
        }
        self.disk.sync_dir(&temporary).map_err(io_error("sync", &temporary))?;
        let replaces = self.exists(&target)?;
        if replaces {
            self.remove(&old)?;
            self.disk.rename(&target, &old).map_err(io_error("rename", &target))?;
        }
        if let Err(error) = self.disk.rename(&temporary, &target) {
            if !replaces && self.exists(&target)? {
                // Another process has written the same cell meanwhile.
                return self.remove(&temporary);
            }
            // Best effort: readers find the old cell under either name.
            if replaces && let Err(undo) = self.disk.rename(&old, &target) {
                return Err(io_error("rename back", &old)(undo));
            }
            return Err(io_error("rename to", &target)(error));
        }
        self.disk.sync_dir(&cells).map_err(io_error("sync", &cells))?;
        self.remove(&old)
    }

    /// Claims a group of cells for this process, until the claim is dropped; nothing where another living process has it.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn claim(&self, group: &str) -> Result<Option<Claim>> {
        Claim::try_new(&self.root.join(CLAIMS), group)
    }

    /// A claim beside another's: of a process on a machine that is gone, say, whose lock a file server still holds.
    pub fn steal(&self, group: &str) -> Claim {
        Claim::without_lock(&self.root.join(CLAIMS), group)
    }

    /// Where a cell is kept while it is unfinished.
    pub fn unfinished_path(&self, id: &str) -> PathBuf {
        self.unfinished_dir().join(format!("{id}.safetensors"))
    }

    fn unfinished_dir(&self) -> PathBuf {
        self.root.join(UNFINISHED)
    }

    /// Removes what was kept of a cell while it was unfinished. One that stays is in nobody's way.
    pub fn forget_unfinished(&self, id: &str) {
        let _ = std::fs::remove_file(self.unfinished_path(id));
        // Only where it was the last.
        let _ = std::fs::remove_dir(self.unfinished_dir());
    }

    /// Removes the checkpoints that were found damaged and set aside, and then what [`Store::sweep_temporaries`] does.
    pub fn clear_remains(&self) -> Result<()> {
        for path in self.remaining_files() {
            let _ = std::fs::remove_file(path);
        }
        let _ = std::fs::remove_dir(self.unfinished_dir());
        self.sweep_temporaries()
    }

    /// Temporary files that nobody writes any more, checkpoints of cells that stand, and those set aside.
    fn remaining_files(&self) -> Vec<PathBuf> {
        let mut remains = Vec::new();
        // What is made from cells is written in the same way.
        let written = [self.root.clone(), self.root.join("tables"), self.root.join("plots")];
        let entries = |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in written.into_iter().flat_map(entries) {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_file() && name.starts_with(TEMPORARY) && temporary::is_abandoned(&path, &name) {
                remains.push(path);
            }
        }
        for entry in entries(self.unfinished_dir()) {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let stands = name.strip_suffix(".safetensors").is_some_and(|id| self.cell_dir(id).is_dir());
            let abandoned = name.starts_with(TEMPORARY) && temporary::is_abandoned(&path, &name);
            if stands || abandoned || path.extension().is_some_and(|extension| extension == DAMAGED) {
                remains.push(path);
            }
        }
        remains
    }

    /// Removes a cell: it is gone or whole, never half.
    ///
    /// # Errors
    /// [`Error::Io`] where the disk refuses.
    pub fn delete(&self, id: &str) -> Result<()> {
        let cells = self.cells_dir();
        let aside = cells.join(temporary::name(id, std::process::id()));
        for folder in [self.cell_dir(id), cells.join(format!("{OLD}{id}"))] {
            if is_plain(id) && self.exists(&folder)? {
                self.remove(&aside)?;
                self.disk.rename(&folder, &aside).map_err(io_error("rename", &folder))?;
                self.disk.sync_dir(&cells).map_err(io_error("sync", &cells))?;
                self.remove(&aside)?;
            }
        }
        Ok(())
    }

    /// How many things killed processes have left behind, which [`Store::sweep_temporaries`] clears.
    pub fn remains(&self) -> Result<usize> {
        let cells = self.cells_dir();
        if !self.exists(&cells)? {
            return Ok(0);
        }
        let names = self.disk.list(&cells).map_err(io_error("list", &cells))?;
        let left = |name: &&String| match name.starts_with(TEMPORARY) {
            true => temporary::is_abandoned(&cells.join(name), name),
            false => name.starts_with(OLD),
        };
        Ok(names.iter().filter(left).count() + self.remaining_files().len())
    }

    /// A cell, or nothing where it is missing.
    ///
    /// # Errors
    /// [`Error::Damaged`] where a file does not hold what a cell writes; [`Error::Io`] where the disk refuses.
    pub fn read(&self, id: &str) -> Result<Option<CellFiles>> {
        for folder in [self.cell_dir(id), self.cells_dir().join(format!("{OLD}{id}"))] {
            if self.exists(&folder)? {
                return self.read_folder(id, &folder).map(Some);
            }
        }
        Ok(None)
    }

    /// How a cell ended, or nothing where it is missing. Checks the whole folder, as [`Store::read`] does.
    pub fn status(&self, id: &str) -> Result<Option<Status>> {
        Ok(self.read(id)?.map(|files| files.cell.status))
    }

    /// All cells, in the order of [`order::cells`]; none where there is no store yet.
    ///
    /// # Errors
    /// The first [`Error::Damaged`], where [`Store::scan`] would carry on.
    pub fn cells(&self) -> Result<Vec<CellFiles>> {
        let scan = self.scan()?;
        match scan.damaged.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(scan.cells),
        }
    }

    /// All cells that read well, and what is wrong with the others.
    pub fn scan(&self) -> Result<Scan> {
        let mut scan = Scan::default();
        let cells = self.cells_dir();
        if !self.exists(&cells)? {
            return Ok(scan);
        }
        let names = self.disk.list(&cells).map_err(io_error("list", &cells))?;
        let mut ids: Vec<_> = names
            .iter()
            .filter(|name| !name.starts_with(TEMPORARY))
            .map(|name| name.strip_prefix(OLD).unwrap_or(name))
            .filter(|name| is_plain(name))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            match self.read(id) {
                Ok(Some(files)) => scan.cells.push(files),
                Ok(None) => {}
                Err(error) if error.is_damage() => scan.damaged.push(error),
                Err(error) => return Err(error),
            }
        }
        scan.cells.sort_by(|a, b| order::cells(&a.cell, &b.cell));
        Ok(scan)
    }

    /// Clears what killed processes left behind: temporary folders go, unless the process that writes one
    /// lives, and a cell that had stepped aside steps back. To be called before any writing of one's own.
    pub fn sweep_temporaries(&self) -> Result<()> {
        for path in self.remaining_files() {
            // What is damaged was set aside for a person to look at.
            if path.extension().is_none_or(|extension| extension != DAMAGED) {
                let _ = std::fs::remove_file(path);
            }
        }
        let cells = self.cells_dir();
        if !self.exists(&cells)? {
            return Ok(());
        }
        for name in self.disk.list(&cells).map_err(io_error("list", &cells))? {
            let path = cells.join(&name);
            if name.starts_with(TEMPORARY) {
                if temporary::is_abandoned(&path, &name) {
                    self.remove(&path)?;
                }
            } else if let Some(id) = name.strip_prefix(OLD) {
                let target = cells.join(id);
                if self.exists(&target)? {
                    self.remove(&path)?;
                } else {
                    self.disk.rename(&path, &target).map_err(io_error("rename", &path))?;
                }
            }
        }
        Ok(())
    }

    fn read_folder(&self, id: &str, folder: &Path) -> Result<CellFiles> {
        let digests = self.read_digests(&folder.join(DIGESTS))?;
        let mut contents = BTreeMap::new();
        for (name, digest) in digests {
            let path = folder.join(&name);
            let bytes = self
                .read_optional(&path)?
                .ok_or_else(|| damaged(&path, None, format!("missing, though `{DIGESTS}` lists it")))?;
            if sha256(&bytes) != digest {
                return Err(damaged(&path, None, format!("differs from its digest in `{DIGESTS}`")));
            }
            contents.insert(name, bytes);
        }
        let path = folder.join(CELL);
        let bytes = contents.get(CELL).ok_or_else(|| damaged(&path, None, "missing".into()))?;
        let cell: Cell = serde_json::from_slice(bytes)
            .map_err(|error| damaged(&path, Some(error.line() as u64), error.to_string()))?;
        if cell.id != id {
            return Err(damaged(&path, None, format!("its identity is {}, its folder's {id}", cell.id)));
        }
        if cell.schema != SCHEMA_VERSION {
            let what = format!("written with schema {}, this program has {SCHEMA_VERSION}", cell.schema);
            return Err(damaged(&path, None, what));
        }
        Ok(CellFiles {
            cell,
            scores: table(folder, &contents, "score.csv")?,
            curves: table(folder, &contents, "curve.csv")?,
            profiles: table(folder, &contents, "profile.csv")?,
            spectra: table(folder, &contents, "spectrum.csv")?,
            traces: table(folder, &contents, "trace.csv")?,
            timings: table(folder, &contents, "timing.csv")?,
            memory: table(folder, &contents, "memory.csv")?,
            conditions: table(folder, &contents, "condition.csv")?,
        })
    }

    /// Name and digest of every file of a cell, from `digests`, which `sha256sum --check` reads as well.
    fn read_digests(&self, path: &Path) -> Result<Vec<(String, String)>> {
        let bytes = self.read_optional(path)?.ok_or_else(|| damaged(path, None, "missing".into()))?;
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

    fn read_optional(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        match self.disk.read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("read", path)(error)),
        }
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        self.disk.exists(path).map_err(io_error("look for", path))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        if self.exists(path)? {
            self.disk.remove_dir_all(path).map_err(io_error("remove", path))?;
        }
        Ok(())
    }
}

/// Files of a cell, `digests` last.
pub(crate) fn encode(files: &CellFiles) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let unwritable = |what: String| Error::Unwritable { id: files.cell.id.clone(), what };
    let mut json = serde_json::to_vec_pretty(&files.cell).map_err(|error| unwritable(error.to_string()))?;
    json.push(b'\n');
    let mut contents = vec![(CELL, json)];
    let csv = |error: csv::Error| unwritable(error.to_string());
    contents.push(("score.csv", rows::to_csv(&files.scores).map_err(csv)?));
    contents.push(("curve.csv", rows::to_csv(&files.curves).map_err(csv)?));
    contents.push(("profile.csv", rows::to_csv(&files.profiles).map_err(csv)?));
    contents.push(("spectrum.csv", rows::to_csv(&files.spectra).map_err(csv)?));
    contents.push(("trace.csv", rows::to_csv(&files.traces).map_err(csv)?));
    contents.push(("timing.csv", rows::to_csv(&files.timings).map_err(csv)?));
    contents.push(("memory.csv", rows::to_csv(&files.memory).map_err(csv)?));
    contents.push(("condition.csv", rows::to_csv(&files.conditions).map_err(csv)?));
    contents.retain(|(_, bytes)| !bytes.is_empty());
    let digests: String =
        contents.iter().map(|(name, bytes)| format!("{}  {name}\n", sha256(bytes))).collect();
    contents.push((DIGESTS, digests.into_bytes()));
    Ok(contents)
}

fn table<T: Serialize + DeserializeOwned>(
    folder: &Path,
    contents: &BTreeMap<String, Vec<u8>>,
    name: &str,
) -> Result<Vec<T>> {
    match contents.get(name) {
        Some(bytes) => rows::from_csv(bytes, &folder.join(name)),
        None => Ok(Vec::new()),
    }
}

/// Refuses what could not be read back.
fn check(cell: &Cell) -> Result<()> {
    let unwritable = |what: String| Err(Error::Unwritable { id: cell.id.clone(), what });
    if !is_plain(&cell.id) {
        return unwritable("an identity is letters, digits, `-` and `_`".into());
    }
    if cell.schema != SCHEMA_VERSION {
        return unwritable(format!("schema {}, this program has {SCHEMA_VERSION}", cell.schema));
    }
    if let Some((name, value)) = cell.facts.iter().find(|(_, value)| !value.is_finite()) {
        return unwritable(format!("fact {name} is {value}, which JSON cannot hold; leave it out"));
    }
    if let Some(reference) = cell.references.iter().find(|reference| !reference.value.is_finite()) {
        return unwritable(format!("reference {} is {}; leave it out", reference.name, reference.value));
    }
    if !cell.provenance.wall_seconds.is_finite() {
        return unwritable("wall_seconds is not finite".into());
    }
    Ok(())
}

/// Whether a name is one that a cell or a file of it may have: no separators, nothing hidden.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Io { action, path, source }
}

fn damaged(path: &Path, line: Option<u64>, what: String) -> Error {
    let remedy = "delete the cell's folder and run the experiment again".into();
    Error::Damaged { path: path.into(), line, what, remedy }
}
