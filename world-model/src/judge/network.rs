//! The network behind [`FrameJudge`](super::FrameJudge).

use burn::config::Config;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::{relu, softmax};
use burn::tensor::{Device, Tensor, assert_shape};

use crate::gripper_pose::{GripperPose, POSE_FEATURES, PoseLimits};

/// By how much height and width shrink before the fully connected layers.
const COMPRESSION: usize = 16;

/// Added to squared distances, in squared steps, so that the root has a slope at zero.
const SOFTENING: f32 = 1e-4;

/// Configuration of a [`JudgeNetwork`].
#[derive(Config, Debug, PartialEq)]
pub struct JudgeNetworkConfig {
    /// Names of the tasks that are judged, in the order of the one-hot vector.
    pub tasks: Vec<String>,
    /// Height of the frames in pixels, a multiple of 16.
    pub height: usize,
    /// Width of the frames in pixels, a multiple of 16.
    pub width: usize,
    /// Channels after the first, the second, and the later convolutions.
    #[config(default = "[24, 48, 64]")]
    pub channels: [usize; 3],
    /// Places that the network looks for, each by a channel whose centre of mass it reads.
    #[config(default = 48)]
    pub places: usize,
    /// Width of the fully connected layers.
    #[config(default = 128)]
    pub d_hidden: usize,
    /// Limits of the poses that are seen beside the frames; none for a judge that sees frames alone.
    pub poses: Option<PoseLimits>,
    /// Points in space that the network tells from its places, to see how far they are from the gripper and from each other; none takes no
    /// distances, and without poses there are none.
    pub points: Option<usize>,
    /// Subtracted from the success logit, by task, so that as many held-out frames are called successes as are; none where it
    /// is empty.
    #[config(default = "Vec::new()")]
    pub success_offsets: Vec<f32>,
}

/// Maps a frame, the episode's first one and a task to a success logit and a progress logit.
///
/// Five convolutions see the colours of both frames and the pixel coordinates; the task, and the gripper's pose where it is seen, scale and
/// shift the channels of the third. Success is often a matter of millimetres between the gripper and a thing, so distances are taken in
/// space and not left to be learned.
#[derive(Module, Debug)]
pub struct JudgeNetwork {
    /// First convolution, stride 2.
    pub conv1: Conv2d,
    /// Second convolution, stride 2.
    pub conv2: Conv2d,
    /// Third convolution, whose output the conditions modulate.
    pub conv3: Conv2d,
    /// Fourth convolution, stride 2.
    pub conv4: Conv2d,
    /// Fifth convolution, stride 2.
    pub conv5: Conv2d,
    /// Scale and shift per channel from the conditions.
    pub modulation: Linear,
    /// How much each position of the third convolution's output speaks for each place.
    pub places: Conv2d,
    /// Features of the places, for the points; none for a judge that takes no distances.
    pub sight: Option<Linear>,
    /// Points in space; none for a judge that takes no distances.
    pub points: Option<Linear>,
    /// First fully connected layer.
    pub linear1: Linear,
    /// Second fully connected layer.
    pub linear2: Linear,
    /// Logits of success and progress.
    pub output: Linear,
}

impl JudgeNetworkConfig {
    /// Returns how many numbers beside the frame a judgement depends on: the task, one-hot, the pose, and for distances the gripper's
    /// position.
    pub fn conditions(&self) -> usize {
        let position = self.points_seen().map_or(0, |_| 3);
        self.tasks.len() + self.poses.map_or(0, |_| POSE_FEATURES + position)
    }

    /// Returns these numbers for the task of this index.
    pub fn condition(&self, task: usize, pose: Option<GripperPose>) -> Vec<f32> {
        let one_hot = (0..self.tasks.len()).map(|index| f32::from(u8::from(index == task)));
        let features = self.poses.map(|limits| limits.features(pose));
        let position = self.points_seen().and(self.poses).map(|limits| limits.position(pose));
        one_hot
            .chain(features.into_iter().flatten())
            .chain(position.into_iter().flatten())
            .collect()
    }

    /// Returns how many points the distances are taken of, if any are.
    fn points_seen(&self) -> Option<usize> {
        self.poses.and(self.points)
    }

    /// Returns whether a network can be built: tasks, and frames whose sides are multiples of 16, and as many offsets as tasks or none.
    pub fn is_valid(&self) -> bool {
        let side = |size: usize| (COMPRESSION..=1024).contains(&size) && size.is_multiple_of(COMPRESSION);
        let width = |size: usize| (1..=4096).contains(&size);
        let sides = side(self.height) && side(self.width);
        let offsets = [0, self.tasks.len()].contains(&self.success_offsets.len());
        sides
            && offsets
            && self.poses.is_none_or(|limits| limits.wrong().is_none())
            && !self.tasks.is_empty()
            && width(self.d_hidden)
            && width(self.places)
            && self.points.is_none_or(width)
            && self.channels.iter().all(|&size| width(size))
    }

    /// Initialises the network with random weights.
    pub fn init(&self, device: &Device) -> JudgeNetwork {
        let [first, second, later] = self.channels;
        let conv = |from: usize, to: usize, kernel: usize, stride: usize| {
            let padding = kernel / 2;
            Conv2dConfig::new([from, to], [kernel, kernel])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
                .init(device)
        };
        let linear = |from: usize, to: usize| LinearConfig::new(from, to).init(device);
        let cells = (self.height / COMPRESSION) * (self.width / COMPRESSION);
        let points = self.points_seen();
        // Of each pair of points, and of each point and the gripper.
        let distances = points.map_or(0, |points| points * (points + 1) / 2);
        JudgeNetwork {
            conv1: conv(8, first, 5, 2),
            conv2: conv(first, second, 3, 2),
            conv3: conv(second, later, 3, 1),
            conv4: conv(later, later, 3, 2),
            conv5: conv(later, later, 3, 2),
            modulation: linear(self.conditions(), 2 * later),
            places: conv(later, self.places, 1, 1),
            sight: points.map(|_| linear(2 * self.places, self.d_hidden)),
            points: points.map(|points| linear(self.d_hidden, 3 * points)),
            linear1: linear(
                later * cells + 2 * self.places + distances + self.conditions(),
                self.d_hidden,
            ),
            linear2: linear(self.d_hidden, self.d_hidden),
            output: linear(self.d_hidden, 2),
        }
    }
}

impl JudgeNetwork {
    /// Judges frames.
    ///
    /// # Shapes
    /// - pictures: `[batch, 6, height, width]`, RGB of the frame, then of the episode's first one, in `[-1, 1]`
    /// - conditions: `[batch, conditions]`, see [`JudgeNetworkConfig::condition`]
    /// - output: `[batch, 2]`, logits of success and of progress
    pub fn forward(&self, pictures: Tensor<4>, conditions: Tensor<2>) -> Tensor<2> {
        let [batch, _, height, width] = pictures.dims();
        assert_shape!(pictures, [batch, 6, height, width]);
        let coordinates = coordinate_channels([batch, height, width], &pictures.device());
        let features = relu(self.conv1.forward(Tensor::cat(vec![pictures, coordinates], 1)));
        let features = self.conv3.forward(relu(self.conv2.forward(features)));
        let [_, channels, _, _] = features.dims();
        let modulation = self.modulation.forward(conditions.clone());
        let scale = modulation
            .clone()
            .narrow(1, 0, channels)
            .reshape([batch, channels, 1, 1]);
        let shift = modulation
            .narrow(1, channels, channels)
            .reshape([batch, channels, 1, 1]);
        let features = relu(features * (scale + 1.0) + shift);
        let places = centres_of_mass(self.places.forward(features.clone()));
        let features = relu(self.conv5.forward(relu(self.conv4.forward(features))));
        let mut seen = vec![features.flatten(1, 3), places.clone()];
        if let (Some(sight), Some(points)) = (&self.sight, &self.points) {
            let points = points.forward(relu(sight.forward(places)));
            let gripper = conditions.clone().narrow(1, conditions.dims()[1] - 3, 3);
            seen.push(distances(Tensor::cat(vec![gripper, points], 1)));
        }
        seen.push(conditions);
        let features = Tensor::cat(seen, 1);
        let features = relu(self.linear2.forward(relu(self.linear1.forward(features))));
        self.output.forward(features)
    }
}

/// Returns where each channel has its centre, when the softmax over its positions is taken for mass: `[batch, 2 * channels]`, x of all
/// channels, then y.
///
/// Source: Levine et al. 2016, "End-to-End Training of Deep Visuomotor Policies" §5.1.
fn centres_of_mass(evidence: Tensor<4>) -> Tensor<2> {
    let [batch, channels, height, width] = evidence.dims();
    let positions = height * width;
    let coordinates = coordinate_channels([1, height, width], &evidence.device()).reshape([1, 2, positions]);
    let mass = softmax(evidence.reshape([batch, channels, positions]), 2);
    let along = |axis: usize| {
        (mass.clone() * coordinates.clone().narrow(1, axis, 1))
            .sum_dim(2)
            .reshape([batch, channels])
    };
    Tensor::cat(vec![along(0), along(1)], 1)
}

/// Returns the distance of each pair of points.
///
/// # Shapes
/// - points: `[batch, 3 * points]`, x, y and z of the first, and so on
/// - output: `[batch, points * (points - 1) / 2]`
fn distances(points: Tensor<2>) -> Tensor<2> {
    let [batch, values] = points.dims();
    let count = values / 3;
    let pairs = (0..count).flat_map(|left| (left + 1..count).map(move |right| (left as i32, right as i32)));
    let (left, right): (Vec<i32>, Vec<i32>) = pairs.unzip();
    let points = points.reshape([batch, count, 3]);
    let ends = |indices: &[i32]| {
        let indices = Tensor::from_ints(indices, &points.device());
        points.clone().select(1, indices)
    };
    let between = ends(&left) - ends(&right);
    (between.square().sum_dim(2) + SOFTENING).sqrt().flatten(1, 2)
}

/// Returns the coordinates of every pixel, `[batch, 2, height, width]`: x then y, each from -1 to 1.
fn coordinate_channels([batch, height, width]: [usize; 3], device: &Device) -> Tensor<4> {
    let along = |size: usize| {
        let centres: Vec<f32> = (0..size)
            .map(|index| (2.0 * index as f32 + 1.0) / size as f32 - 1.0)
            .collect();
        Tensor::<1>::from_floats(centres.as_slice(), device)
    };
    let x = along(width).reshape([1, 1, 1, width]).expand([batch, 1, height, width]);
    let y = along(height)
        .reshape([1, 1, height, 1])
        .expand([batch, 1, height, width]);
    Tensor::cat(vec![x, y], 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spot_is_its_centre_of_mass() {
        let device = Device::flex();
        let mut evidence = vec![0.0_f32; 4 * 8];
        evidence[8 + 6] = 50.0;
        let evidence = Tensor::<1>::from_floats(evidence.as_slice(), &device).reshape([1, 1, 4, 8]);
        let found: Vec<f32> = centres_of_mass(evidence)
            .into_data()
            .try_to_vec()
            .expect("float32 data");
        // Column 6 of 8 and row 1 of 4.
        assert!(
            (found[0] - 0.625).abs() < 1e-5 && (found[1] + 0.25).abs() < 1e-5,
            "{found:?}"
        );
    }

    #[test]
    fn distances_are_those_of_all_pairs() {
        let device = Device::flex();
        let points = [[0.0, 0.0, 0.0, 3.0, 4.0, 0.0, 0.0, 0.0, 2.0]];
        let found: Vec<f32> = distances(Tensor::from_floats(points, &device))
            .into_data()
            .try_to_vec()
            .expect("float32 data");
        assert_eq!(found.len(), 3);
        for (found, expected) in found.iter().zip([5.0, 2.0, 29.0_f32.sqrt()]) {
            assert!((found - expected).abs() < 1e-3, "{found} for {expected}");
        }
    }
}
