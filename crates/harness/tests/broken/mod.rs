//! A small recurrent architecture that keeps every contract, and the same with one thing wrong.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

pub mod tasks;

use candle_core::{DType, Tensor, Var};
use seqbench_core::architecture::{Architecture, ArchitectureInfo, Decoder, Dims, SequenceCore, StepDecoder};
use seqbench_core::{Error, Flags, Init, Params, Result, State, Stream};
use seqbench_kernels::{Activation, rnn};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};

/// What is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wrong {
    #[default]
    Nothing,
    NeverBuilds,
    SeesTheFuture,
    MixesRows,
    Forgets,
    DetachesItsState,
    IgnoresLengths,
    StepDiffers,
    DecoderDiffers,
    DecoderMiscounts,
    StateBytes,
    ParameterCount,
    CutsAGradient,
    OtherSlope,
    UnusedParameter,
    DeclaredButLearns,
    NotAFiniteGradient,
    OwnGenerator,
    SameForEverySeed,
    ByThreads,
    ShortOnly,
    PanicsAt65,
    AcceptsRankTwo,
    VagueRefusal,
    GraphInEvaluation,
    EvaluationDiffers,
    Huge,
    Runaway,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub wrong: Wrong,
}

pub struct Recurrent;

static INFO: ArchitectureInfo = ArchitectureInfo {
    name: "recurrent",
    title: "Recurrent",
    summary: "Carries one vector.",
    citation: "none, 2026",
    deviations: &[],
};

static DRAWN: AtomicU64 = AtomicU64::new(0);

impl Architecture for Recurrent {
    type Config = Config;

    fn info(&self) -> &'static ArchitectureInfo {
        &INFO
    }

    fn build(&self, config: &Config, dims: Dims, params: &Params) -> Result<Box<dyn SequenceCore>> {
        let (wrong, dim) = (config.wrong, dims.dim);
        if wrong == Wrong::NeverBuilds {
            return Err(Error::invalid("`wrong` fits no width"));
        }
        let fixed =
            |_: &mut Stream| -> Vec<f64> { (0..dim * dim).map(|i| 0.1 * libm::sin(i as f64)).collect() };
        let unseeded = |_: &mut Stream| -> Vec<f64> {
            let offset = DRAWN.fetch_add(1, Ordering::SeqCst) as f64;
            (0..dim * dim).map(|i| 0.3 * libm::sin(i as f64 + offset)).collect()
        };
        let square = match wrong {
            Wrong::OwnGenerator => Init::From(&unseeded),
            Wrong::SameForEverySeed => Init::From(&fixed),
            _ => Init::Normal { deviation: 0.3 },
        };
        let free = (wrong == Wrong::DeclaredButLearns).then_some("it is said to have none");
        let w_ih = params.get(&[dim, dim], "w_ih", &square)?;
        let w_hh = params.get(&[dim, dim], "w_hh", &square)?;
        let flags = Flags { no_decay: true, gradient_free: free };
        let b_ih = params.get_with(&[dim], "b_ih", &Init::Zeros, flags)?;
        let b_hh = params.get(&[dim], "b_hh", &Init::Zeros)?;
        if wrong == Wrong::UnusedParameter {
            params.get(&[dim], "unused", &Init::Zeros)?;
        }
        Ok(Box::new(Core { w_ih, w_hh, b_ih, b_hh, wrong, dim }))
    }

    fn parameter_count(&self, config: &Config, dim: usize) -> usize {
        let extra = match config.wrong {
            Wrong::UnusedParameter => dim,
            Wrong::ParameterCount => 1,
            _ => 0,
        };
        2 * dim * dim + 2 * dim + extra
    }

    fn state_bytes(&self, config: &Config, dim: usize, context: usize) -> usize {
        // Wrong only beyond a few tokens, as a formula that forgets a term is.
        4 * dim + usize::from(config.wrong == Wrong::StateBytes && context > 5)
    }
}

struct Core {
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor,
    b_hh: Tensor,
    wrong: Wrong,
    dim: usize,
}

impl SequenceCore for Core {
    fn forward(
        &self,
        xs: &Tensor,
        state: Option<&State>,
        lengths: Option<&[usize]>,
    ) -> Result<(Tensor, State)> {
        let wrong = self.wrong;
        let xs = if wrong == Wrong::AcceptsRankTwo && xs.rank() == 2 { &xs.unsqueeze(0)? } else { xs };
        if xs.rank() != 3 || xs.dim(2)? != self.dim {
            return Err(match wrong {
                Wrong::VagueRefusal => Error::invalid("that does not fit"),
                _ => Error::shape("recurrent: xs", xs.dims(), format!("[batch, time, {}]", self.dim)),
            });
        }
        let (batch, time, _) = xs.dims3()?;
        if wrong == Wrong::ShortOnly && time > 150 {
            return Err(Error::invalid("too long"));
        }
        assert!(!(wrong == Wrong::PanicsAt65 && time == 65), "index out of bounds");
        let fresh = Tensor::zeros((batch, self.dim), xs.dtype(), xs.device())?;
        let h = match state {
            Some(state) => {
                let h = state.get("h")?;
                if h.dims() != [batch, self.dim] {
                    return Err(Error::shape("recurrent: h", h.dims(), format!("[{batch}, {}]", self.dim)));
                }
                h.clone()
            }
            None => fresh.clone(),
        };
        let h = if wrong == Wrong::Forgets { fresh } else { h };
        if lengths.is_some_and(|lengths| lengths.len() != batch) {
            return Err(Error::shape("recurrent: lengths", &[1], format!("[{batch}]")));
        }
        let lengths = if wrong == Wrong::IgnoresLengths { None } else { lengths };
        let w_hh = if wrong == Wrong::CutsAGradient { self.w_hh.detach() } else { self.w_hh.clone() };
        let (ys, h) = rnn(xs, &self.w_ih, &w_hh, &self.b_ih, &self.b_hh, &h, lengths, Activation::Tanh)?;
        let ys = self.spoil(ys, xs)?;
        let h = if wrong == Wrong::DetachesItsState { h.detach() } else { h };
        Ok((ys, State::empty().with("h", h)))
    }

    fn initial_state(&self, batch: usize) -> Result<State> {
        let h = Tensor::zeros((batch, self.dim), self.w_hh.dtype(), self.w_hh.device())?;
        Ok(State::empty().with("h", h))
    }

    fn step(&self, x: &Tensor, state: &State) -> Result<(Tensor, State)> {
        let (ys, state) = self.forward(&x.unsqueeze(1)?, Some(state), None)?;
        let ys = ys.squeeze(1)?;
        Ok((if self.wrong == Wrong::StepDiffers { (ys * 1.01)? } else { ys }, state))
    }

    fn decoder(&self, batch: usize, _: usize) -> Result<Box<dyn Decoder + '_>> {
        Ok(Box::new(Decoding { steps: StepDecoder::new(self, batch, self.dim)?, wrong: self.wrong }))
    }
}

impl Core {
    fn spoil(&self, ys: Tensor, xs: &Tensor) -> Result<Tensor> {
        let zero = || -> Result<Tensor> { Ok((ys.sum_all()?.detach() * 0.0)?) };
        Ok(match self.wrong {
            Wrong::SeesTheFuture => ys.broadcast_add(&xs.mean_keepdim(1)?)?,
            Wrong::MixesRows => ys.broadcast_add(&xs.mean_keepdim(0)?)?,
            Wrong::ByThreads => (ys * (1.0 + 1e-3 * rayon::current_num_threads() as f64))?,
            Wrong::Huge => (ys * 1e3)?,
            Wrong::OtherSlope => {
                // Of no value, and yet a slope.
                let sum = self.w_hh.sum_all()?;
                ys.broadcast_add(&(&sum - sum.detach())?)?
            }
            Wrong::NotAFiniteGradient => {
                // The root of zero has the slope of infinity.
                let root = (self.b_hh.sum_all()? - self.b_hh.sum_all()?.detach())?.sqrt()?;
                ys.broadcast_add(&root)?
            }
            // Every move of a parameter is punished, and no gradient says so.
            Wrong::Runaway => ys.broadcast_add(&(self.b_hh.abs()?.sum_all()?.detach() * 1e3)?)?,
            Wrong::GraphInEvaluation => {
                let leaf = Var::from_tensor(&zero()?)?;
                ys.broadcast_add(leaf.as_tensor())?
            }
            Wrong::EvaluationDiffers if !self.w_ih.track_op() => (ys * 1.1)?,
            _ => ys,
        })
    }
}

struct Decoding<'a> {
    steps: StepDecoder<'a, Core>,
    wrong: Wrong,
}

impl Decoder for Decoding<'_> {
    fn step(&mut self, x: &[f32], y: &mut [f32]) -> Result<()> {
        self.steps.step(x, y)?;
        if self.wrong == Wrong::DecoderDiffers {
            y.iter_mut().for_each(|y| *y *= 1.01);
        }
        Ok(())
    }

    fn load(&mut self, state: &State) -> Result<()> {
        self.steps.load(&state.to_dtype(DType::F32)?)
    }

    fn state_bytes(&self) -> usize {
        self.steps.state_bytes() + usize::from(self.wrong == Wrong::DecoderMiscounts)
    }
}
