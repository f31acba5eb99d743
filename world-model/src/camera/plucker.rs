//! Rays through the pixels of a camera, in Plücker coordinates.
//!
//! Source: `cosmos_transfer2/_src/imaginaire/modules/camera.py` (`Camera.get_plucker_rays`) and
//! `_src/predict2/camera/utils.py` of cosmos-transfer2.5@2ff49d0.
//! Differs: double precision, rounded where upstream stores a tensor; a ray is turned into the world directly instead
//! of subtracting the camera's position from a point on it, which is the same position on both sides.

use burn::tensor::{Device, Tensor, TensorData};

use super::error::CameraError;
use super::pinhole::{PinholeCamera, PosePrecision, dot, inverse};

/// Numbers of one ray: its moment about the origin, then its direction.
const RAY: usize = 6;

/// Computes the rays of every camera, gathered into one vector per patch of pixels.
///
/// A patch is flattened row after row, and each pixel to the moment and the unit direction of its ray. Intrinsics and
/// poses are rounded to `precision` first. One camera stands for one latent frame.
///
/// # Shapes
/// - image_size: `[height, width]`, in pixels
/// - output: `[cameras, height / patch, width / patch, patch * patch * 6]`, float32
///
/// # Errors
/// [`CameraError::ImageSize`] if the image is no whole number of patches, and those of [`PinholeCamera::validate`].
///
/// # Example
/// ```
/// use burn::tensor::Device;
/// use worldloop_world_model::camera::{PinholeCamera, PosePrecision, plucker_tokens};
///
/// let world_from_camera = [[1.0, 0.0, 0.0, 0.5], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -2.0]];
/// let precision = PosePrecision::Float32;
/// let camera = PinholeCamera::from_pose([40.0, 40.0, 24.0, 16.0], world_from_camera, precision);
/// let tokens = plucker_tokens(&[camera], [32, 48], 16, precision, &Device::flex())?;
/// assert_eq!(tokens.dims(), [1, 2, 3, 1536]);
/// # Ok::<(), worldloop_world_model::camera::CameraError>(())
/// ```
pub fn plucker_tokens(
    cameras: &[PinholeCamera],
    image_size: [usize; 2],
    patch: usize,
    precision: PosePrecision,
    device: &Device,
) -> Result<Tensor<4>, CameraError> {
    let [height, width] = image_size;
    if patch == 0 || !height.is_multiple_of(patch) || !width.is_multiple_of(patch) {
        return Err(CameraError::ImageSize { height, width, patch });
    }
    let (rows, columns) = (height / patch, width / patch);
    let mut values = Vec::with_capacity(cameras.len() * height * width * RAY);
    for (index, camera) in cameras.iter().enumerate() {
        let rays = Rays::new(&camera.rounded(precision), index, precision)?;
        for token in 0..rows * columns {
            let (top, left) = (token / columns * patch, token % columns * patch);
            for pixel in 0..patch * patch {
                values.extend(rays.through([left + pixel % patch, top + pixel / patch]));
            }
        }
    }
    let shape = [cameras.len(), rows, columns, patch * patch * RAY];
    Ok(Tensor::from_data(TensorData::new(values, shape), device))
}

/// What all rays of one camera share.
struct Rays {
    centre: [f64; 3],
    /// Rows that take a pixel to the direction of its ray in the world.
    world_from_pixel: [[f64; 3]; 3],
    precision: PosePrecision,
}

impl Rays {
    fn new(camera: &PinholeCamera, index: usize, precision: PosePrecision) -> Result<Self, CameraError> {
        camera.validate(index)?;
        let camera_from_pixel = match inverse(&camera.intrinsics.map(|row| row.map(f64::from))) {
            Ok(inverse) => inverse,
            Err(determinant) => {
                return Err(CameraError::Intrinsics {
                    camera: index,
                    determinant,
                });
            }
        };
        let pose = camera.camera_from_world.map(|row| row.map(f64::from));
        let world_axis = |axis: usize| pose.map(|row| row[axis]);
        let translation = pose.map(|row| row[3]);
        Ok(Self {
            centre: std::array::from_fn(|axis| precision.round(-dot(world_axis(axis), translation))),
            world_from_pixel: std::array::from_fn(|axis| {
                let turned = world_axis(axis);
                std::array::from_fn(|column| dot(turned, camera_from_pixel.map(|row| row[column])))
            }),
            precision,
        })
    }

    /// Returns moment and direction of the ray through the middle of a pixel.
    fn through(&self, [column, row]: [usize; 2]) -> [f32; RAY] {
        let pixel = [column as f64 + 0.5, row as f64 + 0.5, 1.0];
        let ray = self.world_from_pixel.map(|row| dot(row, pixel));
        let length = dot(ray, ray).sqrt().max(self.precision.min_length());
        let direction = ray.map(|value| self.precision.round(value / length));
        let moment = self.rounded_cross(self.centre, direction);
        [
            moment[0],
            moment[1],
            moment[2],
            direction[0],
            direction[1],
            direction[2],
        ]
        .map(|value| value as f32)
    }

    /// Returns the vector product in the arithmetic of the poses: products and differences are rounded.
    fn rounded_cross(&self, left: [f64; 3], right: [f64; 3]) -> [f64; 3] {
        let product = |one: usize, other: usize| self.precision.round(left[one] * right[other]);
        std::array::from_fn(|axis| {
            let (next, last) = ((axis + 1) % 3, (axis + 2) % 3);
            self.precision.round(product(next, last) - product(last, next))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera() -> PinholeCamera {
        let pose = [[1.0, 0.0, 0.0, 3.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
        PinholeCamera::from_pose([2.0, 2.0, 1.5, 0.5], pose, PosePrecision::Float32)
    }

    #[test]
    fn the_ray_through_the_principal_point_looks_ahead() {
        let tokens = plucker_tokens(&[camera()], [2, 4], 2, PosePrecision::Float32, &Device::flex()).expect("whole");
        let first: Vec<f32> = tokens.into_data().try_to_vec().expect("float32 data");
        // Pixel (1, 0) has its middle at (1.5, 0.5); moment (3, 0, 0) x (0, 0, 1).
        assert_eq!(first[6..12], [0.0, -3.0, 0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn an_image_must_be_whole_patches() {
        let refused = plucker_tokens(&[camera()], [3, 4], 2, PosePrecision::Float32, &Device::flex());
        let expected = CameraError::ImageSize {
            height: 3,
            width: 4,
            patch: 2,
        };
        assert_eq!(refused.expect_err("3 rows"), expected);
    }
}
