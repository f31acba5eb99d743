//! Generated frames as files.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use image::RgbImage;
use worldloop_world_model_data::{ffmpeg_is_installed, write_video};

use super::error::GenerationError;
use crate::evaluation::report::side_by_side_gif;
use crate::whole_file;

/// How generated frames are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// A video file; needs the program `ffmpeg`.
    Mp4,
    /// An animated GIF of 256 colours per frame.
    Gif,
    /// A folder of PNG files, without loss.
    Png,
}

impl OutputFormat {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Mp4, Self::Gif, Self::Png];

    /// Returns the formats that are written where none is asked for: a video file where there is `ffmpeg`, else a GIF
    /// and the frames.
    pub fn of_this_machine() -> Vec<Self> {
        if ffmpeg_is_installed() {
            vec![Self::Mp4]
        } else {
            vec![Self::Gif, Self::Png]
        }
    }

    /// Returns the name, which is the ending of a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Gif => "gif",
            Self::Png => "png",
        }
    }

    /// Returns where a sample is written.
    pub fn path(self, folder: &Path, name: &str) -> PathBuf {
        match self {
            Self::Mp4 | Self::Gif => folder.join(format!("{name}.{}", self.name())),
            Self::Png => folder.join(format!("{name}-frames")),
        }
    }

    /// Writes frames. They appear whole or not at all, and take the place of what was there.
    ///
    /// # Errors
    /// [`GenerationError`] that names the file.
    pub fn write(
        self,
        folder: &Path,
        name: &str,
        frames: &[RgbImage],
        frame_rate_hz: f64,
    ) -> Result<PathBuf, GenerationError> {
        let path = self.path(folder, name);
        let error = |source| GenerationError::Write {
            path: path.clone(),
            source,
        };
        match self {
            Self::Mp4 => write_video(&path, frames, frame_rate_hz)?,
            Self::Gif => {
                let animation = side_by_side_gif(frames, &[], frame_rate_hz as f32, 1)?;
                whole_file::put(&path, |partial| std::fs::write(partial, &animation.bytes)).map_err(error)?;
            }
            Self::Png => whole_file::put(&path, |partial| write_pictures(partial, frames)).map_err(error)?,
        }
        Ok(path)
    }
}

impl fmt::Display for OutputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Creates the folder of the outputs and checks that files can be written there.
///
/// # Errors
/// [`GenerationError::Write`].
pub fn prepare_folder(folder: &Path) -> Result<(), GenerationError> {
    let trial = folder.join(".worldloop-writable");
    let write = || {
        std::fs::create_dir_all(folder)?;
        std::fs::write(&trial, b"")?;
        std::fs::remove_file(&trial)
    };
    write().map_err(|source| GenerationError::Write {
        path: folder.to_owned(),
        source,
    })
}

fn write_pictures(folder: &Path, frames: &[RgbImage]) -> io::Result<()> {
    std::fs::create_dir(folder)?;
    for (index, frame) in frames.iter().enumerate() {
        frame
            .save(folder.join(format!("{index:05}.png")))
            .map_err(io::Error::other)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    fn frames(count: u8) -> Vec<RgbImage> {
        (0..count)
            .map(|index| RgbImage::from_pixel(8, 4, Rgb([index; 3])))
            .collect()
    }

    #[test]
    fn frames_take_the_place_of_older_ones_and_nothing_is_left_over() {
        let folder = tempfile::tempdir().unwrap();
        for count in [3, 2] {
            for format in [OutputFormat::Png, OutputFormat::Gif] {
                format.write(folder.path(), "a", &frames(count), 16.0).unwrap();
            }
        }
        let names = |folder: &Path| {
            let entries = std::fs::read_dir(folder).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(folder.path()), ["a-frames", "a.gif"]);
        assert_eq!(names(&folder.path().join("a-frames")), ["00000.png", "00001.png"]);
        let last = image::open(folder.path().join("a-frames/00001.png"))
            .unwrap()
            .into_rgb8();
        assert_eq!(last, frames(2)[1]);
    }

    #[test]
    fn a_folder_that_can_not_be_written_is_named_before_any_work() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "in the way").unwrap();
        let message = prepare_folder(&file.join("out")).unwrap_err().to_string();
        assert!(message.contains("file/out") && message.contains("--out"), "{message}");
    }
}
