//! The store: one folder a cell under `<root>/cells`, which appears whole or not at all, or all cells in `cells/packed`.
//!
//! A cell is built in a temporary sibling, synced and renamed into place. A cell that is replaced steps aside
//! first, to `.old-<id>`, where readers still find it until the new one stands: whenever the process dies, a
//! reader sees the old cell or the new one.

use crate::claim::Claim;
use crate::files::{self, CELL};
use crate::folder::{Folder, damaged, io_error, is_plain, optional};
use crate::pack::{self, PACKED};
use crate::{
    Cell, CellFiles, Disk, Error, RealDisk, Result, SCHEMA_VERSION, Status, order,
    temporary::{self, PREFIX as TEMPORARY},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

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
    /// What [`Store::packed`] has read.
    pack: Arc<Mutex<Option<Arc<BTreeMap<String, CellFiles>>>>>,
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
        Self { root: root.into(), disk, pack: Arc::default() }
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
        match optional(&*self.disk, &path)? {
            None => Ok(None),
            Some(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Ok(Some(text)),
                Err(error) => Err(damaged(&path, None, format!("not UTF-8 text: {error}"))),
            },
        }
    }

    /// Name of the experiment that its cells are of, as the first that reads well says.
    pub fn experiment_name(&self) -> Option<String> {
        self.ids().ok()?.iter().find_map(|id| Some(self.read(id).ok()??.cell.experiment))
    }

    /// Writes a cell, in place of one with the same identity.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for an identity that is no plain name or a number in `cell.json` that JSON cannot
    /// hold (NaN, infinity); [`Error::Io`] where the disk refuses. The store then holds what it held before,
    /// or the new cell.
    pub fn write(&self, files: &CellFiles) -> Result<()> {
        check(&files.cell)?;
        self.place(&files.cell.id, &files::encode(files)?)
    }

    /// Puts a folder of files among the cells, in place of one of the same name.
    fn place(&self, name: &str, contents: &[(String, Vec<u8>)]) -> Result<()> {
        let (cells, target) = (self.cells_dir(), self.cell_dir(name));
        let old = cells.join(format!("{OLD}{name}"));
        let temporary = cells.join(temporary::name(name, std::process::id()));
        self.disk.create_dir_all(&cells).map_err(io_error("create", &cells))?;
        self.remove(&temporary)?;
        self.disk.create_dir_all(&temporary).map_err(io_error("create", &temporary))?;
        for (file, bytes) in contents {
            let path = temporary.join(file);
            self.disk.write_file(&path, bytes).map_err(io_error("write", &path))?;
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
        self.delete_folder(id)?;
        if let Some(pack) = self.packed()?
            && pack.contains_key(id)
        {
            let others: Vec<&CellFiles> = pack.values().filter(|files| files.cell.id != id).collect();
            self.place_pack(&others)?;
        }
        Ok(())
    }

    fn delete_folder(&self, name: &str) -> Result<()> {
        let cells = self.cells_dir();
        let aside = cells.join(temporary::name(name, std::process::id()));
        for folder in [self.cell_dir(name), cells.join(format!("{OLD}{name}"))] {
            if is_plain(name) && self.exists(&folder)? {
                self.remove(&aside)?;
                self.disk.rename(&folder, &aside).map_err(io_error("rename", &folder))?;
                self.disk.sync_dir(&cells).map_err(io_error("sync", &cells))?;
                self.remove(&aside)?;
            }
        }
        Ok(())
    }

    /// Puts all cells into the few files of `cells/packed`, where every reader finds them as before: a folder a cell is what
    /// many processes can write at once, and a burden to a version control system and a file server. To be called while no
    /// run goes on in this folder. Returns how many cells are packed.
    ///
    /// # Errors
    /// [`Error::Damaged`] where a cell does not read well, [`Error::Unwritable`] where rows of one kind differ in their
    /// columns (older ones have fewer), [`Error::Io`] where the disk refuses. No cell is lost: its folder goes after the
    /// pack stands.
    pub fn pack(&self) -> Result<usize> {
        let cells = self.cells()?;
        self.place_pack(&cells.iter().collect::<Vec<_>>())?;
        cells.iter().try_for_each(|files| self.delete_folder(&files.cell.id))?;
        Ok(cells.len())
    }

    fn place_pack(&self, cells: &[&CellFiles]) -> Result<()> {
        *self.pack.lock().unwrap_or_else(PoisonError::into_inner) = None;
        match cells {
            [] => self.delete_folder(PACKED),
            cells => self.place(PACKED, &pack::encode(cells)?),
        }
    }

    /// The cells of `cells/packed`, read once.
    fn packed(&self) -> Result<Option<Arc<BTreeMap<String, CellFiles>>>> {
        let mut known = self.pack.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            for folder in [self.cell_dir(PACKED), self.cells_dir().join(format!("{OLD}{PACKED}"))] {
                if self.exists(&folder)? {
                    let folder = Folder::read(&*self.disk, &folder).map_err(pack::restorable)?;
                    *known = Some(Arc::new(pack::decode(&folder).map_err(pack::restorable)?));
                    break;
                }
            }
        }
        Ok(known.clone())
    }

    /// What is wrong with `cells/packed`, where it does not read: all its cells then count as missing.
    pub fn pack_damage(&self) -> Result<Option<Error>> {
        match self.packed() {
            Ok(_) => Ok(None),
            Err(error) if error.is_damage() => Ok(Some(error)),
            Err(error) => Err(error),
        }
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
            if id != PACKED && self.exists(&folder)? {
                return self.read_folder(id, &folder).map(Some);
            }
        }
        Ok(self.packed()?.and_then(|pack| pack.get(id).cloned()))
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

    /// Identities of all cells, whole or not. Packed ones that are damaged are none.
    pub fn ids(&self) -> Result<BTreeSet<String>> {
        let mut ids = self.folders()?;
        match self.packed() {
            Ok(pack) => ids.extend(pack.iter().flat_map(|pack| pack.keys().cloned())),
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error),
        }
        Ok(ids)
    }

    /// Identities of the cells that have a folder.
    fn folders(&self) -> Result<BTreeSet<String>> {
        let cells = self.cells_dir();
        if !self.exists(&cells)? {
            return Ok(BTreeSet::new());
        }
        let names = self.disk.list(&cells).map_err(io_error("list", &cells))?;
        let seen = names.iter().filter(|name| !name.starts_with(TEMPORARY));
        let ids = seen.map(|name| name.strip_prefix(OLD).unwrap_or(name));
        Ok(ids.filter(|id| is_plain(id) && *id != PACKED).map(str::to_owned).collect())
    }

    /// All cells that read well, and what is wrong with the others.
    pub fn scan(&self) -> Result<Scan> {
        let mut scan = Scan::default();
        let mut ids = self.folders()?;
        match self.packed() {
            Ok(pack) => ids.extend(pack.iter().flat_map(|pack| pack.keys().cloned())),
            Err(error) if error.is_damage() => scan.damaged.push(error),
            Err(error) => return Err(error),
        }
        for id in &ids {
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

    fn read_folder(&self, id: &str, path: &Path) -> Result<CellFiles> {
        let folder = Folder::read(&*self.disk, path)?;
        let path = path.join(CELL);
        let cell: Cell = serde_json::from_slice(folder.need(CELL)?)
            .map_err(|error| damaged(&path, Some(error.line() as u64), error.to_string()))?;
        if cell.id != id {
            return Err(damaged(&path, None, format!("its identity is {}, its folder's {id}", cell.id)));
        }
        files::decode(cell, &folder.path, |name| folder.get(name))
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

/// Refuses what could not be read back.
fn check(cell: &Cell) -> Result<()> {
    let unwritable = |what: String| Err(Error::Unwritable { id: cell.id.clone(), what });
    if !is_plain(&cell.id) || cell.id == PACKED {
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
