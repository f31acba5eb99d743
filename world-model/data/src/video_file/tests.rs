use std::process::Command;

use image::Rgb;
use image::codecs::gif::GifEncoder;

use super::*;

/// Returns whether `ffmpeg` is there; a test that is left out says so.
fn has_ffmpeg() -> bool {
    let found = Command::new("ffmpeg").arg("-version").output().is_ok();
    if !found {
        eprintln!("SKIPPED: this test needs the program ffmpeg (apt-get install ffmpeg)");
    }
    found
}

/// Frames whose brightness tells their index.
fn frames(count: u8, width: u32, height: u32) -> Vec<RgbImage> {
    let level = |index: u8| 40 + 10 * index;
    (0..count)
        .map(|index| RgbImage::from_pixel(width, height, Rgb([level(index), 128, 200 - level(index) / 2])))
        .collect()
}

fn read(path: &Path) -> Vec<RgbImage> {
    let frames: Result<Vec<_>, _> = VideoReader::open(path).expect("the video opens").collect();
    frames.expect("every frame is read")
}

#[test]
fn what_is_written_is_read_again() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("-odd name.mp4");
    let written = frames(7, 33, 17);
    write_video(&path, &written, 3.0).expect("it is written");
    let video = VideoReader::open(&path).expect("it opens");
    assert_eq!((video.width(), video.height()), (34, 18), "grown to even sizes");
    assert_eq!(video.frame_rate_hz(), Some(3.0));
    let found = read(&path);
    assert_eq!(found.len(), written.len());
    for (found, written) in found.iter().zip(&written) {
        let (found, written) = (found.get_pixel(33, 17), written.get_pixel(32, 16));
        let far = found.0.iter().zip(written.0).any(|(a, b)| a.abs_diff(b) > 6);
        assert!(!far, "{found:?} is not {written:?}");
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).expect("a folder").count(),
        1,
        "nothing is left over"
    );
}

#[test]
fn the_first_frames_can_be_taken_alone() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("long.mp4");
    write_video(&path, &frames(20, 320, 256), 25.0).expect("it is written");
    let taken = VideoReader::open(&path).expect("it opens").take(2).count();
    assert_eq!(taken, 2);
}

#[test]
fn what_is_no_video_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let gone = folder.path().join("gone.mp4");
    let message = VideoReader::open(&gone).expect_err("it is not there").to_string();
    assert!(message.contains("gone.mp4") && message.contains("exists"), "{message}");
    let message = VideoReader::open(folder.path()).expect_err("it is empty").to_string();
    assert!(message.contains("no frames"), "{message}");
    if !has_ffmpeg() {
        return;
    }
    let text = folder.path().join("text.mp4");
    std::fs::write(&text, "no video").expect("it is written");
    let message = VideoReader::open(&text).expect_err("it is text").to_string();
    assert!(
        message.contains("text.mp4") && message.contains("ffmpeg: "),
        "{message}"
    );
}

#[test]
fn what_can_not_be_a_video_is_not_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("video.mp4");
    let mut mixed = frames(2, 8, 8);
    mixed.extend(frames(1, 8, 9));
    for (frames, rate, expected) in [
        (Vec::new(), 3.0, "no frames"),
        (mixed, 3.0, "8x9"),
        (frames(2, 8, 8), 0.0, "0 frames per second"),
        (frames(2, 8, 8), f64::NAN, "NaN"),
    ] {
        let message = write_video(&path, &frames, rate)
            .expect_err("it is refused")
            .to_string();
        assert!(message.contains(expected), "{message}");
    }
    assert!(!path.exists());
}

#[test]
fn a_gif_is_read_without_any_program() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("clip.GIF");
    let written = frames(4, 9, 6);
    let mut encoder = GifEncoder::new(File::create(&path).expect("a file"));
    for frame in &written {
        let picture = DynamicImage::ImageRgb8(frame.clone()).into_rgba8();
        let delay = image::Delay::from_numer_denom_ms(250, 1);
        let frame = image::Frame::from_parts(picture, 0, 0, delay);
        encoder.encode_frame(frame).expect("it is encoded");
    }
    drop(encoder);
    assert_eq!(VideoReader::open(&path).expect("it opens").frame_rate_hz(), Some(4.0));
    assert_eq!(read(&path), written);
}

#[test]
fn a_folder_of_pictures_is_a_video_in_the_order_of_their_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = frames(3, 5, 4);
    for (index, frame) in written.iter().enumerate().rev() {
        frame
            .save(folder.path().join(format!("{index:03}.png")))
            .expect("it is saved");
    }
    std::fs::write(folder.path().join("notes.txt"), "not a frame").expect("it is written");
    assert_eq!(read(folder.path()), written);
    frames(1, 5, 5)[0]
        .save(folder.path().join("003.png"))
        .expect("it is saved");
    let message = VideoReader::open(folder.path())
        .expect("it opens")
        .last()
        .expect("an item");
    let message = message.expect_err("the last frame is larger").to_string();
    assert!(message.contains("5x5") && message.contains("5x4"), "{message}");
}
