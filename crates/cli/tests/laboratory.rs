//! The gradient laboratory against closed forms, on the built-in architectures.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use seqbench_harness::cell::run_cell;
use seqbench_harness::plan::plan;
use seqbench_harness::run::Findings;
use seqbench_record::{ProfileRow, SpectrumRow};

const LAG: usize = 23;

/// One cell of a model on a fixed delay: what its probes find.
fn probe(model: &str, gradients: &str, train: &str) -> Findings {
    let text = format!(
        "question = \"?\"\nexpectation = \"!\"\nminutes = 1\n[defaults]\nseeds = 1\nwidth = 7\nblock = \"plain\"\n\
         [[model]]\n{model}\n[task]\nkind = \"delayed-recall\"\ndelay = \"fixed\"\nlag = {LAG}\n\
         [train]\nlr = 3e-3\nbatch = 5\n{train}\n[measure]\ngradients = {{ {gradients} }}\n"
    );
    let plan = plan("laboratory", "laboratory.toml", &text, &seqbench::builtin(), &[]).unwrap();
    let cell = plan.cells().next().unwrap();
    run_cell(&cell.spec, None, false, &seqbench::builtin(), &mut |_, _, _| {}).unwrap()
}

/// What parameters that went through single precision leave of a closed form.
const CLOSE: f64 = 1e-5;

const ALL: &str = "samples = 3, theory = true, jacobians = true, signals = true, trace = true";

fn at_init(model: &str) -> Findings {
    probe(model, &format!("at = [\"init\"], {ALL}"), "steps = 1")
}

/// Geometric means relative to the nearest distance: (distance, log10).
fn curve(rows: &[ProfileRow], wrt: &str) -> Vec<(usize, f64)> {
    let chosen = rows.iter().filter(|row| row.wrt == wrt);
    let curve: Vec<_> = chosen.map(|row| (row.distance as usize, row.log10_relative)).collect();
    assert!(curve.len() > 5, "no {wrt} among {:?}", rows.iter().map(|row| &row.wrt).collect::<Vec<_>>());
    curve
}

fn values(rows: &[SpectrumRow], quantity: &str, distance: u64) -> Vec<f64> {
    let chosen = rows.iter().filter(|row| row.quantity == quantity && row.distance == distance);
    chosen.map(|row| row.re).collect()
}

fn close(a: &[(usize, f64)], b: &[(usize, f64)], within: f64) {
    assert_eq!(a.len(), b.len());
    for ((distance, own), (other_distance, other)) in a.iter().zip(b) {
        assert_eq!(distance, other_distance);
        assert!((own - other).abs() < within, "distance {distance}: {own} {other}");
    }
}

#[test]
fn a_linear_orthogonal_recurrence_gains_its_radius_at_every_step() {
    for radius in [0.8f64, 1.0, 1.1] {
        let found = at_init(&format!(
            "kind = \"rnn\"\nactivation = \"identity\"\ninit = \"orthogonal\"\nspectral_radius = {radius:?}"
        ));
        let exact: Vec<_> = curve(&found.profiles, "state")
            .into_iter()
            .map(|(distance, _)| (distance, (distance - 1) as f64 * radius.log10()))
            .collect();
        for wrt in ["state", "theory:h:step Jacobians", "theory:h:mean field", "theory:h:spectral radius"] {
            // The weights are orthogonal to single precision.
            close(&curve(&found.profiles, wrt), &exact, CLOSE);
        }
        for distance in [1, 5, 24] {
            let singular = values(&found.spectra, "singular", distance);
            assert_eq!(singular.len(), 7);
            let expected = distance as f64 * radius.log10();
            assert!(
                singular.iter().all(|value| (value - expected).abs() < CLOSE),
                "{distance}: {singular:?}"
            );
        }
        let eigenvalues: Vec<&SpectrumRow> =
            found.spectra.iter().filter(|row| row.quantity == "eigenvalue:weight_hh_l0").collect();
        assert_eq!(eigenvalues.len(), 7);
        assert!(eigenvalues.iter().all(|row| (row.re.hypot(row.im) - radius).abs() < CLOSE));
        let exponents: Vec<f64> =
            found.spectra.iter().filter(|row| row.quantity == "lyapunov").map(|row| row.re).collect();
        assert_eq!(exponents.len(), 7);
        assert!(exponents.iter().all(|value| (value - radius.ln()).abs() < CLOSE), "{exponents:?}");
    }
}

/// The fused backward, cut at every distance, against step Jacobians from the definition: for each activation, a matrix
/// that is neither normal nor small.
#[test]
fn the_product_of_step_jacobians_is_what_is_measured() {
    for activation in ["tanh", "relu", "identity"] {
        let found = at_init(&format!(
            "kind = \"rnn\"\nactivation = \"{activation}\"\ninit = \"gaussian\"\nspectral_radius = 1.3\n\
             embedding_deviation = 1.0"
        ));
        close(&curve(&found.profiles, "theory:h:step Jacobians"), &curve(&found.profiles, "state"), 1e-9);
    }
}

/// Behind an exploded state the softmax is saturated: where it is right by luck, its loss is flat and says nothing.
#[test]
fn samples_whose_loss_is_flat_are_counted_and_left_out() {
    let model = "kind = \"rnn\"\nactivation = \"identity\"\ninit = \"orthogonal\"\nspectral_radius = 3.0";
    let found = probe(model, "at = [\"init\"], theory = true, samples = 64", "steps = 1");
    let flat = found.curves.iter().find(|row| row.metric == "flat_samples").map(|row| row.value).unwrap();
    assert!((1.0..32.0).contains(&flat), "{flat}");
    let exact: Vec<_> = curve(&found.profiles, "state")
        .into_iter()
        .map(|(distance, _)| (distance, (distance - 1) as f64 * 3f64.log10()))
        .collect();
    for wrt in ["state", "theory:h:step Jacobians"] {
        close(&curve(&found.profiles, wrt), &exact, CLOSE);
    }
}

#[test]
fn an_identity_recurrence_of_rectified_units_keeps_its_gradient() {
    let found = at_init("kind = \"rnn\"\nactivation = \"identity\"\ninit = \"identity\"");
    for wrt in ["state", "theory:h:step Jacobians"] {
        assert!(curve(&found.profiles, wrt).iter().all(|(_, log)| log.abs() < 1e-12));
    }
}

/// With recurrent weights of next to nothing the cell state is the only way, and its gates are open.
#[test]
fn an_lstm_with_its_forget_gates_open_keeps_the_gradient_of_its_cell() {
    let found = at_init("kind = \"lstm\"\nforget_bias = 60.0\ngain = 1e-12");
    for wrt in ["state:c", "theory:c:forget gates"] {
        assert!(curve(&found.profiles, wrt).iter().all(|(_, log)| log.abs() < 1e-9), "{wrt}");
    }
    let half = at_init("kind = \"lstm\"\nforget_bias = 0.0\ngain = 1e-12\nembedding_deviation = 1e-12");
    // Inputs of nothing too: every gate is what its bias alone makes of it, and that of the forget gate is 0.
    close(&curve(&half.profiles, "theory:c:forget gates"), &curve(&half.profiles, "state:c"), 1e-6);
    let (_, last) = *curve(&half.profiles, "state:c").last().unwrap();
    assert!((last - LAG as f64 * 0.5f64.log10()).abs() < 1e-6, "{last}");
    let gate = |found: &Findings| {
        found.curves.iter().find(|row| row.metric == "gate:layers.0:forget").map(|row| row.value).unwrap()
    };
    assert!((gate(&found) - 1.0).abs() < 1e-12 && (gate(&half) - 0.5).abs() < 1e-6);
}

#[test]
fn a_gru_whose_gates_depend_on_nothing_forgets_by_its_update_gate() {
    let found = at_init("kind = \"gru\"\ngain = 1e-12\nembedding_deviation = 1e-12");
    close(&curve(&found.profiles, "theory:h:update gates"), &curve(&found.profiles, "state"), 1e-6);
}

#[test]
fn a_diagonal_recurrence_forgets_by_the_modulus_of_each_pole() {
    let found = at_init("kind = \"ssm\"\nstates = 2\nradius_min = 0.5\nradius_max = 0.99\nphase_max = 3.0");
    close(&curve(&found.profiles, "theory:s:poles"), &curve(&found.profiles, "state"), 1e-9);
    let poles: Vec<f64> =
        found.spectra.iter().filter(|row| row.quantity == "pole").map(|row| row.re.hypot(row.im)).collect();
    assert_eq!(poles.len(), 14);
    assert!(poles.windows(2).all(|pair| pair[0] >= pair[1]));
    for distance in [1, 4, 10, 24] {
        let singular = values(&found.spectra, "singular", distance);
        // A complex state turns and shrinks: both of its parts by the same.
        let expected: Vec<f64> = poles.iter().flat_map(|pole| [distance as f64 * pole.log10(); 2]).collect();
        assert_eq!(singular.len(), expected.len());
        assert!(singular.iter().zip(&expected).all(|(own, other)| (own - other).abs() < 1e-8), "{distance}");
    }
    let exponents: Vec<f64> =
        found.spectra.iter().filter(|row| row.quantity == "lyapunov").map(|row| row.re).collect();
    let expected: Vec<f64> = poles.iter().flat_map(|pole| [pole.ln(); 2]).collect();
    assert!(exponents.iter().zip(&expected).all(|(own, other)| (own - other).abs() < 1e-9), "{exponents:?}");
}

/// The state reaches later states by its decays and in no other way: only what is read of it lies between.
#[test]
fn a_selective_recurrence_forgets_by_its_decays() {
    let found = at_init("kind = \"mamba\"\nstates = 3");
    close(&curve(&found.profiles, "theory:ssm:decays"), &curve(&found.profiles, "state:ssm"), 0.1);
    assert!(found.curves.iter().all(|row| !row.metric.starts_with("gate:")));
    assert!(found.traces.iter().any(|row| row.signal == "delta" && row.value > 0.0));
}

#[test]
fn attention_weights_of_a_query_sum_to_one_and_stand_beside_the_input() {
    let found = at_init("kind = \"transformer\"\nheads = 2\nwidth = 8");
    for query in [0, 3, LAG as u64 + 1] {
        let of = found.traces.iter().filter(|row| row.signal == "attention:0" && row.step == query);
        let weights: Vec<f64> = of.map(|row| row.value).collect();
        assert_eq!(weights.len(), query as usize + 1);
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
    let predicted = curve(&found.profiles, "theory:input:attention");
    assert_eq!(predicted.len(), curve(&found.profiles, "input").len());
    // No state of fixed size: nothing to form a Jacobian of.
    assert!(found.spectra.is_empty());
}

#[test]
fn everything_the_laboratory_measures_changes_no_bit_of_training() {
    for kind in ["rnn", "lstm", "gru", "ssm", "mamba", "transformer"] {
        let model = if kind == "transformer" {
            "kind = \"transformer\"\nwidth = 8".into()
        } else {
            format!("kind = \"{kind}\"")
        };
        let last = |found: &Findings| {
            let curve = found.curves.iter().filter(|row| row.metric == "train_loss");
            curve.map(|row| (row.step, row.value)).collect::<Vec<_>>()
        };
        let plain = probe(&model, "at = [\"end\"], samples = 3", "steps = 6");
        let probed = probe(&model, &format!("at = [\"init\", 1, 3, \"end\"], {ALL}"), "steps = 6");
        assert!(!last(&plain).is_empty());
        assert_eq!(last(&plain), last(&probed), "{kind}");
        let stages: Vec<&str> = probed.profiles.iter().map(|row| row.stage.as_str()).collect();
        assert!(["init", "step-1", "step-3", "end"].iter().all(|stage| stages.contains(stage)), "{kind}");
        let input = |found: &Findings| {
            let rows = found.profiles.iter().filter(|row| row.stage == "end" && row.wrt == "input");
            rows.map(|row| row.log10_norm).collect::<Vec<_>>()
        };
        assert_eq!(input(&plain), input(&probed), "{kind}");
    }
}

#[test]
fn saturation_counts_units_near_one_and_the_gradient_at_the_evidence_is_that_of_its_distance() {
    let found = at_init("kind = \"rnn\"\ninit = \"identity\"\ngain = 2.0\ninput_gain = 3.0");
    let value =
        |metric: &str| found.curves.iter().find(|row| row.metric == metric).map(|row| row.value).unwrap();
    let traced: Vec<f64> = found.traces.iter().filter(|row| row.signal == "h").map(|row| row.value).collect();
    assert_eq!(traced.len(), 7 * (LAG + 2));
    let saturated = traced.iter().filter(|value| value.abs() > 0.95).count() as f64;
    let share = value("saturation:layers.0:h");
    assert!(share > 0.5 && share <= 1.0, "{share}");
    // Of the first sample alone; the share is over all three.
    assert!((saturated / traced.len() as f64 - share).abs() < 0.3);
    let farthest = *curve(&found.profiles, "input").last().unwrap();
    assert_eq!(farthest.0, LAG + 1);
    assert!((value("evidence_log10_relative:layers.0") - farthest.1).abs() < 1e-5);
}

#[test]
fn a_moment_after_the_last_step_is_refused_with_its_place() {
    let text = "question = \"?\"\nexpectation = \"!\"\nminutes = 1\n[[model]]\nkind = \"rnn\"\n[task]\nkind = \"copying\"\n\
                [train]\nsteps = 10\n[measure]\ngradients = { at = [\"init\", 10] }\n";
    let error = plan("x", "x.toml", text, &seqbench::builtin(), &[]).unwrap_err().to_string();
    assert!(error.contains("step 10") && error.contains("10 steps") && error.contains("x.toml:"), "{error}");
}

#[test]
fn parts_of_the_gradient_norm_add_up_and_clipping_by_norm_ends_at_its_limit() {
    const LIMIT: f64 = 1e-3;
    let text = format!(
        "question = \"?\"\nexpectation = \"!\"\nminutes = 1\n[defaults]\nseeds = 1\nwidth = 7\n[[model]]\nkind = \"lstm\"\n\
         layers = 2\n[task]\nkind = \"copying\"\nlag = 3\n[train]\nlr = 3e-3\nsteps = 4\nbatch = 5\n\
         clip = {{ norm = {LIMIT:?} }}\n[measure]\naccuracy = {{ test_samples = 8, validation_samples = 8, \
         curve_points = 4 }}\ngradients = {{ at = [\"init\"], samples = 2, signals = true }}\n"
    );
    let plan = plan("laboratory", "laboratory.toml", &text, &seqbench::builtin(), &[]).unwrap();
    let cell = plan.cells().next().unwrap();
    let found = run_cell(&cell.spec, None, false, &seqbench::builtin(), &mut |_, _, _| {}).unwrap();
    for (name, exact) in [("gradient_norm_before", None), ("gradient_norm_after", Some(LIMIT))] {
        for step in 1..=4 {
            let at_step = found.curves.iter().filter(|row| row.step == step);
            let parts: Vec<f64> = at_step
                .clone()
                .filter(|row| row.metric.starts_with(&format!("{name}:")))
                .map(|row| row.value)
                .collect();
            let whole = at_step.clone().find(|row| row.metric == name).unwrap().value;
            // Encoder, two layers, the last norm, readout.
            assert_eq!(parts.len(), 5, "{name}");
            let joined = parts.iter().map(|part| part * part).sum::<f64>().sqrt();
            assert!((joined / whole - 1.0).abs() < 1e-9, "{name} at {step}: {joined} {whole}");
            assert!(exact.is_none_or(|exact| (whole / exact - 1.0f64).abs() < 1e-9));
        }
    }
}
