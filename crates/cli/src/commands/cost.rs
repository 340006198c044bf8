//! `seqbench cost`: what a model costs at a length, from formulas, before anything runs.

use crate::arguments::Cost;
use crate::failure::Outcome;
use crate::{single, terminal};
use seqbench_core::Registry;
use seqbench_harness::checkpoint::Checkpoint;
use seqbench_harness::plan;
use seqbench_harness::spec::Mode;
use seqbench_report::table::{Align, Cell, Column, Format, Table, Value, bytes, count, duration, short};

/// Bytes of a parameter in training: itself, its gradient and the optimizer's two moments, in single precision.
const TRAINED_BYTES: f64 = 16.0;

/// Prints one row a length.
pub(crate) fn run(arguments: &Cost, registry: &Registry) -> Outcome {
    let longest = arguments.length.iter().copied().max().unwrap_or(1) as usize;
    let subject = single::fresh(&arguments.model, &arguments.shape, longest, registry)?;
    let parameters = subject.checkpoint.parameters.count();
    let batch = f64::from(arguments.batch);
    let mut rows = Vec::new();
    for length in &arguments.length {
        let cost =
            plan::forecast(&subject.checkpoint.model, *length as usize, registry).map_err(single::failure)?;
        let pass = |mode| {
            let Checkpoint { model, signature, .. } = &subject.checkpoint;
            let (length, batch) = (*length as usize, arguments.batch as usize);
            plan::pass_cost(model, *signature, mode, length, batch, registry).map_err(single::failure)
        };
        let [training, forward] = [pass(Mode::Train)?.memory_bytes, pass(Mode::Forward)?.memory_bytes];
        let said = |value: f64, text: String| Cell { text, values: vec![Value::Number(value)] };
        let time = |seconds: f64| said(seconds * batch, duration(1e9 * seconds * batch));
        let operations = 2.0 * cost.multiply_adds * batch;
        let state = cost.state_bytes as f64 * batch;
        rows.push(vec![
            whole(u64::from(*length)),
            said(operations, count(operations)),
            said(3.0 * operations, count(3.0 * operations)),
            said(state, bytes(state)),
            said(forward, bytes(forward)),
            said(training, bytes(training)),
            time(cost.forward_seconds),
            time(cost.training_seconds),
            time(cost.decode_seconds),
        ]);
    }
    let model = &subject.checkpoint.model;
    let trained = TRAINED_BYTES * parameters as f64;
    let table = Table {
        name: "cost".into(),
        title: format!("What {} costs, batch {}", arguments.model, arguments.batch),
        notes: vec![
            format!(
                "{} parameters (width {}, {} layers): {} for weights, gradients and the optimizer's moments.",
                parameters,
                model.width,
                model.layers.len(),
                bytes(trained)
            ),
            "Operations: two a multiply-add in products of cores and MLPs. State: what the batch carries to its next token. \
             Memory: what the model takes above the bare program, forward with weights, states and buffers, in training with \
             gradients, moments and all that is kept for the backward pass."
                .into(),
            "Times: about, on one thread of the machine of the committed results; `bench` measures them on this one.".into(),
        ],
        columns: vec![
            column("length", None, "length"),
            column("forward ops", None, "forward_operations"),
            column("train ops", None, "training_operations"),
            column("state", None, "state_bytes"),
            column("forward memory", None, "forward_memory_bytes"),
            column("train memory", None, "training_memory_bytes"),
            column("forward", None, "forward_seconds"),
            column("train", None, "training_seconds"),
            column("decode", None, "decode_seconds"),
        ],
        rows,
    };
    terminal::print(table.render(if arguments.json { Format::Json } else { Format::Text }).trim_end());
    Ok(())
}

/// A column of one value a cell.
pub(super) fn column(name: &str, unit: Option<&str>, field: &str) -> Column {
    Column {
        name: name.into(),
        unit: unit.map(str::to_owned),
        align: Align::Right,
        shown: true,
        secondary: false,
        fields: vec![field.into()],
    }
}

pub(super) fn whole(value: u64) -> Cell {
    Cell { text: value.to_string(), values: vec![Value::Integer(value)] }
}

pub(super) fn number(value: f64) -> Cell {
    Cell { text: short(value), values: vec![Value::Number(value)] }
}
