//! What happens inside a core over a sequence: the signals it computes, the matrices and factors its state passes
//! through at each step, and what theory makes of them for its gradients.
//!
//! Everything is double precision on plain vectors: an inspection is looked at, not differentiated.

/// Inside a core. Whatever does not apply is left empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inspection {
    /// Signals, in the order of their computation.
    pub signals: Vec<Signal>,
    /// Square matrices that the state is multiplied by at every step.
    pub matrices: Vec<Matrix>,
    /// Eigenvalues (real, imaginary) of a recurrence that is diagonal and the same at every step.
    pub poles: Vec<[f64; 2]>,
    /// What theory says about the gradient with respect to the carried state.
    pub theories: Vec<Theory>,
    /// Who attends to whom.
    pub attention: Option<Attention>,
}

/// A signal over a batch of sequences.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// The paper's symbol or name, such as `h` or `forget`.
    pub name: &'static str,
    /// What it is.
    pub kind: SignalKind,
    /// Values a step.
    pub units: usize,
    /// `[batch, time, units]`
    pub values: Vec<f64>,
}

/// What a signal is, and so what may be asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalKind {
    /// The output of a tanh: saturated near ±1.
    Squashed,
    /// Between 0, closed, and 1, open.
    Gate,
    /// Anything else that is carried or computed.
    Plain,
}

/// A square matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Its parameter's name.
    pub name: &'static str,
    /// Rows, and columns.
    pub size: usize,
    /// `[size, size]` in row-major order.
    pub values: Vec<f64>,
}

/// A prediction for the gradient with respect to one entry of the carried state.
#[derive(Clone, Debug, PartialEq)]
pub struct Theory {
    /// What it is called in tables and legends.
    pub name: &'static str,
    /// The entry of the state.
    pub entry: &'static str,
    /// What a gradient is multiplied by on its way back through one step.
    pub factors: Factors,
}

/// What a gradient is multiplied by on its way back through each step.
#[derive(Clone, Debug, PartialEq)]
pub enum Factors {
    /// A factor for each component of the entry, or fewer, each of which stands for as many that lie next to each other:
    /// one for all.
    Diagonal {
        /// Factors a step.
        units: usize,
        /// `[batch, time, units]`, not negative.
        values: Vec<f64>,
    },
    /// The same at every step: `[units]`, not negative.
    Constant(Vec<f64>),
    /// The step's whole Jacobian, ∂s_t/∂s_{t−1} = diag(left_t) W.
    Jacobian {
        /// Size of the state.
        units: usize,
        /// `[batch, time, units]`
        left: Vec<f64>,
        /// W, `[units, units]` in row-major order.
        matrix: Vec<f64>,
    },
}

/// Attention over one batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// Heads.
    pub heads: usize,
    /// Weight of every key for every query, each query's summing to 1 over the keys up to it: `[batch, heads, query,
    /// key]`.
    pub weights: Vec<f64>,
}
