//! Weights into a module: keys are mapped, shapes checked, `Linear` weights turned.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Element, Tensor, TensorData};

use super::error::CheckpointError;
use super::key_map::{KeyMap, ModulePath};
use super::report::{LoadReport, ShapeMismatch};
use super::source::CheckpointSource;

/// Loads every parameter of a module, or changes nothing.
///
/// `Linear` weights are stored `[d_output, d_input]` and turned on the way in. Parameters keep their device and their
/// `require_grad`.
///
/// # Errors
/// [`CheckpointError::Incomplete`] if a parameter is missing or of another shape, or if a stored tensor is left over
/// that the key map does not ignore; the module is then unchanged. Reading errors as in [`CheckpointSource::read`].
///
/// # Example
/// ```no_run
/// # use worldloop_world_model::checkpoint::{load_into, CheckpointError, CheckpointSource, KeyMap};
/// # fn example(mut module: burn::nn::Linear) -> Result<(), CheckpointError> {
/// let source = CheckpointSource::open("weights.safetensors")?;
/// let report = load_into(&mut module, &source, &KeyMap::identity())?;
/// println!("{report}");
/// # Ok(())
/// # }
/// ```
pub fn load_into<M: Module>(
    module: &mut M,
    source: &CheckpointSource,
    key_map: &KeyMap,
) -> Result<LoadReport, CheckpointError> {
    load_complete(module, source, key_map, None)
}

/// Loads every parameter of a module in the given element type, or changes nothing.
///
/// Tensors are read and converted one by one, and what is stored in the type that is asked for is never anything else:
/// the peak of memory is the model in that type, and twice its largest tensor (three times where the file has another
/// type). The module's own weights take none if they were not used before, because they are drawn when they are first
/// used. The fp32 islands of the networks are kept: they widen such weights where they compute.
///
/// # Errors
/// As [`load_into`].
///
/// # Panics
/// If `dtype` is not `F32`, `F16` or `BF16`.
///
/// # Example
/// ```no_run
/// # use worldloop_world_model::checkpoint::{load_as, CheckpointError, CheckpointSource, KeyMap};
/// # use worldloop_world_model::dit::DitConfig;
/// # use burn::tensor::{DType, Device};
/// # fn example(device: &Device) -> Result<(), CheckpointError> {
/// let source = CheckpointSource::open("model_ema_bf16.pt")?;
/// let mut dit = DitConfig::predict2_5_2b().init(device);
/// load_as(&mut dit, &source, &KeyMap::dit(&source), DType::BF16)?;
/// # Ok(())
/// # }
/// ```
pub fn load_as<M: Module>(
    module: &mut M,
    source: &CheckpointSource,
    key_map: &KeyMap,
    dtype: DType,
) -> Result<LoadReport, CheckpointError> {
    assert!(
        matches!(dtype, DType::F32 | DType::F16 | DType::BF16),
        "weights are loaded as F32, F16 or BF16, not as {dtype:?}"
    );
    load_complete(module, source, key_map, Some(dtype))
}

fn load_complete<M: Module>(
    module: &mut M,
    source: &CheckpointSource,
    key_map: &KeyMap,
    dtype: Option<DType>,
) -> Result<LoadReport, CheckpointError> {
    let (loaded, report) = load(module.clone(), source, key_map, dtype)?;
    if !report.is_complete() {
        let location = source.location().to_string();
        return Err(CheckpointError::Incomplete {
            location,
            report: Box::new(report),
        });
    }
    *module = loaded;
    Ok(report)
}

/// Loads the parameters that fit and leaves the others as they are; the report says which.
///
/// # Errors
/// Reading errors as in [`CheckpointSource::read`], and [`CheckpointError::Ambiguous`].
pub fn load_matching<M: Module>(
    module: &mut M,
    source: &CheckpointSource,
    key_map: &KeyMap,
) -> Result<LoadReport, CheckpointError> {
    let (loaded, report) = load(module.clone(), source, key_map, None)?;
    *module = loaded;
    Ok(report)
}

/// Says what loading would do, from names and shapes alone: `loaded` are the keys that fit.
///
/// No weight of the module is drawn and no tensor is read.
///
/// # Errors
/// [`CheckpointError::Ambiguous`].
pub fn compare<M: Module>(
    module: &M,
    source: &CheckpointSource,
    key_map: &KeyMap,
) -> Result<LoadReport, CheckpointError> {
    let mut loader = Loader::new(source, key_map)?;
    module.visit(&mut loader);
    Ok(loader.into_report())
}

fn load<M: Module>(
    module: M,
    source: &CheckpointSource,
    key_map: &KeyMap,
    dtype: Option<DType>,
) -> Result<(M, LoadReport), CheckpointError> {
    let mut loader = Loader::new(source, key_map)?;
    loader.dtype = dtype;
    let module = module.map(&mut loader);
    match loader.error.take() {
        Some(error) => Err(error),
        None => Ok((module, loader.into_report())),
    }
}

/// Sorts the stored keys into parameters (module path → stored key) and ignored ones.
fn index(
    source: &CheckpointSource,
    key_map: &KeyMap,
) -> Result<(BTreeMap<String, String>, Vec<String>), CheckpointError> {
    let mut available = BTreeMap::new();
    // Entries that are not tensors cannot be weights, whatever their name.
    let mut ignored = source.other_keys().to_vec();
    for key in source.keys() {
        let Some(parameter) = key_map.to_module(key) else {
            ignored.push(key.to_string());
            continue;
        };
        if let Some(first) = available.insert(parameter.clone(), key.to_string()) {
            let (location, second) = (source.location().to_string(), key.to_string());
            return Err(CheckpointError::Ambiguous {
                location,
                parameter,
                first,
                second,
            });
        }
    }
    Ok((available, ignored))
}

/// Walks a module and replaces its parameters.
struct Loader<'a> {
    source: &'a CheckpointSource,
    key_map: &'a KeyMap,
    /// Element type of the loaded parameters; the device's own where there is none.
    dtype: Option<DType>,
    available: BTreeMap<String, String>,
    path: ModulePath,
    report: LoadReport,
    error: Option<CheckpointError>,
}

impl<'a> Loader<'a> {
    fn new(source: &'a CheckpointSource, key_map: &'a KeyMap) -> Result<Self, CheckpointError> {
        let (available, ignored) = index(source, key_map)?;
        let report = LoadReport {
            ignored,
            ..LoadReport::default()
        };
        Ok(Self {
            source,
            key_map,
            dtype: None,
            available,
            path: ModulePath::default(),
            report,
            error: None,
        })
    }

    /// Finds the stored tensor for the parameter that the walk is at, if there is one of its shape.
    fn find(&mut self, shape: &[usize]) -> Option<String> {
        let parameter = self.path.parameter();
        let Some(key) = self.available.remove(&parameter) else {
            self.report.missing.push(self.key_map.to_stored(&parameter));
            return None;
        };
        let expected: Vec<usize> = if self.path.is_linear_weight() {
            shape.iter().rev().copied().collect()
        } else {
            shape.to_vec()
        };
        let found = self.source.shape(&key).unwrap_or_default().to_vec();
        if expected != found {
            self.report.mismatched.push(ShapeMismatch { key, expected, found });
            return None;
        }
        Some(key)
    }

    /// Reads the values for the parameter that the walk is at, in the element type that is asked for.
    fn values(&mut self, shape: &[usize]) -> Option<TensorData> {
        let key = self.find(shape)?;
        let values = match self.dtype {
            Some(DType::BF16) => self.turned(&key, CheckpointSource::read_bf16, shape),
            Some(DType::F16) => self.turned(&key, CheckpointSource::read_f16, shape),
            _ => self.turned(&key, CheckpointSource::read, shape),
        };
        match values {
            Ok(values) => {
                self.report.loaded.push(key);
                Some(values)
            }
            Err(error) => {
                self.error = Some(error);
                None
            }
        }
    }

    /// Reads a tensor in the module's orientation.
    fn turned<T: Element>(
        &self,
        key: &str,
        read: impl Fn(&CheckpointSource, &str) -> Result<Vec<T>, CheckpointError>,
        shape: &[usize],
    ) -> Result<TensorData, CheckpointError> {
        let values = read(self.source, key)?;
        let values = if self.path.is_linear_weight() {
            transpose(&values, self.source.shape(key).unwrap_or_default())
        } else {
            values
        };
        Ok(TensorData::new(values, shape.to_vec()))
    }

    fn into_report(self) -> LoadReport {
        let mut report = self.report;
        report.unused = self.available.into_values().collect();
        report
    }
}

impl ModuleVisitor for Loader<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(key) = self.find(&param.lazy_shape()) {
            self.report.loaded.push(key);
        }
    }
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.error.is_some() {
            return param;
        }
        let shape = param.lazy_shape();
        let Some(values) = self.values(&shape) else {
            return param;
        };
        let (id, device) = (param.id, param.lazy_device());
        let tensor = match self.dtype {
            Some(dtype) => Tensor::from_data(values, (&device, dtype)),
            None => Tensor::from_data(values, &device),
        };
        param.transform_for_load(tensor, id)
    }
}

/// Turns a row-major matrix of the given shape.
pub(super) fn transpose<T: Copy>(values: &[T], shape: &[usize]) -> Vec<T> {
    let &[rows, columns] = shape else {
        return values.to_vec();
    };
    let mut turned = Vec::with_capacity(values.len());
    for column in 0..columns {
        turned.extend((0..rows).map(|row| values[row * columns + column]));
    }
    turned
}
