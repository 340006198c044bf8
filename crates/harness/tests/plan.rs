//! Planning over a registry of toys: refusals, overrides, expansion, labels, identities.

#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

mod refusals;
mod toy;

use proptest::prelude::*;
use refusals::{BASE, REFUSALS};
use seqbench_harness::plan::{Experiment, GroupKind, PlanError, plan};
use seqbench_harness::spec::{Block, ClipSpec, Mode, OptimizerSpec, Rate, SeedRangeSpec, Stage};
use seqbench_record::Purpose;
use std::collections::BTreeSet;

fn try_with(text: &str, overrides: &[&str]) -> Result<Experiment, PlanError> {
    let overrides: Vec<String> = overrides.iter().map(|own| (*own).to_owned()).collect();
    plan("x", "experiments/x.toml", &text.replace("BASE", BASE), &toy::registry(), &overrides)
}

fn with(text: &str, overrides: &[&str]) -> Experiment {
    try_with(text, overrides).unwrap_or_else(|error| panic!("{error}"))
}

fn of(text: &str) -> Experiment {
    with(text, &[])
}

fn ids(experiment: &Experiment) -> Vec<String> {
    experiment.cells().map(|cell| cell.id.clone()).collect()
}

#[test]
fn every_refusal_says_what_where_and_what_was_meant() {
    for (text, overrides, message, line, column, nearest) in REFUSALS {
        let Err(error) = try_with(text, overrides) else { panic!("accepted: {text}") };
        let place = error.place.as_ref().unwrap_or_else(|| panic!("no place: {text}"));
        let found =
            (error.message.as_str(), place.line, place.column, error.nearest.as_deref().unwrap_or(""));
        assert_eq!(found, (*message, *line, *column, *nearest), "{text} {overrides:?}");
        let file = if overrides.is_empty() { "experiments/x.toml" } else { "--set" };
        assert_eq!(place.file, file);
    }
}

#[test]
fn a_refusal_is_rendered_as_compilers_do() {
    let text = "# ü\n[[model]]\nkind = \"other\"\n\theds = 2\n[task]\nkind = \"echo\"\n";
    let expected = "error: unknown key `heds`\n\
                    \x20--> experiments/x.toml:4:2\n\
                    \x20 |\n\
                    4 | \theds = 2\n\
                    \x20 | \t^^^^\n\
                    \x20 = expected one of: kind, label, train, width, block, embedding_deviation, norm, mlp, layers, heads\n\
                    help: did you mean `heads`?";
    assert_eq!(try_with(text, &[]).unwrap_err().to_string(), expected);
    let expected = "error: `lag` must not be empty\n --> --set:1:11\n  |\n1 | sweep.lag=[]\n  |           ^^";
    assert_eq!(try_with("BASE", &["sweep.lag=[]"]).unwrap_err().to_string(), expected);
}

#[test]
fn defaults_are_the_documented_ones() {
    let experiment = of("BASE");
    let group = &experiment.groups[0];
    assert_eq!((experiment.groups.len(), group.trials.len(), group.finals.len()), (1, 0, 5));
    let spec = &group.finals[0].spec;
    assert_eq!((spec.model.width, spec.model.block, spec.model.mlp), (64, Block::Residual, 2.0));
    assert_eq!((spec.model.layers.len(), spec.train.steps, spec.train.batch), (1, 1000, 32));
    assert_eq!((spec.train.warmup, spec.train.final_share), (50, 0.05));
    assert_eq!((spec.train.clip, spec.train.lr.clone()), (ClipSpec::Norm(1.0), Rate::Fixed(1e-3)));
    let adamw = OptimizerSpec::Adamw { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 };
    assert_eq!(spec.train.optimizer, adamw);
    let accuracy = spec.measure.accuracy.as_ref().unwrap();
    let sizes = (accuracy.test_samples, accuracy.validation_samples, accuracy.curve_points, accuracy.solved);
    assert_eq!(sizes, (1024, 256, 20, 0.99));
    assert_eq!((&spec.measure.gradients, &spec.measure.throughput), (&None, &None));
    assert_eq!(spec.seed_range, SeedRangeSpec::Reporting);
    assert_eq!(spec.task.config, serde_json::json!({"lag": 3, "classes": 2}));
}

#[test]
fn every_key_reaches_its_cell() {
    let text = "question = \"why\"\nexpectation = \"so\"\nminutes = 1.5\n\
        [defaults]\nseeds = 1\nseed_range = \"pilot\"\nwidth = 8\nsteps = 40\nbatch = 3\nnorm = \"rms\"\n\
        [[model]]\nkind = \"toy\"\nlabel = \"mine\"\nlayers = 3\nmlp = 0\nscale = 2\ntrain.lr = 0.5\n\
        [[model]]\nlayers = [{ kind = \"toy\", groups = 2 }, { kind = \"other\" }]\nblock = \"plain\"\n\
        train = { optimizer = \"adamw\", tbptt = 4 }\n\
        [[task]]\nkind = \"echo\"\nlag = 7\n[[task]]\nkind = \"shout\"\n\
        [train]\noptimizer = \"sgd\"\nmomentum = 0.5\nschedule = \"constant\"\nwarmup = 30\nclip = \"none\"\nstop_at = 1\n\
        [measure]\ngradients = { at = [\"end\"], samples = 4 }\naccuracy = true\n";
    let experiment = of(text);
    assert_eq!((experiment.question.as_str(), experiment.minutes), ("why", Some(1.5)));
    assert_eq!(experiment.notes, ["warmup 30 is capped at 20, half of 40 steps"]);
    assert_eq!(experiment.groups.len(), 4);
    let first = &experiment.groups[0].finals[0];
    assert_eq!((first.labels.model.as_str(), first.labels.architecture.as_str()), ("mine", "toy"));
    let spec = &first.spec;
    assert_eq!((spec.model.layers.len(), spec.model.width, spec.model.mlp), (3, 8, 0.0));
    assert_eq!((spec.train.steps, spec.train.batch, spec.train.warmup), (40, 3, 20));
    assert_eq!(spec.train.lr, Rate::Fixed(0.5));
    assert_eq!(spec.train.optimizer, OptimizerSpec::Sgd { momentum: 0.5, weight_decay: 0.0 });
    assert_eq!((spec.seed_range, spec.train.clip), (SeedRangeSpec::Pilot, ClipSpec::None));
    assert_eq!(spec.measure.gradients.as_ref().unwrap().at, [Stage::End]);
    let hybrid = &experiment.groups[1].finals[0];
    assert_eq!(
        (hybrid.labels.model.as_str(), hybrid.labels.architecture.as_str()),
        ("toy+other", "toy+other")
    );
    assert_eq!((hybrid.spec.model.block, hybrid.spec.model.mlp), (Block::Plain, 0.0));
    assert_eq!(hybrid.spec.train.tbptt, Some(4));
    assert!(matches!(hybrid.spec.train.optimizer, OptimizerSpec::Adamw { .. }));
    assert_eq!(experiment.groups[2].labels.task, "shout");
}

#[test]
fn a_sweep_reaches_those_that_know_its_key() {
    let text = "[[model]]\nkind = \"toy\"\n[[model]]\nkind = \"other\"\n[[task]]\nkind = \"echo\"\n[[task]]\nkind = \"shout\"\n\
        [sweep]\nlag = [2, 4, 6]\nmodel.scale = [1.0, 0.5]\n[defaults]\nseeds = 1\n";
    let names: Vec<String> = of(text)
        .cells()
        .map(|cell| {
            let labels = &cell.labels;
            let at: Vec<String> =
                labels.coordinates.iter().map(|own| format!("{}={}", own.key, own.value)).collect();
            format!("{}/{}/{}", labels.task, labels.model, at.join(","))
        })
        .collect();
    let expected = [
        "echo/toy scale=1.0/lag=2",
        "echo/toy scale=0.5/lag=2",
        "echo/toy scale=1.0/lag=4",
        "echo/toy scale=0.5/lag=4",
        "echo/toy scale=1.0/lag=6",
        "echo/toy scale=0.5/lag=6",
        "echo/other/lag=2",
        "echo/other/lag=4",
        "echo/other/lag=6",
        "shout/toy scale=1.0/",
        "shout/toy scale=0.5/",
        "shout/other/",
    ];
    assert_eq!(names, expected);
    let text = "BASE[sweep]\ntrain.lr = [1e-2, 1e-3]\ndefaults.width = [8, 16]\n[defaults]\nseeds = 1\n";
    let specs: Vec<(Rate, usize)> =
        of(text).cells().map(|cell| (cell.spec.train.lr.clone(), cell.spec.model.width)).collect();
    let at = |rate, width| (Rate::Fixed(rate), width);
    assert_eq!(specs, [at(1e-2, 8), at(1e-2, 16), at(1e-3, 8), at(1e-3, 16)]);
}

#[test]
fn models_of_one_architecture_are_named_by_what_tells_them_apart() {
    let text = "[[model]]\nkind = \"toy\"\nwidth = 8\n[[model]]\nkind = \"toy\"\nwidth = 8\nmode = \"soft\"\n\
        [[model]]\nkind = \"toy\"\nwidth = 8\ntrain.lr = 0.1\n[task]\nkind = \"echo\"\n";
    let experiment = of(text);
    let names: Vec<&str> = experiment.groups.iter().map(|group| group.labels.model.as_str()).collect();
    assert_eq!(names, ["toy", "toy mode=soft", "toy lr=0.1"]);
}

#[test]
fn a_selection_has_trials_of_its_own_seeds_and_finals_that_keep_the_rule() {
    let text = |select: &str| {
        format!(
            "BASE[train]\nlr = {{ select = {select}, trials = 3 }}\n[measure]\naccuracy = true\ngradients = true\n"
        )
    };
    let experiment = of(&text("[1e-2, 1e-3]"));
    let group = &experiment.groups[0];
    assert_eq!((group.trials.len(), group.finals.len()), (6, 5));
    for cell in &group.trials {
        assert_eq!((cell.purpose, cell.spec.seed_range), (Purpose::Trial, SeedRangeSpec::Tuning));
        assert!(cell.spec.measure.gradients.is_none() && matches!(cell.spec.train.lr, Rate::Fixed(_)));
    }
    let rule = Rate::Select { select: vec![1e-3, 1e-2], trials: 3 };
    assert!(group.finals.iter().all(|cell| cell.spec.train.lr == rule && cell.group == group.id));
    let seeds: BTreeSet<u64> = experiment.cells().map(|cell| cell.spec.absolute_seed()).collect();
    assert_eq!(seeds.len(), 3 + 5);
    assert_eq!(ids(&experiment), ids(&of(&text("[1e-3, 1e-2]"))));
    assert_ne!(ids(&experiment)[6..], ids(&of(&text("[1e-3]")))[3..]);
}

#[test]
fn timing_groups_hold_all_models_of_one_length_and_no_sweep_over_tasks() {
    let text = "[[model]]\nkind = \"toy\"\n[[model]]\nkind = \"other\"\n[task]\nkind = \"echo\"\n\
        [sweep]\nlag = [2, 4]\nscale = [1.0, 2.0]\n[train]\nlr = { select = [1e-3] }\n\
        [measure]\naccuracy = true\nthroughput = { lengths = [64, 16], modes = [\"forward\"] }\n";
    let experiment = of(text);
    let timing: Vec<_> = experiment.groups.iter().filter(|group| group.kind == GroupKind::Timing).collect();
    assert_eq!(timing.len(), 2);
    for (group, length) in timing.iter().zip([64, 16]) {
        let names: Vec<&str> = group.finals.iter().map(|cell| cell.labels.model.as_str()).collect();
        assert_eq!(names, ["toy scale=1.0", "toy scale=2.0", "other"]);
        for cell in &group.finals {
            let throughput = cell.spec.measure.throughput.as_ref().unwrap();
            assert_eq!((throughput.length, throughput.modes.as_slice()), (length, &[Mode::Forward][..]));
            assert_eq!((cell.purpose, cell.spec.seed), (Purpose::Timing, 0));
            assert!(cell.spec.measure.accuracy.is_none() && matches!(cell.spec.train.lr, Rate::Fixed(_)));
            let keys: Vec<&str> = cell.labels.coordinates.iter().map(|own| own.key.as_str()).collect();
            assert_eq!(keys, ["mode", "length", "batch", "threads"]);
        }
    }
    // A longer training changes no timing cell.
    let timed = |experiment: &Experiment| {
        let timing = experiment.cells().filter(|cell| cell.purpose == Purpose::Timing);
        timing.map(|cell| cell.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(timed(&experiment), timed(&with(text, &["train.steps=7"])));
    assert_ne!(timed(&experiment), timed(&with(text, &["optimizer=sgd"])));
}

#[test]
fn overrides_are_the_same_as_writing_it() {
    let same = |left: &str, overrides: &[&str], right: &str| {
        assert_eq!(ids(&with(left, overrides)), ids(&of(right)), "{overrides:?}");
    };
    same("BASE", &["train.steps=20"], "BASE[train]\nsteps = 20\n");
    same("BASE", &["steps = 20", "seeds=2"], "BASE[train]\nsteps = 20\n[defaults]\nseeds = 2\n");
    same("BASE[defaults]\nsteps = 5\n", &["steps=20"], "BASE[train]\nsteps = 20\n");
    same("BASE", &["lag=9"], "BASElag = 9\n");
    same("BASE", &["task.kind=shout"], "[[model]]\nkind = \"toy\"\n[task]\nkind = \"shout\"\n");
    same("BASE", &["mode=soft"], "[[model]]\nkind = \"toy\"\nmode = \"soft\"\n[task]\nkind = \"echo\"\n");
    same("BASE", &["sweep.lag=[1, 2]"], "BASE[sweep]\nlag = [1, 2]\n");
    same("BASE[sweep]\nlag = [1, 2]\n", &["task.lag=5"], "BASE[sweep]\nlag = [5]\n");
    same(
        "BASE",
        &["lr={ select = [0.1], trials = 1 }"],
        "BASE[train]\nlr = { select = [0.1], trials = 1 }\n",
    );
    same("BASE", &["measure.gradients.samples=3"], "BASE[measure]\ngradients = { samples = 3 }\n");
    let text = "[[model]]\nkind = \"toy\"\ntrain.steps = 9\n[task]\nkind = \"echo\"\n";
    same(text, &["steps=20"], "BASE[train]\nsteps = 20\n");
    assert!(with("BASE", &["lag=9"]).text.ends_with("\n# --set lag=9\n"));
}

#[test]
fn names_labels_and_comments_enter_no_identity_and_every_value_does() {
    let text = "[[model]]\nkind = \"toy\"\n[task]\nkind = \"echo\"\n[train]\nsteps = 10\n[measure]\naccuracy = true\ngradients = true\n";
    let base: BTreeSet<String> = ids(&of(text)).into_iter().collect();
    let renamed = plan("other", "y.toml", text, &toy::registry(), &[]).unwrap();
    assert_eq!(ids(&renamed), ids(&of(text)));
    let talk = format!("# a comment\nquestion = \"?\"\nminutes = 3\n{text}max_seconds = 1e9 # another\n");
    assert_eq!(ids(&of(&talk)), ids(&of(text)));
    let labelled =
        text.replace("kind = \"toy\"\n", "kind = \"toy\"\nlabel = \"mine\"\nscale = 1\nwidth = 64\n");
    assert_eq!(ids(&of(&labelled)), ids(&of(text)));
    let changes = [
        "scale=2",
        "groups=2",
        "radius=0.5",
        "mode=soft",
        "lag=4",
        "classes=3",
        "width=32",
        "block=plain",
        "layers=2",
        "mlp=1",
        "norm=rms",
        "embedding_deviation=0.1",
        "steps=11",
        "batch=31",
        "optimizer=sgd",
        "lr=2e-3",
        "schedule=constant",
        "warmup=1",
        "final_share=0.1",
        "clip=none",
        "clip={ value = 1.0 }",
        "tbptt=3",
        "stop_at=0.9",
        "weight_decay=0.1",
        "beta1=0.8",
        "beta2=0.99",
        "epsilon=1e-7",
        "seed_range=pilot",
        "measure.accuracy.test_samples=7",
        "measure.accuracy.validation_samples=7",
        "measure.accuracy.curve_points=7",
        "measure.accuracy.solved=0.5",
        "measure.gradients.samples=7",
        "measure.gradients.max_distance=7",
        "measure.gradients.per_decade=7",
        "measure.gradients.at=[\"init\"]",
    ];
    let mut all = base.clone();
    for change in changes {
        let other = ids(&with(text, &[change]));
        assert!(other.iter().all(|id| all.insert(id.clone())), "{change}");
    }
    let more: BTreeSet<String> = ids(&with(text, &["seeds=6"])).into_iter().collect();
    assert!(more.is_superset(&base) && more.len() == base.len() + 1);
}

/// The lines of a table in an order that a permutation decides.
fn shuffled(lines: &[&str], order: &[usize]) -> String {
    let mut keyed: Vec<(usize, &str)> = order.iter().copied().zip(lines.iter().copied()).collect();
    keyed.sort_unstable();
    keyed.iter().map(|(_, line)| format!("{line}\n")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_order_of_keys_and_tables_enters_no_identity(
        order in proptest::collection::vec(0usize..1000, 6),
        sections in proptest::collection::vec(0usize..1000, 5),
    ) {
        let model = ["kind = \"toy\"", "scale = 2", "groups = 2", "width = 8", "layers = 2", "train.lr = 0.1"];
        let train = ["steps = 9", "batch = 2", "optimizer = \"sgd\"", "momentum = 0.1", "warmup = 1", "clip = \"none\""];
        let build = |order: &[usize], sections: &[usize]| {
            let parts = [
                format!("[[model]]\n{}", shuffled(&model, order)),
                format!("[train]\n{}", shuffled(&train, order)),
                format!("[task]\n{}", shuffled(&["kind = \"echo\"", "classes = 3"], order)),
                "[sweep]\nlag = [2, 4]\n".to_owned(),
                format!("[defaults]\n{}", shuffled(&["seeds = 2", "norm = \"rms\""], order)),
            ];
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            shuffled(&parts, sections)
        };
        let plain = of(&build(&[0, 1, 2, 3, 4, 5], &[0, 1, 2, 3, 4]));
        prop_assert_eq!(ids(&of(&build(&order, &sections))), ids(&plain));
    }
}

#[test]
fn widths_are_found_that_match_parameters_and_the_mlp_takes_what_is_left() {
    let text = "[[model]]\nkind = \"toy\"\ngroups = 4\nmlp = 1\n\
        [[model]]\nkind = \"other\"\nblock = \"plain\"\n[task]\nkind = \"echo\"\n[match]\nparameters = 5000\n";
    let experiment = of(text);
    let [toy, other] = [0, 1].map(|at| &experiment.groups[at].finals[0].spec.model);
    // A plain core of this toy has w² weights, beside an embedding of 2 symbols and a readout of 2 classes: w² + 4w + 2.
    assert_eq!((other.width, other.mlp), (69, 0.0));
    // With norms and an MLP as wide as the core, 3w² + 12w + 2: 40 is the nearest multiple of 4 with 5282 parameters, and
    // three hidden units of 81 each fewer leave 5039.
    assert_eq!((toy.width, toy.mlp), (40, 37.0 / 40.0));
    assert_eq!(
        experiment.notes,
        [
            "match: toy on echo: width 40, mlp 0.925, 5039 parameters (+0.8 %)",
            "match: other on echo: width 69, 5039 parameters (+0.8 %)"
        ]
    );
}

#[test]
fn a_model_may_be_what_others_are_matched_to() {
    let text = "[[model]]\nkind = \"toy\"\nwidth = 4\nblock = \"plain\"\n\
        [[model]]\nkind = \"other\"\nblock = \"plain\"\nlayers = 2\n[task]\nkind = \"echo\"\n[match]\nparameters = \"toy\"\n";
    let experiment = of(text);
    let [toy, other] = [0, 1].map(|at| &experiment.groups[at].finals[0].spec.model);
    // 4² + 4·4 + 2 = 34 against 2w² + 4w + 2: 32 at 3, 50 at 4.
    assert_eq!((toy.width, other.width), (4, 3));
    assert_eq!(
        experiment.notes,
        ["match: other on echo: width 3, 32 parameters (-5.9 %); no width comes nearer"]
    );
    // Forward, and backward at twice that: w² at each of 4 steps, and 2w for the one answer: 330 at 5, 216 at 4.
    let operations = text.replace("parameters = \"toy\"", "operations = 300");
    let experiment = of(&operations.replace("width = 4\n", ""));
    assert_eq!(experiment.groups[0].finals[0].spec.model.width, 5);
}

#[test]
fn what_a_plan_does_not_say_enters_no_identity() {
    let plain = ids(&of("BASE"));
    assert_eq!(ids(&of("BASE[train]\nanswers = \"true\"\n")), plain);
    assert_ne!(ids(&of("BASE[train]\nanswers = \"shuffled\"\n")), plain);
    assert_ne!(ids(&of("BASE[train]\ncurriculum = { from = 2 }\n")), plain);
}
