//! Recorded robot episodes on disk: read, write, window, normalise.
//!
//! A dataset is a folder: `dataset.json` says what all episodes have in common, `episode-000123.json` holds one
//! episode's actions and labels, and `episode-000123.CAMERA.png` its frames, one below the other, without loss. Files
//! appear whole or not at all, and an episode counts once its JSON file is there.
//!
//! Beside that, [`VideoReader`] and [`write_video`] read and write video files, and [`bridge`] reads recordings of real
//! robots.

pub mod bridge;
mod dataset;
mod episode;
mod error;
mod ffmpeg;
mod lanczos;
mod normalization;
mod video_error;
mod video_file;
mod window;
mod writer;

#[cfg(test)]
mod tests;

pub use dataset::{ActionInfo, CameraInfo, Dataset, DatasetInfo, FORMAT_VERSION};
pub use episode::{Episode, EpisodeInfo};
pub use error::DatasetError;
pub use ffmpeg::ffmpeg_is_installed;
pub use lanczos::resize_lanczos;
pub use normalization::{ActionStatistics, action_statistics};
pub use video_error::VideoError;
pub use video_file::{VideoReader, write_video};
pub use window::{Window, held_actions, hold_still, windows};
pub use writer::EpisodeWriter;
