//! Weights as `torch.save` writes a state dict: a ZIP archive with a pickle and one stored entry per tensor.
//!
//! The pickle is protocol 2 and holds what released checkpoints hold: an `OrderedDict` of contiguous tensors in memory
//! of the CPU. PyTorch reads it with `weights_only=True`.

use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::dtype::SaveDtype;
use super::error::CheckpointError;
use super::save::{CheckpointWriter, write_whole};

/// Start of a pickle of protocol 2 whose value is an ordered dictionary, up to its first key.
const START: &[u8] = b"\x80\x02ccollections\nOrderedDict\n)R(";
/// Puts what was collected into the dictionary, and ends.
const END: &[u8] = b"u.";
/// Calls what PyTorch rebuilds a tensor with; its arguments start with the place of the data.
const TENSOR: &[u8] = b"ctorch._utils\n_rebuild_tensor_v2\n((";
/// Ends the arguments: no gradient, no hooks.
const NO_HOOKS: &[u8] = b"\x89ccollections\nOrderedDict\n)RtR";
/// Where the data of tensors start in the archive, as PyTorch has it.
const ALIGNMENT: u16 = 64;

impl CheckpointWriter {
    /// Writes a PyTorch `.pt` or `.pth` file, as released checkpoints are. Metadata has no place in it and is left out.
    ///
    /// # Errors
    /// [`CheckpointError::Write`].
    pub fn save_pytorch(&self, path: impl AsRef<Path>) -> Result<(), CheckpointError> {
        write_whole(path.as_ref(), |file| {
            let mut file = BufWriter::new(file);
            self.write_archive(&mut file)?;
            file.into_inner()?.sync_all()
        })
    }

    fn write_archive(&self, out: impl Write + Seek) -> io::Result<()> {
        let mut archive = ZipWriter::new(out);
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(true)
            .with_alignment(ALIGNMENT);
        let mut entry = |name: &str, bytes: &[u8]| -> io::Result<()> {
            archive.start_file(format!("archive/{name}"), options)?;
            archive.write_all(bytes)
        };
        entry("data.pkl", &self.pickle())?;
        entry("byteorder", b"little")?;
        for (index, (_, values)) in self.tensors.values().enumerate() {
            entry(&format!("data/{index}"), &self.dtype.encode(values))?;
        }
        entry("version", b"3\n")?;
        archive.finish()?;
        Ok(())
    }

    fn pickle(&self) -> Vec<u8> {
        let mut pickle = START.to_vec();
        for (index, (key, (shape, values))) in self.tensors.iter().enumerate() {
            push_text(&mut pickle, key);
            pickle.extend(TENSOR);
            push_text(&mut pickle, "storage");
            pickle.extend(storage_class(self.dtype));
            push_text(&mut pickle, &index.to_string());
            push_text(&mut pickle, "cpu");
            push_number(&mut pickle, values.len());
            // The tuple so far is the name of a storage outside the pickle; the tensor starts at its beginning.
            pickle.extend(b"tQ");
            push_number(&mut pickle, 0);
            push_numbers(&mut pickle, shape);
            push_numbers(&mut pickle, &strides(shape));
            pickle.extend(NO_HOOKS);
        }
        pickle.extend(END);
        pickle
    }
}

fn storage_class(dtype: SaveDtype) -> &'static [u8] {
    match dtype {
        SaveDtype::F32 => b"ctorch\nFloatStorage\n",
        SaveDtype::F16 => b"ctorch\nHalfStorage\n",
        SaveDtype::Bf16 => b"ctorch\nBFloat16Storage\n",
    }
}

/// Returns how many elements apart neighbours along each axis are.
fn strides(shape: &[usize]) -> Vec<usize> {
    (0..shape.len())
        .map(|axis| shape[axis + 1..].iter().product())
        .collect()
}

fn push_text(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend((text.len() as u32).to_le_bytes());
    pickle.extend(text.as_bytes());
}

/// Adds a tuple of numbers.
fn push_numbers(pickle: &mut Vec<u8>, numbers: &[usize]) {
    pickle.push(b'(');
    numbers.iter().for_each(|number| push_number(pickle, *number));
    pickle.push(b't');
}

fn push_number(pickle: &mut Vec<u8>, number: usize) {
    if let Ok(small) = u8::try_from(number) {
        pickle.extend([b'K', small]);
    } else if let Ok(medium) = i32::try_from(number) {
        pickle.push(b'J');
        pickle.extend(medium.to_le_bytes());
    } else {
        pickle.extend(b"\x8a\x08");
        pickle.extend((number as u64).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData};

    use super::*;
    use crate::checkpoint::{CheckpointFormat, CheckpointSource, StoredDtype};

    #[test]
    fn what_was_written_is_read_back_by_the_reader_of_released_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model_ema_bf16.pt");
        let values: Vec<f32> = (0..600).map(|value| value as f32 * 0.5 - 100.0).collect();
        let matrix = Tensor::<2>::from_data(TensorData::new(values.clone(), [2, 300]), &Device::flex());
        let vector = Tensor::<1>::from_data([1.5f32, -2.0, 0.25], &Device::flex());
        for (dtype, stored) in [
            (SaveDtype::F32, StoredDtype::F32),
            (SaveDtype::F16, StoredDtype::F16),
            (SaveDtype::Bf16, StoredDtype::Bf16),
        ] {
            let writer = CheckpointWriter::new(dtype)
                .with_tensor("net.blocks.0.weight", &matrix)
                .with_tensor("net.bias", &vector);
            writer.save_pytorch(&path).expect("it is written");
            let source = CheckpointSource::open(&path).expect("it is read");
            assert_eq!(source.format(), CheckpointFormat::Pytorch);
            assert_eq!(source.keys().collect::<Vec<_>>(), ["net.bias", "net.blocks.0.weight"]);
            assert_eq!(source.shape("net.blocks.0.weight"), Some([2, 300].as_slice()));
            assert_eq!(source.dtype("net.bias"), Some(stored));
            assert_eq!(source.read("net.bias").expect("readable"), [1.5, -2.0, 0.25]);
            let exact = dtype == SaveDtype::F32;
            assert!(!exact || source.read("net.blocks.0.weight").expect("readable") == values);
            let first = std::fs::read(&path).expect("readable");
            writer.save_pytorch(&path).expect("it is written");
            assert_eq!(
                std::fs::read(&path).expect("readable"),
                first,
                "equal weights give equal bytes"
            );
        }
    }

    #[test]
    fn numbers_of_all_sizes_have_their_codes() {
        let mut pickle = Vec::new();
        for number in [255, 256, 1 << 31] {
            push_number(&mut pickle, number);
        }
        assert_eq!(
            pickle,
            *b"K\xffJ\x00\x01\x00\x00\x8a\x08\x00\x00\x00\x80\x00\x00\x00\x00"
        );
    }
}
