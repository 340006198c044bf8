//! Helpers of the integration tests: seeded values, comparisons, gradients, finite differences, threads and
//! instruction sets.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use candle_core::{DType, Device, Result, Shape, Tensor, Var};

/// `count` numbers in (−1, 1), the same on every machine.
pub(crate) fn values(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        ((z >> 12) as f64 + 0.5) / (1u64 << 51) as f64 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// A tensor of [`values`].
pub(crate) fn tensor(seed: u64, shape: impl Into<Shape>, dtype: DType) -> Tensor {
    let shape = shape.into();
    let values = values(seed, shape.elem_count());
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

/// A tracked tensor of [`values`].
pub(crate) fn var(seed: u64, shape: impl Into<Shape>, dtype: DType) -> Var {
    Var::from_tensor(&tensor(seed, shape, dtype)).unwrap()
}

/// All values in row-major order.
pub(crate) fn flat(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// All values as bits, which tell 0 from −0 and one NaN from another.
pub(crate) fn bits(tensor: &Tensor) -> Vec<u64> {
    flat(tensor).into_iter().map(f64::to_bits).collect()
}

/// Largest difference, relative to the largest wanted magnitude (at least 1).
pub(crate) fn assert_close(what: &str, got: &Tensor, want: &Tensor, tolerance: f64) {
    assert_eq!(got.dims(), want.dims(), "{what}: shapes");
    let (got, want) = (flat(got), flat(want));
    let scale = want.iter().fold(1.0_f64, |scale, value| scale.max(value.abs()));
    for (at, (got, want)) in got.iter().zip(&want).enumerate() {
        // Negated, so that NaN fails.
        let near = (got - want).abs() <= tolerance * scale;
        assert!(near, "{what}: element {at} is {got}, wanted {want} (scale {scale})");
    }
}

/// A scalar that weights every element of every output differently, so that each has its own gradient.
pub(crate) fn weighted(outputs: &[&Tensor]) -> Result<Tensor> {
    let mut total = None;
    for (at, output) in outputs.iter().enumerate() {
        let weights = tensor(1000 + at as u64, output.shape(), output.dtype());
        let part = (*output * weights)?.sum_all()?;
        total = Some(match total {
            None => part,
            Some(sum) => (sum + part)?,
        });
    }
    Ok(total.expect("at least one output"))
}

/// The gradients of a scalar with respect to each variable; all must exist.
pub(crate) fn gradients(loss: &Tensor, inputs: &[&Var]) -> Vec<Tensor> {
    let store = loss.backward().unwrap();
    inputs.iter().map(|input| store.get(input.as_tensor()).expect("a gradient").clone()).collect()
}

/// Compares the gradients of a scalar function with central differences, element by element, in `f64`.
pub(crate) fn assert_finite_differences(
    inputs: &[&Var],
    function: impl Fn(&[Tensor]) -> Result<Tensor>,
    tolerance: f64,
) {
    let tracked: Vec<Tensor> = inputs.iter().map(|input| input.as_tensor().clone()).collect();
    let analytic = gradients(&function(&tracked).unwrap(), inputs);
    let plain: Vec<Tensor> = tracked.iter().map(Tensor::detach).collect();
    let step = 1e-5;
    for (which, gradient) in analytic.iter().enumerate() {
        assert_eq!(gradient.dims(), plain[which].dims(), "gradient {which}: shape");
        let (base, gradient) = (flat(&plain[which]), flat(gradient));
        for at in 0..base.len() {
            let moved = |by: f64| {
                let mut values = base.clone();
                values[at] += by;
                let mut inputs = plain.clone();
                inputs[which] = Tensor::from_vec(values, plain[which].shape(), &Device::Cpu).unwrap();
                function(&inputs).unwrap().to_scalar::<f64>().unwrap()
            };
            let numeric = (moved(step) - moved(-step)) / (2.0 * step);
            let near = (numeric - gradient[at]).abs() <= tolerance * (1.0 + numeric.abs());
            assert!(near, "input {which}, element {at}: {} against {numeric}", gradient[at]);
        }
    }
}

/// Runs `work` in a pool of its own with that many threads.
pub(crate) fn on_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

/// Asserts that `work` gives the same bits on 1, 2 and 3 threads.
pub(crate) fn assert_same_on_any_threads(work: impl Fn() -> Vec<Tensor> + Sync) {
    let one = on_threads(1, || work().iter().map(bits).collect::<Vec<_>>());
    for threads in [2, 3] {
        let many = on_threads(threads, || work().iter().map(bits).collect::<Vec<_>>());
        assert_eq!(one.len(), many.len());
        for (which, (one, many)) in one.iter().zip(&many).enumerate() {
            assert!(one == many, "output {which} differs between 1 and {threads} threads");
        }
    }
}

const CHILD: &str = "SEQBENCH_TEST_CHILD";

/// Runs the calling test's `body` once in a child process for each instruction-set variant of this machine.
/// `test` is the full name of the calling test, as `cargo test` prints it.
pub(crate) fn on_every_isa(test: &str, body: impl FnOnce()) {
    use seqbench_kernels::isa::{ISA_VARIABLE, Isa, active};
    if let Some(isa) = std::env::var_os(CHILD) {
        assert_eq!(isa.to_string_lossy(), active().name());
        return body();
    }
    for isa in Isa::available() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(ISA_VARIABLE, isa.name())
            .env(CHILD, isa.name())
            .output()
            .unwrap();
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && text.contains("1 passed"), "{}: {text}", isa.name());
    }
}
