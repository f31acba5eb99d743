//! Several cameras in one video: the views of a drive, and the three cameras of a robot whose poses are given.
//!
//! [`read_driving_requests`] and [`read_robot_requests`] read what is wanted. [`Cameras`] is the part that such a request has
//! and one of a single camera has not: [`Cameras::read`] makes a [`ViewsClip`] of it, from which
//! [`Generator::generate_views`](super::Generator::generate_views) makes one video per view, and [`Cameras::sheet`] puts
//! them beside each other.

mod camera_file;
mod cameras;
mod driving;
mod driving_file;
mod error;
mod generate;
mod request_keys;
mod robot;
mod robot_file;
mod sheet;

pub use cameras::{CameraRig, Cameras};
pub use driving::{DrivingView, DrivingViews, OTHER_VIEWS_TEXT};
pub use driving_file::read_driving_requests;
pub use error::MultiviewError;
pub use generate::{ViewCameras, ViewsClip, ViewsInput, join_view_texts};
pub use robot::{RobotCamera, RobotInputs};
pub use robot_file::read_robot_requests;
