//! The in-place change of parameters, shared by all rules.
//!
//! Every element is changed by itself, so how the work is split changes no bit: small models run inline, and
//! for large ones the caller's thread enters the pool once for norm and update together. A parameter is not
//! split: a thread that waits for others while it holds a parameter's lock could be handed another that shares
//! its values.

use super::Moments;
use super::intake::{Scaling, scaled};
use crate::isa::{Arith, Kernel, dispatch};
use crate::plumbing::operand;
use crate::real::Real;
use candle_core::{CpuStorage, Device, InplaceOp2, Layout, Result, Tensor, Var, bail};
use rayon::prelude::*;
use std::cell::RefCell;

/// Elements below which a second thread costs more than it brings.
const WORTH_SPLITTING: usize = 1 << 16;
/// Whether work over so many elements goes to several threads.
pub(super) fn splits(elements: usize) -> bool {
    elements >= WORTH_SPLITTING && rayon::current_num_threads() > 1
}

/// Runs a whole step, inside the pool where it will be split: entering costs a wake-up each time.
pub(super) fn entered<R: Send>(elements: usize, step: impl FnOnce() -> R + Send) -> R {
    if splits(elements) { rayon::scope(|_| step()) } else { step() }
}

/// Counts an update of every parameter that has a gradient, and makes it by the rule for its piece.
pub(super) fn each<R: Rule>(
    parameters: &[Var],
    gradients: &[Option<&Tensor>],
    decays: &[bool],
    moments: &mut Moments,
    scaling: Scaling,
    rule: impl Fn(bool, u64) -> R + Sync,
) -> Result<()> {
    let elements = elements(moments);
    let Moments { steps, first, second } = moments;
    let change = |((((parameter, gradient), decays), steps), (first, second)): Item<'_>| {
        let Some(gradient) = gradient else { return Ok(()) };
        *steps += 1;
        apply(&rule(*decays, *steps), scaling, parameter, gradient, first, second)
    };
    if splits(elements) {
        let given = parameters.par_iter().zip(gradients).zip(decays).zip(steps);
        given.zip(first.par_iter_mut().zip(second)).try_for_each(change)
    } else {
        let given = parameters.iter().zip(gradients).zip(decays).zip(steps);
        given.zip(first.iter_mut().zip(second)).try_for_each(change)
    }
}

/// A parameter, its gradient, whether it decays, its updates so far and its moments.
type Item<'a> =
    ((((&'a Var, &'a Option<&'a Tensor>), &'a bool), &'a mut u64), (&'a mut Vec<f32>, &'a mut Vec<f32>));

/// Elements of all parameters.
pub(super) fn elements(moments: &Moments) -> usize {
    moments.first.iter().map(Vec::len).sum()
}

/// A rule with this step's coefficients for one parameter.
pub(super) trait Rule {
    /// The new parameter, given the old one and its gradient after scaling; changes the moments.
    fn update<T: Real, A: Arith>(&self, parameter: T, gradient: T, moments: &mut Moment<T>) -> T;
}

/// The moments of one element; the second stays 0 where the rule keeps none.
pub(super) struct Moment<T> {
    pub(super) first: T,
    pub(super) second: T,
}

/// Applies `rule` to a parameter in place. On a device other than the CPU the parameter travels to the CPU
/// and back.
fn apply(
    rule: &impl Rule,
    scaling: Scaling,
    parameter: &Var,
    gradient: &Tensor,
    first: &mut [f32],
    second: &mut [f32],
) -> Result<()> {
    let update = Update { rule, scaling, moments: RefCell::new((first, second)) };
    if parameter.device().is_cpu() {
        return parameter.inplace_op2(&gradient.contiguous()?, &update);
    }
    let here = parameter.as_detached_tensor().to_device(&Device::Cpu)?;
    here.inplace_op2(&gradient.to_device(&Device::Cpu)?.contiguous()?, &update)?;
    parameter.set(&here.to_device(parameter.device())?)
}

struct Update<'a, R> {
    rule: &'a R,
    scaling: Scaling,
    moments: RefCell<(&'a mut [f32], &'a mut [f32])>,
}

impl<R: Rule> Update<'_, R> {
    fn over<T: Real>(&self, all: &mut [T], layout: &Layout, gradient: &[T]) -> Result<()> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("optimizer: a parameter must be contiguous, got {layout:?}");
        };
        let mut moments = self.moments.borrow_mut();
        let (first, second) = &mut *moments;
        let (parameter, scaling) = (&mut all[start..end], self.scaling.narrow());
        if second.is_empty() {
            dispatch(WithFirst { rule: self.rule, scaling, parameter, gradient, first });
        } else {
            dispatch(WithBoth { rule: self.rule, scaling, parameter, gradient, first, second });
        }
        Ok(())
    }
}

impl<R: Rule> InplaceOp2 for Update<'_, R> {
    fn name(&self) -> &'static str {
        "optimizer_update"
    }

    fn cpu_fwd(
        &self,
        parameter: &mut CpuStorage,
        layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> Result<()> {
        match parameter {
            CpuStorage::F32(all) => self.over(all, layout, operand(gradient, gradient_layout)?),
            CpuStorage::F64(all) => self.over(all, layout, operand(gradient, gradient_layout)?),
            _ => bail!("optimizer: only f32 and f64 parameters are supported"),
        }
    }
}

struct WithFirst<'a, T, R> {
    rule: &'a R,
    scaling: (T, T),
    parameter: &'a mut [T],
    gradient: &'a [T],
    first: &'a mut [f32],
}

impl<T: Real, R: Rule> Kernel for WithFirst<'_, T, R> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arith>(self) {
        let elements = self.parameter.iter_mut().zip(self.gradient);
        for ((parameter, gradient), first) in elements.zip(self.first) {
            let mut moment = Moment { first: T::of(f64::from(*first)), second: T::ZERO };
            *parameter = self.rule.update::<T, A>(*parameter, scaled(*gradient, self.scaling), &mut moment);
            *first = moment.first.wide() as f32;
        }
    }
}

struct WithBoth<'a, T, R> {
    rule: &'a R,
    scaling: (T, T),
    parameter: &'a mut [T],
    gradient: &'a [T],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl<T: Real, R: Rule> Kernel for WithBoth<'_, T, R> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arith>(self) {
        let elements = self.parameter.iter_mut().zip(self.gradient);
        for ((parameter, gradient), (first, second)) in elements.zip(self.first.iter_mut().zip(self.second)) {
            let mut moment = Moment { first: T::of(f64::from(*first)), second: T::of(f64::from(*second)) };
            *parameter = self.rule.update::<T, A>(*parameter, scaled(*gradient, self.scaling), &mut moment);
            *first = moment.first.wide() as f32;
            *second = moment.second.wide() as f32;
        }
    }
}
