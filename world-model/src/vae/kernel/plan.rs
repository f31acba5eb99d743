//! Sizes of one convolution, and how its taps reach the input.

use super::super::convolution::Geometry;

/// Sizes of one convolution over `[batch, frames, height, width, channels]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) batch: usize,
    /// Frames, height and width of the input.
    pub(super) input: [usize; 3],
    pub(super) channels_in: usize,
    /// Frames, height and width of the output.
    pub(super) output: [usize; 3],
    pub(super) channels_out: usize,
    pub(super) kernel: [usize; 3],
    pub(super) stride: [usize; 3],
    /// Zeros in front of the (spread) input.
    pub(super) before: [usize; 3],
    /// How often every pixel is repeated in height and width.
    pub(super) repeat: usize,
    /// Step between input values, with zeros between them; only in gradients.
    pub(super) spread: [usize; 3],
}

impl Plan {
    /// Plans the convolution itself; `weight` is the shape of its weight.
    pub(super) fn forward(input: [usize; 5], weight: [usize; 5], geometry: &Geometry) -> Self {
        let [batch, frames, height, width, channels_in] = input;
        let [channels_out, weight_in, kernel @ ..] = weight;
        assert_eq!(channels_in, weight_in, "the weight is of another number of channels");
        let repeat = if geometry.doubles_size { 2 } else { 1 };
        let sizes = [frames, height * repeat, width * repeat];
        let output = std::array::from_fn(|axis| {
            let (before, after) = geometry.padding[axis];
            let padded = sizes[axis] + before + after;
            assert!(padded >= kernel[axis], "the kernel is larger than the padded input");
            (padded - kernel[axis]) / geometry.stride[axis] + 1
        });
        Self {
            batch,
            input: [frames, height, width],
            channels_in,
            output,
            channels_out,
            kernel,
            stride: geometry.stride,
            before: geometry.padding.map(|(before, _)| before),
            repeat,
            spread: [1; 3],
        }
    }

    /// Plans the walk from the output's gradient to that of the (repeated) input.
    pub(super) fn input_gradient(&self) -> Self {
        let [frames, height, width] = self.input;
        let before = std::array::from_fn(|axis| {
            assert!(
                self.before[axis] < self.kernel[axis],
                "padding is smaller than the kernel"
            );
            self.kernel[axis] - 1 - self.before[axis]
        });
        Self {
            batch: self.batch,
            input: self.output,
            channels_in: self.channels_out,
            output: [frames, height * self.repeat, width * self.repeat],
            channels_out: self.channels_in,
            kernel: self.kernel,
            stride: [1; 3],
            before,
            repeat: 1,
            spread: self.stride,
        }
    }

    /// Returns height and width of a padded input frame.
    pub(super) fn padded(&self) -> [usize; 2] {
        [1, 2].map(|axis| (self.output[axis] - 1) * self.stride[axis] + self.kernel[axis])
    }

    /// Returns whether padded frames are the input frames themselves.
    pub(super) fn is_unpadded(&self) -> bool {
        self.repeat == 1 && self.spread == [1; 3] && self.padded() == [self.input[1], self.input[2]]
    }

    /// Returns the input frame under temporal tap `tap` of output frame `frame`, if there is one.
    pub(super) fn input_frame(&self, frame: usize, tap: usize) -> Option<usize> {
        let position = (frame * self.stride[0] + tap).checked_sub(self.before[0])?;
        (position.is_multiple_of(self.spread[0]) && position / self.spread[0] < self.input[0])
            .then(|| position / self.spread[0])
    }

    /// Returns the input row (axis 1) or column (axis 2) at position `index` of a padded frame, if there is one.
    pub(super) fn source(&self, axis: usize, index: usize) -> Option<usize> {
        let position = index.checked_sub(self.before[axis])?;
        let divisor = self.spread[axis] * self.repeat;
        let fits = position.is_multiple_of(self.spread[axis]) && position / divisor < self.input[axis];
        fits.then(|| position / divisor)
    }

    /// Returns the number of output rows that are worked on together: a divisor of the height.
    pub(super) fn rows_per_tile(&self) -> usize {
        const PIXELS: usize = 256;
        const MIN_TILES: usize = 16;
        let rows = self.batch * self.output[0] * self.output[1];
        let most = (PIXELS / self.output[2].max(1)).min(rows / MIN_TILES).max(1);
        (1..=most.min(self.output[1]))
            .rev()
            .find(|count| self.output[1].is_multiple_of(*count))
            .unwrap_or(1)
    }
}
