//! Positions and orientations.

use serde::{Deserialize, Serialize};

/// A rigid transform, named `target_from_source`: it takes points in `source` to points in `target`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pose {
    /// Translation in metres.
    pub position: [f32; 3],
    /// Unit quaternion in the order x, y, z, w.
    pub rotation: [f32; 4],
}
