//! The cameras of a network, and those of one video.

use worldloop_world_model::catalog::{BASE_FRAME_RATE_HZ, ReleasedModel, VIEWS_FRAME_RATE_HZ};
use worldloop_world_model::dit::DitConfig;

use super::driving::DrivingViews;
use super::robot::{RAY_NUMBERS, RobotCamera, RobotInputs};

/// Cameras of the car that the released network knows.
const DRIVING_CAMERAS: usize = 7;

/// The cameras that a network makes videos of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CameraRig {
    /// One camera.
    Single,
    /// Up to seven cameras of a car, told apart by their numbers (`auto/multiview`).
    Driving,
    /// Three cameras of a robot, told apart by their poses (`robot/multiview-agibot`).
    Robot,
}

/// The cameras of one video.
#[derive(Debug, Clone, PartialEq)]
pub enum Cameras {
    /// One camera.
    Single,
    /// Some cameras of a car.
    Driving(DrivingViews),
    /// Three cameras of a robot.
    Robot(RobotInputs),
}

impl CameraRig {
    /// Says which cameras a network has; none where it is no network that is known. `patch_px` is the side of its patches
    /// in pixels.
    pub(in crate::generation) fn of(network: &DitConfig, patch_px: usize) -> Option<Self> {
        let conditioning = &network.conditioning;
        match (&conditioning.views, &conditioning.camera) {
            (None, None) => Some(Self::Single),
            (Some(views), None) => {
                let by_channels = views.view_condition_dim.is_some() && !views.adaln_view_embedding;
                let is_driving = views.n_cameras_emb == DRIVING_CAMERAS && views.cross_view_attn_map.is_none();
                (by_channels && is_driving).then_some(Self::Driving)
            }
            (None, Some(camera)) => {
                (camera.camera_channels == RAY_NUMBERS * patch_px * patch_px).then_some(Self::Robot)
            }
            (Some(_), Some(_)) => None,
        }
    }

    /// Returns the released model whose settings a network of unknown origin gets.
    pub(in crate::generation) fn released(self) -> Option<ReleasedModel> {
        let name = match self {
            Self::Single => return None,
            Self::Driving => "predict2.5-2b/auto/multiview",
            Self::Robot => "predict2.5-2b/robot/multiview-agibot",
        };
        ReleasedModel::find(name).ok()
    }

    /// Returns what a request for these cameras asks for, in words.
    pub(in crate::generation) fn what(self) -> &'static str {
        match self {
            Self::Single => "a video of one camera",
            Self::Driving => "views of a drive",
            Self::Robot => "views of three cameras with poses",
        }
    }
}

impl Cameras {
    /// Returns which cameras these are.
    pub fn rig(&self) -> CameraRig {
        match self {
            Self::Single => CameraRig::Single,
            Self::Driving(_) => CameraRig::Driving,
            Self::Robot(_) => CameraRig::Robot,
        }
    }

    /// Returns the names of the views in their order on the time axis; none for one camera.
    pub fn view_names(&self) -> Vec<&'static str> {
        match self {
            Self::Single => Vec::new(),
            Self::Driving(views) => views.inputs.keys().map(|view| view.name()).collect(),
            Self::Robot(_) => RobotCamera::ON_TIME_AXIS.map(RobotCamera::name).to_vec(),
        }
    }

    /// Returns the frames per second that the videos are saved with.
    pub fn frame_rate_hz(&self) -> f64 {
        match self {
            Self::Single => BASE_FRAME_RATE_HZ,
            Self::Driving(views) => views.fps,
            Self::Robot(_) => VIEWS_FRAME_RATE_HZ,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_say_which_cameras_they_have() {
        let rig = |network: DitConfig| CameraRig::of(&network, 16);
        assert_eq!(rig(DitConfig::predict2_5_2b()), Some(CameraRig::Single));
        assert_eq!(rig(DitConfig::auto_multiview_2b()), Some(CameraRig::Driving));
        assert_eq!(rig(DitConfig::robot_multiview_agibot_2b()), Some(CameraRig::Robot));
        let mut other = DitConfig::auto_multiview_2b();
        if let Some(views) = &mut other.conditioning.views {
            views.n_cameras_emb = 5;
        }
        assert_eq!(rig(other), None);
        for known in [CameraRig::Driving, CameraRig::Robot] {
            assert!(known.released().is_some(), "{known:?}");
        }
    }
}
