//! Files that are whole, broken and hostile.

mod adapters;
mod allocation;
mod corpus;
mod folders;
mod hostile;
mod loading_memory;
mod modules;
mod mutations;
mod pickle_walks;
mod pytorch_archives;
mod safetensors_files;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

/// A module with a nested and a repeated part.
#[derive(Module, Debug)]
struct Network {
    input: Linear,
    blocks: Vec<Linear>,
}

impl Network {
    fn new(width: usize, blocks: usize) -> Self {
        let device = Device::flex();
        let linear = || LinearConfig::new(width, width + 1).init(&device);
        Self {
            input: linear(),
            blocks: (0..blocks).map(|_| linear()).collect(),
        }
    }

    fn layers(&self) -> impl Iterator<Item = &Linear> {
        std::iter::once(&self.input).chain(&self.blocks)
    }

    fn values(&self) -> Vec<f32> {
        self.layers().flat_map(|linear| values(linear.weight.val())).collect()
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
