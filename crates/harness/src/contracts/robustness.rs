//! The same bits whatever is not an input: seeds, threads; any length; and clear refusals.

use super::subject::{BATCH, Subject, TIME};
use super::tensors::{agree, bits, floats, loss, normal, values};
use super::{Check, Contract, Fault, Found, ensure};
use candle_core::DType;
use seqbench_core::State;

/// The contracts of this file.
pub(crate) const CONTRACTS: &[Check<Subject>] = &[
    (
        Contract {
            name: "seeds",
            meaning: "the initial values do not depend on the seed alone: take them from `Params`, never from a \
                      generator of your own, or runs cannot be repeated and seeds are no replicates",
        },
        seeds,
    ),
    (
        Contract {
            name: "threads",
            meaning: "the number of threads changes a bit: results depend on the machine's load, and a resumed run is \
                      not the run",
        },
        threads,
    ),
    (
        Contract {
            name: "any length",
            meaning: "some length fails, gives values that are not finite, or changes the outputs of a shorter prefix: \
                      a sweep over lengths would compare different functions",
        },
        any_length,
    ),
    (
        Contract {
            name: "wrong shapes",
            meaning: "a wrong rank, width or batch is accepted, panics, or is refused without naming a shape: a mistake \
                      in a harness or a model would surface far from its cause",
        },
        wrong_shapes,
    ),
];

fn seeds(subject: &Subject) -> Found {
    let all = |seed| -> Result<Vec<u32>, Fault> {
        let mut found = Vec::new();
        for parameter in subject.store(seed, DType::F32)?.iter() {
            found.extend(bits(parameter.var.as_tensor())?);
        }
        Ok(found)
    };
    let one = all(1)?;
    ensure!(one == all(1)?, "one seed gives two different initialisations");
    ensure!(one.is_empty() || one != all(2)?, "two seeds give the same initialisation");
    Ok(())
}

fn threads(subject: &Subject) -> Found {
    let store = subject.store(11, DType::F32)?;
    let work = || -> Result<Vec<u32>, Fault> {
        let core = subject.tracked(&store)?;
        // Long enough that kernels do split their work.
        let (ys, state) = core.forward(&subject.xs(131, DType::F32)?, None, None)?;
        let gradients = loss(&ys, &state)?.backward()?;
        let mut all = bits(&ys)?;
        for (_, tensor) in floats(&state) {
            all.extend(bits(&tensor)?);
        }
        for gradient in store.iter().filter_map(|each| gradients.get(each.var.as_tensor())) {
            all.extend(bits(gradient)?);
        }
        Ok(all)
    };
    let on = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build()?.install(work);
    let one = on(1)?;
    for threads in [2, 3] {
        ensure!(
            one == on(threads)?,
            "outputs, state or gradients on {threads} threads differ from those on one"
        );
    }
    Ok(())
}

fn any_length(subject: &Subject) -> Found {
    const LONGEST: usize = 200;
    let core = subject.still(DType::F32)?;
    let xs = subject.xs(LONGEST, DType::F32)?;
    let (longest, _) = core.forward(&xs, None, None)?;
    for time in [1, 2, 63, 65, LONGEST] {
        let (ys, _) = core.forward(&xs.narrow(1, 0, time)?, None, None)?;
        let expected = [BATCH, time, subject.dim];
        ensure!(
            ys.dims() == expected,
            "at {time} steps the outputs are {:?}, expected {expected:?}",
            ys.dims()
        );
        let finite = values(&ys)?.iter().all(|value| value.is_finite());
        ensure!(finite, "at {time} steps an output is not finite");
        agree(&format!("the first {time} of {LONGEST} steps"), &longest.narrow(1, 0, time)?, &ys, 1e-5)?;
    }
    Ok(())
}

fn wrong_shapes(subject: &Subject) -> Found {
    let core = subject.still(DType::F32)?;
    let dim = subject.dim;
    let refused = |what: &str, shape: &[usize], state: Option<&State>, lengths: Option<&[usize]>| -> Found {
        let xs = normal(shape, 0, DType::F32)?;
        let Err(error) = core.forward(&xs, state, lengths) else {
            ensure!(false, "{what} is accepted");
            return Ok(());
        };
        let message = error.to_string();
        ensure!(message.contains('['), "the refusal of {what} names no shape: {message}");
        Ok(())
    };
    refused("an input of rank 2", &[BATCH, dim], None, None)?;
    refused("an input of rank 4", &[1, BATCH, TIME, dim], None, None)?;
    refused("an input one wider", &[BATCH, TIME, dim + 1], None, None)?;
    let state = core.initial_state(BATCH + 1)?;
    // A core that remembers nothing has no batch to compare.
    if state.iter().next().is_some() {
        refused("the state of another batch", &[BATCH, TIME, dim], Some(&state), None)?;
        refused("one length for three rows", &[BATCH, TIME, dim], None, Some(&[1]))?;
    }
    let mut decoder = core.decoder(BATCH, TIME)?;
    let short = decoder.step(&vec![0.0; BATCH * dim - 1], &mut vec![0.0; BATCH * dim]);
    ensure!(short.is_err(), "a decoder takes a token that is too short");
    Ok(())
}
