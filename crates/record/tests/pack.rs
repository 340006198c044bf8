//! The pack: the same cells in few files, for every reader.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use seqbench_record::*;
use std::{fs, path::Path, sync::Arc};
use support::{cell, make_digests_fit, names};

#[test]
fn packed_cells_are_read_replaced_and_removed_like_any_other() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path());
    for (id, version) in [("a1", 2), ("b2", 3), ("c3", 4)] {
        store.write(&cell(id, version)).unwrap();
    }
    let before = store.cells().unwrap();
    assert_eq!(store.pack().unwrap(), 3);
    assert_eq!(names(&root.path().join("cells")), ["packed"]);
    let files = names(&root.path().join("cells/packed"));
    assert_eq!(
        files,
        [
            "cells.jsonl",
            "condition.csv.gz",
            "curve.csv.gz",
            "digests",
            "memory.csv.gz",
            "profile.csv.gz",
            "score.csv",
            "spectrum.csv.gz",
            "trace.csv.gz"
        ]
    );
    for store in [&store, &Store::open(root.path())] {
        assert_eq!(format!("{:?}", store.cells().unwrap()), format!("{before:?}"));
        assert_eq!(store.read("b2").unwrap(), Some(cell("b2", 3)));
        assert_eq!(store.read("packed").unwrap(), None);
        assert_eq!(store.experiment_name().as_deref(), Some("quick"));
        assert_eq!(store.remains().unwrap(), 0);
    }
    let bytes = |name: &str| fs::read(root.path().join("cells/packed").join(name)).unwrap();
    let scores = String::from_utf8(bytes("score.csv")).unwrap();
    assert!(scores.starts_with("cell,split,length,lag,metric,value,n\na1,test,10,,accuracy,"), "{scores}");

    // One that is written later is the one that counts, and the next pack holds it.
    store.write(&cell("b2", 5)).unwrap();
    assert_eq!(store.read("b2").unwrap(), Some(cell("b2", 5)));
    assert_eq!(store.cells().unwrap().len(), 3);
    let first = (bytes("cells.jsonl"), bytes("profile.csv.gz"));
    assert_eq!(store.pack().unwrap(), 3);
    assert_eq!(store.read("b2").unwrap(), Some(cell("b2", 5)));
    assert_ne!(bytes("cells.jsonl"), first.0);
    store.write(&cell("b2", 3)).unwrap();
    store.pack().unwrap();
    assert!((bytes("cells.jsonl"), bytes("profile.csv.gz")) == first, "the same cells, other bytes");

    store.delete("a1").unwrap();
    assert_eq!(store.ids().unwrap().into_iter().collect::<Vec<_>>(), ["b2", "c3"]);
    assert_eq!(store.read("a1").unwrap(), None);
    for id in ["b2", "c3"] {
        store.delete(id).unwrap();
    }
    assert_eq!(names(&root.path().join("cells")), Vec::<String>::new());
    let mut named = cell("a1", 2);
    named.cell.id = "packed".into();
    assert!(store.write(&named).unwrap_err().to_string().contains("an identity is"));
}

#[test]
fn a_damaged_pack_is_named_and_spares_the_cells_beside_it() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path());
    for id in ["a1", "b2"] {
        store.write(&cell(id, 2)).unwrap();
    }
    store.pack().unwrap();
    store.write(&cell("c3", 2)).unwrap();
    let folder = root.path().join("cells/packed");
    let whole: Vec<_> =
        names(&folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect();
    let restore = || whole.iter().for_each(|(name, bytes)| fs::write(folder.join(name), bytes).unwrap());
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 5] = [
        ("score.csv: differs from its digest", |folder| {
            fs::write(folder.join("score.csv"), "cell,split\n").unwrap();
        }),
        ("cells.jsonl: missing, though", |folder| fs::remove_file(folder.join("cells.jsonl")).unwrap()),
        ("cells.jsonl:2: ", |folder| {
            let text = fs::read_to_string(folder.join("cells.jsonl")).unwrap();
            fs::write(folder.join("cells.jsonl"), text.replacen("\n{", "\n", 1)).unwrap();
            make_digests_fit(folder, &["cells.jsonl"]);
        }),
        ("cells.jsonl: no record of cell b2", |folder| {
            let text = fs::read_to_string(folder.join("cells.jsonl")).unwrap();
            let kept: Vec<_> = text.lines().take(2).collect();
            fs::write(folder.join("cells.jsonl"), kept.join("\n")).unwrap();
            make_digests_fit(folder, &["cells.jsonl", "score.csv"]);
        }),
        ("curve.csv.gz: ", |folder| {
            let bytes = fs::read(folder.join("curve.csv.gz")).unwrap();
            fs::write(folder.join("curve.csv.gz"), &bytes[..bytes.len() / 2]).unwrap();
            make_digests_fit(folder, &["cells.jsonl", "curve.csv.gz"]);
        }),
    ];
    for (expected, harm) in harms {
        harm(&folder);
        let store = Store::open(root.path());
        let scan = store.scan().unwrap();
        let told: Vec<_> = scan.damaged.iter().map(ToString::to_string).collect();
        assert!(told.len() == 1 && told[0].contains(expected), "{expected}: {told:?}");
        assert!(told[0].contains("restore the folder"), "{told:?}");
        assert_eq!(scan.cells, [cell("c3", 2)]);
        assert!(store.read("a1").unwrap_err().is_damage());
        assert!(store.pack().unwrap_err().is_damage(), "what is damaged is not overwritten");
        restore();
        assert_eq!(Store::open(root.path()).cells().unwrap().len(), 3);
    }
}

#[test]
fn scores_too_many_to_look_into_are_compressed_and_read_the_same() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path());
    let mut long = cell("a1", 2);
    let row = long.scores[0].clone();
    long.scores = (0..20_000).map(|n| ScoreRow { n, ..row.clone() }).collect();
    store.write(&long).unwrap();
    store.write(&cell("b2", 3)).unwrap();
    store.pack().unwrap();
    let kept = || -> Vec<String> {
        let files = names(&root.path().join("cells/packed"));
        files.into_iter().filter(|name| name.starts_with("score")).collect()
    };
    assert_eq!(kept(), ["score.csv.gz"]);
    assert_eq!(Store::open(root.path()).cells().unwrap(), [long, cell("b2", 3)]);
    // Few again, they are plain again.
    store.write(&cell("a1", 2)).unwrap();
    store.pack().unwrap();
    assert_eq!(kept(), ["score.csv"]);
}

#[test]
fn rows_of_other_columns_are_not_packed() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path());
    let round = |visit| TimingRow {
        mode: "train".into(),
        length: 8,
        batch: 1,
        threads: 1,
        round: 0,
        ns: 5,
        checksum: "00".into(),
        err: String::new(),
        visit,
        pace_ns: visit.map(u64::from),
    };
    for (id, visit) in [("a1", None), ("b2", Some(1))] {
        store.write(&CellFiles { timings: vec![round(visit)], ..cell(id, 2) }).unwrap();
    }
    let text = store.pack().unwrap_err().to_string();
    assert!(text.contains("cell b2 cannot be written: its timing.csv has the columns mode,"), "{text}");
    assert_eq!(store.cells().unwrap().len(), 2);
}

#[test]
fn packing_on_a_disk_that_fails_loses_no_cell() {
    // Few files, so that there are few calls.
    let small = |id| CellFiles {
        curves: Vec::new(),
        profiles: Vec::new(),
        spectra: Vec::new(),
        traces: Vec::new(),
        memory: Vec::new(),
        conditions: Vec::new(),
        ..cell(id, 2)
    };
    for (at, failing) in
        (1..).flat_map(|at| [(at, FailingDisk::once as fn(usize) -> FailingDisk), (at, FailingDisk::from)])
    {
        let root = tempfile::tempdir().unwrap();
        let whole = Store::open(root.path());
        for id in ["a1", "b2"] {
            whole.write(&small(id)).unwrap();
        }
        let disk = Arc::new(failing(at));
        let outcome = Store::with_disk(root.path(), disk.clone()).pack();
        let after = Store::open(root.path());
        assert_eq!(after.cells().unwrap(), [small("a1"), small("b2")], "call {at}");
        after.sweep_temporaries().unwrap();
        after.pack().unwrap();
        assert_eq!(after.cells().unwrap(), [small("a1"), small("b2")], "call {at}, again");
        assert_eq!(outcome.is_err(), disk.fired(), "call {at}");
        if !disk.fired() {
            assert!(at > 10, "the disk was hardly used");
            break;
        }
    }
}
