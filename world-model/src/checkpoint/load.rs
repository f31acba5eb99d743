//! Weights into a module: keys are mapped, shapes checked, `Linear` weights turned.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

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
    let (loaded, report) = load(module.clone(), source, key_map)?;
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
    let (loaded, report) = load(module.clone(), source, key_map)?;
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

fn load<M: Module>(module: M, source: &CheckpointSource, key_map: &KeyMap) -> Result<(M, LoadReport), CheckpointError> {
    let mut loader = Loader::new(source, key_map)?;
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

    /// Reads the values for the parameter that the walk is at.
    fn values(&mut self, shape: &[usize]) -> Option<Vec<f32>> {
        let key = self.find(shape)?;
        match self.source.read(&key) {
            Ok(values) => {
                let stored = self.source.shape(&key).unwrap_or_default();
                let turned = self.path.is_linear_weight().then(|| transpose(&values, stored));
                self.report.loaded.push(key);
                Some(turned.unwrap_or(values))
            }
            Err(error) => {
                self.error = Some(error);
                None
            }
        }
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
        let tensor = Tensor::from_data(TensorData::new(values, shape), &device);
        param.transform_for_load(tensor, id)
    }
}

/// Turns a row-major matrix of the given shape.
pub(super) fn transpose(values: &[f32], shape: &[usize]) -> Vec<f32> {
    let &[rows, columns] = shape else {
        return values.to_vec();
    };
    let mut turned = Vec::with_capacity(values.len());
    for column in 0..columns {
        turned.extend((0..rows).map(|row| values[row * columns + column]));
    }
    turned
}
