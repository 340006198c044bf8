//! All forms of an architecture are one causal function of the past, row by row.

use super::subject::{BATCH, Subject, TIME, run};
use super::tensors::{agree, bits, difference, floats, last, leaf, loss, normal, states_agree, values};
use super::{Check, Contract, Found, ensure};
use candle_core::{DType, Tensor};
use seqbench_core::{BlockNorm, ParameterStore, Result, State};
use seqbench_kernels::tape::Tape;
use seqbench_kernels::{Norm, add};

/// The contracts of this file.
pub(crate) const CONTRACTS: &[Check<Subject>] = &[
    (
        Contract {
            name: "causality",
            meaning: "an output depends on a later input: training would let the model read its answer, and decoding \
                      could not reproduce it",
        },
        causality,
    ),
    (
        Contract {
            name: "batch independence",
            meaning: "a sequence's outputs depend on which others share its batch: scores depend on the batch size, \
                      and norms of one sample's gradient mean nothing",
        },
        batch_independence,
    ),
    (
        Contract {
            name: "step is forward",
            meaning: "`step` computes another function than `forward`: what is decoded is not what was trained",
        },
        step_is_forward,
    ),
    (
        Contract {
            name: "decoder is forward",
            meaning: "the decoder computes another function than `forward`, or miscounts its state: decoding times and \
                      bytes belong to another model",
        },
        decoder_is_forward,
    ),
    (
        Contract {
            name: "chunks are the whole",
            meaning: "the returned state does not hold everything that is needed to go on: truncated back-propagation, \
                      prefill and evaluation in chunks are wrong",
        },
        chunks_are_the_whole,
    ),
    (
        Contract {
            name: "gradients cross chunks",
            meaning: "the gradient that reaches a carried state is not what the first chunk needs: state profiles and \
                      training over chunks are wrong though the values are right",
        },
        gradients_cross_chunks,
    ),
    (
        Contract {
            name: "lengths",
            meaning: "with `lengths` the returned state is not the one at each row's own end, or going on from it \
                      differs from runs without padding: ragged batches are wrong",
        },
        lengths,
    ),
    (
        Contract {
            name: "block is forward",
            meaning: "`forward_in_block` computes another function than norm, `forward` and residual: blocks of this \
                      core are another model than its decoder's",
        },
        block_is_forward,
    ),
];

fn causality(subject: &Subject) -> Found {
    let core = subject.still(DType::F32)?;
    let xs = subject.xs(TIME, DType::F32)?;
    let (ys, _) = core.forward(&xs, None, None)?;
    ensure!(ys.dims() == xs.dims(), "outputs are {:?} for inputs of {:?}", ys.dims(), xs.dims());
    for step in 1..TIME {
        let tail = (xs.narrow(1, step, TIME - step)? + 1e3)?;
        let changed = Tensor::cat(&[&xs.narrow(1, 0, step)?, &tail], 1)?;
        let (other, _) = core.forward(&changed, None, None)?;
        let same = bits(&ys.narrow(1, 0, step)?)? == bits(&other.narrow(1, 0, step)?)?;
        ensure!(same, "changing the inputs from step {step} on changes an output before it");
        ensure!(
            difference(&ys, &other)? != 0.0,
            "changing the inputs from step {step} on changes nothing at all"
        );
    }
    Ok(())
}

fn batch_independence(subject: &Subject) -> Found {
    let core = subject.still(DType::F32)?;
    let xs = subject.xs(TIME, DType::F32)?;
    let (ys, state) = core.forward(&xs, None, None)?;
    for row in 0..BATCH {
        let (alone, own) = core.forward(&xs.narrow(0, row, 1)?, None, None)?;
        ensure!(
            bits(&alone)? == bits(&ys.narrow(0, row, 1)?)?,
            "row {row} alone has other outputs than in a batch"
        );
        for ((name, own), (_, all)) in floats(&own).iter().zip(floats(&state)) {
            let same = bits(own)? == bits(&all.narrow(0, row, 1)?)?;
            ensure!(same, "row {row} alone ends in another state `{name}` than in a batch");
        }
    }
    Ok(())
}

fn step_is_forward(subject: &Subject) -> Found {
    let store = subject.store(11, DType::F64)?;
    let core = subject.tracked(&store)?;
    let (ys, end, whole) = gradients(subject, &store, &[TIME])?;
    let xs = leaf(&subject.xs(TIME, DType::F64)?)?;
    let mut state = core.initial_state(BATCH)?;
    let mut stepped = Vec::new();
    for step in 0..TIME {
        let (y, next) = core.step(&xs.narrow(1, step, 1)?.squeeze(1)?, &state)?;
        agree(&format!("output of step {step}"), &ys.narrow(1, step, 1)?.squeeze(1)?, &y, 1e-10)?;
        stepped.push(y.unsqueeze(1)?);
        state = next;
    }
    states_agree("after the last step", &end, &state, 1e-10)?;
    let found = loss(&Tensor::cat(&stepped, 1)?, &state)?.backward()?;
    for (name, variable, whole) in named(&store, xs.as_tensor(), &whole) {
        match (whole, found.get(variable)) {
            (Some(whole), Some(own)) => agree(&format!("gradient of {name}"), whole, own, 1e-8)?,
            (Some(_), None) => ensure!(false, "steps cut the gradient of {name}"),
            (None, _) => {}
        }
    }
    Ok(())
}

fn block_is_forward(subject: &Subject) -> Found {
    let store = subject.store(11, DType::F64)?;
    let core = subject.tracked(&store)?;
    let dim = subject.dim;
    let gain = leaf(&normal(&[dim], 5, DType::F64)?)?;
    let shift = leaf(&normal(&[dim], 6, DType::F64)?)?;
    for bias in [Some(shift.as_tensor()), None] {
        let stated = BlockNorm { weight: gain.as_tensor(), bias, epsilon: 1e-5 };
        let xs = leaf(&subject.xs(TIME, DType::F64)?)?;
        let tape = Tape::record()?;
        let Some((ys, end)) = core.forward_in_block(xs.as_tensor(), &stated, None, None)? else {
            return Ok(());
        };
        let found = tape.backward(&loss(&ys, &end)?)?;
        let norm = Norm { weight: stated.weight, bias, eps: stated.epsilon };
        let (own, state) = core.forward(&norm.forward(xs.as_tensor())?, None, None)?;
        let composed = add(xs.as_tensor(), &own)?;
        agree("outputs of a block", &composed, &ys, 1e-12)?;
        states_agree("at the end of a block", &state, &end, 1e-12)?;
        let parts = loss(&composed, &state)?.backward()?;
        let parameters = store.iter().map(|each| (each.name.as_str(), each.var.as_tensor()));
        let ours =
            [("xs", xs.as_tensor()), ("norm.weight", gain.as_tensor()), ("norm.bias", shift.as_tensor())];
        for (name, variable) in ours.into_iter().chain(parameters) {
            match (parts.get(variable), found.get(variable)) {
                (Some(part), Some(own)) => agree(&format!("gradient of {name} in a block"), part, own, 1e-8)?,
                (Some(_), None) => ensure!(false, "a block cuts the gradient of {name}"),
                (None, _) => {}
            }
        }
    }
    Ok(())
}

fn decoder_is_forward(subject: &Subject) -> Found {
    const PREFILL: usize = 3;
    let core = subject.still(DType::F32)?;
    let xs = subject.xs(TIME, DType::F32)?;
    let (ys, _) = core.forward(&xs, None, None)?;
    let (_, prefix) = core.forward(&xs.narrow(1, 0, PREFILL)?, None, None)?;
    let mut fresh = core.decoder(BATCH, TIME)?;
    let mut loaded = core.decoder(BATCH, TIME)?;
    loaded.load(&prefix)?;
    for step in 0..TIME {
        let x = xs.narrow(1, step, 1)?.flatten_all()?.to_vec1::<f32>()?;
        let expected = ys.narrow(1, step, 1)?.flatten_all()?;
        for (what, decoder) in [("decoding", &mut fresh), ("decoding after a prefill", &mut loaded)] {
            if step < PREFILL && what != "decoding" {
                continue;
            }
            let mut y = vec![f32::NAN; BATCH * subject.dim];
            decoder.step(&x, &mut y)?;
            let y = Tensor::from_vec(y, expected.dims(), expected.device())?;
            agree(&format!("{what}, step {step}"), &expected, &y, 1e-5)?;
        }
        let (_, live) = core.forward(&xs.narrow(1, 0, step + 1)?, None, None)?;
        let (counted, live) = (fresh.state_bytes(), live.bytes());
        ensure!(
            counted == live,
            "after {} tokens the decoder counts {counted} bytes of state, forward {live}",
            step + 1
        );
    }
    Ok(())
}

/// Outputs, end state, and gradients of xs and every parameter, after running `pieces` steps at a time.
fn gradients(
    subject: &Subject,
    store: &ParameterStore,
    pieces: &[usize],
) -> Result<(Tensor, State, Vec<Option<Tensor>>)> {
    let core = subject.tracked(store)?;
    let xs = leaf(&subject.xs(pieces.iter().sum(), DType::F64)?)?;
    let (ys, state) = run(&*core, xs.as_tensor(), core.initial_state(BATCH)?, pieces)?;
    let found = loss(&ys, &state)?.backward()?;
    let of = |tensor: &Tensor| found.get(tensor).cloned();
    let all = std::iter::once(of(xs.as_tensor())).chain(store.iter().map(|each| of(each.var.as_tensor())));
    Ok((ys, state, all.collect()))
}

/// Names, variables and known gradients, the inputs first.
fn named<'a>(
    store: &'a ParameterStore,
    xs: &'a Tensor,
    known: &'a [Option<Tensor>],
) -> impl Iterator<Item = (&'a str, &'a Tensor, Option<&'a Tensor>)> {
    let parameters = store.iter().map(|each| (each.name.as_str(), each.var.as_tensor()));
    std::iter::once(("xs", xs))
        .chain(parameters)
        .zip(known)
        .map(|((name, at), known)| (name, at, known.as_ref()))
}

fn chunks_are_the_whole(subject: &Subject) -> Found {
    let store = subject.store(11, DType::F64)?;
    let (ys, state, whole) = gradients(subject, &store, &[TIME])?;
    for pieces in [&[1; TIME][..], &[3, 4], &[5, 1, 1]] {
        let (other, end, parts) = gradients(subject, &store, pieces)?;
        agree(&format!("outputs in chunks of {pieces:?}"), &ys, &other, 1e-10)?;
        states_agree(&format!("at the end of chunks of {pieces:?}"), &state, &end, 1e-10)?;
        let names = std::iter::once("xs").chain(store.iter().map(|each| each.name.as_str()));
        for ((name, whole), part) in names.zip(&whole).zip(&parts) {
            match (whole, part) {
                (Some(whole), Some(part)) => {
                    agree(&format!("gradient of {name} in chunks of {pieces:?}"), whole, part, 1e-8)?;
                }
                (Some(_), None) => ensure!(false, "chunks of {pieces:?} cut the gradient of {name}"),
                (None, _) => {}
            }
        }
    }
    Ok(())
}

fn gradients_cross_chunks(subject: &Subject) -> Found {
    const HEAD: usize = 4;
    let core = subject.tracked(&subject.store(11, DType::F64)?)?;
    let xs = leaf(&subject.xs(TIME, DType::F64)?)?;
    let (head, tail) = (xs.narrow(1, 0, HEAD)?, xs.narrow(1, HEAD, TIME - HEAD)?.detach());
    let (ys, _) = core.forward(&xs, None, None)?;
    let whole = loss(&last(&ys)?, &State::empty())?.backward()?;
    let Some(whole) = whole.get(xs.as_tensor()) else { return Ok(()) };
    let whole = whole.narrow(1, 0, HEAD)?;
    let (_, carried) = core.forward(&head, None, None)?;
    let (leaves, variables) = carried.leaves()?;
    let (ys, _) = core.forward(&tail, Some(&leaves), None)?;
    let suffix = loss(&last(&ys)?, &State::empty())?.backward()?;
    // The chain rule across the boundary: each carried tensor times the gradient that its leaf received.
    let mut total = (xs.sum_all()? * 0.0)?;
    for ((_, tensor), (_, variable)) in floats(&carried).iter().zip(&variables) {
        if let Some(gradient) = suffix.get(variable.as_tensor()) {
            total = (total + (tensor * gradient.detach())?.sum_all()?)?;
        }
    }
    let prefix = total.backward()?;
    match prefix.get(xs.as_tensor()) {
        Some(split) => {
            agree("gradient of the first chunk's inputs", &whole, &split.narrow(1, 0, HEAD)?, 1e-8)
        }
        None => {
            ensure!(values(&whole)?.iter().all(|value| *value == 0.0), "no gradient reaches the first chunk");
            Ok(())
        }
    }
}

fn lengths(subject: &Subject) -> Found {
    const LENGTHS: [usize; BATCH] = [TIME, 2, 5];
    const SECONDS: [usize; BATCH] = [1, 4, 3];
    let store = subject.store(11, DType::F64)?;
    let core = subject.tracked(&store)?;
    let xs = leaf(&subject.xs(TIME, DType::F64)?)?;
    let more = normal(&[BATCH, 4, subject.dim], 77, DType::F64)?;
    let (_, state) = core.forward(&xs, None, Some(&LENGTHS))?;
    let (second, later) = core.forward(&more, Some(&state), Some(&SECONDS))?;
    let (third, _) = core.forward(&more, Some(&later), None)?;
    let weights = normal(third.dims(), 101, DType::F64)?;
    let (_, unmoved) = core.forward(&more, Some(&state), Some(&[0; BATCH]))?;
    // Room that no row has reached yet may hold anything, so what is compared is where they lead.
    let (here, _) = core.forward(&more, Some(&state), None)?;
    let (there, _) = core.forward(&more, Some(&unmoved), None)?;
    agree("outputs after no step of any row", &here, &there, 1e-10)?;
    let joined = (&third * &weights)?.sum_all()?.backward()?;
    let mut total = (xs.sum_all()? * 0.0)?;
    for row in 0..BATCH {
        let own =
            |tensor: &Tensor, time| -> Result<Tensor> { Ok(tensor.narrow(0, row, 1)?.narrow(1, 0, time)?) };
        let (first, middle) = (LENGTHS[row], SECONDS[row]);
        let pieces = [own(&xs, first)?, own(&more, middle)?, own(&more, 4)?];
        let (alone, _) = core.forward(&Tensor::cat(&pieces, 1)?, None, None)?;
        let what = |which: &str| format!("row {row} of {first} steps, {which} chunk after it");
        agree(&what("first"), &alone.narrow(1, first, middle)?, &own(&second, middle)?, 1e-10)?;
        let end = alone.narrow(1, first + middle, 4)?;
        agree(&what("second"), &end, &own(&third, 4)?, 1e-10)?;
        total = (total + (end * weights.narrow(0, row, 1)?)?.sum_all()?)?;
    }
    let alone = total.backward()?;
    match (joined.get(xs.as_tensor()), alone.get(xs.as_tensor())) {
        (Some(joined), Some(alone)) => agree("gradient through ragged states", alone, joined, 1e-8),
        (None, Some(alone)) => {
            ensure!(values(alone)?.iter().all(|value| *value == 0.0), "ragged states cut the gradient");
            Ok(())
        }
        _ => Ok(()),
    }
}
