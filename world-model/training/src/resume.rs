//! The state of a training on disk.

use std::io::Write;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors};

use crate::error::TrainingError;
use crate::parameters::{Parameter, Parameters};

/// Name under which the number of finished steps is kept.
const STEP: &str = "step";

/// Writes all parameters and the number of finished steps; the file is whole or as before.
pub(crate) fn save_state(path: &Path, parameters: &Parameters, step: u64) -> Result<(), TrainingError> {
    let mut arrays: Vec<(String, Vec<usize>, Vec<u8>)> = vec![(STEP.into(), vec![8], step.to_le_bytes().to_vec())];
    for parameter in &parameters.0 {
        for (kind, values) in parameter.arrays() {
            let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            arrays.push((format!("{}/{kind}", parameter.path), parameter.shape.clone(), bytes));
        }
    }
    let damaged = |source: SafeTensorError| TrainingError::State {
        path: path.to_path_buf(),
        source,
    };
    let views = arrays.iter().map(|(name, shape, bytes)| {
        let dtype = if name == STEP { Dtype::U8 } else { Dtype::F32 };
        TensorView::new(dtype, shape.clone(), bytes).map(|view| (name.as_str(), view))
    });
    let views = views.collect::<Result<Vec<_>, _>>().map_err(damaged)?;
    let file = safetensors::serialize(views, None).map_err(damaged)?;
    write_atomically(path, &file)
}

/// Reads what [`save_state`] wrote into the parameters of a fresh network; returns the number of finished steps.
pub(crate) fn load_state(path: &Path, parameters: &mut Parameters) -> Result<u64, TrainingError> {
    let bytes = std::fs::read(path).map_err(|source| TrainingError::Read {
        path: path.to_path_buf(),
        source,
    })?;
    let file = SafeTensors::deserialize(&bytes).map_err(|source| TrainingError::State {
        path: path.to_path_buf(),
        source,
    })?;
    for parameter in &mut parameters.0 {
        let (name, shape) = (parameter.path.clone(), parameter.shape.clone());
        for (kind, values) in parameter.arrays_mut() {
            *values = read_array(path, &file, &format!("{name}/{kind}"), &shape)?;
        }
    }
    let expected = 1 + 4 * parameters.0.len();
    if file.len() != expected {
        return Err(mismatch(path, "the number of arrays", &expected, &file.len()));
    }
    let step = file.tensor(STEP).map_err(|source| TrainingError::State {
        path: path.to_path_buf(),
        source,
    })?;
    let bytes: [u8; 8] = match step.data().try_into() {
        Ok(bytes) => bytes,
        Err(_) => return Err(mismatch(path, "the size of `step`", &8, &step.data().len())),
    };
    Ok(u64::from_le_bytes(bytes))
}

fn read_array(path: &Path, file: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<Vec<f32>, TrainingError> {
    let Ok(view) = file.tensor(name) else {
        return Err(mismatch(path, name, &"an array", &"absent"));
    };
    if view.shape() != shape || view.dtype() != Dtype::F32 {
        let found = format!("{:?} of {:?}", view.shape(), view.dtype());
        return Err(mismatch(path, name, &format!("{shape:?} of F32"), &found));
    }
    let values = view
        .data()
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    Ok(values.collect())
}

fn mismatch(path: &Path, what: &str, expected: &impl ToString, found: &impl ToString) -> TrainingError {
    TrainingError::StateMismatch {
        path: path.to_path_buf(),
        what: what.to_string(),
        expected: expected.to_string(),
        found: found.to_string(),
    }
}

/// Writes beside the file and renames, so that the file is whole or as before.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), TrainingError> {
    let mut temporary = path.as_os_str().to_os_string();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let write = || {
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(|source| {
        // What is left of a full disk's attempt only takes space; that it may not be there is fine.
        let _ = std::fs::remove_file(&temporary);
        TrainingError::Write {
            path: path.to_path_buf(),
            source,
        }
    })
}

impl Parameter {
    fn arrays(&self) -> [(&'static str, &Vec<f32>); 4] {
        [
            ("weights", &self.weights),
            ("first_moment", &self.first_moment),
            ("second_moment", &self.second_moment),
            ("average", &self.average),
        ]
    }

    fn arrays_mut(&mut self) -> [(&'static str, &mut Vec<f32>); 4] {
        [
            ("weights", &mut self.weights),
            ("first_moment", &mut self.first_moment),
            ("second_moment", &mut self.second_moment),
            ("average", &mut self.average),
        ]
    }
}
