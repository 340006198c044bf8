//! Theory beside measurement, spectra and effective memory, from hand-made cells with known answers; and that each has its
//! table and figure.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cells;

use cells::{cell, profile};
use seqbench_record::{CellFiles, CurveRow, ProfileRow, SpectrumRow, TraceRow};
use seqbench_report::plot::figures;
use seqbench_report::summary::summarise;
use seqbench_report::table::{self, Format};

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-9, "{a} {b}");
}

fn of(wrt: &str, stage: &str, slope: f64, distances: &[u64]) -> Vec<ProfileRow> {
    let row =
        |d: &u64| ProfileRow { wrt: wrt.into(), stage: stage.into(), ..profile(*d, slope * *d as f64, true) };
    distances.iter().map(row).collect()
}

/// Two seeds whose gradients fall 0.1 and 0.2 decades a step, each predicted 0.01 steeper.
fn lstm() -> Vec<CellFiles> {
    [(0, -0.1), (1, -0.2)]
        .map(|(seed, slope)| {
            let mut files = cell("lstm", seed, &[]);
            files.profiles = of("state", "init", slope, &[1, 2, 4, 8]);
            files.profiles.extend(of("state:c", "init", slope, &[1, 2, 4, 8]));
            files.profiles.extend(of("theory:c:forget gates", "init", slope - 0.01, &[1, 2, 4, 8]));
            files
        })
        .into()
}

#[test]
fn a_theory_stands_beside_the_entry_it_is_about() {
    let summary = summarise(&lstm());
    assert_eq!(summary.profiles.len(), 2, "the prediction is no profile");
    let [theory] = &summary.theories[..] else { panic!("{:?}", summary.theories) };
    assert_eq!((theory.entry.as_str(), theory.theory.as_str()), ("c", "forget gates"));
    close(theory.predicted.as_ref().unwrap().decades_per_step.mean.unwrap(), -0.16);
    close(theory.measured.as_ref().unwrap().decades_per_step.mean.unwrap(), -0.15);
    close(theory.gain_gap.mean.unwrap(), 10f64.powf(-0.01) - 1.0);
    // From distance 1 to 8, at the same slope gap for both seeds.
    close(theory.largest_log10_gap.unwrap(), 0.07);
    assert!(theory.points.iter().all(|point| point.distance >= 1));
    close(theory.points[0].log10_relative.mean.unwrap(), 0.0);
}

#[test]
fn a_state_of_one_entry_and_the_input_are_found_under_their_own_names() {
    let mut files = cell("rnn", 0, &[]);
    files.profiles = of("state", "init", -0.5, &[1, 2, 3]);
    files.profiles.extend(of("theory:h:mean field", "init", -0.5, &[1, 2, 3]));
    // An input acts on its own step's output by another way: distance 0 is not compared.
    files.profiles.extend([profile(0, 3.0, true)]);
    files.profiles.extend(of("input", "init", -0.25, &[1, 2, 3]));
    files.profiles.extend(of("theory:input:attention", "init", -0.25, &[0, 1, 2, 3]));
    files.profiles.extend(of("theory:x:of nothing measured", "end", -0.25, &[1, 2, 3]));
    let summary = summarise(&[files]);
    let names: Vec<_> =
        summary.theories.iter().map(|row| (row.entry.as_str(), row.theory.as_str())).collect();
    assert_eq!(names, [("h", "mean field"), ("input", "attention")]);
    for theory in &summary.theories {
        close(theory.largest_log10_gap.unwrap(), 0.0);
        close(theory.gain_gap.mean.unwrap(), 0.0);
    }
}

#[test]
fn memory_ends_where_the_mean_first_falls_below_a_tenth() {
    let memory = |slope: f64| {
        let mut files = cell("rnn", 0, &[]);
        files.profiles = of("input", "init", slope, &[0, 1, 2, 4, 8]);
        summarise(&[files]).profiles[0].memory_steps
    };
    assert_eq!(memory(-0.3), Some((2, true)));
    assert_eq!(memory(-0.01), Some((8, false)));
    let mut files = cell("rnn", 0, &[]);
    files.profiles = vec![profile(0, f64::NEG_INFINITY, false)];
    assert_eq!(summarise(&[files]).profiles[0].memory_steps, None);
}

fn spectrum(quantity: &str, distance: u64, index: u32, re: f64, im: f64) -> SpectrumRow {
    SpectrumRow { stage: "init".into(), layer: 0, quantity: quantity.into(), distance, index, re, im }
}

#[test]
fn the_radius_is_the_largest_modulus_of_each_seed() {
    let cells: Vec<CellFiles> = [(0, 1.0), (1, 3.0)]
        .map(|(seed, scale)| {
            let mut files = cell("rnn", seed, &[]);
            files.spectra = vec![
                spectrum("eigenvalue:weight_hh_l0", 0, 0, 0.3 * scale, -0.4 * scale),
                spectrum("eigenvalue:weight_hh_l0", 0, 1, 0.1, 0.0),
                spectrum("lyapunov", 99, 0, -0.5 * scale, 0.0),
                spectrum("lyapunov", 99, 1, -4.0, 0.0),
            ];
            files
        })
        .into();
    let summary = summarise(&cells);
    assert_eq!(summary.spectra.len(), 2);
    close(summary.spectra[0].radius().mean.unwrap(), 1.0);
    let table = table::tables(&cells).into_iter().find(|table| table.name == "spectrum").unwrap();
    let csv = table.render(Format::Csv);
    let mut rows = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = rows.next().unwrap();
    let at = |name: &str| header.iter().position(|column| *column == name).unwrap();
    let largest: Vec<(String, f64)> =
        rows.map(|row| (row[at("quantity")].to_owned(), row[at("largest")].parse().unwrap())).collect();
    assert_eq!(largest.len(), 2, "{csv}");
    // Of exponents the mean of the first, −0.5 and −1.5, not of the largest in modulus.
    for (quantity, value) in largest {
        close(value, if quantity == "lyapunov" { -1.0 } else { 1.0 });
    }
}

#[test]
fn everything_the_laboratory_wrote_has_its_figure_and_no_figure_holds_what_is_no_number() {
    let mut cells = lstm();
    for files in &mut cells {
        for stage in ["init", "step-10", "end"] {
            files.profiles.extend(of("input", stage, -0.1, &[0, 1, 2, 4]));
        }
        files.spectra = vec![spectrum("pole", 0, 0, 0.5, 0.5), spectrum("singular", 1, 0, -0.1, 0.0)];
        files.spectra.push(spectrum("singular", 2, 0, -0.2, 0.0));
        for step in [10, 20] {
            let row = |metric: &str, value: f64| CurveRow { step, metric: metric.into(), value };
            files.curves.extend([row("gradient_norm_before", 7.0), row("gradient_norm_after", 1.0)]);
        }
        let trace = |signal: &str, step: u64, unit: u32, value: f64| TraceRow {
            stage: "end".into(),
            layer: 0,
            signal: signal.into(),
            step,
            unit,
            value,
        };
        files.traces = (0..4).map(|step| trace("tokens", step, 0, step as f64)).collect();
        files.traces.extend((0..4).map(|step| trace("forget", step, 0, 0.2 * step as f64)));
        files.traces.extend((0..4).map(|step| trace("attention:0", 3, step, 0.25)));
    }
    let drawn = figures(&cells);
    let names: Vec<&str> = drawn.iter().map(|figure| figure.file_name.as_str()).collect();
    for name in [
        "gradients-through-training-copying.svg",
        "norms-copying.svg",
        "spectrum-eigenvalues.svg",
        "spectrum-jacobians.svg",
        "theory-state.svg",
        "trace-lstm.svg",
    ] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    assert!(drawn.iter().all(|figure| !figure.svg.contains("NaN") && !figure.svg.contains("inf\"")));
}
