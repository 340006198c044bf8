//! Keys and values of the tokens so far, of rows that may be of different lengths.

use candle_core::Tensor;
use seqbench_core::error::Result;

/// `new` `[batch, time, width]` after each row's own first `position` tokens of `kv` `[batch, context, width]`, with
/// zeros at the end of rows shorter than the longest.
pub(crate) fn append(kv: &Tensor, position: &[u32], new: &Tensor) -> Result<Tensor> {
    let (_, time, width) = new.dims3()?;
    let longest = position.iter().copied().max().unwrap_or(0) as usize;
    if position.iter().all(|position| *position as usize == longest) {
        return Ok(Tensor::cat(&[&kv.narrow(1, 0, longest)?, new], 1)?);
    }
    let mut rows = Vec::with_capacity(position.len());
    for (row, position) in position.iter().enumerate() {
        let past = *position as usize;
        let mut parts = vec![new.narrow(0, row, 1)?];
        if past > 0 {
            parts.insert(0, kv.narrow(0, row, 1)?.narrow(1, 0, past)?);
        }
        if past < longest {
            parts.push(Tensor::zeros((1, longest - past, width), new.dtype(), new.device())?);
        }
        debug_assert_eq!(parts.iter().map(|part| part.dims()[1]).sum::<usize>(), longest + time);
        rows.push(Tensor::cat(&parts, 1)?);
    }
    Ok(Tensor::cat(&rows, 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn rows_of_different_pasts_continue_at_their_own_ends() {
        let kv = Tensor::new(&[[[1f64], [2.0]], [[3.0], [99.0]]], &Device::Cpu).unwrap();
        let new = Tensor::new(&[[[5f64]], [[6.0]]], &Device::Cpu).unwrap();
        let joined = append(&kv, &[2, 1], &new).unwrap().squeeze(2).unwrap().to_vec2::<f64>().unwrap();
        assert_eq!(joined, [[1.0, 2.0, 5.0], [3.0, 6.0, 0.0]]);
        let joined = append(&kv, &[1, 1], &new).unwrap().squeeze(2).unwrap().to_vec2::<f64>().unwrap();
        assert_eq!(joined, [[1.0, 5.0], [3.0, 6.0]]);
    }
}
