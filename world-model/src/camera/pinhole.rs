//! A pinhole camera: where it is, and where it sees a point.
//!
//! Source: `cosmos_transfer2/_src/imaginaire/modules/camera.py` (`Camera`) of cosmos-transfer2.5@2ff49d0.
//! Differs: double precision, rounded where upstream stores a tensor.

use half::bf16;

use super::error::CameraError;

/// How far from 1 the determinant of a rotation may be; poses rounded to bfloat16 need this much.
const ROTATION_TOLERANCE: f64 = 1e-2;

/// Precision in which upstream stores poses and what it derives from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PosePrecision {
    /// Single precision.
    Float32,
    /// The half precision of upstream's inference, which also rounds the intrinsics.
    Bfloat16,
}

/// A pinhole camera with the axes of OpenCV: x to the right, y down, z forward.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PinholeCamera {
    /// `[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]`, in pixels.
    pub intrinsics: [[f32; 3]; 3],
    /// Rows of `[R | t]`, in metres: a point of the world is at `R * point + t` in the camera's axes.
    pub camera_from_world: [[f32; 4]; 3],
}

/// Where a camera sees a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Projection {
    /// The point in the camera's axes, in metres.
    pub camera: [f32; 3],
    /// The point on the image, in pixels; meaningless unless it is in front.
    pub pixel: [f32; 2],
    /// Whether the point is in front of the camera.
    pub in_front: bool,
}

impl PosePrecision {
    /// Rounds a number to this precision.
    pub fn round(self, value: f64) -> f64 {
        match self {
            Self::Float32 => f64::from(value as f32),
            Self::Bfloat16 => bf16::from_f64(value).to_f64(),
        }
    }

    /// Returns the length below which a ray is not stretched to unit length.
    pub(super) fn min_length(self) -> f64 {
        match self {
            Self::Float32 => 1e-8,
            Self::Bfloat16 => 1e-2,
        }
    }
}

impl PinholeCamera {
    /// Creates a camera from focal lengths and principal point in pixels, and the pose of the camera in the world.
    ///
    /// `world_from_camera` holds rows of `[R | t]`; its inverse is rounded to `precision`, as the pose itself is before.
    pub fn from_pose([fx, fy, cx, cy]: [f32; 4], world_from_camera: [[f32; 4]; 3], precision: PosePrecision) -> Self {
        let pose = world_from_camera.map(|row| row.map(|value| precision.round(f64::from(value)) as f32));
        Self {
            intrinsics: [[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]],
            camera_from_world: invert_pose(pose, precision),
        }
    }

    /// Returns the camera with intrinsics and pose rounded.
    pub fn rounded(&self, precision: PosePrecision) -> Self {
        let round = |value: f32| precision.round(f64::from(value)) as f32;
        Self {
            intrinsics: self.intrinsics.map(|row| row.map(round)),
            camera_from_world: self.camera_from_world.map(|row| row.map(round)),
        }
    }

    /// Returns the position of the camera in the world, in metres.
    pub fn centre(&self) -> [f32; 3] {
        invert_pose(self.camera_from_world, PosePrecision::Float32).map(|[_, _, _, translation]| translation)
    }

    /// Projects a point of the world onto the image.
    pub fn project(&self, point: [f32; 3]) -> Projection {
        let [x, y, z] = point.map(f64::from);
        let camera = self
            .camera_from_world
            .map(|row| dot(row.map(f64::from), [x, y, z, 1.0]));
        let [column, row, depth] = self.intrinsics.map(|row| dot(row.map(f64::from), camera));
        Projection {
            camera: camera.map(|value| value as f32),
            pixel: [(column / depth) as f32, (row / depth) as f32],
            in_front: camera[2] > 0.0,
        }
    }

    /// Checks a camera that comes from outside the program; `index` tells it from others in a message.
    ///
    /// # Errors
    /// [`CameraError::Rotation`], [`CameraError::Translation`] and [`CameraError::Intrinsics`].
    pub fn validate(&self, index: usize) -> Result<(), CameraError> {
        let camera = index;
        let determinant = determinant(&self.camera_from_world.map(|[x, y, z, _]| [x, y, z].map(f64::from)));
        let distance = (determinant - 1.0).abs();
        if distance.is_nan() || distance > ROTATION_TOLERANCE {
            return Err(CameraError::Rotation { camera, determinant });
        }
        let translation = self.camera_from_world.map(|[_, _, _, translation]| translation);
        if !translation.iter().all(|value| value.is_finite()) {
            return Err(CameraError::Translation { camera, translation });
        }
        match inverse(&self.intrinsics.map(|row| row.map(f64::from))) {
            Ok(_) => Ok(()),
            Err(determinant) => Err(CameraError::Intrinsics { camera, determinant }),
        }
    }
}

/// Inverts a rigid pose, rounding the result.
fn invert_pose(pose: [[f32; 4]; 3], precision: PosePrecision) -> [[f32; 4]; 3] {
    let translation = pose.map(|row| f64::from(row[3]));
    std::array::from_fn(|axis| {
        let rotated = pose.map(|row| f64::from(row[axis]));
        let moved = precision.round(-dot(rotated, translation));
        [rotated[0], rotated[1], rotated[2], moved].map(|value| value as f32)
    })
}

/// Returns the scalar product.
pub(super) fn dot<const N: usize>(left: [f64; N], right: [f64; N]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

/// Returns the vector product.
fn cross(left: [f64; 3], right: [f64; 3]) -> [f64; 3] {
    std::array::from_fn(|axis| {
        let (next, last) = ((axis + 1) % 3, (axis + 2) % 3);
        left[next] * right[last] - left[last] * right[next]
    })
}

fn determinant(rows: &[[f64; 3]; 3]) -> f64 {
    dot(rows[0], cross(rows[1], rows[2]))
}

/// Inverts a matrix, or returns the determinant that forbids it.
pub(super) fn inverse(rows: &[[f64; 3]; 3]) -> Result<[[f64; 3]; 3], f64> {
    let determinant = determinant(rows);
    if determinant == 0.0 || !determinant.is_finite() {
        return Err(determinant);
    }
    // Columns of the inverse are vector products of the rows.
    let columns = [
        cross(rows[1], rows[2]),
        cross(rows[2], rows[0]),
        cross(rows[0], rows[1]),
    ];
    Ok(std::array::from_fn(|row| {
        std::array::from_fn(|column| columns[column][row] / determinant)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks along the world's x axis from (1, 2, 3).
    fn camera() -> PinholeCamera {
        let pose = [[0.0, 0.0, 1.0, 1.0], [-1.0, 0.0, 0.0, 2.0], [0.0, -1.0, 0.0, 3.0]];
        PinholeCamera::from_pose([10.0, 20.0, 5.0, 6.0], pose, PosePrecision::Float32)
    }

    #[test]
    fn a_camera_is_where_its_pose_puts_it() {
        assert_eq!(camera().centre(), [1.0, 2.0, 3.0]);
        assert_eq!(camera().validate(0), Ok(()));
    }

    #[test]
    fn a_point_straight_ahead_is_at_the_principal_point() {
        let ahead = camera().project([4.0, 2.0, 3.0]);
        assert_eq!(
            (ahead.camera, ahead.pixel, ahead.in_front),
            ([0.0, 0.0, 3.0], [5.0, 6.0], true)
        );
        assert!(!camera().project([-4.0, 2.0, 3.0]).in_front);
    }

    #[test]
    fn cameras_that_cannot_be_are_refused() {
        let mut mirrored = camera();
        mirrored.camera_from_world[0] = mirrored.camera_from_world[0].map(|value| -value);
        assert_eq!(
            mirrored.validate(2),
            Err(CameraError::Rotation {
                camera: 2,
                determinant: -1.0
            })
        );
        let mut blind = camera();
        blind.intrinsics[0][0] = 0.0;
        let refused = blind.validate(0);
        assert!(matches!(refused, Err(CameraError::Intrinsics { .. })), "{refused:?}");
    }
}
