//! Cells from beginning to end: what is recorded when, what a trial may see, and that nothing but the specification
//! decides.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod linear;
mod toy;

use linear::{Leaky, cell, model};
use seqbench_core::{
    Batch, Evidence, Finite, InputData, InputKind, Inputs, Instance, OutputKind, Params, Purpose, Reference,
    Registry, Result, Scored, Signature, Split, Targets, Task, TaskInfo,
};
use seqbench_harness::cell::run_cell;
use seqbench_harness::data::Data;
use seqbench_harness::inputs::windows;
use seqbench_harness::model::Model;
use seqbench_harness::run::Findings;
use seqbench_harness::spec::{
    Answers, Block, CellSpec, CurriculumSpec, GradientSpec, ModelSpec, Norm, OptimizerSpec, Rate, Stage,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::cell::RefCell;

/// A finite task of counted examples that writes down what is asked of it.
struct Spy;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SpyConfig {}

static SPY: TaskInfo = TaskInfo {
    name: "spy",
    title: "Spy",
    summary: "Say the first symbol.",
    separates: "nothing",
    citation: "none, 2026",
    deviations: &[],
    length_key: None,
    documentation: "",
};

thread_local! {
    static ASKED: RefCell<Vec<(Split, Vec<usize>)>> = const { RefCell::new(Vec::new()) };
}

impl Task for Spy {
    type Config = SpyConfig;
    fn info(&self) -> &'static TaskInfo {
        &SPY
    }
    fn build(&self, config: &SpyConfig) -> Result<Instance> {
        Ok(Instance::Finite(Box::new(config.clone())))
    }
}

const TRAIN: usize = 11;
const TEST: usize = 150;

impl Finite for SpyConfig {
    fn signature(&self) -> Signature {
        Signature { input: InputKind::Tokens(4), output: OutputKind::Classes(4) }
    }
    fn len(&self, split: Split) -> usize {
        match split {
            Split::Train => TRAIN,
            Split::Validation => 20,
            Split::Test => TEST,
        }
    }
    fn steps(&self) -> usize {
        3
    }
    fn batch(&self, split: Split, indices: &[usize]) -> Batch {
        ASKED.with_borrow_mut(|asked| asked.push((split, indices.to_vec())));
        let n = indices.len();
        let tokens: Vec<u32> = indices.iter().flat_map(|i| [i % 4, i / 4 % 4, 0].map(|t| t as u32)).collect();
        let scored = |row| Scored { row, step: 2, lag: 2, evidence: Evidence::Steps(vec![0]) };
        Batch {
            targets: Targets::Classes((0..n * 3).map(|at| tokens[at / 3 * 3]).collect()),
            inputs: Inputs { batch: n, time: 3, data: InputData::Tokens(tokens) },
            loss_mask: (0..n * 3).map(|at| at % 3 == 2).collect(),
            scored: (0..n as u32).map(scored).collect(),
            lengths: vec![3; n],
        }
    }
    fn references(&self) -> Vec<Reference> {
        vec![Reference { name: "chance", metric: "accuracy", value: 0.25 }]
    }
}

fn registry() -> Registry {
    Registry::new(&[&&Leaky], &[&toy::Echo, &Spy])
}

/// What it found, less what it took: no two runs take the same.
fn run(spec: &CellSpec, trial: bool) -> Findings {
    let mut found = run_cell(spec, None, trial, &registry(), &mut |_, _, _| {}).unwrap();
    let seconds = std::mem::take(&mut found.conditions);
    let of = |name: &str| seconds.iter().find(|row| row.name == name).map(|row| row.value);
    let solved = of("seconds_to_solve");
    assert_eq!(solved.is_some(), found.facts.contains_key("steps_to_solve"));
    assert!(solved.is_none_or(|solved| solved > 0.0 && of("training_seconds").unwrap() >= solved));
    found
}

fn asked(split: Split) -> Vec<usize> {
    ASKED.with_borrow(|asked| {
        asked.iter().filter(|(own, _)| *own == split).flat_map(|(_, indices)| indices.clone()).collect()
    })
}

fn echo() -> CellSpec {
    cell("echo", json!({"lag": 9, "classes": 4}))
}

fn steps_of(found: &Findings, metric: &str) -> Vec<u64> {
    found.curves.iter().filter(|row| row.metric == metric).map(|row| row.step).collect()
}

#[test]
fn a_curve_has_its_points_spread_evenly_and_the_last_is_the_end() {
    for (steps, points, expected) in
        [(7, 3, vec![3, 5, 7]), (7, 1, vec![7]), (4, 100, vec![1, 2, 3, 4]), (10, 4, vec![3, 5, 8, 10])]
    {
        let mut spec = echo();
        spec.train.steps = steps;
        spec.measure.accuracy.as_mut().unwrap().curve_points = points;
        let found = run(&spec, false);
        for metric in ["train_loss", "validation_accuracy", "validation_loss_nats", "learning_rate"] {
            assert_eq!(steps_of(&found, metric), expected, "{metric}");
        }
        assert_eq!(found.facts["steps_run"], steps as f64);
    }
}

#[test]
fn stopping_early_ends_the_curve_there_and_still_scores() {
    let mut spec = echo();
    spec.train.stop_at = Some(0.0);
    let found = run(&spec, false);
    assert_eq!(steps_of(&found, "train_loss"), [3]);
    assert_eq!((found.facts["steps_run"], found.facts["steps"]), (3.0, 7.0));
    assert!(found.scores.iter().any(|row| row.split == "test"));
}

#[test]
fn the_first_point_at_the_threshold_is_when_a_task_was_solved() {
    let mut spec = echo();
    spec.measure.accuracy.as_mut().unwrap().solved = 0.0;
    assert_eq!(run(&spec, false).facts["steps_to_solve"], 3.0);
    assert!(!run(&echo(), false).facts.contains_key("steps_to_solve"));
}

#[test]
fn the_same_specification_gives_the_same_findings_and_another_seed_does_not() {
    let mut spec = echo();
    spec.measure.gradients = Some(GradientSpec {
        at: vec![Stage::Init, Stage::End],
        samples: 3,
        per_decade: 8,
        ..GradientSpec::default()
    });
    let first = run(&spec, false);
    assert_eq!(first, run(&spec, false));
    spec.seed = 1;
    assert_ne!(first.curves, run(&spec, false).curves);
}

#[test]
fn the_number_of_threads_changes_no_finding() {
    let mut spec = cell("echo", json!({"lag": 30, "classes": 4}));
    // Wide enough that kernels do split their work.
    spec.model = model("leaky", &json!({"rho": 0.5}), 2, 48);
    spec.train.batch = 24;
    spec.train.lr = Rate::Fixed(3e-3);
    spec.train.optimizer =
        OptimizerSpec::Adamw { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.1 };
    spec.measure.gradients = Some(GradientSpec {
        at: vec![Stage::End],
        samples: 8,
        max_distance: None,
        per_decade: 8,
        ..GradientSpec::default()
    });
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(&spec, false))
    };
    let one = on(1);
    assert!(!one.profiles.is_empty() && !one.scores.is_empty());
    assert_eq!(one, on(2));
}

#[test]
fn a_trial_has_curves_and_never_sees_the_test_split() {
    let spec = cell("spy", json!({}));
    let trial = run(&spec, true);
    assert!(trial.scores.is_empty() && steps_of(&trial, "validation_accuracy") == [3, 5, 7]);
    assert_eq!(asked(Split::Test), Vec::<usize>::new());
    let reported = run(&spec, false);
    assert_eq!(trial.curves, reported.curves);
    assert!(!asked(Split::Test).is_empty());
}

#[test]
fn a_finite_test_split_is_scored_whole_and_once() {
    let found = run(&cell("spy", json!({})), false);
    assert_eq!(asked(Split::Test), (0..TEST).collect::<Vec<_>>());
    for metric in ["accuracy", "exact_match", "loss_nats"] {
        let row = found.scores.iter().find(|row| row.metric == metric && row.lag.is_none()).unwrap();
        assert_eq!((row.n, row.split.as_str(), row.length), (TEST as u64, "test", 3));
    }
}

#[test]
fn every_epoch_visits_each_example_once_in_an_order_of_its_own() {
    let mut spec = cell("spy", json!({}));
    // Three epochs of eleven in batches of three, which do not divide them.
    (spec.train.steps, spec.train.batch) = (11, 3);
    run(&spec, false);
    let visited = asked(Split::Train);
    assert_eq!(visited.len(), 3 * TRAIN);
    let epochs: Vec<&[usize]> = visited.chunks(TRAIN).collect();
    for epoch in &epochs {
        let mut sorted = epoch.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..TRAIN).collect::<Vec<_>>());
    }
    assert!(epochs[0] != epochs[1] && epochs[1] != epochs[2]);
}

#[test]
fn generated_tests_have_as_many_samples_as_asked_for_from_a_stream_of_their_own() {
    let found = run(&echo(), false);
    assert_eq!(found.scores.iter().find(|row| row.metric == "accuracy").unwrap().n, 70);
    let registry = registry();
    let (instance, _) = registry
        .task("echo", &None)
        .unwrap()
        .configure(&seqbench_core::config::Value::from_json(&json!({"lag": 9})))
        .unwrap();
    let Instance::Generated(task) = &instance else { panic!("echo is generated") };
    let data = seqbench_harness::data::Data::new(&instance, 0);
    let batches: Vec<Batch> = data.evaluation(Split::Test, 9, 70, None).collect();
    assert_eq!(batches.iter().map(|batch| batch.inputs.batch).collect::<Vec<_>>(), [64, 6]);
    let mut stream = seqbench_core::Stream::new(0, Purpose::Test, (9 << 32) | 1);
    assert_eq!(batches[1], task.sample(&mut stream, 6, 9));
}

#[test]
fn references_and_facts_come_with_the_findings() {
    let found = run(&echo(), false);
    assert_eq!((found.references[0].name.as_str(), found.references[0].value), ("chance", 0.25));
    let width = 6;
    let parameters = 4 * width + 2 * width * width + 2 * width + 4 * width + 4;
    assert_eq!(found.facts["parameters"], parameters as f64);
    assert_eq!(found.facts["state_bytes"], 4.0 * width as f64);
    assert_eq!((found.facts["primary_length"], found.facts["sequence_steps"]), (9.0, 10.0));
}

/// Every apparatus around a core: bare, with either norm, with an MLP, with positions.
fn apparatuses() -> Vec<ModelSpec> {
    let base = |positions: bool| model("leaky", &json!({ "positions": positions }), 2, 6);
    let residual = |mlp, norm, positions| ModelSpec { block: Block::Residual, mlp, norm, ..base(positions) };
    vec![
        base(false),
        base(true),
        residual(0.0, Norm::Layer, false),
        residual(2.0, Norm::Rms, true),
        residual(1.5, Norm::Layer, true),
    ]
}

#[test]
fn a_model_in_chunks_and_a_model_decoding_are_the_model() {
    const ROWS: usize = 3;
    const TIME: usize = 9;
    const CUT: usize = 4;
    let signature = Signature { input: InputKind::Tokens(5), output: OutputKind::Classes(4) };
    let mut stream = seqbench_core::Stream::new(0, Purpose::Probe, 0);
    let tokens: Vec<u32> = (0..ROWS * TIME).map(|_| stream.below(5) as u32).collect();
    let inputs = Inputs { batch: ROWS, time: TIME, data: InputData::Tokens(tokens) };
    for (index, spec) in apparatuses().into_iter().enumerate() {
        let params = Params::fresh(1, candle_core::DType::F32, &candle_core::Device::Cpu);
        let registry = registry();
        Model::build(&spec, signature, TIME, &registry, &params).unwrap();
        let model =
            Model::build(&spec, signature, TIME, &registry, &Params::detached(&params.store())).unwrap();
        let answers = |ys: &candle_core::Tensor, step: usize| -> Vec<f32> {
            let at: Vec<_> = (0..ROWS).map(|row| (row, step)).collect();
            model.read_out(ys, &at).unwrap().flatten_all().unwrap().to_vec1().unwrap()
        };
        let near = |what: &str, a: &[f32], b: &[f32]| {
            let apart = a.iter().zip(b).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
            assert!(a.len() == b.len() && apart < 1e-5, "apparatus {index}, {what}: {apart}");
        };
        let (whole, end) = model.forward(&inputs, None, None).unwrap();
        let (head, carried) = model.forward(&windows(&inputs, &[0; ROWS], CUT), None, None).unwrap();
        let rest = windows(&inputs, &[CUT; ROWS], TIME - CUT);
        let (tail, chunked) = model.forward(&rest, Some(&carried), None).unwrap();
        assert_eq!((&end.positions, end.bytes()), (&chunked.positions, chunked.bytes()));
        let (mut fresh, mut loaded) =
            (model.decoder(ROWS, TIME).unwrap(), model.decoder(ROWS, TIME).unwrap());
        loaded.load(&carried).unwrap();
        for step in 0..TIME {
            let expected = answers(&whole, step);
            let token = windows(&inputs, &[step; ROWS], 1);
            near("decoding", &expected, &fresh.step(&token).unwrap());
            if step < CUT {
                near("first chunk", &expected, &answers(&head, step));
            } else {
                near("second chunk", &expected, &answers(&tail, step - CUT));
                near("decoding after a prefill", &expected, &loaded.step(&token).unwrap());
            }
        }
        assert_eq!(fresh.state_bytes(), end.bytes());
        assert!(fresh.step(&rest).is_err(), "a decoder takes one step at a time");
    }
}

#[test]
fn what_is_learnt_from_true_answers_is_not_from_shuffled_ones() {
    let mut spec = cell("echo", json!({"lag": 1, "classes": 4}));
    spec.model = model("leaky", &json!({"rho": 0.5}), 1, 16);
    spec.train.steps = 300;
    spec.train.batch = 32;
    spec.train.lr = Rate::Fixed(0.03);
    spec.train.optimizer =
        OptimizerSpec::Adamw { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 };
    spec.measure.accuracy.as_mut().unwrap().test_samples = 1000;
    let accuracy = |spec: &CellSpec| {
        let found = run(spec, false);
        let mut rows = found.scores.iter();
        rows.find(|row| row.metric == "accuracy" && row.lag.is_none()).unwrap().value
    };
    let learnt = accuracy(&spec);
    spec.train.answers = Answers::Shuffled;
    let chance = accuracy(&spec);
    assert!(learnt > 0.95, "{learnt}");
    // Chance is 0.25; 1000 answers of one class in four deviate by 0.014, and a few of four classes may be favoured.
    assert!((chance - 0.25).abs() < 0.1, "{chance}");
}

#[test]
fn a_curriculum_trains_on_shorter_sequences_first_and_ends_on_the_tasks_own() {
    let mut spec = cell("echo", json!({"lag": 40, "classes": 4}));
    spec.train.curriculum = Some(CurriculumSpec { from: 4, until: 0.5 });
    let registry = registry();
    let task = registry.task("echo", &None).unwrap();
    let (instance, _) = task.configure(&seqbench_core::config::Value::from_json(&spec.task.config)).unwrap();
    let mut data = Data::new(&instance, 0);
    let times: Vec<usize> =
        (0..spec.train.steps).map(|step| data.training_batch(step, &spec.train).inputs.time).collect();
    assert_eq!(times, [5, 16, 26, 36, 41, 41, 41]);
}
