//! Videos from prompts, images, videos and poses of cameras, with the released models.
//!
//! A [`GenerationRequest`] says what is wanted, from flags or from a request file of the reference
//! ([`read_request_file`]). [`ModelLimits::plan`] checks it against a model before any weight is read. A [`Generator`]
//! makes the frames, and an [`OutputFormat`] keeps them.

mod checkpoint;
mod chunks;
mod error;
mod frame_source;
mod generator;
mod multiview;
mod output;
mod plan;
mod request;
mod request_file;
mod resolution;

pub use checkpoint::BaseCheckpoint;
pub use chunks::Chunking;
pub use error::GenerationError;
pub use frame_source::{check_input, is_image, read_last_frame, read_last_frames};
pub use generator::{GenerationInput, Generator, Videos};
pub use multiview::{
    CameraRig, Cameras, DrivingView, DrivingViews, MultiviewError, OTHER_VIEWS_TEXT, RobotCamera, RobotInputs,
    ViewCameras, ViewsClip, ViewsInput, join_view_texts, read_driving_requests, read_robot_requests,
};
pub use output::{OutputFormat, prepare_folder};
pub use plan::{GenerationPlan, ModelLimits};
pub use request::{GenerationRequest, InferenceType};
pub use request_file::{RequestFields, check_name, read_prompt, read_request_file};
pub use resolution::Resolution;
