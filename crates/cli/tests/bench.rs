//! `seqbench bench`: a line that stands in one table with those of other frameworks, for every architecture and mode.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use predicates::prelude::*;
use predicates::str::contains;
use support::arrays::{whole, write_arrays};
use support::{folder_with, seqbench, succeed};

const MODELS: [&str; 4] = ["rnn", "lstm", "transformer", "ssm"];
const HEADER: &str = "framework,arch,T,batch,d_model,layers,ms_median,ms_min,peak_rss_mb";
const TINY: [&str; 12] =
    ["--length", "7", "--batch", "3", "--dim", "8", "--layers", "2", "--rounds", "3", "--threads", "1"];

#[test]
fn every_architecture_and_mode_gives_one_line_of_the_shared_columns() {
    let folder = folder_with("");
    for model in MODELS {
        for mode in ["train", "forward", "decode"] {
            for peers in [&[][..], &["--as-peers"]] {
                let head = ["bench", "--header", "--model", model, "--mode", mode];
                let (text, _) = succeed(folder.path(), &[&head[..], &TINY, peers].concat());
                let lines: Vec<&str> = text.lines().collect();
                assert_eq!((lines.len(), lines[0]), (2, HEADER), "{text}");
                let fields: Vec<&str> = lines[1].split(',').collect();
                assert_eq!(fields[..6], ["seqbench", model, "7", "3", "8", "2"], "{text}");
                let number = |at: usize| fields[at].parse::<f64>().unwrap();
                let (median, least, peak) = (number(6), number(7), number(8));
                assert!(median >= least && least > 0.0 && peak > 1.0, "{text}");
                let decimals = fields[6].split_once('.').unwrap().1.len();
                assert_eq!(decimals, if mode == "decode" { 5 } else { 3 }, "{text}");
            }
        }
    }
}

#[test]
fn keys_of_a_model_are_those_of_an_experiment() {
    let folder = folder_with("");
    let bench = ["bench", "--model", "lstm"];
    let (text, _) = succeed(
        folder.path(),
        &[&bench[..], &TINY, &["--set", "block=plain", "--set", "forget_bias=2.5", "--set", "width=4"]]
            .concat(),
    );
    assert!(text.starts_with("seqbench,lstm,7,3,4,2,"), "{text}");
    for (more, message) in [
        (&["--set", "forget_bais=1"][..], "did you mean `forget_bias`?"),
        (&["--set", "block=plian"], "did you mean `plain`?"),
        (&["--set", "block=plian"], "--> --set:1:7"),
        (&["--set", "forget_bias"], "`key=value`"),
        (&["--set", "label=x"], "`label` is for the tables of an experiment"),
        (&["--set", "layers=[{kind=\"rnn\"}]"], "`layers` must be a number"),
        (&["--set", "width=0"], "`width` must be a whole number from 1"),
        (&["--set", "chrono=true", "--set", "forget_bias=1"], "give one of them"),
        (&["--features", "3"], "--features needs --classes or --values"),
        (&["--mode", "trian"], "'train'"),
        (&["--losses", "3"], "--input"),
        (&["--vocab", "1000000", "--set", "width=16384"], "the limit is"),
    ] {
        let ended = seqbench(folder.path(), &[&bench[..], &TINY, more].concat()).assert().code(2).stdout("");
        ended.stderr(contains(message));
    }
    for (model, message) in [("lsmt", "did you mean `lstm`?"), ("lsmt", "--> --model:1:1")] {
        for peers in [&[][..], &["--as-peers"]] {
            let ended = seqbench(folder.path(), &[&["bench", "--model", model], peers].concat()).assert();
            ended.code(2).stdout("").stderr(contains(message));
        }
    }
    let heads = ["bench", "--model", "transformer", "--dim", "6"];
    seqbench(folder.path(), &heads).assert().code(2).stderr(contains("`heads` is 4"));
    seqbench(folder.path(), &["bench"]).assert().code(2).stderr(contains("--model"));
}

#[test]
fn features_and_values_are_measured_too() {
    let folder = folder_with("");
    for model in MODELS {
        let command = ["bench", "--model", model, "--features", "3", "--values", "2"];
        let (text, _) = succeed(folder.path(), &[&command[..], &TINY].concat());
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

#[test]
fn losses_start_at_the_checkpoints_own_and_fall_and_are_the_same_again() {
    let folder = folder_with("");
    let tokens: Vec<i64> = (0..20).map(|at| at * 7 % 11).collect();
    let arrays = [("tokens", whole(&[4, 5], &tokens)), ("targets", whole(&[4], &[1, 5, 0, 10]))];
    write_arrays(&folder.path().join("batch.safetensors"), &arrays);
    for model in MODELS {
        let size = ["--dim", "8", "--layers", "2", "--vocab", "11", "--seed", "3", "--as-peers"];
        let init = [&["model", "init", model][..], &size, &["-o", "w.safetensors"]].concat();
        succeed(folder.path(), &init);
        let forward =
            ["model", "forward", "--checkpoint", "w.safetensors", "--input", "batch.safetensors", "-o"];
        succeed(folder.path(), &[&forward[..], &["out.safetensors"]].concat());
        let (arrays, _) = support::arrays::read(&folder.path().join("out.safetensors"));
        let first = arrays["loss"].values()[0];

        let losses = ["bench", "--losses", "6", "--input", "batch.safetensors"];
        let from_file = [&losses[..], &["--checkpoint", "w.safetensors"]].concat();
        let (text, _) = succeed(folder.path(), &from_file);
        let found: Vec<f64> = text.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(found.len(), 6, "{text}");
        assert!(text.lines().all(|line| line.replace(['.', '0'], "").len() <= 9), "{text}");
        assert_eq!((found[0] as f32).to_bits(), first.to_bits(), "{model}: {text}");
        assert!(found.windows(2).all(|pair| pair[1] < pair[0]), "{model}: {text}");
        let fresh = [&losses[..], &["--model", model], &size].concat();
        assert_eq!(succeed(folder.path(), &fresh).0, text, "{model}");
        let (timed, _) = succeed(
            folder.path(),
            &["bench", "--checkpoint", "w.safetensors", "--length", "5", "--batch", "2", "--rounds", "2"],
        );
        assert!(timed.starts_with(&format!("seqbench,{model},5,2,8,2,")), "{timed}");
    }
}

#[test]
fn a_checkpoint_is_not_made_another_model_by_options() {
    let folder = folder_with("");
    let init = ["model", "init", "rnn", "--dim", "8", "--vocab", "5", "-o", "w.safetensors"];
    succeed(folder.path(), &init);
    for (more, message) in [
        (&["--model", "lstm"][..], "--model is `lstm`"),
        (&["--dim", "9"], "--dim is 9, that of w.safetensors 8"),
        (&["--features", "5", "--classes", "5"], "--features is 5, that of w.safetensors none"),
        (&["--set", "block=plain"], "--set"),
    ] {
        let command = [&["bench", "--checkpoint", "w.safetensors"][..], more].concat();
        seqbench(folder.path(), &command).assert().code(2).stdout("").stderr(contains(message));
    }
    write_arrays(&folder.path().join("bare.safetensors"), &[("tokens", whole(&[1, 2], &[0, 4]))]);
    let losses = ["bench", "--checkpoint", "w.safetensors", "--losses", "2", "--input"];
    let bare = [&losses[..], &["bare.safetensors"]].concat();
    seqbench(folder.path(), &bare).assert().code(3).stdout("").stderr(contains("no `targets`"));
    let missing = [&losses[..], &["none.safetensors"]].concat();
    let ended = seqbench(folder.path(), &missing).assert().code(3).stdout("");
    ended.stderr(contains("cannot read none.safetensors").and(contains("panicked").not()));
}
