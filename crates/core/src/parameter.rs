//! Parameters: named, ordered, seeded. A model is a function of where its parameters come from, so the same
//! `build` makes a fresh model, a view for evaluation that carries no graph, and a copy in double precision.

use crate::error::{Error, Result};
use crate::seed::{Purpose, Stream};
use candle_core::{DType, Device, Tensor, Var};
use std::cell::RefCell;
use std::rc::Rc;

/// How a parameter starts.
pub enum Init<'a> {
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
    /// All the same value.
    Constant(f64),
    /// Uniform on [−bound, bound).
    Uniform {
        /// The bound.
        bound: f64,
    },
    /// Normal with mean 0.
    Normal {
        /// Its standard deviation.
        deviation: f64,
    },
    /// Any values, in row-major order, from the parameter's own stream.
    From(&'a dyn Fn(&mut Stream) -> Vec<f64>),
}

/// What an optimizer and the contract tests must know about a parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Weight decay leaves it alone: biases, norms, eigenvalues.
    pub no_decay: bool,
    /// Its gradient is zero by construction, for this reason (the key bias of softmax attention, say).
    pub gradient_free: Option<&'static str>,
}

/// One parameter of a model.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Dotted name, such as `layers.0.core.weight_hh_l0`.
    pub name: String,
    /// The value.
    pub var: Var,
    /// What to know about it.
    pub flags: Flags,
}

/// All parameters of a model, in the order in which it asked for them.
#[derive(Clone, Debug, Default)]
pub struct ParameterStore {
    parameters: Vec<Parameter>,
}

impl ParameterStore {
    /// The parameters in order.
    pub fn iter(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter()
    }

    /// How many parameters there are, counted in tensors.
    pub fn len(&self) -> usize {
        self.parameters.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }

    /// How many numbers they hold together.
    pub fn count(&self) -> usize {
        self.parameters.iter().map(|parameter| parameter.var.elem_count()).sum()
    }

    /// The parameter of that name.
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }

    /// A copy of every parameter in another precision, with the same names and flags.
    ///
    /// # Errors
    /// A conversion failed.
    pub fn to_dtype(&self, dtype: DType) -> Result<Self> {
        let convert = |parameter: &Parameter| -> Result<Parameter> {
            let values = parameter.var.as_detached_tensor().to_dtype(dtype)?.copy()?;
            Ok(Parameter { var: Var::from_tensor(&values)?, ..parameter.clone() })
        };
        Ok(ParameterStore { parameters: self.parameters.iter().map(convert).collect::<Result<_>>()? })
    }
}

enum Source {
    Fresh { seed: u64, dtype: DType, device: Device, store: ParameterStore },
    Existing { store: ParameterStore, tracked: bool },
}

/// Where a model's parameters come from while it is being built. Cheap to clone; a clone made by
/// [`Params::under`] prefixes names.
#[derive(Clone)]
pub struct Params {
    source: Rc<RefCell<Source>>,
    prefix: String,
}

impl Params {
    /// Fresh parameters from a seed. Each draws from the stream of its own name.
    pub fn fresh(seed: u64, dtype: DType, device: &Device) -> Self {
        let store = ParameterStore::default();
        Self::from_source(Source::Fresh { seed, dtype, device: device.clone(), store })
    }

    /// The parameters of a store, as leaves of the graph: for training and for gradients.
    pub fn tracked(store: &ParameterStore) -> Self {
        Self::from_source(Source::Existing { store: store.clone(), tracked: true })
    }

    /// The parameters of a store, detached: kernels see that nothing is tracked and take their inference path.
    /// The values are shared, so a later optimizer step is seen.
    pub fn detached(store: &ParameterStore) -> Self {
        Self::from_source(Source::Existing { store: store.clone(), tracked: false })
    }

    fn from_source(source: Source) -> Self {
        Params { source: Rc::new(RefCell::new(source)), prefix: String::new() }
    }

    /// The same source, with `name` before every name asked for.
    #[must_use]
    pub fn under(&self, name: impl std::fmt::Display) -> Self {
        Params { source: Rc::clone(&self.source), prefix: format!("{}{name}.", self.prefix) }
    }

    /// Precision of the parameters.
    pub fn dtype(&self) -> DType {
        match &*self.source.borrow() {
            Source::Fresh { dtype, .. } => *dtype,
            Source::Existing { store, .. } => {
                store.parameters.first().map_or(DType::F32, |parameter| parameter.var.dtype())
            }
        }
    }

    /// Device of the parameters.
    pub fn device(&self) -> Device {
        match &*self.source.borrow() {
            Source::Fresh { device, .. } => device.clone(),
            Source::Existing { store, .. } => {
                store.parameters.first().map_or(Device::Cpu, |parameter| parameter.var.device().clone())
            }
        }
    }

    /// The parameter `name` of that shape. Weight decay applies to it where it has two dimensions or more.
    ///
    /// # Errors
    /// See [`Params::get_with`].
    pub fn get(&self, shape: &[usize], name: &str, init: &Init<'_>) -> Result<Tensor> {
        self.get_with(shape, name, init, Flags { no_decay: shape.len() < 2, gradient_free: None })
    }

    /// The parameter `name` of that shape, with its flags.
    ///
    /// # Errors
    /// A fresh model asks for a name twice; a store lacks the name or holds another shape; an [`Init::From`]
    /// returns the wrong number of values.
    pub fn get_with(&self, shape: &[usize], name: &str, init: &Init<'_>, flags: Flags) -> Result<Tensor> {
        let name = format!("{}{name}", self.prefix);
        match &mut *self.source.borrow_mut() {
            Source::Fresh { seed, dtype, device, store } => {
                if store.get(&name).is_some() {
                    return Err(Error::invalid(format!("two parameters are named `{name}`")));
                }
                let values = initial_values(shape, init, &mut Stream::named(*seed, Purpose::Init, &name));
                let tensor = Tensor::from_vec(values, shape, &Device::Cpu).map_err(|_| {
                    Error::invalid(format!("the initial values of `{name}` do not fill {shape:?}"))
                })?;
                let var = Var::from_tensor(&tensor.to_dtype(*dtype)?.to_device(device)?)?;
                let tensor = var.as_tensor().clone();
                store.parameters.push(Parameter { name, var, flags });
                Ok(tensor)
            }
            Source::Existing { store, tracked } => {
                let parameter = store
                    .get(&name)
                    .ok_or_else(|| Error::invalid(format!("no parameter is named `{name}`")))?;
                if parameter.var.dims() != shape {
                    return Err(Error::shape(&name, parameter.var.dims(), format!("{shape:?}")));
                }
                Ok(if *tracked {
                    parameter.var.as_tensor().clone()
                } else {
                    parameter.var.as_detached_tensor()
                })
            }
        }
    }

    /// The store of everything asked for so far (for an existing source, the store itself).
    pub fn store(&self) -> ParameterStore {
        match &*self.source.borrow() {
            Source::Fresh { store, .. } | Source::Existing { store, .. } => store.clone(),
        }
    }
}

fn initial_values(shape: &[usize], init: &Init<'_>, stream: &mut Stream) -> Vec<f64> {
    let count = shape.iter().product();
    match init {
        Init::Zeros => vec![0.0; count],
        Init::Ones => vec![1.0; count],
        Init::Constant(value) => vec![*value; count],
        Init::Uniform { bound } => (0..count).map(|_| stream.uniform_in(-bound, *bound)).collect(),
        Init::Normal { deviation } => (0..count).map(|_| deviation * stream.normal()).collect(),
        Init::From(values) => values(stream),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(params: &Params) -> Result<(Tensor, Tensor)> {
        let layer = params.under("layer");
        let weight = layer.get(&[3, 5], "weight", &Init::Normal { deviation: 1.0 })?;
        let bias = layer.get(&[3], "bias", &Init::Uniform { bound: 0.5 })?;
        Ok((weight, bias))
    }

    #[test]
    fn the_same_seed_gives_the_same_values_and_another_gives_others() {
        let values = |seed| {
            let params = Params::fresh(seed, DType::F32, &Device::Cpu);
            build(&params).unwrap().0.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        assert_eq!(values(3), values(3));
        assert_ne!(values(3), values(4));
    }

    #[test]
    fn order_and_names_are_those_of_the_asking() {
        let params = Params::fresh(0, DType::F32, &Device::Cpu);
        build(&params).unwrap();
        let store = params.store();
        let names: Vec<_> = store.iter().map(|parameter| parameter.name.as_str()).collect();
        assert_eq!(names, ["layer.weight", "layer.bias"]);
        assert_eq!(store.count(), 18);
        assert!(!store.get("layer.weight").unwrap().flags.no_decay);
        assert!(store.get("layer.bias").unwrap().flags.no_decay);
    }

    #[test]
    fn a_detached_view_sees_later_updates_and_carries_no_graph() {
        let params = Params::fresh(0, DType::F32, &Device::Cpu);
        build(&params).unwrap();
        let store = params.store();
        let (weight, _) = build(&Params::detached(&store)).unwrap();
        assert!(!weight.track_op());
        store
            .get("layer.weight")
            .unwrap()
            .var
            .set(&Tensor::ones((3, 5), DType::F32, &Device::Cpu).unwrap())
            .unwrap();
        assert_eq!(weight.sum_all().unwrap().to_scalar::<f32>().unwrap(), 15.0);
    }

    #[test]
    fn missing_misshapen_and_repeated_parameters_are_named() {
        let params = Params::fresh(0, DType::F32, &Device::Cpu);
        build(&params).unwrap();
        assert!(build(&params).unwrap_err().to_string().contains("`layer.weight`"));
        let view = Params::tracked(&params.store());
        assert!(view.get(&[2], "other", &Init::Zeros).unwrap_err().to_string().contains("`other`"));
        let wrong = view.get(&[5, 3], "layer.weight", &Init::Zeros).unwrap_err().to_string();
        assert!(wrong.contains("[3, 5]") && wrong.contains("[5, 3]"), "{wrong}");
    }
}
