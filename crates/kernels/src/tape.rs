//! A reverse-mode tape for training.
//!
//! candle's `backward` fills a tensor with zeros and adds to it for every gradient it passes on, which at long
//! sequences costs as much as a layer's arithmetic, and an operation of candle's has one output, so that a
//! state beside the outputs must be packed and cut out again: three more passes. While a [`Tape`] records on a
//! thread, the operations of this crate note what they did, with any number of operands and results, and
//! [`Tape::backward`] walks the notes back: the first gradient of a tensor is moved, not added, and what a step
//! kept is dropped as soon as its gradients are known.
//!
//! The two worlds mix. What an operation returns under a tape is a variable to candle, so candle's own graph
//! begins anew behind it; where candle's operations stand between ours (the discretisation of a state space
//! model, say), the gradient that reaches their result is handed to candle's `backward`, whose leaves are our
//! results and the parameters again. Without a tape every operation builds candle's graph as usual.

use crate::residual;
use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Storage, Tensor, TensorId,
    Var, bail,
};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

/// How an operation's gradients are computed from those of its results.
pub(crate) trait Reverse {
    /// Gradients of the operands, given those of the results; absent ones are zero. A gradient of an operand
    /// that is not tracked may be absent and is not looked at.
    fn reverse(
        &self,
        operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Option<Tensor>],
    ) -> Result<Vec<Option<Tensor>>>;

    /// [`Reverse::reverse`] with what the first operand's gradient has already from elsewhere, which is part of
    /// what is returned for it: an operation that writes that gradient anyway adds in the same pass.
    fn reverse_onto(
        &self,
        operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Option<Tensor>],
        onto: Option<Tensor>,
    ) -> Result<Vec<Option<Tensor>>> {
        let mut found = self.reverse(operands, results, gradients)?;
        let Some(onto) = onto else { return Ok(found) };
        if found.is_empty() {
            found.push(None);
        }
        found[0] = Some(match found[0].take() {
            Some(gradient) => residual::sum(&onto, &gradient)?,
            None => onto,
        });
        Ok(found)
    }
}

struct Node {
    operation: Box<dyn Reverse>,
    operands: Vec<Tensor>,
    results: Vec<Tensor>,
}

thread_local! {
    static NODES: RefCell<Option<Vec<Node>>> = const { RefCell::new(None) };
}

/// Records the operations of this crate on this thread from its creation to its [`Tape::backward`] or drop.
#[derive(Debug)]
pub struct Tape(());

/// Gradients of the variables a loss depends on.
#[derive(Debug, Default)]
pub struct Gradients(HashMap<TensorId, Tensor>);

impl Gradients {
    /// The gradient of a variable; `None` where the loss does not depend on it.
    pub fn get(&self, variable: &Tensor) -> Option<&Tensor> {
        self.0.get(&variable.id())
    }

    fn add(&mut self, id: TensorId, gradient: Tensor) -> Result<()> {
        let sum = match self.0.remove(&id) {
            Some(sum) => residual::sum(&sum, &gradient)?,
            None => gradient,
        };
        self.0.insert(id, sum);
        Ok(())
    }
}

impl Tape {
    /// Begins to record.
    ///
    /// # Errors
    /// A tape records on this thread already.
    pub fn record() -> Result<Self> {
        NODES.with_borrow_mut(|nodes| match nodes {
            Some(_) => bail!("a tape records on this thread already"),
            None => {
                *nodes = Some(Vec::new());
                Ok(Tape(()))
            }
        })
    }

    /// Gradients of a scalar with respect to every variable it depends on.
    ///
    /// # Errors
    /// `loss` has more than one element, or an operation failed.
    pub fn backward(self, loss: &Tensor) -> Result<Gradients> {
        if loss.elem_count() != 1 {
            bail!("backward: the loss is {:?}, expected one element", loss.shape());
        }
        // Taken out first: what candle runs below must not record.
        let mut nodes = NODES.with_borrow_mut(Option::take).unwrap_or_default();
        let recorded: HashSet<TensorId> =
            nodes.iter().flat_map(|node| &node.results).map(Tensor::id).collect();
        let mut gradients = Gradients::default();
        pass(loss, loss.ones_like()?, &recorded, &mut gradients)?;
        while let Some(Node { operation, operands, results }) = nodes.pop() {
            let mine: Vec<_> = results.iter().map(|result| gradients.0.remove(&result.id())).collect();
            if mine.iter().all(Option::is_none) {
                continue;
            }
            let onto = operands.first().and_then(|operand| gradients.0.remove(&operand.id()));
            let found = operation.reverse_onto(&operands, &results, &mine, onto)?;
            drop((operation, results, mine));
            for (operand, gradient) in operands.iter().zip(found) {
                match gradient {
                    Some(gradient) if operand.track_op() => {
                        pass(operand, gradient, &recorded, &mut gradients)?;
                    }
                    Some(_) | None => {}
                }
            }
        }
        Ok(gradients)
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        NODES.with_borrow_mut(|nodes| *nodes = None);
    }
}

/// Hands a gradient on: to a recorded result or a variable directly, otherwise through candle's graph to its
/// leaves.
fn pass(
    tensor: &Tensor,
    gradient: Tensor,
    recorded: &HashSet<TensorId>,
    gradients: &mut Gradients,
) -> Result<()> {
    if recorded.contains(&tensor.id()) || tensor.is_variable() {
        return gradients.add(tensor.id(), gradient);
    }
    let found = tensor.apply_op1(Seed(gradient))?.backward()?;
    for id in found.get_ids() {
        if let Some(gradient) = found.get_id(*id) {
            gradients.add(*id, gradient.clone())?;
        }
    }
    Ok(())
}

/// A scalar whose gradient is the given one: candle's `backward` starts at ones.
struct Seed(Tensor);

impl CustomOp1 for Seed {
    fn name(&self) -> &'static str {
        "seed"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), Shape::from(())))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(self.0.clone()))
    }
}

/// Whether a tape records on this thread and one of these is tracked: then an operation notes itself with
/// [`note`]. Otherwise it builds candle's graph, or none.
pub(crate) fn records(operands: &[&Tensor]) -> bool {
    NODES.with_borrow(Option::is_some) && operands.iter().any(|operand| operand.track_op())
}

/// Whether candle's graph is to be built: one of these is tracked and no tape records. candle's operations have at
/// most three operands, so one of more is then composed of several.
pub(crate) fn wants_graph(operands: &[Tensor]) -> bool {
    NODES.with_borrow(Option::is_none) && operands.iter().any(Tensor::track_op)
}

/// Notes an operation on the tape; the results are what [`result`] or a view of a recorded tensor gave.
pub(crate) fn note(operation: impl Reverse + 'static, operands: &[&Tensor], results: &[&Tensor]) {
    let owned = |tensors: &[&Tensor]| tensors.iter().map(|tensor| (*tensor).clone()).collect();
    let node = Node { operation: Box::new(operation), operands: owned(operands), results: owned(results) };
    NODES.with_borrow_mut(|nodes| {
        if let Some(nodes) = nodes {
            nodes.push(node);
        }
    });
}

/// A result as candle sees it under a tape: a variable over these values, which are not copied.
pub(crate) fn result(values: CpuStorage, shape: impl Into<Shape>) -> Result<Tensor> {
    let shape = shape.into();
    let variable = match values {
        CpuStorage::F32(values) => Var::from_vec(values, shape, &Device::Cpu)?,
        CpuStorage::F64(values) => Var::from_vec(values, shape, &Device::Cpu)?,
        _ => bail!("only f32 and f64 are differentiated"),
    };
    Ok(variable.into_inner())
}

/// Applies an operation of one operand: noted under a tape, otherwise a part of candle's graph.
pub(crate) fn apply1<C: CustomOp1 + Send + Sync + 'static>(xs: &Tensor, operation: C) -> Result<Tensor> {
    if !records(&[xs]) {
        return xs.apply_op1(operation);
    }
    let (values, shape) = {
        let (storage, layout) = xs.storage_and_layout();
        operation.cpu_fwd(cpu(&storage)?, layout)?
    };
    let ys = result(values, shape)?;
    note(One(operation), &[xs], &[&ys]);
    Ok(ys)
}

/// [`apply1`] for two operands.
pub(crate) fn apply2<C: CustomOp2 + Send + Sync + 'static>(
    a: &Tensor,
    b: &Tensor,
    operation: C,
) -> Result<Tensor> {
    if !records(&[a, b]) {
        return a.apply_op2(b, operation);
    }
    let (values, shape) = {
        let ((sa, la), (sb, lb)) = (a.storage_and_layout(), b.storage_and_layout());
        operation.cpu_fwd(cpu(&sa)?, la, cpu(&sb)?, lb)?
    };
    let ys = result(values, shape)?;
    note(Two(operation), &[a, b], &[&ys]);
    Ok(ys)
}

/// [`apply1`] for three operands.
pub(crate) fn apply3<C: CustomOp3 + Send + Sync + 'static>(
    a: &Tensor,
    b: &Tensor,
    c: &Tensor,
    operation: C,
) -> Result<Tensor> {
    if !records(&[a, b, c]) {
        return a.apply_op3(b, c, operation);
    }
    let (values, shape) = {
        let ((sa, la), (sb, lb), (sc, lc)) =
            (a.storage_and_layout(), b.storage_and_layout(), c.storage_and_layout());
        operation.cpu_fwd(cpu(&sa)?, la, cpu(&sb)?, lb, cpu(&sc)?, lc)?
    };
    let ys = result(values, shape)?;
    note(Three(operation), &[a, b, c], &[&ys]);
    Ok(ys)
}

fn cpu(storage: &Storage) -> Result<&CpuStorage> {
    match storage {
        Storage::Cpu(storage) => Ok(storage),
        _ => bail!("a CPU kernel was given a tensor on another device"),
    }
}

/// A contiguous tensor in another shape, which copies nothing, backward neither.
///
/// # Errors
/// The shape does not hold as many elements.
pub fn reshape(xs: &Tensor, shape: impl Into<Shape>) -> Result<Tensor> {
    let ys = xs.reshape(shape.into())?;
    // Of another tensor candle would make a copy, whose gradient is candle's business.
    if xs.is_contiguous() && ys.id() != xs.id() && records(&[xs]) {
        note(Reshape, &[xs], &[&ys]);
    }
    Ok(ys)
}

struct Reshape;

impl Reverse for Reshape {
    fn reverse(
        &self,
        operands: &[Tensor],
        _: &[Tensor],
        gradients: &[Option<Tensor>],
    ) -> Result<Vec<Option<Tensor>>> {
        let back = |gradient: &Tensor| gradient.contiguous()?.reshape(operands[0].shape());
        Ok(vec![gradients[0].as_ref().map(back).transpose()?])
    }
}

struct One<C>(C);

impl<C: CustomOp1> Reverse for One<C> {
    fn reverse(
        &self,
        operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Option<Tensor>],
    ) -> Result<Vec<Option<Tensor>>> {
        let Some(gradient) = &gradients[0] else { return Ok(Vec::new()) };
        Ok(vec![self.0.bwd(&operands[0], &results[0], gradient)?])
    }
}

struct Two<C>(C);

impl<C: CustomOp2> Reverse for Two<C> {
    fn reverse(
        &self,
        operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Option<Tensor>],
    ) -> Result<Vec<Option<Tensor>>> {
        let Some(gradient) = &gradients[0] else { return Ok(Vec::new()) };
        let (a, b) = self.0.bwd(&operands[0], &operands[1], &results[0], gradient)?;
        Ok(vec![a, b])
    }
}

struct Three<C>(C);

impl<C: CustomOp3> Reverse for Three<C> {
    fn reverse(
        &self,
        operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Option<Tensor>],
    ) -> Result<Vec<Option<Tensor>>> {
        let Some(gradient) = &gradients[0] else { return Ok(Vec::new()) };
        let (a, b, c) = self.0.bwd(&operands[0], &operands[1], &operands[2], &results[0], gradient)?;
        Ok(vec![a, b, c])
    }
}
