//! The network of the behaviour-cloned policy.

use burn::config::Config;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::{relu, sigmoid, softmax};
use burn::tensor::{Device, Tensor, assert_shape};

/// Side of the square patches that the image is cut into, in pixels.
const PATCH: usize = 4;

/// Factor on the heat maps before their softmax: fresh networks would else see every centre of mass in the middle of the
/// image, and learn several times slower.
const SHARPNESS: f32 = 8.0;

/// Configuration of a [`ClonedNetwork`].
#[derive(Config, Debug, PartialEq)]
pub struct ClonedNetworkConfig {
    /// Height and width of the images, a multiple of 4.
    #[config(default = 64)]
    pub image_size: usize,
    /// Number of tasks, the length of the one-hot vector.
    #[config(default = 3)]
    pub num_tasks: usize,
    /// Number of actions per chunk.
    #[config(default = 8)]
    pub horizon: usize,
    /// Number of values per action; the last one is the gripper.
    #[config(default = 7)]
    pub action_size: usize,
    /// Channels of the patches, after the first convolution and after the second.
    #[config(default = "[48, 32, 32]")]
    pub channels: [usize; 3],
    /// Width of the fully connected layers.
    #[config(default = 384)]
    pub d_hidden: usize,
}

/// Maps camera images and tasks to action chunks.
///
/// The image is cut into patches of 4 × 4 pixels, which keeps the network cheap on a CPU. Two convolutions over the
/// patches, modulated by the task, draw one heat map per channel. Each heat map becomes the position of its centre of
/// mass and its height there; three fully connected layers turn those into actions.
#[derive(Module, Debug)]
pub struct ClonedNetwork {
    /// Embeds the pixels and the position of each patch.
    pub patches: Linear,
    /// First convolution, whose output the task scales and shifts.
    pub conv1: Conv2d,
    /// Second convolution, which draws the heat maps.
    pub conv2: Conv2d,
    /// Scale and shift per channel from the task.
    pub modulation: Linear,
    /// First fully connected layer.
    pub linear1: Linear,
    /// Second fully connected layer.
    pub linear2: Linear,
    /// Last fully connected layer.
    pub output: Linear,
    /// Height and width of the images.
    pub image_size: usize,
    /// Number of actions per chunk.
    pub horizon: usize,
    /// Number of values per action.
    pub action_size: usize,
}

impl ClonedNetworkConfig {
    /// Initialises the network with random weights.
    pub fn init(&self, device: &Device) -> ClonedNetwork {
        let [patch, middle, maps] = self.channels;
        let conv = |from: usize, to: usize| {
            Conv2dConfig::new([from, to], [3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(device)
        };
        ClonedNetwork {
            patches: LinearConfig::new(3 * PATCH * PATCH + 2, patch).init(device),
            conv1: conv(patch, middle),
            conv2: conv(middle, maps),
            modulation: LinearConfig::new(self.num_tasks, 2 * middle).init(device),
            linear1: LinearConfig::new(3 * maps + self.num_tasks, self.d_hidden).init(device),
            linear2: LinearConfig::new(self.d_hidden, self.d_hidden).init(device),
            output: LinearConfig::new(self.d_hidden, self.horizon * self.action_size).init(device),
            image_size: self.image_size,
            horizon: self.horizon,
            action_size: self.action_size,
        }
    }
}

impl ClonedNetwork {
    /// Predicts one action chunk per image.
    ///
    /// # Shapes
    /// - images: `[batch, 3, size, size]`, RGB in `[-1, 1]`
    /// - tasks: `[batch, num_tasks]`, one-hot
    /// - output: `[batch, horizon, action_size]`, motions in `[-1, 1]`, the last value (the gripper) in `[0, 1]`
    ///
    /// # Panics
    /// If the axes do not fit the configuration.
    pub fn forward(&self, images: Tensor<4>, tasks: Tensor<2>) -> Tensor<3> {
        let ([batch, ..], size) = (images.dims(), self.image_size);
        let [num_tasks, _] = self.modulation.weight.dims();
        assert_shape!(images, [batch, 3, size, size]);
        assert_shape!(tasks, [batch, num_tasks]);

        let features = relu(self.embed(images));
        let features = relu(self.modulate(self.conv1.forward(features), tasks.clone()));
        let points = heat_map_points(self.conv2.forward(features));
        let hidden = relu(self.linear1.forward(Tensor::cat(vec![points, tasks], 1)));
        let hidden = relu(self.linear2.forward(hidden));
        self.bound(
            self.output
                .forward(hidden)
                .reshape([batch, self.horizon, self.action_size]),
        )
    }

    /// Embeds patches: `[batch, 3, size, size]` in, `[batch, channels, size / 4, size / 4]` out.
    fn embed(&self, images: Tensor<4>) -> Tensor<4> {
        let ([batch, ..], side) = (images.dims(), self.image_size / PATCH);
        let positions = positions(side, &images.device()).expand([batch, side * side, 2]);
        let pixels = images
            .reshape([batch, 3, side, PATCH, side, PATCH])
            .permute([0, 2, 4, 1, 3, 5]) // batch, row, column, colour, y, x
            .reshape([batch, side * side, 3 * PATCH * PATCH]);
        let embedded = self.patches.forward(Tensor::cat(vec![pixels, positions], 2));
        let channels = embedded.dims()[2];
        embedded.swap_dims(1, 2).reshape([batch, channels, side, side])
    }

    /// Scales and shifts the channels as the task asks: `[batch, channels, height, width]` in and out.
    fn modulate(&self, features: Tensor<4>, tasks: Tensor<2>) -> Tensor<4> {
        let mut parts = self.modulation.forward(tasks).chunk(2, 1);
        let (Some(shift), Some(scale)) = (parts.pop(), parts.pop()) else {
            return features;
        };
        features * (scale.unsqueeze_dims::<4>(&[2, 3]) + 1.0) + shift.unsqueeze_dims::<4>(&[2, 3])
    }

    /// Brings raw values into the bounds of actions: `[batch, horizon, action_size]` in and out.
    fn bound(&self, raw: Tensor<3>) -> Tensor<3> {
        let gripper = self.action_size - 1;
        let motion = raw.clone().narrow(2, 0, gripper).tanh();
        Tensor::cat(vec![motion, sigmoid(raw.narrow(2, gripper, 1))], 2)
    }
}

/// Returns the position of every patch, `[1, side * side, 2]`: x then y, each from -1 to 1.
fn positions(side: usize, device: &Device) -> Tensor<3> {
    let along = coordinates(side, device);
    let x = along.clone().reshape([1, 1, side, 1]).expand([1, side, side, 1]);
    let y = along.reshape([1, side, 1, 1]).expand([1, side, side, 1]);
    Tensor::cat(vec![x, y], 3).reshape([1, side * side, 2])
}

/// Returns `size` evenly spaced centres from -1 to 1.
fn coordinates(size: usize, device: &Device) -> Tensor<1> {
    let centres: Vec<f32> = (0..size)
        .map(|index| (2.0 * index as f32 + 1.0) / size as f32 - 1.0)
        .collect();
    Tensor::from_floats(centres.as_slice(), device)
}

/// Finds the centre of mass of each heat map and its height there.
///
/// # Shapes
/// - maps: `[batch, channels, height, width]`, logits
/// - output: `[batch, 3 * channels]`: all x, all y, all heights
fn heat_map_points(maps: Tensor<4>) -> Tensor<2> {
    let [batch, channels, height, width] = maps.dims();
    let device = maps.device();
    let logits = maps.reshape([batch, channels, height * width]);
    let weights = softmax(logits.clone() * SHARPNESS, 2);
    let heights = (weights.clone() * logits).sum_dim(2).reshape([batch, channels]);
    let weights = weights.reshape([batch, channels, height, width]);
    let x = weights.clone() * coordinates(width, &device).reshape([1, 1, 1, width]);
    let y = weights * coordinates(height, &device).reshape([1, 1, height, 1]);
    let total = |tensor: Tensor<4>| {
        tensor
            .reshape([batch, channels, height * width])
            .sum_dim(2)
            .reshape([batch, channels])
    };
    Tensor::cat(vec![total(x), total(y), heights.tanh()], 1)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    fn small() -> ClonedNetworkConfig {
        ClonedNetworkConfig::new()
            .with_image_size(16)
            .with_channels([4, 6, 8])
            .with_d_hidden(16)
    }

    #[test]
    fn output_is_a_chunk_within_bounds() {
        let device = Device::flex();
        let images = Tensor::random([2, 3, 16, 16], Distribution::Uniform(-1.0, 1.0), &device);
        let tasks = Tensor::<2>::from_floats([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], &device);
        let output = small().init(&device).forward(images, tasks);
        assert_eq!(output.dims(), [2, 8, 7]);
        let gripper = output.clone().narrow(2, 6, 1);
        assert!(gripper.min().into_scalar::<f32>() >= 0.0);
        assert!(output.abs().max().into_scalar::<f32>() <= 1.0);
    }

    #[test]
    fn default_network_has_fewer_than_half_a_million_weights() {
        let weights = ClonedNetworkConfig::new().init(&Device::flex()).num_params();
        assert!((100_000..500_000).contains(&weights), "{weights} weights");
    }

    #[test]
    fn a_single_bright_pixel_is_found_where_it_is() {
        let device = Device::flex();
        let mut logits = [0.0_f32; 16];
        logits[4 + 3] = 50.0;
        let maps = Tensor::<1>::from_floats(logits, &device).reshape([1, 1, 4, 4]);
        let found: Vec<f32> = heat_map_points(maps).into_data().try_to_vec().expect("floats");
        assert!(
            (found[0] - 0.75).abs() < 1e-4 && (found[1] + 0.25).abs() < 1e-4 && found[2] > 0.99,
            "{found:?}"
        );
    }

    #[test]
    fn the_task_changes_the_actions() {
        let device = Device::flex();
        let network = small().init(&device);
        let image = Tensor::random([1, 3, 16, 16], Distribution::Uniform(-1.0, 1.0), &device);
        let reach = network.forward(image.clone(), Tensor::from_floats([[1.0, 0.0, 0.0]], &device));
        let push = network.forward(image, Tensor::from_floats([[0.0, 1.0, 0.0]], &device));
        assert!((reach - push).abs().max().into_scalar::<f32>() > 1e-4);
    }

    #[test]
    #[should_panic(expected = "assert_shape!(tasks, [batch, num_tasks])")]
    fn tasks_must_be_one_hot_of_the_configured_length() {
        let device = Device::flex();
        let network = small().init(&device);
        let _ = network.forward(Tensor::zeros([1, 3, 16, 16], &device), Tensor::zeros([1, 2], &device));
    }
}
