//! The store: what is written reads back, nothing is ever half visible, damage is named and never read.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use seqbench_record::*;
use serde_json::json;
use std::{fs, path::Path, sync::Arc};
use support::{cell, make_digests_fit, names};

#[test]
fn what_is_written_reads_back_and_empty_kinds_have_no_file() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path().join("not/yet"));
    assert_eq!(store.read("a1").unwrap(), None);
    assert_eq!(store.cells().unwrap(), []);
    assert!(!store.root().exists(), "reading creates nothing");
    store.write(&cell("a1", 2)).unwrap();
    store.write_experiment("question = \"?\"\n").unwrap();
    assert_eq!(store.read("a1").unwrap(), Some(cell("a1", 2)));
    assert_eq!(store.status("a1").unwrap(), Some(Status::Done));
    assert_eq!(store.status("a2").unwrap(), None);
    assert_eq!(store.experiment().unwrap().as_deref(), Some("question = \"?\"\n"));
    assert_eq!(names(store.root()), ["cells", "experiment.toml"]);
    assert_eq!(
        names(&store.cell_dir("a1")),
        [
            "cell.json",
            "condition.csv",
            "curve.csv",
            "digests",
            "memory.csv",
            "profile.csv",
            "score.csv",
            "spectrum.csv",
            "trace.csv"
        ]
    );
}

#[test]
fn a_failed_cell_is_replaced_without_trace() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path());
    store.write(&cell("a1", 1)).unwrap();
    assert_eq!(store.status("a1").unwrap(), Some(Status::Failed));
    store.write(&cell("a1", 2)).unwrap();
    assert_eq!(store.read("a1").unwrap(), Some(cell("a1", 2)));
    assert_eq!(names(&root.path().join("cells")), ["a1"]);
}

#[test]
fn cells_stand_in_one_order_whatever_their_identities() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path());
    let mut expected = Vec::new();
    for (purpose, model, lag, seed, id) in [
        (Purpose::Trial, "rnn", 10, 0, "z"),
        (Purpose::Final, "lstm", 9, 1, "y"),
        (Purpose::Final, "lstm", 100, 0, "m"),
        (Purpose::Final, "rnn", 10, 0, "b"),
        (Purpose::Final, "rnn", 10, 1, "a"),
        (Purpose::Timing, "lstm", 1, 0, "0"),
    ] {
        let mut files = cell(id, 2);
        files.cell.purpose = purpose;
        files.cell.labels.model = model.into();
        files.cell.labels.coordinates[0].value = json!(lag);
        files.cell.labels.seed = seed;
        store.write(&files).unwrap();
        expected.push(id);
    }
    let ids: Vec<_> = store.cells().unwrap().into_iter().map(|files| files.cell.id).collect();
    assert_eq!(ids, expected);
}

/// Makes the n-th call fail, for every n, and asserts that a reader sees the old cell or the new one.
fn never_torn(old: Option<CellFiles>, failing: fn(usize) -> FailingDisk) {
    let new = cell("a1", 2);
    let mut ends = [0, 0];
    for n in 1.. {
        let root = tempfile::tempdir().unwrap();
        let real = Store::open(root.path());
        if let Some(old) = &old {
            real.write(old).unwrap();
        }
        let disk = Arc::new(failing(n));
        let written = Store::with_disk(root.path(), disk.clone()).write(&new);
        assert_eq!(written.is_err(), disk.fired(), "call {n}");
        for sweep in [false, true] {
            if sweep {
                real.sweep_temporaries().unwrap();
                let left = names(&root.path().join("cells"));
                assert!(left.iter().all(|name| name == "a1"), "call {n}: {left:?}");
            }
            let found = real.read("a1").unwrap();
            assert!(found == old || found.as_ref() == Some(&new), "call {n}: {found:?}");
            assert_eq!(real.cells().unwrap(), found.clone().into_iter().collect::<Vec<_>>(), "call {n}");
            ends[usize::from(found.as_ref() == Some(&new))] += 1;
        }
        real.write(&new).unwrap();
        assert_eq!(real.read("a1").unwrap().as_ref(), Some(&new), "call {n}: written again");
        if !disk.fired() {
            assert!(n > 8 && ends[0] > 0 && ends[1] > 0, "{n} calls, {ends:?}");
            return;
        }
    }
}

#[test]
fn a_disk_that_fails_once_leaves_the_old_cell_or_the_new_one() {
    never_torn(None, FailingDisk::once);
    never_torn(Some(cell("a1", 1)), FailingDisk::once);
}

#[test]
fn a_killed_process_leaves_the_old_cell_or_the_new_one() {
    never_torn(None, FailingDisk::from);
    never_torn(Some(cell("a1", 1)), FailingDisk::from);
}

#[test]
fn a_failing_read_is_an_error_and_not_a_missing_cell() {
    let root = tempfile::tempdir().unwrap();
    Store::open(root.path()).write(&cell("a1", 2)).unwrap();
    for n in 1.. {
        let disk = Arc::new(FailingDisk::once(n));
        let found = Store::with_disk(root.path(), disk.clone()).read("a1");
        assert_eq!(found.is_err(), disk.fired(), "call {n}");
        if !disk.fired() {
            assert!(n > 6);
            return;
        }
        assert!(!found.unwrap_err().is_damage(), "call {n}");
    }
}

#[test]
fn a_living_process_keeps_its_temporary_folder() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path());
    store.write(&cell("a1", 2)).unwrap();
    let cells = root.path().join("cells");
    // Process 1 lives on every Linux; 4194305 is above the largest number a process can have there. Of another machine's
    // process nothing is known but how old its folder is.
    let (living, dead) = (temporary::name("b", 1), temporary::name("c", 4_194_305));
    let (new, old) = (".tmp-d-feedbeef-4194305", ".tmp-e-feedbeef-1");
    for name in [&living, &dead, new, old] {
        fs::create_dir(cells.join(name)).unwrap();
    }
    let yesterday = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400);
    fs::File::open(cells.join(old)).unwrap().set_modified(yesterday).unwrap();
    store.sweep_temporaries().unwrap();
    let mut left = vec![new.to_owned(), "a1".to_owned()];
    match Path::new("/proc/1").exists() {
        true => left.push(living),
        false => left.extend([living, dead]),
    }
    left.sort();
    assert_eq!(names(&cells), left);
    assert_eq!(store.cells().unwrap().len(), 1, "temporary folders are no cells");
}

#[test]
fn damage_is_named_counts_as_missing_and_spares_the_other_cells() {
    type Harm = fn(&Path);
    let harms: [(Harm, &str); 7] = [
        (|dir| fs::write(dir.join("score.csv"), "split\n").unwrap(), "score.csv: differs from its digest"),
        (|dir| fs::remove_file(dir.join("curve.csv")).unwrap(), "curve.csv: missing, though `digests`"),
        (|dir| fs::remove_file(dir.join("digests")).unwrap(), "digests: missing"),
        (|dir| fs::write(dir.join("digests"), "12  ../x\n").unwrap(), "digests:1: not a digest"),
        (|dir| fs::write(dir.join("digests"), "").unwrap(), "cell.json: missing"),
        (
            |dir| {
                let text = fs::read_to_string(dir.join("cell.json")).unwrap();
                fs::write(dir.join("cell.json"), text.replace("lstm", "lstn")).unwrap();
            },
            "cell.json: differs from its digest",
        ),
        (
            |dir| fs::rename(dir, dir.with_file_name("moved")).unwrap(),
            "its identity is a1, its folder's moved",
        ),
    ];
    for (harm, expected) in harms {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path());
        store.write(&cell("a1", 2)).unwrap();
        store.write(&cell("b2", 2)).unwrap();
        harm(&store.cell_dir("a1"));
        let scan = store.scan().unwrap();
        assert_eq!(scan.cells, [cell("b2", 2)], "{expected}");
        let [error] = &scan.damaged[..] else { panic!("{expected}: {:?}", scan.damaged) };
        let text = error.to_string();
        assert!(error.is_damage() && text.contains(expected), "{text}");
        assert!(text.contains("delete the cell's folder"), "{text}");
        assert_eq!(store.cells().unwrap_err().to_string(), text);
        store.write(&cell("a1", 2)).unwrap();
        assert_eq!(store.read("a1").unwrap(), Some(cell("a1", 2)), "{expected}: written again");
    }
}

#[test]
fn another_schema_or_a_misspelt_field_is_damage() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path());
    for (from, to, expected) in [
        ("\"schema\": 2", "\"schema\": 9", "written with schema 9"),
        ("\"numerics\"", "\"numeric\"", "cell.json:3: unknown field `numeric`"),
    ] {
        store.write(&cell("a1", 2)).unwrap();
        let path = store.cell_dir("a1").join("cell.json");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(&path, text.replace(from, to)).unwrap();
        make_digests_fit(&store.cell_dir("a1"), &["cell.json"]);
        let text = store.read("a1").unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn an_older_schema_is_read_where_its_files_have_the_layout_of_this_one() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path());
    store.write(&cell("a1", 2)).unwrap();
    let folder = store.cell_dir("a1");
    let text = fs::read_to_string(folder.join("cell.json")).unwrap();
    fs::write(folder.join("cell.json"), text.replace("\"schema\": 2", "\"schema\": 1")).unwrap();
    make_digests_fit(&folder, &["cell.json", "score.csv"]);
    let older = store.read("a1").unwrap().unwrap();
    assert_eq!((older.cell, older.scores), (cell("a1", 2).cell, cell("a1", 2).scores));
    make_digests_fit(&folder, &["cell.json", "profile.csv"]);
    let text = store.read("a1").unwrap_err().to_string();
    assert!(text.contains("written with schema 1, this program has 2"), "{text}");
}

#[test]
fn what_could_not_be_read_back_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path());
    for id in ["", "../a", ".hidden", "a/b", "a b"] {
        let text = store.write(&cell(id, 2)).unwrap_err().to_string();
        assert!(text.contains("an identity is"), "{text}");
    }
    let mut files = cell("a1", 2);
    files.cell.facts.insert("final_loss".into(), f64::NAN);
    let text = store.write(&files).unwrap_err().to_string();
    assert!(text.contains("fact final_loss is NaN"), "{text}");
    assert_eq!(names(root.path()), Vec::<String>::new(), "nothing is created");
}

#[test]
fn two_processes_that_write_the_same_cell_leave_one() {
    let root = tempfile::tempdir().unwrap();
    let stores = [Store::open(root.path()), Store::open(root.path())];
    std::thread::scope(|scope| {
        for (own, store) in stores.iter().enumerate() {
            // Threads share a process, so that only different cells have different temporary names.
            scope.spawn(move || (0..20).for_each(|n| store.write(&cell(&format!("a{own}-{n}"), 2)).unwrap()));
        }
    });
    assert_eq!(stores[0].cells().unwrap().len(), 40);
    let claim = stores[0].claim("group").unwrap().expect("free");
    assert!(stores[1].claim("group").unwrap().is_none());
    drop(claim);
    assert!(stores[1].claim("group").unwrap().is_some());
}

mod merging {
    use super::*;
    use seqbench_record::merge;

    fn stores(cells: &[&[CellFiles]]) -> (Vec<tempfile::TempDir>, Vec<Store>) {
        let folders: Vec<_> = cells.iter().map(|_| tempfile::tempdir().unwrap()).collect();
        let stores: Vec<_> = folders.iter().map(|folder| Store::open(folder.path())).collect();
        for (store, cells) in stores.iter().zip(cells) {
            cells.iter().for_each(|files| store.write(files).unwrap());
        }
        (folders, stores)
    }

    #[test]
    fn the_order_of_folders_does_not_matter_and_repeated_cells_count_once() {
        let (mut slow, mut failed) = (cell("b", 2), cell("a", 2));
        slow.cell.provenance.wall_seconds += 1.0;
        failed.cell.status = Status::Failed;
        let (_folders, all) = stores(&[&[cell("a", 2), cell("b", 2)], &[slow, cell("c", 2)], &[failed]]);
        let orders = [[0, 1, 2], [2, 1, 0], [1, 2, 0]].map(|order| {
            let merged = merge(&order.map(|at| all[at].clone())).unwrap();
            assert!(merged.contradictions.is_empty() && merged.damaged.is_empty(), "{merged:?}");
            assert_eq!(merged.repeated, 2);
            merged.cells
        });
        assert!(orders.iter().all(|cells| *cells == orders[0]));
        let found: Vec<_> =
            orders[0].iter().map(|files| (files.cell.id.as_str(), files.cell.status)).collect();
        assert_eq!(found, [("a", Status::Done), ("b", Status::Done), ("c", Status::Done)]);
    }

    #[test]
    fn the_same_cell_with_other_values_contradicts() {
        let mut other = cell("a", 2);
        other.scores[0].value += 1e-9;
        let (folders, all) = stores(&[&[cell("a", 2)], &[other]]);
        let merged = merge(&all).unwrap();
        let [contradiction] = &merged.contradictions[..] else { panic!("{merged:?}") };
        assert_eq!((contradiction.id.as_str(), contradiction.file.as_str()), ("a", "score.csv"));
        assert_eq!(contradiction.folders, [0, 1].map(|at: usize| folders[at].path().to_owned()));
        // Timed cells are never the same twice: one of them is kept, the same in either order.
        let timed = [1.0, 2.0].map(|seconds| {
            let mut files = cell("t", 2);
            files.cell.purpose = Purpose::Timing;
            files.scores.clear();
            files.cell.provenance.wall_seconds = seconds;
            files
        });
        let (_folders, all) = stores(&[&timed[..1], &timed[1..]]);
        let reversed: Vec<_> = all.iter().rev().cloned().collect();
        let (one, two) = (merge(&all).unwrap(), merge(&reversed).unwrap());
        assert!(one.contradictions.is_empty() && one.cells == two.cells && one.cells.len() == 1);
    }

    #[test]
    fn a_damaged_cell_is_told_unless_another_folder_has_it_whole() {
        let (folders, all) = stores(&[&[cell("a", 2), cell("b", 2)], &[cell("a", 2)]]);
        for id in ["a", "b"] {
            fs::write(folders[0].path().join("cells").join(id).join("score.csv"), "x").unwrap();
        }
        let merged = merge(&all).unwrap();
        assert_eq!((merged.cells.len(), merged.damaged.len()), (1, 1));
        assert!(merged.damaged[0].to_string().contains("b"), "{:?}", merged.damaged);
    }
}
