//! How far two images are apart.

use image::RgbImage;

/// Highest PSNR of one frame, in dB: equal images would have an infinite one.
const PSNR_CAP_DB: f64 = 60.0;

/// Sums of squared differences on the 8-bit scale.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct SquaredError {
    pub(super) sum: f64,
    pub(super) values: usize,
}

impl SquaredError {
    /// Compares all pixels of two images of one size.
    pub(super) fn of(a: &RgbImage, b: &RgbImage) -> Self {
        Self::where_(a, b, |_| true)
    }

    /// Compares the pixels of two images that `mask` takes; it is given the index of the pixel.
    pub(super) fn where_(a: &RgbImage, b: &RgbImage, mask: impl Fn(usize) -> bool) -> Self {
        let mut total = Self::default();
        for (index, (x, y)) in a.pixels().zip(b.pixels()).enumerate() {
            if mask(index) {
                let squares = x.0.iter().zip(y.0).map(|(x, y)| (f64::from(*x) - f64::from(y)).powi(2));
                total.sum += squares.sum::<f64>();
                total.values += 3;
            }
        }
        total
    }

    /// Adds another comparison.
    pub(super) fn add(&mut self, other: Self) {
        self.sum += other.sum;
        self.values += other.values;
    }

    /// Returns the mean, 0 where nothing was compared.
    pub(super) fn mean(self) -> f64 {
        if self.values == 0 {
            0.0
        } else {
            self.sum / self.values as f64
        }
    }

    /// Returns the peak signal-to-noise ratio in dB, at most [`PSNR_CAP_DB`].
    pub(super) fn psnr(self) -> f64 {
        (10.0 * (255.0_f64.powi(2) / self.mean()).log10()).min(PSNR_CAP_DB)
    }
}

/// Returns the mean PSNR of pairs of images in dB, each at most 60 (equal images would have an infinite one), and nothing
/// without a pair.
pub fn mean_psnr<'a>(pairs: impl Iterator<Item = (&'a RgbImage, &'a RgbImage)>) -> Option<f64> {
    let values: Vec<f64> = pairs.map(|(a, b)| SquaredError::of(a, b).psnr()).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Returns for each pixel whether a channel differs by more than `threshold` of 255.
pub(super) fn moving_pixels(before: &RgbImage, after: &RgbImage, threshold: u8) -> Vec<bool> {
    let differs =
        |(x, y): (&image::Rgb<u8>, &image::Rgb<u8>)| x.0.iter().zip(y.0).any(|(x, y)| x.abs_diff(y) > threshold);
    before.pixels().zip(after.pixels()).map(differs).collect()
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn psnr_follows_its_definition() {
        let black = RgbImage::new(4, 2);
        let gray = RgbImage::from_pixel(4, 2, Rgb([16, 16, 16]));
        let expected = 20.0 * (255.0_f64 / 16.0).log10();
        assert!((SquaredError::of(&black, &gray).psnr() - expected).abs() < 1e-9);
        assert_eq!(SquaredError::of(&gray, &gray).psnr(), PSNR_CAP_DB);
    }

    #[test]
    fn only_masked_pixels_count() {
        let black = RgbImage::new(2, 1);
        let mut other = black.clone();
        other.put_pixel(1, 0, Rgb([0, 30, 0]));
        let moving = moving_pixels(&black, &other, 10);
        assert_eq!(moving, [false, true]);
        assert_eq!(
            SquaredError::where_(&black, &other, |index| moving[index]).mean(),
            300.0
        );
        assert_eq!(moving_pixels(&black, &other, 30), [false, false]);
    }
}
