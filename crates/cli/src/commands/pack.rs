//! `seqbench pack`: the cells of a results folder in few files.

use crate::arguments::Pack;
use crate::failure::{Failure, Outcome};
use crate::survey::cells;
use crate::terminal;
use anyhow::Context;
use seqbench_record::Store;
use std::path::Path;

/// Packs every folder, and says what it held before and holds now.
pub(crate) fn run(arguments: &Pack) -> Outcome {
    // All before any is touched.
    for folder in &arguments.results {
        if !folder.join("cells").is_dir() {
            return Err(Failure::usage(format!(
                "error: there are no results in {}\nhelp: name a folder that holds `cells`",
                folder.display()
            )));
        }
    }
    for folder in &arguments.results {
        let before = size(&folder.join("cells"));
        let store = Store::open(folder);
        let packed = store
            .sweep_temporaries()
            .and_then(|()| store.pack())
            .with_context(|| format!("cannot pack {}", folder.display()))?;
        let after = size(&folder.join("cells"));
        terminal::print(&format!(
            "{}: {} in {} files, {:.1} MB ({} files, {:.1} MB before)",
            folder.display(),
            cells(packed),
            after.files,
            after.megabytes(),
            before.files,
            before.megabytes()
        ));
    }
    Ok(())
}

#[derive(Default)]
struct Size {
    files: usize,
    bytes: u64,
}

impl Size {
    fn megabytes(&self) -> f64 {
        self.bytes as f64 / 1e6
    }
}

/// What lies in a folder and below, as far as it can be read.
fn size(folder: &Path) -> Size {
    let mut size = Size::default();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => {
                let inner = self::size(&entry.path());
                size.files += inner.files;
                size.bytes += inner.bytes;
            }
            Ok(metadata) => {
                size.files += 1;
                size.bytes += metadata.len();
            }
            Err(_) => {}
        }
    }
    size
}
