//! Pinhole cameras, and the rays through their pixels as features of a network.
//!
//! Geometry is computed in double precision on the host and rounded where upstream stores a tensor, so that the same
//! code gives float32 features and those of bfloat16 poses.

mod error;
mod pinhole;
mod plucker;

pub use error::CameraError;
pub use pinhole::{PinholeCamera, PosePrecision, Projection};
pub use plucker::plucker_tokens;
