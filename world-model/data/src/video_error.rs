//! Everything that can go wrong with a video file.

use std::io;
use std::path::PathBuf;

/// Why a video could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VideoError {
    /// The program that decodes and encodes videos is not there.
    #[error(
        "`{path}` needs the program `ffmpeg`, which was not found: install it (for example `apt-get install ffmpeg`); \
         animated GIFs and folders of PNG files need none"
    )]
    NoFfmpeg {
        /// The video.
        path: PathBuf,
    },
    /// The file is not there, or may not be read.
    #[error("the video `{path}` can't be read ({source}): check that it exists and that you may read it")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The file is no video, damaged, or of a kind that this `ffmpeg` does not know.
    #[error("the video `{path}` can't be decoded (ffmpeg: {message}): check that it plays, or fetch it again")]
    Decode {
        /// The file.
        path: PathBuf,
        /// The last line that `ffmpeg` printed.
        message: String,
    },
    /// A picture of an animation or of a folder is damaged.
    #[error("the picture `{path}` can't be decoded ({source}): check that it opens in a viewer, or fetch it again")]
    Picture {
        /// The file.
        path: PathBuf,
        /// Why decoding stopped.
        #[source]
        source: image::ImageError,
    },
    /// There are no frames.
    #[error("the video `{path}` has no frames: expected a video file, an animated GIF or a folder of PNG files")]
    Empty {
        /// The file or folder.
        path: PathBuf,
    },
    /// Frames of one video have different sizes.
    #[error(
        "a frame of the video `{path}` is {found_width}x{found_height} pixels, expected {width}x{height}: \
         all frames must have the size of the first"
    )]
    FrameSize {
        /// The file or folder.
        path: PathBuf,
        /// Width of the first frame, in pixels.
        width: u32,
        /// Height of the first frame, in pixels.
        height: u32,
        /// Width that was found, in pixels.
        found_width: u32,
        /// Height that was found, in pixels.
        found_height: u32,
    },
    /// No video comes out at this frame rate.
    #[error("the video `{path}` can't have {found} frames per second: expected a number above 0 and at most 1000")]
    FrameRate {
        /// The file.
        path: PathBuf,
        /// What was asked for, in frames per second.
        found: f64,
    },
    /// The file could not be written.
    #[error("the video `{path}` can't be written ({source}): check free space and permissions of the folder")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// `ffmpeg` could not encode.
    #[error(
        "the video `{path}` can't be encoded (ffmpeg: {message}): check free space, or install an ffmpeg with libx264"
    )]
    Encode {
        /// The file.
        path: PathBuf,
        /// The last line that `ffmpeg` printed.
        message: String,
    },
}
