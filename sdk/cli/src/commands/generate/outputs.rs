//! What comes out: files, and what is said about them.

use std::path::PathBuf;

use serde_json::json;
use worldloop::generation::{OutputFormat, Videos};

use super::Job;
use super::args::GenerateArgs;

/// Returns the files of a video, those of its views before that of all.
pub(super) fn files(args: &GenerateArgs, formats: &[OutputFormat], job: &Job) -> Vec<PathBuf> {
    let of_name = |name: &String| formats.iter().map(|format| format.path(&args.out, name)).collect();
    job.request
        .output_names()
        .iter()
        .flat_map::<Vec<_>, _>(of_name)
        .collect()
}

/// Returns whether all files of a video are there.
pub(super) fn are_there(args: &GenerateArgs, formats: &[OutputFormat], job: &Job) -> bool {
    files(args, formats, job).iter().all(|file| file.exists())
}

/// Writes the frames of every view, and of all beside each other where there are several.
pub(super) fn write(
    args: &GenerateArgs,
    formats: &[OutputFormat],
    job: &Job,
    mut videos: Videos,
) -> anyhow::Result<Vec<PathBuf>> {
    let names = job.request.output_names();
    if names.len() > videos.len() {
        videos.push(job.request.cameras.sheet(&videos));
    }
    let fps = args.fps.unwrap_or(job.request.cameras.frame_rate_hz());
    let mut files = Vec::new();
    for (name, frames) in names.iter().zip(&videos) {
        for format in formats {
            files.push(format.write(&args.out, name, frames, fps)?);
        }
    }
    Ok(files)
}

/// Says what was made, in how many seconds.
pub(super) fn tell(args: &GenerateArgs, job: &Job, files: &[PathBuf], seconds: f64) {
    let Job { request, plan, .. } = job;
    let [height, width] = plan.size;
    let views = request.cameras.view_names();
    if args.json {
        let mut line = json!({
            "name": request.name, "inference_type": request.inference_type, "frames": plan.frames, "height": height,
            "width": width, "seed": request.seed, "chunks": plan.num_chunks(), "steps": plan.num_steps(),
            "files": files, "seconds": seconds, "skipped": false,
        });
        if !views.is_empty() {
            line["views"] = views.into();
        }
        println!("{line}");
        return;
    }
    let paths: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let of_views = match views.len() {
        0 => String::new(),
        1 => "1 view of ".to_owned(),
        views => format!("{views} views of "),
    };
    println!(
        "{}: {of_views}{} frames of {height}x{width} in {seconds:.1} s",
        paths.join(", "),
        plan.frames
    );
}

/// Says that a video was there before. How it was made is not known: perhaps otherwise than it would be now.
pub(super) fn tell_skipped(is_json: bool, name: &str, files: &[PathBuf]) {
    if is_json {
        println!("{}", json!({ "name": name, "files": files, "skipped": true }));
        return;
    }
    let paths: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    println!("{}: was there before, --overwrite makes it again", paths.join(", "));
}
