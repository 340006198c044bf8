//! What the contract and golden tests share: every registered architecture under several settings, built cores,
//! inputs from seeded streams and values read back.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use candle_core::{DType, Device, Tensor, Var};
use seqbench_core::architecture::{ConfiguredCore, Dims, SequenceCore};
use seqbench_core::config::Value;
use seqbench_core::parameter::{ParameterStore, Params};
use seqbench_core::seed::{Purpose, Stream};
use seqbench_core::state::State;
use serde_json::json;

/// Batch and time of most tests; primes unlike each other and the width.
pub(crate) const BATCH: usize = 3;
pub(crate) const TIME: usize = 7;
pub(crate) const HORIZON: usize = 29;

/// One architecture under one setting.
pub(crate) struct Entry {
    pub(crate) label: String,
    pub(crate) configured: Box<dyn ConfiguredCore>,
    /// A prime where the settings allow one.
    pub(crate) dim: usize,
}

/// Every registered architecture with its defaults (at a width they fit), and further settings of the built-in ones.
pub(crate) fn entries() -> Vec<Entry> {
    let mut entries = Vec::new();
    for architecture in seqbench_models::builtin() {
        let name = architecture.info().name;
        let further: Vec<(usize, serde_json::Value)> = match name {
            "rnn" => vec![
                (5, json!({})),
                (5, json!({"activation": "relu", "init": "identity", "bias_init": "zeros"})),
                (5, json!({"activation": "identity", "init": "gaussian", "spectral_radius": 0.9})),
                (5, json!({"init": "orthogonal", "input_init": "orthogonal"})),
            ],
            "lstm" => vec![(5, json!({})), (5, json!({"chrono": true, "init": "orthogonal"}))],
            "transformer" => vec![
                (24, json!({})),
                (12, json!({"heads": 3})),
                (12, json!({"heads": 3, "positions": "alibi"})),
                (13, json!({"heads": 1, "positions": "sinusoidal"})),
                (15, json!({"heads": 5, "positions": "none"})),
            ],
            "ssm" => vec![
                (5, json!({})),
                (5, json!({"states": 3, "radius_min": 0.3, "phase_max": 2.0})),
                (5, json!({"parameterisation": "s4d"})),
                (5, json!({"parameterisation": "s4d", "states": 2, "init": "lin"})),
                (5, json!({"parameterisation": "s4d", "states": 3, "init": "real"})),
            ],
            "gru" => vec![(5, json!({})), (7, json!({"chrono": true, "init": "orthogonal", "gain": 0.5}))],
            "mamba" => vec![
                (12, json!({})),
                (5, json!({"states": 3, "expand": 3, "convolution": 5, "dt_rank": 2})),
                (7, json!({"states": 5, "expand": 1, "convolution": 2})),
            ],
            _ => vec![(12, json!({}))],
        };
        for (dim, settings) in further {
            let configured = architecture.configure(&Value::from_json(&settings)).unwrap();
            entries.push(Entry { label: format!("{name} {settings}"), configured, dim });
        }
    }
    entries
}

impl Entry {
    pub(crate) fn store(&self, dtype: DType) -> ParameterStore {
        self.store_from(11, dtype)
    }

    pub(crate) fn store_from(&self, seed: u64, dtype: DType) -> ParameterStore {
        let params = Params::fresh(seed, dtype, &Device::Cpu);
        self.configured.build(self.dims(), &params).unwrap();
        params.store()
    }

    pub(crate) fn tracked(&self, store: &ParameterStore) -> Box<dyn SequenceCore> {
        self.configured.build(self.dims(), &Params::tracked(store)).unwrap()
    }

    /// Single precision, without a graph.
    pub(crate) fn detached(&self) -> Box<dyn SequenceCore> {
        self.configured.build(self.dims(), &Params::detached(&self.store(DType::F32))).unwrap()
    }

    pub(crate) fn dims(&self) -> Dims {
        Dims { dim: self.dim, horizon: HORIZON }
    }

    pub(crate) fn xs(&self, time: usize, dtype: DType) -> Tensor {
        normal(&[BATCH, time, self.dim], time as u64, dtype)
    }
}

/// Standard normal values from a stream of their own.
pub(crate) fn normal(shape: &[usize], seed: u64, dtype: DType) -> Tensor {
    let mut stream = Stream::new(seed, Purpose::Probe, shape.len() as u64);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| stream.normal()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

pub(crate) fn leaf(tensor: &Tensor) -> Var {
    Var::from_tensor(&tensor.copy().unwrap()).unwrap()
}

pub(crate) fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

pub(crate) fn bits(tensor: &Tensor) -> Vec<u32> {
    tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

/// Largest difference, relative to the largest value or 1.
pub(crate) fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let (a, b) = (values(a), values(b));
    let scale = a.iter().fold(1.0f64, |scale, value| scale.max(value.abs()));
    a.iter().zip(&b).fold(0.0f64, |worst, (a, b)| worst.max((a - b).abs() / scale))
}

/// The floating-point entries of a state, by name.
pub(crate) fn floats(state: &State) -> Vec<(&'static str, Tensor)> {
    let float = |tensor: &Tensor| matches!(tensor.dtype(), DType::F32 | DType::F64);
    state.iter().filter(|(_, tensor)| float(tensor)).map(|(name, tensor)| (name, tensor.clone())).collect()
}

/// Fails unless two states have the same names, shapes and, up to `tolerance`, values.
pub(crate) fn assert_states_agree(a: &State, b: &State, tolerance: f64, label: &str) {
    assert_eq!(a.iter().count(), b.iter().count(), "{label}");
    for ((name, a), (other, b)) in a.iter().zip(b.iter()) {
        assert_eq!(name, other, "{label}");
        assert!(difference(a, b) <= tolerance, "{label}: state `{name}` differs by {}", difference(a, b));
    }
}

/// Sum of all outputs and float states, each element with a weight of its own, so that no gradient cancels.
pub(crate) fn loss(ys: &Tensor, state: &State) -> Tensor {
    let weigh = |tensor: &Tensor, seed| {
        (tensor * normal(tensor.dims(), seed, tensor.dtype())).unwrap().sum_all().unwrap()
    };
    let mut total = weigh(ys, 101);
    for (index, (_, tensor)) in floats(state).iter().enumerate() {
        total = (total + weigh(tensor, 102 + index as u64)).unwrap();
    }
    total
}
