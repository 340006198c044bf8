//! What the tests of every layer need.

use candle_core::{DType, Device, Shape, Tensor};
use seqbench_core::{Params, Purpose, Result, Stream};

pub(crate) fn fresh(dtype: DType) -> Params {
    Params::fresh(7, dtype, &Device::Cpu)
}

/// Seeded standard normal values.
pub(crate) fn inputs(shape: impl Into<Shape>, dtype: DType) -> Tensor {
    let shape = shape.into();
    let mut stream = Stream::new(11, Purpose::Probe, 0);
    let values: Vec<f64> = (0..shape.elem_count()).map(|_| stream.normal()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

pub(crate) fn flat(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Asserts names and order of the parameters, whether weight decay leaves them alone, and that a weighted sum
/// of `ys` gives each a finite gradient that is not zero.
pub(crate) fn assert_all_reached(params: &Params, ys: &Tensor, expected: &[(&str, bool)]) {
    let store = params.store();
    let found: Vec<_> = store.iter().map(|p| (p.name.as_str(), p.flags.no_decay)).collect();
    assert_eq!(found, expected);
    let weights = inputs(ys.shape(), ys.dtype());
    let gradients = (ys * weights).unwrap().sum_all().unwrap().backward().unwrap();
    for parameter in store.iter() {
        let gradient = flat(gradients.get(&parameter.var).expect("a gradient"));
        assert!(gradient.iter().all(|g| g.is_finite()), "{}", parameter.name);
        assert!(gradient.iter().any(|g| *g != 0.0), "{}", parameter.name);
    }
}

/// Asserts that parameters depend on the seed, and on nothing else.
pub(crate) fn assert_same_seed_same_bits(build: impl Fn(&Params) -> Result<()>) {
    let values = |seed| {
        let params = Params::fresh(seed, DType::F32, &Device::Cpu);
        build(&params).unwrap();
        let bits = |tensor: &Tensor| flat(tensor).into_iter().map(f64::to_bits).collect::<Vec<_>>();
        params.store().iter().map(|parameter| bits(&parameter.var)).collect::<Vec<_>>()
    };
    assert_eq!(values(3), values(3));
    assert!(values(3).iter().zip(&values(4)).all(|(a, b)| a != b));
}
