//! Values and gradients against PyTorch's own, made by `scripts/golden/make.py` in double precision.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use candle_core::{DType, Device, Tensor, Var};
use common::{difference, leaf};
use seqbench_core::architecture::Dims;
use seqbench_core::config::Value;
use seqbench_core::parameter::Params;
use seqbench_core::state::State;
use serde_json::Value as Json;

const FILES: [&str; 5] = [
    include_str!("golden/rnn.json"),
    include_str!("golden/lstm.json"),
    include_str!("golden/gru.json"),
    include_str!("golden/mamba.json"),
    include_str!("golden/transformer.json"),
];

fn tensor(packed: &Json) -> Tensor {
    let shape: Vec<usize> = serde_json::from_value(packed["shape"].clone()).unwrap();
    let values: Vec<f64> = serde_json::from_value(packed["values"].clone()).unwrap();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn assert_close(found: &Tensor, expected: &Json, label: &str) {
    let error = difference(&tensor(expected), found);
    assert!(error < 1e-12, "{label} differs by {error}");
}

#[test]
fn values_and_gradients_are_those_of_pytorch() {
    let mut cases = 0;
    for file in FILES {
        let file: Json = serde_json::from_str(file).unwrap();
        let name = file["architecture"].as_str().unwrap();
        let architectures = seqbench_models::builtin();
        let architecture = architectures.iter().find(|entry| entry.info().name == name).unwrap();
        for case in file["cases"].as_array().unwrap() {
            let label = format!("{name} {}", case["name"]);
            let configured = architecture.configure(&Value::from_json(&case["config"])).unwrap();
            check(&*configured, case, &label);
            cases += 1;
        }
    }
    assert_eq!(cases, 8);
}

fn check(configured: &dyn seqbench_core::architecture::ConfiguredCore, case: &Json, label: &str) {
    let dims = Dims { dim: case["dim"].as_u64().unwrap() as usize, horizon: 5 };
    let fresh = Params::fresh(0, DType::F64, &Device::Cpu);
    configured.build(dims, &fresh).unwrap();
    let store = fresh.store();
    let given = case["parameters"].as_object().unwrap();
    assert_eq!(given.len(), store.len(), "{label}: PyTorch has other parameters");
    for parameter in store.iter() {
        parameter.var.set(&tensor(&given[&parameter.name])).unwrap();
    }
    let core = configured.build(dims, &Params::tracked(&store)).unwrap();

    let xs = leaf(&tensor(&case["xs"]));
    let initial = core.initial_state(xs.dims()[0]).unwrap();
    let mut state = State::empty();
    let mut leaves: Vec<(&str, Var)> = vec![("xs", xs.clone())];
    for (key, own) in initial.iter() {
        match case["state"].get(key) {
            Some(packed) => {
                let var = leaf(&tensor(packed));
                state = state.with(key, var.as_tensor().clone());
                leaves.push((key, var));
            }
            None => state = state.with(key, own.clone()),
        }
    }
    let (ys, end) = core.forward(&xs, Some(&state), None).unwrap();
    assert_close(&ys, &case["ys"], &format!("{label}: ys"));
    let cotangents = &case["cotangents"];
    let mut loss = (&ys * tensor(&cotangents["ys"])).unwrap().sum_all().unwrap();
    for (key, expected) in case["last"].as_object().unwrap() {
        let found = end.get(key).unwrap();
        assert_close(found, expected, &format!("{label}: last {key}"));
        loss = (loss + (found * tensor(&cotangents[key])).unwrap().sum_all().unwrap()).unwrap();
    }
    let gradients = loss.backward().unwrap();
    let parameters = store.iter().map(|parameter| (parameter.name.as_str(), parameter.var.clone()));
    for (key, var) in leaves.into_iter().chain(parameters) {
        let found = gradients.get(var.as_tensor()).unwrap_or_else(|| panic!("{label}: {key} is cut off"));
        assert_close(found, &case["gradients"][key], &format!("{label}: gradient of {key}"));
    }
}
