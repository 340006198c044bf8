//! Every setting that makes no task is refused, with its key in backticks and the remedy.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use flate2::{Compression, write::GzEncoder};
use seqbench_core::{Error, InputData, Instance, OutputKind, Split, Targets};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use support::configure;

#[test]
fn senseless_settings_are_refused_with_their_key_and_the_remedy() {
    let huge = 1u64 << 40;
    let cases = [
        ("delayed-recall", json!({"lag": 0}), "lag", "use 1 or more"),
        ("delayed-recall", json!({"lag": huge}), "lag", "use 16777214 or less"),
        ("delayed-recall", json!({"classes": 1}), "classes", "use 2 or more"),
        ("delayed-recall", json!({"classes": huge}), "classes", "or less"),
        ("delayed-recall", json!({"noise": 0}), "noise", "use 1 or more"),
        ("delayed-recall", json!({"noise": huge}), "noise", "or less"),
        ("copying", json!({"lag": 0}), "lag", "use 1 or more"),
        ("copying", json!({"lag": huge}), "lag", "or less"),
        ("copying", json!({"symbols": 1}), "symbols", "use 2 or more"),
        ("copying", json!({"symbols": huge}), "symbols", "or less"),
        ("copying", json!({"span": 0}), "span", "use 1 or more"),
        ("copying", json!({"span": huge}), "span", "or less"),
        ("adding", json!({"length": 1}), "length", "use 2 or more"),
        ("adding", json!({"length": huge}), "length", "use 16777216 or less"),
        ("recall", json!({"pairs": 0}), "pairs", "use 1 or more"),
        ("recall", json!({"pairs": huge}), "pairs", "or less"),
        ("recall", json!({"length": 63}), "length", "use 64"),
        ("recall", json!({"length": huge}), "length", "or less"),
        ("recall", json!({"pairs": 9, "length": 34}), "pairs", "needs `length` ≥ 36"),
        ("recall", json!({"vocab": 64, "length": 64}), "vocab", "use 65 or more"),
        ("recall", json!({"vocab": huge}), "vocab", "or less"),
        ("parity", json!({"length": 0}), "length", "use 1 or more"),
        ("parity", json!({"length": huge}), "length", "or less"),
        ("parity", json!({"length": 40, "test_length": 40}), "test_length", "use more than `length` = 40"),
        ("parity", json!({"test_length": huge}), "test_length", "or less"),
        ("even-pairs", json!({"length": 1}), "length", "use 2 or more"),
        ("even-pairs", json!({"length": huge}), "length", "or less"),
        (
            "even-pairs",
            json!({"length": 40, "test_length": 40}),
            "test_length",
            "use more than `length` = 40",
        ),
        ("even-pairs", json!({"test_length": huge}), "test_length", "or less"),
        ("cycle-navigation", json!({"length": 0}), "length", "use 1 or more"),
        ("cycle-navigation", json!({"length": huge}), "length", "or less"),
        (
            "cycle-navigation",
            json!({"length": 40, "test_length": 40}),
            "test_length",
            "use more than `length` = 40",
        ),
        ("cycle-navigation", json!({"test_length": huge}), "test_length", "or less"),
        ("modular-arithmetic", json!({"length": 0}), "length", "use 1 or more"),
        ("modular-arithmetic", json!({"length": huge}), "length", "or less"),
        (
            "modular-arithmetic",
            json!({"length": 40, "test_length": 40}),
            "test_length",
            "use more than `length` = 40",
        ),
        ("modular-arithmetic", json!({"test_length": huge}), "test_length", "or less"),
        ("reverse-string", json!({"length": 0}), "length", "use 1 or more"),
        ("reverse-string", json!({"length": huge}), "length", "or less"),
        (
            "reverse-string",
            json!({"length": 40, "test_length": 40}),
            "test_length",
            "use more than `length` = 40",
        ),
        ("reverse-string", json!({"test_length": huge}), "test_length", "or less"),
        ("word-problem", json!({"length": 0}), "length", "use 1 or more"),
        ("word-problem", json!({"length": huge}), "length", "or less"),
        (
            "word-problem",
            json!({"length": 40, "test_length": 40}),
            "test_length",
            "use more than `length` = 40",
        ),
        ("word-problem", json!({"test_length": huge}), "test_length", "or less"),
        ("induction-heads", json!({"length": 2}), "length", "use 3 or more"),
        ("induction-heads", json!({"length": huge}), "length", "or less"),
        (
            "induction-heads",
            json!({"length": 40, "test_length": 40}),
            "test_length",
            "use more than `length` = 40",
        ),
        ("induction-heads", json!({"test_length": huge}), "test_length", "or less"),
        ("induction-heads", json!({"vocab": 2}), "vocab", "use 3 or more"),
        ("induction-heads", json!({"vocab": huge}), "vocab", "or less"),
        ("selective-copying", json!({"span": 0}), "span", "use 1 or more"),
        ("selective-copying", json!({"span": huge}), "span", "or less"),
        ("selective-copying", json!({"length": 7}), "length", "use 8 or more"),
        ("selective-copying", json!({"length": huge}), "length", "or less"),
        ("selective-copying", json!({"symbols": 1}), "symbols", "use 2 or more"),
        ("selective-copying", json!({"symbols": huge}), "symbols", "or less"),
        ("images", json!({"path_labels": "x"}), "path_labels", "source = \"idx\""),
        ("images", json!({"source": "idx"}), "source", "needs path_images and path_labels"),
        ("images", json!({"source": "idx", "path_images": "x"}), "path_images", "needs path_labels"),
        ("images", json!({"source": "idx", "path_labels": "x"}), "path_labels", "needs path_images"),
        ("text", json!({"length": 0}), "length", "use 1 or more"),
        ("text", json!({"length": huge}), "length", "use 16777216 or less"),
        ("text", json!({"length": 51200}), "length", "use 51199 or less, or give the `path`"),
        ("text", json!({"path": "/nowhere/x"}), "path", "/nowhere/x: no such file"),
        ("dataset", json!({"path": "/nowhere/x"}), "path", "/nowhere/x: no such file"),
        ("dataset", json!({"tolerance": -0.5}), "tolerance", "use 0 or more"),
        ("dataset", json!({"tolerance": 0.5}), "tolerance", "are classes; leave it out"),
        ("dataset", json!({"per_step": true}), "per_step", "one answer a sequence; leave it out"),
        (
            "images",
            json!({"source": "idx", "path_images": "/nowhere/x", "path_labels": "/nowhere/y"}),
            "path_images",
            "/nowhere/x: no such file",
        ),
    ];
    for (name, settings, key, remedy) in cases {
        let error = configure(name, settings.clone()).err().unwrap_or_else(|| panic!("{name} {settings}"));
        let message = error.to_string();
        assert!(message.starts_with(&format!("`{key}`")), "{name} {settings}: {message}");
        assert!(message.contains(remedy), "{name} {settings}: {message}");
        assert!(matches!(error, Error::Config(_)), "{name} {settings}: the error has no place");
    }
}

#[test]
fn the_least_allowed_settings_make_a_task() {
    let cases = [
        ("delayed-recall", json!({"lag": 1, "classes": 2, "noise": 1})),
        ("copying", json!({"lag": 1, "symbols": 2, "span": 1})),
        ("adding", json!({"length": 2})),
        ("recall", json!({"length": 4, "pairs": 1, "vocab": 5})),
        ("parity", json!({"length": 1, "test_length": 2})),
        ("even-pairs", json!({"length": 2, "test_length": 3})),
        ("cycle-navigation", json!({"length": 1, "test_length": 2})),
        ("modular-arithmetic", json!({"length": 1, "test_length": 2})),
        ("reverse-string", json!({"length": 1, "test_length": 2})),
        ("word-problem", json!({"length": 1, "test_length": 2, "group": "z2"})),
        ("induction-heads", json!({"length": 3, "test_length": 4, "vocab": 3})),
        ("selective-copying", json!({"length": 1, "span": 1, "symbols": 2})),
    ];
    for (name, settings) in cases {
        let Instance::Generated(task) = configure(name, settings).unwrap().0 else { panic!("{name}") };
        let batch = support::nominal(&*task, 0, seqbench_core::Purpose::Train, 5);
        assert_eq!(batch.fault(), None, "{name}");
    }
}

#[test]
fn a_misspelt_word_names_the_nearest() {
    let cases = [
        ("delayed-recall", json!({"delay": "unifrom"}), "uniform"),
        ("adding", json!({"markers": "halfs"}), "halves"),
        ("recall", json!({"slots": "shufled"}), "shuffled"),
        ("recall", json!({"filler": "rndom"}), "random"),
        ("word-problem", json!({"group": "s55"}), "s5"),
        ("images", json!({"source": "digit"}), "digits"),
    ];
    for (name, settings, nearest) in cases {
        let message = configure(name, settings).err().expect(name).to_string();
        assert!(message.ends_with(&format!("did you mean `{nearest}`?")), "{name}: {message}");
    }
}

/// A folder of IDX files that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("seqbench-tasks-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, dimensions: &[u32], bytes: &[u8], packed: bool) -> String {
        let mut file = vec![0, 0, 8, dimensions.len() as u8];
        dimensions.iter().for_each(|size| file.extend(size.to_be_bytes()));
        file.extend(bytes);
        if packed {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&file).unwrap();
            file = encoder.finish().unwrap();
        }
        let path = self.0.join(name);
        std::fs::write(&path, file).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `count` images of 2 × 3 whose pixels all say their number, with labels 0, 1, 2, 0, 1, ….
fn pair(folder: &Folder, name: &str, count: u8, packed: bool) -> (String, String) {
    let pixels: Vec<u8> = (0..count).flat_map(|image| [image; 6]).collect();
    let labels: Vec<u8> = (0..count).map(|image| image % 3).collect();
    (
        folder.write(&format!("{name}-images"), &[count.into(), 2, 3], &pixels, packed),
        folder.write(&format!("{name}-labels"), &[count.into()], &labels, packed),
    )
}

#[test]
fn a_pair_of_files_becomes_three_disjoint_splits() {
    for packed in [false, true] {
        let folder = Folder::new(if packed { "packed" } else { "plain" });
        let (images, labels) = pair(&folder, "train", 20, packed);
        let settings = json!({"source": "idx", "path_images": images, "path_labels": labels});
        let Instance::Finite(task) = configure("images", settings).unwrap().0 else { panic!("generated") };
        let splits = [Split::Train, Split::Validation, Split::Test];
        assert_eq!(splits.map(|split| task.len(split)), [14, 2, 4]);
        assert_eq!(task.signature().output, OutputKind::Classes(3));
        let mut seen = Vec::new();
        for split in splits {
            let indices: Vec<usize> = (0..task.len(split)).collect();
            let batch = task.batch(split, &indices);
            let InputData::Features { values, .. } = &batch.inputs.data else { panic!("features") };
            let Targets::Classes(classes) = &batch.targets else { panic!("classes") };
            for (pixels, classes) in values.chunks(6).zip(classes.chunks(6)) {
                let image = (pixels[0] * 255.0).round() as u32;
                assert!(pixels.iter().all(|pixel| *pixel == pixels[0]));
                assert_eq!(classes[5], image % 3);
                seen.push(image);
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..20).collect::<Vec<_>>());
    }
}

#[test]
fn a_test_pair_is_the_test_split_in_its_own_order() {
    let folder = Folder::new("test-pair");
    let (images, labels) = pair(&folder, "train", 20, false);
    let (test_images, test_labels) = pair(&folder, "test", 5, true);
    let settings = json!({
        "source": "idx", "path_images": images, "path_labels": labels,
        "path_test_images": test_images, "path_test_labels": test_labels,
    });
    let Instance::Finite(task) = configure("images", settings).unwrap().0 else { panic!("generated") };
    let sizes = [Split::Train, Split::Validation, Split::Test].map(|split| task.len(split));
    assert_eq!(sizes, [18, 2, 5]);
    let batch = task.batch(Split::Test, &[0, 1, 2, 3, 4]);
    let InputData::Features { values, .. } = &batch.inputs.data else { panic!("features") };
    let first: Vec<u32> = values.iter().step_by(6).map(|pixel| (pixel * 255.0).round() as u32).collect();
    assert_eq!(first, [0, 1, 2, 3, 4]);
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let folder = Folder::new("mismatched");
    let (images, labels) = pair(&folder, "train", 20, false);
    let (few_images, few_labels) = pair(&folder, "few", 9, false);
    let other = folder.write("other", &[2, 3, 3], &[0; 18], false);
    let two = folder.write("two", &[2], &[0, 1], false);
    let single = folder.write("single", &[20], &[0; 20], false);
    let cases = [
        (json!({"path_images": images, "path_labels": few_labels}), "path_labels", "9 labels"),
        (json!({"path_images": few_images, "path_labels": few_labels}), "path_images", "give 10 or more"),
        (json!({"path_images": labels, "path_labels": images}), "path_images", "is no IDX file of images"),
        (json!({"path_images": images, "path_labels": single}), "path_labels", "one class only"),
        (
            json!({"path_images": images, "path_labels": labels, "path_test_images": other,
                   "path_test_labels": two}),
            "path_test_images",
            "3 × 3",
        ),
        (
            json!({"path_images": images, "path_labels": labels, "path_test_images": other}),
            "path_test_images",
            "needs path_test_labels",
        ),
    ];
    for (mut settings, key, expected) in cases {
        settings["source"] = json!("idx");
        let message = configure("images", settings).err().expect(expected).to_string();
        assert!(message.starts_with(&format!("`{key}`")), "{message}");
        assert!(message.contains(expected), "{message}");
    }
}
