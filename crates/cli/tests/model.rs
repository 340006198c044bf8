//! `seqbench model`: the weights it writes are a model's, the numbers it computes are those of the model in training.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use predicates::prelude::*;
use predicates::str::contains;
use seqbench_core::{InputData, Params};
use seqbench_harness::checkpoint::{Checkpoint, Examples};
use seqbench_harness::model::Model;
use seqbench_harness::plan;
use seqbench_harness::spec::{ClipSpec, OptimizerSpec};
use seqbench_harness::train::Decay;
use std::path::Path;
use support::arrays::{Array, read, real, whole, write, write_arrays};
use support::{files, folder_with, seqbench, succeed};

const MODELS: [&str; 4] = ["rnn", "lstm", "transformer", "ssm"];
const VOCABULARY: usize = 11;
const WIDTH: usize = 16;

fn init(folder: &Path, model: &str, more: &[&str], output: &str) {
    let command = ["model", "init", model, "--dim", "16", "--layers", "2", "-o", output];
    succeed(folder, &[&command[..], more].concat());
}

fn forward<'a>(output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let command = [
        "model",
        "forward",
        "--checkpoint",
        "w.safetensors",
        "--input",
        "in.safetensors",
        "--output",
        output,
    ];
    [&command[..], more].concat()
}

/// `[3, 5]` symbols.
fn tokens() -> Array {
    whole(&[3, 5], &(0..15).map(|at| at * 7 % VOCABULARY as i64).collect::<Vec<_>>())
}

fn checkpoint(folder: &Path) -> Checkpoint {
    let bytes = std::fs::read(folder.join("w.safetensors")).unwrap();
    Checkpoint::from_bytes(&bytes, &seqbench::builtin()).unwrap()
}

fn examples(folder: &Path, checkpoint: &Checkpoint) -> Examples {
    Examples::read(&std::fs::read(folder.join("in.safetensors")).unwrap(), checkpoint.signature).unwrap()
}

#[test]
fn weights_are_the_same_bytes_for_the_same_seed_and_say_what_they_are_of() {
    let folder = folder_with("");
    let folder = folder.path();
    for model in MODELS {
        for (seed, output) in [("4", "a.safetensors"), ("4", "b.safetensors"), ("5", "c.safetensors")] {
            init(folder, model, &["--vocab", "11", "--seed", seed], output);
        }
        let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
        assert_eq!(bytes("a.safetensors"), bytes("b.safetensors"), "{model}");
        assert_ne!(bytes("a.safetensors"), bytes("c.safetensors"), "{model}");
        let (arrays, metadata) = read(&folder.join("a.safetensors"));
        let header: serde_json::Value = serde_json::from_str(&metadata.unwrap()["seqbench"]).unwrap();
        assert_eq!(header["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(header["model"]["layers"][1]["kind"], model);
        assert_eq!((&header["input"]["tokens"], &header["output"]["classes"]), (&11.into(), &11.into()));
        assert_eq!(arrays["encoder.weight"].shape, [VOCABULARY, WIDTH]);
        assert_eq!(arrays["readout.weight"].shape, [VOCABULARY, WIDTH]);
    }
    init(folder, "lstm", &[], "lstm.safetensors");
    let (arrays, _) = read(&folder.join("lstm.safetensors"));
    assert_eq!(arrays["layers.0.core.weight_ih_l0"].shape, [4 * WIDTH, WIDTH]);
    assert!(files(folder).keys().all(|path| !path.to_string_lossy().starts_with('.')));
}

#[test]
fn outputs_and_state_are_those_of_the_model() {
    let folder = folder_with("");
    let folder = folder.path();
    let features: Vec<f32> = (0..45).map(|at| (at as f32 * 0.7).sin()).collect();
    let kinds = [
        (&["--vocab", "11"][..], ("tokens", tokens())),
        (&["--features", "3", "--values", "2"], ("inputs", real(&[3, 5, 3], &features))),
    ];
    for model in MODELS {
        for (kind, inputs) in &kinds {
            init(folder, model, kind, "w.safetensors");
            let lengths = [3, 5, 1];
            let arrays = [inputs.clone(), ("lengths", whole(&[3], &lengths))];
            write_arrays(&folder.join("in.safetensors"), &arrays);
            succeed(folder, &forward("out.safetensors", &["--threads", "1"]));
            let (found, _) = read(&folder.join("out.safetensors"));

            let checkpoint = checkpoint(folder);
            let Checkpoint { model: spec, signature, horizon, parameters } = &checkpoint;
            let registry = seqbench::builtin();
            let params = Params::detached(parameters);
            let built = Model::build(spec, *signature, *horizon, &registry, &params).unwrap();
            let examples = examples(folder, &checkpoint);
            let lengths = lengths.map(|length| length as usize);
            let (ys, state) = built.forward(&examples.inputs, None, Some(&lengths)).unwrap();
            let same = |name: &str, tensor: Vec<f32>, shape: &[usize]| {
                assert_eq!(found[name].shape, shape, "{model} {name}");
                assert_eq!(found[name].values(), tensor, "{model} {name}");
            };
            same("hidden", ys.flatten_all().unwrap().to_vec1().unwrap(), &[3, 5, WIDTH]);
            let every: Vec<(usize, usize)> = (0..15).map(|at| (at / 5, at % 5)).collect();
            let read_out = built.read_out(&ys, &every).unwrap();
            let outputs = signature.output.width();
            same("outputs", read_out.flatten_all().unwrap().to_vec1().unwrap(), &[3, 5, outputs]);
            let mut entries = 0;
            for (layer, state) in state.layers.iter().enumerate() {
                for (name, tensor) in state.iter() {
                    entries += 1;
                    let own = &found[&format!("state.{layer}.{name}")];
                    assert_eq!(own.shape, tensor.dims());
                    if let Ok(values) = tensor.flatten_all().unwrap().to_vec1::<f32>() {
                        assert_eq!(own.values(), values, "{model} state.{layer}.{name}");
                    }
                }
            }
            assert_eq!(found.len(), 2 + entries, "{model}: {:?}", found.keys());
        }
    }
}

#[test]
fn gradients_are_those_training_applies() {
    let folder = folder_with("");
    let folder = folder.path();
    for model in MODELS {
        for peers in [&[][..], &["--as-peers"]] {
            init(folder, model, &[&["--vocab", "11"][..], peers].concat(), "w.safetensors");
            let scored = [4, -100, 2, -100, 9, -100, -100, -100, 3, -100, 0, 1, 2, 3, -100];
            let arrays = [("tokens", tokens()), ("targets", whole(&[3, 5], &scored))];
            write_arrays(&folder.join("in.safetensors"), &arrays);
            succeed(folder, &forward("out.safetensors", &["--gradients"]));
            let (found, _) = read(&folder.join("out.safetensors"));

            // Plain descent at rate 1 changes every parameter by its gradient.
            let checkpoint = checkpoint(folder);
            let mut training = plan::training(None).unwrap();
            training.spec.optimizer = OptimizerSpec::Sgd { momentum: 0.0, weight_decay: 0.0 };
            training.spec.clip = ClipSpec::None;
            training.rate = 1.0;
            let registry = seqbench::builtin();
            let mut trainer = checkpoint.trainer(&training, Decay::Flagged, &registry).unwrap();
            let examples = examples(folder, &checkpoint);
            let report = trainer.step(&examples.batch().unwrap(), 0).unwrap();
            assert_eq!(found["loss"].values(), [report.loss as f32], "{model}");
            let flat = |parameter: &seqbench_core::Parameter| {
                parameter.var.flatten_all().unwrap().to_vec1::<f32>().unwrap()
            };
            for (before, after) in checkpoint.parameters.iter().zip(trainer.parameters().iter()) {
                let gradient = &found[&format!("grad.{}", before.name)];
                assert_eq!(gradient.shape, before.var.dims());
                for ((was, is), own) in flat(before).iter().zip(flat(after)).zip(gradient.values()) {
                    let tolerance = 1e-6 * (1.0 + was.abs());
                    assert!((was - is - own).abs() < tolerance, "{model} {}: {was} {is} {own}", before.name);
                }
            }
            // A row of the embedding has the gradient of all steps that read it.
            let InputData::Tokens(read) = &examples.inputs.data else { panic!("symbols") };
            let mut rows = vec![0.0; VOCABULARY * WIDTH];
            let encoded = &found["grad.encoded"];
            assert_eq!(encoded.shape, [3, 5, WIDTH]);
            for (token, gradient) in read.iter().zip(encoded.values().chunks(WIDTH)) {
                let row = &mut rows[*token as usize * WIDTH..][..WIDTH];
                row.iter_mut().zip(gradient).for_each(|(sum, own)| *sum += own);
            }
            for (sum, own) in rows.iter().zip(found["grad.encoder.weight"].values()) {
                assert!((sum - own).abs() < 1e-6, "{model}: {sum} {own}");
            }
            assert!(rows.iter().any(|value| value.abs() > 1e-4), "{model}: no gradient");
        }
    }
}

#[test]
fn one_array_of_numpy_is_read_as_tokens() {
    let folder = folder_with("");
    let folder = folder.path();
    init(folder, "ssm", &["--vocab", "11"], "w.safetensors");
    write_arrays(&folder.join("in.safetensors"), &[("tokens", tokens())]);
    succeed(folder, &forward("a.safetensors", &[]));
    let header = "{'descr': '<i8', 'fortran_order': False, 'shape': (3, 5), }";
    let header = format!("{header:117}\n");
    let file = [b"\x93NUMPY\x01\x00\x76\x00", header.as_bytes(), &tokens().bytes].concat();
    std::fs::write(folder.join("in.safetensors"), file).unwrap();
    succeed(folder, &forward("b.safetensors", &[]));
    let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert_eq!(bytes("a.safetensors"), bytes("b.safetensors"));
}

#[test]
fn inputs_that_do_not_fit_are_refused_with_the_reason() {
    let folder = folder_with("");
    let folder = folder.path();
    init(folder, "rnn", &["--vocab", "11"], "w.safetensors");
    let floats = real(&[3, 5], &[0.0; 15]);
    let with = |name, array| vec![("tokens", tokens()), (name, array)];
    for (arrays, message) in [
        (
            vec![("tokens", whole(&[1, 2], &[0, 11]))],
            "step 1 of sequence 0 is 11, outside the vocabulary 0..11",
        ),
        (vec![("tokens", whole(&[1, 2], &[-1, 0]))], "is -1, outside"),
        (vec![("tokens", whole(&[2], &[0, 1]))], "`tokens` holds integers [2], expected `tokens`, integers"),
        (vec![("tokens", floats.clone())], "`tokens` holds floating-point numbers [3, 5]"),
        (vec![("tokens", whole(&[0, 5], &[]))], "none of them 0"),
        (vec![("inputs", floats.clone())], "this model reads `tokens`"),
        (vec![("targets", whole(&[3], &[0; 3]))], "`tokens` is missing"),
        (with("tragets", whole(&[3], &[0; 3])), "it holds `tragets`"),
        (with("targets", whole(&[3], &[0, 1, 11])), "sequence 2 has 11, expected a class of 0..11"),
        (with("targets", whole(&[2], &[0; 2])), "expected integers [3] or [3, 5]"),
        (with("targets", floats), "expected integers [3] or [3, 5]"),
        (with("targets", whole(&[3], &[-100; 3])), "scores no step"),
        (with("lengths", whole(&[3], &[1, 2, 6])), "`lengths` has 6, expected 1 to 5"),
        (with("lengths", whole(&[2], &[1, 2])), "expected integers [3]"),
    ] {
        write_arrays(&folder.join("in.safetensors"), &arrays);
        let ended = seqbench(folder, &forward("out.safetensors", &[])).assert().code(3).stdout("");
        ended.stderr(contains(message).and(contains("error: cannot use in.safetensors")));
    }
    std::fs::write(folder.join("in.safetensors"), "no arrays").unwrap();
    let ended = seqbench(folder, &forward("out.safetensors", &[])).assert().code(3);
    ended.stderr(contains("no safetensors").and(contains("panicked").not()));
    std::fs::remove_file(folder.join("in.safetensors")).unwrap();
    seqbench(folder, &forward("out.safetensors", &[])).assert().code(3).stderr(contains("cannot read in."));
    assert!(!folder.join("out.safetensors").exists());
}

#[test]
fn checkpoints_that_are_not_the_models_are_refused_with_the_reason() {
    let folder = folder_with("");
    let folder = folder.path();
    let path = folder.join("w.safetensors");
    init(folder, "lstm", &["--vocab", "11"], "w.safetensors");
    write_arrays(&folder.join("in.safetensors"), &[("tokens", tokens())]);
    let good = read(&path);
    let refused = |message: &str| {
        let ended = seqbench(folder, &forward("out.safetensors", &[])).assert().code(3).stdout("");
        ended.stderr(contains(message).and(contains("error: cannot use w.safetensors")));
    };
    let weight = "layers.1.core.weight_hh_l0";
    let changed = |change: &dyn Fn(&mut support::arrays::Content), message: &str| {
        let mut content = good.clone();
        change(&mut content);
        write(&path, &content);
        refused(message);
    };
    changed(
        &|content| {
            let moved = content.0.remove(weight).unwrap();
            content.0.insert("encoder.wieght".to_owned(), moved);
        },
        "no parameter `encoder.wieght`",
    );
    changed(
        &|content| {
            content.0.remove("readout.bias");
        },
        "the parameter `readout.bias` is missing",
    );
    changed(&|content| content.0.get_mut(weight).unwrap().shape.reverse(), "got shape [16, 64]");
    changed(
        &|content| {
            let array = content.0.get_mut(weight).unwrap();
            (array.dtype, array.shape[0]) = (safetensors::Dtype::F64, array.shape[0] / 2);
        },
        "numbers, its model has",
    );
    changed(
        &|content| {
            let array = content.0.get_mut(weight).unwrap();
            array.dtype = safetensors::Dtype::F64;
            array.bytes = array.bytes.repeat(2);
        },
        "is F64, expected F32",
    );
    changed(&|content| content.1 = None, "there is no model in it");
    changed(
        &|content| {
            let header = content.1.as_mut().unwrap().get_mut("seqbench").unwrap();
            *header = header.replace("\"lstm\"", "\"lsmt\"");
        },
        "unknown architecture `lsmt`",
    );
    changed(
        &|content| {
            let header = content.1.as_mut().unwrap().get_mut("seqbench").unwrap();
            *header = header.replace("\"width\":16", "\"width\":60000");
        },
        "numbers, its model has",
    );
    changed(
        &|content| {
            let header = content.1.as_mut().unwrap().get_mut("seqbench").unwrap();
            *header = header.replace("\"width\"", "\"breadth\"");
        },
        "the model in its metadata cannot be read",
    );
    std::fs::write(&path, [0xff; 64]).unwrap();
    refused("no safetensors");
    assert!(!folder.join("out.safetensors").exists());
}

#[test]
fn what_is_asked_wrongly_is_a_usage_error_and_writes_nothing() {
    let folder = folder_with("");
    let folder = folder.path();
    init(folder, "rnn", &["--vocab", "11"], "w.safetensors");
    write_arrays(&folder.join("in.safetensors"), &[("tokens", tokens())]);
    let before = files(folder);
    let gradients = forward("out.safetensors", &["--gradients"]);
    seqbench(folder, &gradients).assert().code(2).stderr(contains("has no `targets`"));
    for (output, message) in [
        ("w.safetensors", "the file of --checkpoint"),
        ("./in.safetensors", "the file of --input"),
        ("out.npz", "end in .safetensors"),
    ] {
        seqbench(folder, &forward(output, &[])).assert().code(2).stderr(contains(message));
    }
    for (command, message) in [
        (&["model", "init", "lsmt", "-o", "x.safetensors"][..], "did you mean `lstm`?"),
        (&["model", "init", "lstm", "--set", "gian=2", "-o", "x.safetensors"], "did you mean `gain`?"),
        (&["model", "init", "lstm", "-o", "x.bin"], "end in .safetensors"),
        (&["model", "init", "lstm"], "--output"),
        (&["model", "init", "lstm", "--vocab", "3", "--features", "3", "-o", "x.safetensors"], "--features"),
        (&["model", "intt"], "'init'"),
        (&["model"], "Usage:"),
    ] {
        seqbench(folder, command).assert().code(2).stdout("").stderr(contains(message));
    }
    let nowhere = ["model", "init", "lstm", "-o", "none/x.safetensors"];
    seqbench(folder, &nowhere).assert().code(3).stderr(contains("cannot write none/x.safetensors"));
    assert_eq!(files(folder), before);
}
