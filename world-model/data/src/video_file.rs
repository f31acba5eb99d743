//! Videos on disk as RGB frames.
//!
//! Animated GIFs and folders of PNG files are read here; everything else goes through the program `ffmpeg`, which is
//! looked for on the search path and never linked.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use image::codecs::gif::GifDecoder;
use image::{AnimationDecoder, DynamicImage, ImageDecoder, RgbImage};

use crate::ffmpeg::{Decoder, encode};
use crate::video_error::VideoError;

/// The frames of a video, one after the other.
///
/// # Example
/// ```no_run
/// use worldloop_world_model_data::VideoReader;
///
/// let video = VideoReader::open("rgb.mp4")?;
/// println!("{}x{}", video.width(), video.height());
/// let first_ten: Vec<_> = video.take(10).collect::<Result<_, _>>()?;
/// # Ok::<(), worldloop_world_model_data::VideoError>(())
/// ```
#[derive(Debug)]
pub struct VideoReader {
    path: PathBuf,
    width: u32,
    height: u32,
    frame_rate_hz: Option<f64>,
    source: Source,
}

enum Source {
    Ffmpeg(Decoder),
    Gif(std::iter::Peekable<image::Frames<'static>>),
    Pictures(std::vec::IntoIter<PathBuf>),
    Ended,
}

impl VideoReader {
    /// Opens a video file, an animated GIF, or a folder of PNG files in the order of their names.
    ///
    /// # Errors
    /// [`VideoError::Read`], [`VideoError::Empty`], [`VideoError::Picture`]; with a video file
    /// [`VideoError::NoFfmpeg`] and [`VideoError::Decode`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, VideoError> {
        let path = path.as_ref();
        let read_error = |source| VideoError::Read {
            path: path.to_path_buf(),
            source,
        };
        if std::fs::metadata(path).map_err(read_error)?.is_dir() {
            return Self::open_folder(path);
        }
        if path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("gif"))
        {
            return Self::open_gif(path, File::open(path).map_err(read_error)?);
        }
        let decoder = Decoder::open(path)?;
        Ok(Self {
            path: path.to_path_buf(),
            width: decoder.width,
            height: decoder.height,
            frame_rate_hz: Some(decoder.frame_rate_hz),
            source: Source::Ffmpeg(decoder),
        })
    }

    /// Returns the width of every frame in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Returns the height of every frame in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Returns the frames per second; a folder of pictures says nothing about them.
    pub fn frame_rate_hz(&self) -> Option<f64> {
        self.frame_rate_hz
    }

    fn open_gif(path: &Path, file: File) -> Result<Self, VideoError> {
        let picture_error = |source| VideoError::Picture {
            path: path.to_path_buf(),
            source,
        };
        let decoder = GifDecoder::new(BufReader::new(file)).map_err(picture_error)?;
        let (width, height) = decoder.dimensions();
        let mut frames = decoder.into_frames().peekable();
        let rate = frames.peek().and_then(|frame| {
            let (milliseconds, parts) = frame.as_ref().ok()?.delay().numer_denom_ms();
            (milliseconds > 0).then(|| 1000.0 * f64::from(parts) / f64::from(milliseconds))
        });
        Ok(Self {
            path: path.to_path_buf(),
            width,
            height,
            frame_rate_hz: rate,
            source: Source::Gif(frames),
        })
    }

    fn open_folder(path: &Path) -> Result<Self, VideoError> {
        let read_error = |source| VideoError::Read {
            path: path.to_path_buf(),
            source,
        };
        let mut pictures = Vec::new();
        for entry in std::fs::read_dir(path).map_err(read_error)? {
            let picture = entry.map_err(read_error)?.path();
            if picture
                .extension()
                .is_some_and(|extension| extension.eq_ignore_ascii_case("png"))
            {
                pictures.push(picture);
            }
        }
        pictures.sort();
        let first = pictures.first().ok_or_else(|| VideoError::Empty {
            path: path.to_path_buf(),
        })?;
        let (width, height) = open_picture(first)?.dimensions();
        Ok(Self {
            path: path.to_path_buf(),
            width,
            height,
            frame_rate_hz: None,
            source: Source::Pictures(pictures.into_iter()),
        })
    }

    fn next_frame(&mut self) -> Result<Option<RgbImage>, VideoError> {
        let frame = match &mut self.source {
            Source::Ffmpeg(decoder) => decoder.next_frame()?,
            Source::Gif(frames) => frames
                .next()
                .transpose()
                .map_err(|source| VideoError::Picture {
                    path: self.path.clone(),
                    source,
                })?
                .map(|frame| DynamicImage::ImageRgba8(frame.into_buffer()).into_rgb8()),
            Source::Pictures(paths) => paths.next().map(|path| open_picture(&path)).transpose()?,
            Source::Ended => None,
        };
        match frame {
            Some(frame) if frame.dimensions() != (self.width, self.height) => Err(VideoError::FrameSize {
                path: self.path.clone(),
                width: self.width,
                height: self.height,
                found_width: frame.width(),
                found_height: frame.height(),
            }),
            frame => Ok(frame),
        }
    }
}

/// After the last frame, or an error, there is nothing more.
impl Iterator for VideoReader {
    type Item = Result<RgbImage, VideoError>;

    fn next(&mut self) -> Option<Self::Item> {
        let frame = self.next_frame();
        if !matches!(frame, Ok(Some(_))) {
            self.source = Source::Ended;
        }
        frame.transpose()
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ffmpeg(_) => "Ffmpeg",
            Self::Gif(_) => "Gif",
            Self::Pictures(_) => "Pictures",
            Self::Ended => "Ended",
        })
    }
}

fn open_picture(path: &Path) -> Result<RgbImage, VideoError> {
    let picture = image::open(path).map_err(|source| VideoError::Picture {
        path: path.to_path_buf(),
        source,
    })?;
    Ok(picture.into_rgb8())
}

/// Writes frames as an mp4 file: H.264 (or MPEG-4 where `ffmpeg` has no H.264), 4:2:0, which common players open.
///
/// The file appears whole or not at all. Odd sizes grow by a repeated column or row, because 4:2:0 has even sizes only.
///
/// # Errors
/// [`VideoError::Empty`] without frames, [`VideoError::FrameSize`], [`VideoError::FrameRate`], [`VideoError::NoFfmpeg`],
/// [`VideoError::Encode`] and [`VideoError::Write`].
pub fn write_video(path: impl AsRef<Path>, frames: &[RgbImage], frame_rate_hz: f64) -> Result<(), VideoError> {
    let path = path.as_ref();
    let first = frames.first().filter(|frame| frame.width() > 0 && frame.height() > 0);
    let (width, height) = first.map(RgbImage::dimensions).ok_or_else(|| VideoError::Empty {
        path: path.to_path_buf(),
    })?;
    if let Some(other) = frames.iter().find(|frame| frame.dimensions() != (width, height)) {
        return Err(VideoError::FrameSize {
            path: path.to_path_buf(),
            width,
            height,
            found_width: other.width(),
            found_height: other.height(),
        });
    }
    if !(frame_rate_hz > 0.0 && frame_rate_hz <= 1000.0) {
        return Err(VideoError::FrameRate {
            path: path.to_path_buf(),
            found: frame_rate_hz,
        });
    }
    let mut partial = path.as_os_str().to_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = encode(&partial, frames, frame_rate_hz).and_then(|()| {
        std::fs::rename(&partial, path).map_err(|source| VideoError::Write {
            path: path.to_path_buf(),
            source,
        })
    });
    if written.is_err() {
        // What is left of the attempt only takes space; that it may not be there is fine.
        let _ = std::fs::remove_file(&partial);
    }
    written
}

#[cfg(test)]
mod tests;
