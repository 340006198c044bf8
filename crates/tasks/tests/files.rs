//! Files of a person's own: a text, and arrays in `.npz` and `.safetensors`, whole, of each kind, and damaged.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use seqbench_core::{Finite, InputData, InputKind, Instance, OutputKind, Split, Targets};
use serde_json::{Value, json};
use std::io::{Cursor, Write};
use std::path::PathBuf;
use support::configure;
use zip::write::{SimpleFileOptions, ZipWriter};

const SPLITS: [Split; 3] = [Split::Train, Split::Validation, Split::Test];

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("seqbench-files-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An `.npy` file.
fn npy(kind: &str, shape: &[usize], bytes: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let shape: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let header = header.replace(", )", ",)");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.into_bytes());
    file.extend(bytes);
    file
}

fn whole(shape: &[usize], values: impl IntoIterator<Item = i64>) -> Vec<u8> {
    npy("<i8", shape, values.into_iter().flat_map(i64::to_le_bytes))
}

fn real(shape: &[usize], values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    npy("<f4", shape, values.into_iter().flat_map(f32::to_le_bytes))
}

fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for (name, bytes) in arrays {
        writer.start_file(format!("{name}.npy"), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn built(name: &str, settings: Value) -> Result<Box<dyn Finite>, String> {
    match configure(name, settings).map_err(|error| error.to_string())?.0 {
        Instance::Finite(task) => Ok(task),
        Instance::Generated(_) => panic!("generated"),
    }
}

fn dataset(folder: &Folder, arrays: &[(&str, Vec<u8>)]) -> Result<Box<dyn Finite>, String> {
    built("dataset", json!({"path": folder.write("own.npz", &npz(arrays))}))
}

#[test]
fn symbols_with_a_class_a_sequence_lengths_and_an_own_split() {
    let folder = Folder::new("symbols");
    // Padding is not looked at, so that it may be negative.
    let inputs = whole(&[4, 3], [3, 1, -1, 0, 1, 2, 5, -1, -1, 1, 1, 1]);
    let arrays = [
        ("inputs", inputs),
        ("targets", whole(&[4], [1, 0, 2, 1])),
        ("lengths", whole(&[4], [2, 3, 1, 3])),
        ("split", whole(&[4], [0, 2, 1, 0])),
    ];
    let task = dataset(&folder, &arrays).unwrap();
    let signature = task.signature();
    assert_eq!((signature.input, signature.output), (InputKind::Tokens(6), OutputKind::Classes(3)));
    assert_eq!((task.metric(), SPLITS.map(|split| task.len(split))), ("accuracy", [2, 1, 1]));
    let batch = task.batch(Split::Train, &[0, 1]);
    assert_eq!(batch.fault(), None);
    assert_eq!(batch.inputs.data, InputData::Tokens(vec![3, 1, 0, 1, 1, 1]));
    assert_eq!(batch.scored_steps(), [(0, 1), (1, 2)]);
    assert_eq!(batch.scored_steps(), batch.loss_steps());
    assert_eq!((batch.targets, batch.lengths), (Targets::Classes(vec![0, 1, 0, 0, 0, 1]), vec![2, 3]));
    // Training says 1, test is 0.
    let references = task.references();
    assert_eq!((references[0].name, references[0].value), ("chance", 1.0 / 3.0));
    assert_eq!((references[1].name, references[1].value), ("majority", 0.0));
}

#[test]
fn features_with_a_class_a_step_and_a_mask() {
    let folder = Folder::new("steps");
    let arrays = [
        ("inputs", real(&[10, 2, 2], (0..40).map(|value| value as f32))),
        // What no mask asks for is not looked at.
        ("targets", whole(&[10, 2], [-100, 1].repeat(10))),
        ("mask", npy("|b1", &[10, 2], [0, 1].repeat(10))),
    ];
    assert!(dataset(&folder, &arrays).is_ok());
    let task = dataset(&folder, &arrays).unwrap();
    assert_eq!(SPLITS.map(|split| task.len(split)), [7, 1, 2]);
    let batch = task.batch(Split::Test, &[0]);
    assert_eq!((batch.fault(), batch.scored_steps()), (None, vec![(0, 1)]));
    assert_eq!((batch.scored[0].lag, batch.targets), (1, Targets::Classes(vec![0, 1])));
    let mut seen: Vec<u32> = Vec::new();
    for split in SPLITS {
        for index in 0..task.len(split) {
            let InputData::Features { dim: 2, values } = task.batch(split, &[index]).inputs.data else {
                panic!("features")
            };
            seen.extend(values.iter().map(|value| *value as u32));
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..40).collect::<Vec<_>>());
}

#[test]
fn real_targets_by_shape_with_and_without_a_tolerance() {
    let folder = Folder::new("regression");
    let split = || ("split", whole(&[4], [0, 0, 1, 2]));
    let inputs = || ("inputs", real(&[4, 3], (0..12).map(|value| value as f32)));
    let targets = |shape: &[usize]| {
        let count: usize = shape.iter().product();
        ("targets", real(shape, (0..count).map(|value| value as f32)))
    };
    let cases = [
        (vec![4], json!(null), 1, false),
        (vec![4, 2], json!(null), 2, false),
        (vec![4, 3], json!(false), 3, false),
        (vec![4, 3], json!(true), 1, true),
        (vec![4, 3, 5], json!(null), 5, true),
    ];
    for (shape, per_step, dim, each) in cases {
        let path = folder.write("own.npz", &npz(&[inputs(), targets(&shape), split()]));
        let settings = json!({"path": path, "per_step": per_step});
        let task = built("dataset", settings).unwrap();
        assert_eq!(task.signature().output, OutputKind::Regression { dim, tolerance: 0.0 }, "{shape:?}");
        assert_eq!(task.signature().input, InputKind::Features(1));
        let batch = task.batch(Split::Train, &[1]);
        let steps: &[(usize, usize)] = if each { &[(0, 0), (0, 1), (0, 2)] } else { &[(0, 2)] };
        assert_eq!((batch.fault(), &batch.scored_steps()[..]), (None, steps), "{shape:?}");
        let Targets::Values { values, .. } = &batch.targets else { panic!("values") };
        // The second sequence's last value.
        let last = (2 * shape.iter().product::<usize>() / 4 - 1) as f32;
        assert_eq!(*values.last().unwrap(), last, "{shape:?}");
        let references = task.references();
        assert_eq!((references.len(), references[0].name, task.metric()), (1, "mean", "mse"));
    }
    // One answer a sequence: training's mean of 0 and 1 is 0.5, test is 3.
    let path = folder.write("own.npz", &npz(&[inputs(), targets(&[4]), split()]));
    let task = built("dataset", json!({"path": path})).unwrap();
    assert_eq!(task.references()[0].value, 6.25);
    let task = built("dataset", json!({"path": path, "tolerance": 3.0})).unwrap();
    let references = task.references();
    assert_eq!((references[0].name, references[0].metric, references[0].value), ("chance", "accuracy", 1.0));
    assert_eq!((references[1].name, task.metric()), ("mean", "accuracy"));
}

#[test]
fn senseless_arrays_are_refused_with_file_array_place_and_remedy() {
    let folder = Folder::new("senseless");
    let ten = || whole(&[10, 2], [0, 1].repeat(10));
    let classes = || whole(&[10], [0, 1].repeat(5));
    let steps = || whole(&[10, 2], [0, 1].repeat(10));
    let base = || vec![("inputs", ten()), ("targets", classes())];
    let with = |name, array| [base(), vec![(name, array)]].concat();
    let put = |name, array| {
        let kept = base().into_iter().filter(|(own, _)| *own != name);
        kept.chain([(name, array)]).collect::<Vec<_>>()
    };
    let mut negative = [0i64, 1].repeat(10);
    negative[7] = -1;
    let mut nan = [0.0f32; 20];
    nan[7] = f32::NAN;
    let cases = [
        (vec![("inputs", ten())], "array `targets` is missing"),
        (vec![("targets", classes())], "array `inputs` is missing"),
        (with("lenghts", classes()), "array `lenghts` means nothing here; did you mean `lengths`?"),
        (put("inputs", whole(&[10], [0; 10])), "array `inputs` has shape [10]; give [n, time]"),
        (put("inputs", whole(&[10, 1, 2], [0; 20])), "numpy.float32"),
        (put("inputs", whole(&[10, 2], negative.clone())), "array `inputs` is -1 at [3, 1]"),
        (put("inputs", whole(&[10, 2], [1 << 40; 20])), "array `inputs` is 1099511627776 at [0, 0]"),
        (put("inputs", real(&[10, 2], nan)), "array `inputs` is NaN at [3, 1]"),
        (put("inputs", real(&[10, 1, 2], nan)), "array `inputs` is NaN at [3, 0, 1]"),
        (put("targets", whole(&[9], [0; 9])), "array `targets` has shape [9]; give whole ones"),
        (put("targets", whole(&[10], [0; 10])), "one class only"),
        (put("targets", whole(&[10, 2], negative)), "array `targets` is -1 at [3, 1]"),
        (put("targets", real(&[10], [f32::INFINITY; 10])), "array `targets` is inf at [0]"),
        (put("targets", real(&[9], [0.0; 9])), "array `targets` has shape [9]; give real ones"),
        (with("lengths", whole(&[10], [3; 10])), "array `lengths` is 3 at [0]; give 1 to 2"),
        (with("lengths", real(&[10], [1.0; 10])), "numpy.int64"),
        (with("mask", steps()), "one answer a sequence"),
        (with("split", whole(&[10], [0; 10])), "array `split` holds no 1"),
        (with("split", whole(&[10], [3; 10])), "array `split` is 3 at [0]"),
        (with("split", whole(&[2], [0; 2])), "array `split` has shape [2]; give [n] = [10]"),
        (
            vec![("inputs", whole(&[2, 1], [0, 1])), ("targets", whole(&[2], [0, 1]))],
            "array `inputs` holds 2 sequences",
        ),
    ];
    let masked = |mask: Vec<u8>| vec![("inputs", ten()), ("targets", steps()), ("mask", mask)];
    let masks = [
        (masked(whole(&[10, 2], [0; 20])), "array `mask` scores no step of [0]"),
        (masked(whole(&[10, 2], [2; 20])), "array `mask` is 2 at [0, 0]"),
        (
            [masked(whole(&[10, 2], [1; 20])), vec![("lengths", whole(&[10], [1; 10]))]].concat(),
            "array `mask` is 1 at [0, 1], behind",
        ),
    ];
    for (arrays, expected) in cases.into_iter().chain(masks) {
        let message = dataset(&folder, &arrays).err().expect(expected);
        assert!(message.starts_with("`path`: ") && message.contains("own.npz: "), "{message}");
        assert!(message.contains(expected), "{expected}: {message}");
    }
    let both = put("targets", real(&[10, 2], [0.0; 20]));
    let message = dataset(&folder, &both).err().unwrap();
    assert!(message.starts_with("`per_step` must say"), "{message}");
}

#[test]
fn damaged_files_are_refused_wherever_they_are_cut() {
    let folder = Folder::new("damaged");
    let arrays = [("inputs", whole(&[10, 1], [0, 1].repeat(5))), ("targets", whole(&[10], [0, 1].repeat(5)))];
    let file = npz(&arrays);
    assert!(dataset(&folder, &arrays).is_ok());
    for end in 0..file.len() {
        let path = folder.write("cut.npz", &file[..end]);
        let message = built("dataset", json!({"path": path})).err().expect("a cut file");
        assert!(message.starts_with("`path`: ") && message.contains("save"), "{end}: {message}");
    }
    for (bytes, expected) in [
        (arrays[0].1.clone(), "is a single array"),
        (b"inputs,targets\n1,2\n".to_vec(), "is neither an .npz nor a .safetensors file"),
        (b"\x10\0\0\0\0\0\0\0{\"inputs\": 3}    ".to_vec(), "is a damaged safetensors file"),
    ] {
        let path = folder.write("other", &bytes);
        let message = built("dataset", json!({"path": path})).err().expect(expected);
        assert!(message.contains(expected), "{message}");
    }
}

/// A bit of any kind of file turned round: read or refused, and no panic or reservation of what a header claims.
#[test]
fn a_flipped_bit_is_no_panic() {
    let folder = Folder::new("flipped");
    let (inputs, targets) = ([0i64, 1].repeat(5), [0i64, 1].repeat(5));
    let zipped =
        npz(&[("inputs", whole(&[10, 1], inputs.clone())), ("targets", whole(&[10], targets.clone()))]);
    let header = "{\"inputs\":{\"dtype\":\"I64\",\"shape\":[10,1],\"data_offsets\":[0,80]},\
                  \"targets\":{\"dtype\":\"I64\",\"shape\":[10],\"data_offsets\":[80,160]}} ";
    let mut tensors = (header.len() as u64).to_le_bytes().to_vec();
    tensors.extend(header.as_bytes());
    tensors.extend(inputs.iter().chain(&targets).flat_map(|value| value.to_le_bytes()));
    let images: Vec<u8> = [&[0u8, 0, 8, 3, 0, 0, 0, 10, 0, 0, 0, 2, 0, 0, 0, 2][..], &[7; 40]].concat();
    let labels: Vec<u8> = [&[0u8, 0, 8, 1, 0, 0, 0, 10][..], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]].concat();
    let labels_path = folder.write("labels.idx", &labels);
    let pictures = |path: &str| {
        built("images", json!({"source": "idx", "path_images": path, "path_labels": labels_path}))
    };
    let set = |path: &str| built("dataset", json!({"path": path}));
    let kinds: [(&str, &[u8], &dyn Fn(&str) -> Result<Box<dyn Finite>, String>); 3] =
        [("own.npz", &zipped, &set), ("own.safetensors", &tensors, &set), ("images.idx", &images, &pictures)];
    for (name, bytes, read) in kinds {
        let path = folder.write(name, bytes);
        assert!(read(&path).is_ok(), "{name}: {:?}", read(&path).err());
        let mut refused = 0;
        for bit in 0..8 * bytes.len() {
            let mut bent = bytes.to_vec();
            bent[bit / 8] ^= 1 << (bit % 8);
            if let Err(message) = read(&folder.write(name, &bent)) {
                assert!(
                    message.contains(name) || message.contains("labels.idx"),
                    "{name} bit {bit}: {message}"
                );
                refused += 1;
            }
        }
        // What says how the file is laid out cannot be bent; a pixel can.
        assert!(refused > 50, "{name}: {refused} of {} refused", 8 * bytes.len());
        for end in 0..bytes.len() {
            assert!(read(&folder.write(name, &bytes[..end])).is_err(), "{name} cut to {end}");
        }
    }
}

#[test]
fn a_text_of_ones_own_must_be_long_enough_for_its_windows() {
    let folder = Folder::new("text");
    let bytes: Vec<u8> = (0..50).collect();
    let path = folder.write("own.txt", &bytes);
    let task = built("text", json!({"path": path, "length": 4})).unwrap();
    assert_eq!(SPLITS.map(|split| task.len(split)), [36, 1, 1]);
    assert_eq!((task.metric(), task.references()[0].name), ("bits_per_byte", "unigram"));
    let InputData::Tokens(tokens) = task.batch(Split::Test, &[0]).inputs.data else { panic!("symbols") };
    assert_eq!(tokens, [45, 46, 47, 48]);
    let message = built("text", json!({"path": path, "length": 5})).err().unwrap();
    assert!(message.contains("holds 50 bytes, but windows of `length` = 5 need 60"), "{message}");
    let empty = folder.write("empty.txt", &[]);
    let message = built("text", json!({"path": empty})).err().unwrap();
    assert!(message.contains("holds 0 bytes") && message.contains("need 1290"), "{message}");
    let message = built("text", json!({"path": folder.0.to_str().unwrap()})).err().unwrap();
    assert!(message.contains("is a directory"), "{message}");
}
