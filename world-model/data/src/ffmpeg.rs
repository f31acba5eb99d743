//! The program `ffmpeg` as a child process: one video in as raw frames, or out from them.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use image::RgbImage;

use crate::video_error::VideoError;

/// Encoders for mp4 that common players open, the best first, each with its quality settings.
const ENCODERS: [(&str, &[&str]); 3] = [
    ("libx264", &["-crf", "18", "-preset", "medium"]),
    ("libopenh264", &["-b:v", "8M"]),
    ("mpeg4", &["-q:v", "2"]),
];

/// How to ask for every decoded frame exactly once, in the words of ffmpeg from 5.1 on and of older ones.
const EVERY_FRAME: [[&str; 2]; 2] = [["-fps_mode", "passthrough"], ["-vsync", "0"]];

/// A video that is being decoded.
#[derive(Debug)]
pub(crate) struct Decoder {
    path: PathBuf,
    child: Child,
    output: BufReader<ChildStdout>,
    /// Collects what the child says, so that it never waits for a reader.
    messages: Option<JoinHandle<String>>,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) frame_rate_hz: f64,
}

impl Decoder {
    /// Starts decoding the first video stream of a file.
    pub(crate) fn open(path: &Path) -> Result<Self, VideoError> {
        let (width, height, frame_rate_hz) = probe(path)?;
        let every_frame = EVERY_FRAME[usize::from(!knows_fps_mode(path)?)];
        let mut child = decoding(path)
            .args(every_frame)
            .args(["-pix_fmt", "rgb24", "-f", "rawvideo", "pipe:1"])
            .spawn()
            .map_err(|source| spawn_error(path, source))?;
        let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(no_pipe(path));
        };
        Ok(Self {
            path: path.to_path_buf(),
            child,
            output: BufReader::new(output),
            messages: Some(std::thread::spawn(move || last_line(errors))),
            width,
            height,
            frame_rate_hz,
        })
    }

    /// Returns the next frame, and `None` after the last.
    pub(crate) fn next_frame(&mut self) -> Result<Option<RgbImage>, VideoError> {
        let size = self.width as usize * self.height as usize * 3;
        let mut pixels = Vec::new();
        (&mut self.output)
            .take(size as u64)
            .read_to_end(&mut pixels)
            .map_err(|source| VideoError::Read {
                path: self.path.clone(),
                source,
            })?;
        if pixels.len() == size {
            return Ok(RgbImage::from_raw(self.width, self.height, pixels));
        }
        let status = self.child.wait().map_err(|source| spawn_error(&self.path, source))?;
        let message = self.messages.take().and_then(|messages| messages.join().ok());
        if status.success() && pixels.is_empty() {
            return Ok(None);
        }
        Err(VideoError::Decode {
            path: self.path.clone(),
            message: told(message.as_deref().unwrap_or_default(), "the data ends inside a frame"),
        })
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // Whoever takes only the first frames leaves a child behind that waits for a reader; it may also have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns whether the program `ffmpeg` can be started.
pub fn ffmpeg_is_installed() -> bool {
    ffmpeg().arg("-version").output().is_ok()
}

/// Encodes frames of one size as an mp4 file, under this very path.
pub(crate) fn encode(path: &Path, frames: &[RgbImage], frame_rate_hz: f64) -> Result<(), VideoError> {
    let (width, height) = frames.first().map_or((0, 0), even_size);
    let (encoder, quality) = encoder(path)?;
    let mut child = ffmpeg()
        .args(["-y", "-f", "rawvideo", "-pix_fmt", "rgb24"])
        .args(["-video_size", &format!("{width}x{height}")])
        .args(["-framerate", &frame_rate_hz.to_string(), "-i", "pipe:0", "-an"])
        .args(["-c:v", encoder])
        .args(quality)
        .args(["-pix_fmt", "yuv420p", "-fflags", "+bitexact", "-flags:v", "+bitexact"])
        .args(["-movflags", "+faststart", "-f", "mp4"])
        .arg(file_url(path))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|source| spawn_error(path, source))?;
    let Some(mut input) = child.stdin.take() else {
        return Err(no_pipe(path));
    };
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(move || frames.iter().try_for_each(|frame| input.write_all(&even_pixels(frame))));
        let output = child.wait_with_output();
        (writer.join(), output)
    });
    let (written, output) = (written.0, written.1.map_err(|source| spawn_error(path, source))?);
    let complete = matches!(written, Ok(Ok(())));
    if output.status.success() && complete {
        return Ok(());
    }
    Err(VideoError::Encode {
        path: path.to_path_buf(),
        message: told(&last_line(output.stderr.as_slice()), "it stopped before the last frame"),
    })
}

/// Returns width and height rounded up to even numbers, which yuv420p needs.
fn even_size(frame: &RgbImage) -> (u32, u32) {
    (frame.width().next_multiple_of(2), frame.height().next_multiple_of(2))
}

/// Returns the pixels of a frame of even size; the last column and row are repeated where one is missing.
fn even_pixels(frame: &RgbImage) -> Vec<u8> {
    let (width, height) = even_size(frame);
    if (width, height) == frame.dimensions() {
        return frame.as_raw().clone();
    }
    let inside = |x: u32, y: u32| *frame.get_pixel(x.min(frame.width() - 1), y.min(frame.height() - 1));
    RgbImage::from_fn(width, height, inside).into_raw()
}

fn encoder(path: &Path) -> Result<(&'static str, &'static [&'static str]), VideoError> {
    let listed = ask(path, &["-encoders"])?;
    let known = |name: &str| listed.split_whitespace().any(|word| word == name);
    let found = ENCODERS.into_iter().find(|(name, _)| known(name));
    found.ok_or_else(|| VideoError::Encode {
        path: path.to_path_buf(),
        message: "it has none of the encoders libx264, libopenh264 and mpeg4".to_owned(),
    })
}

/// Reads size and frame rate off the header of a YUV4MPEG2 stream: the one output of ffmpeg that is made to be parsed.
fn probe(path: &Path) -> Result<(u32, u32, f64), VideoError> {
    let output = decoding(path)
        .args(["-frames:v", "1", "-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe", "pipe:1"])
        .output()
        .map_err(|source| spawn_error(path, source))?;
    let mut header = String::new();
    // Bytes that are no text are no header either, and found out right below.
    let _ = output.stdout.as_slice().take(1024).read_line(&mut header);
    let field = |mark: char| {
        header
            .split_whitespace()
            .skip(1)
            .find_map(|word| word.strip_prefix(mark))
    };
    let size = |mark| {
        field(mark)
            .and_then(|text| text.parse::<u32>().ok())
            .filter(|size| *size > 0)
    };
    let rate = field('F').and_then(|text| {
        let (frames, seconds) = text.split_once(':')?;
        Some(frames.parse::<f64>().ok()? / seconds.parse::<f64>().ok()?)
    });
    match (output.status.success(), size('W'), size('H'), rate) {
        (true, Some(width), Some(height), Some(rate)) if rate.is_finite() => Ok((width, height, rate)),
        _ => Err(VideoError::Decode {
            path: path.to_path_buf(),
            message: told(&last_line(output.stderr.as_slice()), "it found no video in the file"),
        }),
    }
}

fn knows_fps_mode(path: &Path) -> Result<bool, VideoError> {
    Ok(ask(path, &["-h", "long"])?.contains("-fps_mode"))
}

/// Returns what ffmpeg prints about itself.
fn ask(path: &Path, arguments: &[&str]) -> Result<String, VideoError> {
    let output = ffmpeg()
        .args(arguments)
        .output()
        .map_err(|source| spawn_error(path, source))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn decoding(path: &Path) -> Command {
    let mut command = ffmpeg();
    // A file that is a playlist must not make it open anything on the network.
    command
        .args(["-protocol_whitelist", "file,pipe", "-i"])
        .arg(file_url(path));
    command.args(["-map", "0:v:0"]).stdout(Stdio::piped());
    command
}

fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-nostdin", "-v", "error"]);
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Marks a path as one, whatever characters it has.
fn file_url(path: &Path) -> OsString {
    let mut url = OsString::from("file:");
    url.push(path);
    url
}

/// Reads everything, and returns the last line that says something.
fn last_line(messages: impl Read) -> String {
    let lines = BufReader::new(messages).split(b'\n').map_while(Result::ok);
    let said = lines.filter(|line| !line.trim_ascii().is_empty()).last();
    String::from_utf8_lossy(said.unwrap_or_default().trim_ascii()).into_owned()
}

fn told(message: &str, otherwise: &str) -> String {
    if message.is_empty() { otherwise } else { message }.to_owned()
}

fn spawn_error(path: &Path, source: io::Error) -> VideoError {
    let path = path.to_path_buf();
    match source.kind() {
        io::ErrorKind::NotFound => VideoError::NoFfmpeg { path },
        _ => VideoError::Read { path, source },
    }
}

fn no_pipe(path: &Path) -> VideoError {
    VideoError::Read {
        path: path.to_path_buf(),
        source: io::Error::other("no pipe to ffmpeg"),
    }
}
