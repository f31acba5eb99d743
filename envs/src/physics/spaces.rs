//! Names, units and bounds of the physics world's numbers.

use super::camera::{THIRD_PERSON, WRIST};
use super::config::PhysicsConfig;
use super::controller::{ROTATION_SCALE, TRANSLATION_SCALE};
use super::gripper::{MAX_OPENING, MAX_TILT, MAX_YAW, WORKSPACE_CENTER, WORKSPACE_HALF_EXTENTS};
use crate::space::{ContinuousSpace, Dimension, ImageSpace, ObservationSpace};

/// The seven action values; see the module's documentation.
pub(super) fn action_space() -> ContinuousSpace {
    let motion = |name: &str, unit: &str, scale| dimension(name, unit, (-1.0, 1.0), scale);
    ContinuousSpace {
        dimensions: vec![
            motion("delta_x", "m", TRANSLATION_SCALE),
            motion("delta_y", "m", TRANSLATION_SCALE),
            motion("delta_z", "m", TRANSLATION_SCALE),
            motion("delta_roll", "rad", ROTATION_SCALE),
            motion("delta_pitch", "rad", ROTATION_SCALE),
            motion("delta_yaw", "rad", ROTATION_SCALE),
            dimension("gripper", "m", (0.0, 1.0), MAX_OPENING),
        ],
    }
}

/// Camera images by the configuration, and the robot's pose.
pub(super) fn observation_space(config: &PhysicsConfig) -> ObservationSpace {
    let square = |camera: &str, side| ImageSpace {
        camera: camera.to_owned(),
        height: side,
        width: side,
    };
    let mut images = vec![square(THIRD_PERSON, config.image_size)];
    images.extend(config.wrist_image_size.map(|side| square(WRIST, side)));
    ObservationSpace {
        images,
        proprioception: proprioception_space(),
    }
}

fn proprioception_space() -> ContinuousSpace {
    let position = |name: &str, axis: usize| {
        // Rounding may take the gripper a hair beyond its limits.
        let (center, half) = (WORKSPACE_CENTER[axis], WORKSPACE_HALF_EXTENTS[axis] + 1e-4);
        dimension(name, "m", (center - half, center + half), 1.0)
    };
    let angle = |name: &str, limit: f32| dimension(name, "rad", (-limit - 1e-3, limit + 1e-3), 1.0);
    ContinuousSpace {
        dimensions: vec![
            position("x", 0),
            position("y", 1),
            position("z", 2),
            angle("roll", MAX_TILT),
            angle("pitch", MAX_TILT),
            angle("yaw", MAX_YAW),
            dimension("opening", "m", (0.0, 1.0), MAX_OPENING),
        ],
    }
}

fn dimension(name: &str, unit: &str, (low, high): (f32, f32), scale: f32) -> Dimension {
    Dimension {
        name: name.to_owned(),
        unit: unit.to_owned(),
        low,
        high,
        scale,
    }
}
