//! Peak signal-to-noise ratios of predicted clips.

use crate::picture::ClipView;

/// Range of pixel values: -1 to 1.
const PEAK: f64 = 2.0;

/// Smallest change against the first frame that counts as motion, of a range of 2.
const MOTION: f32 = 16.0 / 127.5;

/// Returns the PSNR over all frames but the first, in dB.
pub(crate) fn psnr(pairs: &[(ClipView<'_>, ClipView<'_>)]) -> f64 {
    decibels(mean_squared_error(pairs, |_, _| true))
}

/// Returns the PSNR over the pixels that differ from the clip's first frame in the truth, in dB.
pub(crate) fn moving_psnr(pairs: &[(ClipView<'_>, ClipView<'_>)]) -> f64 {
    decibels(mean_squared_error(pairs, |first, truth| (first - truth).abs() > MOTION))
}

/// Returns the mean squared error over the values that `counts` takes, given the value in the first frame and the truth.
pub(crate) fn mean_squared_error(pairs: &[(ClipView<'_>, ClipView<'_>)], counts: impl Fn(f32, f32) -> bool) -> f64 {
    let (mut sum, mut count) = (0.0_f64, 0_usize);
    for (truth, prediction) in pairs {
        let plane = truth.height * truth.width;
        for channel in 0..3 {
            let first = &truth.values[channel * truth.frames * plane..][..plane];
            for frame in 1..truth.frames {
                let start = (channel * truth.frames + frame) * plane;
                let both = truth.values[start..][..plane]
                    .iter()
                    .zip(&prediction.values[start..][..plane]);
                for (&first, (&truth, &prediction)) in first.iter().zip(both) {
                    if counts(first, truth) {
                        sum += f64::from(truth - prediction).powi(2);
                        count += 1;
                    }
                }
            }
        }
    }
    sum / count.max(1) as f64
}

/// Returns a mean squared error as PSNR, at most 100 dB.
pub(crate) fn decibels(mean_squared_error: f64) -> f64 {
    10.0 * (PEAK * PEAK / mean_squared_error.max(PEAK * PEAK * 1e-10)).log10()
}
