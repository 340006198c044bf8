//! What a sequence core carries from one chunk of a sequence to the next.

use crate::error::{Error, Result};
use candle_core::{DType, Tensor, Var};

/// An ordered list of named tensors, each with `batch` as its first dimension: `h`; `h` and `c`; `kv` and
/// `position`. Floating-point entries carry gradients; integer ones (positions) do not.
#[derive(Clone, Debug, Default)]
pub struct State {
    entries: Vec<(&'static str, Tensor)>,
}

impl State {
    /// A state without entries, of a core that remembers nothing.
    pub fn empty() -> Self {
        State::default()
    }

    /// The same state with one more entry at its end.
    #[must_use]
    pub fn with(mut self, name: &'static str, tensor: Tensor) -> Self {
        self.entries.push((name, tensor));
        self
    }

    /// The entry of that name.
    ///
    /// # Errors
    /// There is none: the state belongs to another architecture.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.entries.iter().find(|(own, _)| *own == name).map(|(_, tensor)| tensor).ok_or_else(|| {
            let have: Vec<_> = self.entries.iter().map(|(own, _)| *own).collect();
            Error::invalid(format!("the state has no `{name}`; it has [{}]", have.join(", ")))
        })
    }

    /// Names and tensors in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Tensor)> {
        self.entries.iter().map(|(name, tensor)| (*name, tensor))
    }

    /// Bytes of all live tensors together, over the whole batch.
    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|(_, tensor)| tensor.elem_count() * tensor.dtype().size_in_bytes()).sum()
    }

    /// The same values cut from the graph that made them: what truncated back-propagation carries on.
    #[must_use]
    pub fn detach(&self) -> Self {
        State { entries: self.entries.iter().map(|(name, tensor)| (*name, tensor.detach())).collect() }
    }

    /// The same values as fresh leaves of a new graph, and those leaves, so that a backward pass tells the
    /// gradient with respect to the carried state. Integer entries are copied and are no leaves.
    ///
    /// # Errors
    /// A tensor could not be copied.
    pub fn leaves(&self) -> Result<(Self, Vec<(&'static str, Var)>)> {
        let mut leaves = Vec::new();
        let mut entries = Vec::new();
        for (name, tensor) in &self.entries {
            if is_float(tensor) {
                let leaf = Var::from_tensor(&tensor.detach().copy()?)?;
                entries.push((*name, leaf.as_tensor().clone()));
                leaves.push((*name, leaf));
            } else {
                entries.push((*name, tensor.detach()));
            }
        }
        Ok((State { entries }, leaves))
    }

    /// The same state with floating-point entries converted, for probes in double precision.
    ///
    /// # Errors
    /// A conversion failed.
    pub fn to_dtype(&self, dtype: DType) -> Result<Self> {
        let convert = |tensor: &Tensor| -> Result<Tensor> {
            Ok(if is_float(tensor) { tensor.to_dtype(dtype)? } else { tensor.clone() })
        };
        let entries: Result<Vec<_>> =
            self.entries.iter().map(|(name, tensor)| Ok((*name, convert(tensor)?))).collect();
        Ok(State { entries: entries? })
    }
}

fn is_float(tensor: &Tensor) -> bool {
    matches!(tensor.dtype(), DType::F16 | DType::BF16 | DType::F32 | DType::F64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn bytes_are_counted_from_live_tensors() {
        let state = State::empty()
            .with("h", Tensor::zeros((3, 5), DType::F32, &Device::Cpu).unwrap())
            .with("position", Tensor::zeros(3, DType::U32, &Device::Cpu).unwrap());
        assert_eq!(state.bytes(), 3 * 5 * 4 + 3 * 4);
    }

    #[test]
    fn leaves_receive_the_gradient_and_leave_the_original_alone() {
        let h = Tensor::new(&[[1f64, 2.0]], &Device::Cpu).unwrap();
        let (state, leaves) = State::empty().with("h", h).leaves().unwrap();
        let loss = state.get("h").unwrap().sqr().unwrap().sum_all().unwrap();
        let gradients = loss.backward().unwrap();
        let gradient = gradients.get(leaves[0].1.as_tensor()).unwrap().to_vec2::<f64>().unwrap();
        assert_eq!(gradient, vec![vec![2.0, 4.0]]);
    }

    #[test]
    fn a_missing_entry_is_named_with_those_that_exist() {
        let state = State::empty().with("h", Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap());
        assert_eq!(state.get("c").unwrap_err().to_string(), "the state has no `c`; it has [h]");
    }
}
