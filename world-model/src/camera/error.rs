//! What can be wrong with a camera that comes from outside.

use thiserror::Error;

/// A camera, or an image size, that no rays can be computed for.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum CameraError {
    /// The rotation of the pose is none.
    #[error(
        "camera {camera}: the rotation has determinant {determinant}, which is not near 1; pass rows of [R | t] with an \
         orthonormal, right-handed R"
    )]
    Rotation {
        /// Index of the camera.
        camera: usize,
        /// Determinant found.
        determinant: f64,
    },
    /// The intrinsics cannot be inverted.
    #[error(
        "camera {camera}: the intrinsics have determinant {determinant}; focal lengths must be finite and not zero"
    )]
    Intrinsics {
        /// Index of the camera.
        camera: usize,
        /// Determinant found.
        determinant: f64,
    },
    /// The translation of the pose holds something that is no number.
    #[error("camera {camera}: the translation {translation:?} is not finite")]
    Translation {
        /// Index of the camera.
        camera: usize,
        /// Translation found.
        translation: [f32; 3],
    },
    /// The image is no whole number of patches.
    #[error("an image of {height}x{width} pixels is no whole number of {patch}x{patch} patches")]
    ImageSize {
        /// Height of the image, in pixels.
        height: usize,
        /// Width of the image, in pixels.
        width: usize,
        /// Height and width of a patch, in pixels.
        patch: usize,
    },
}
