//! `RerunRecording`: one file with all episodes.

use std::path::{Path, PathBuf};

use rerun::{Image, RecordingStream, RecordingStreamBuilder, Scalars, SeriesLines, TextDocument};
use worldloop_envs::Observation;

use super::blueprint::layout;
use super::entity_paths::{ACTION, EPISODE, FRAME, LEARNED, PHYSICS, PROGRESS, REWARD, STEP, image, number};
use super::error::VisualizationError;
use crate::evaluation::EpisodeRecord;
use crate::evaluation::report::Showcase;
use crate::rollout::Replayed;

/// Frames between two episodes, so that their curves do not touch.
const GAP_FRAMES: i64 = 3;

/// Colours of the curves of both worlds, red, green and blue.
const WORLD_COLORS: [(&str, [u8; 3]); 2] = [(LEARNED, [66, 135, 245]), (PHYSICS, [245, 150, 40])];

/// Writes episodes to a Rerun file.
pub struct RerunRecording {
    path: PathBuf,
    stream: RecordingStream,
    action_names: Vec<String>,
    next_frame: i64,
}

impl std::fmt::Debug for RerunRecording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RerunRecording")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl RerunRecording {
    /// Starts a file, with a blueprint; `action_names` are those of the action space.
    ///
    /// # Errors
    /// [`VisualizationError::Create`] and [`VisualizationError::Log`].
    pub fn create(path: &Path, action_names: Vec<String>) -> Result<Self, VisualizationError> {
        let builder = RecordingStreamBuilder::new("worldloop").with_blueprint(layout());
        let stream = builder.save(path).map_err(|source| VisualizationError::Create {
            path: path.to_path_buf(),
            source: Box::new(source),
        })?;
        // The viewer's own choice may give both worlds the same colour.
        for root in [REWARD, PROGRESS] {
            for (world, color) in WORLD_COLORS {
                let line = SeriesLines::new().with_colors([color]).with_names([world]);
                stream.log_static(number(root, world), &line)?;
            }
        }
        Ok(Self {
            path: path.to_path_buf(),
            stream,
            action_names,
            next_frame: 0,
        })
    }

    /// Logs an episode as it was predicted and as the simulator showed it.
    ///
    /// # Errors
    /// [`VisualizationError::Log`].
    pub fn log(&mut self, showcase: &Showcase) -> Result<(), VisualizationError> {
        let record = &showcase.record;
        self.set_frame(0);
        self.stream
            .log(EPISODE, &TextDocument::from_markdown(describe(record)))?;
        if let Some(predicted) = &showcase.predicted {
            self.log_world(LEARNED, predicted)?;
        }
        self.log_world(PHYSICS, &showcase.physics)?;
        for (step, action) in record.actions.0.iter().enumerate() {
            self.set_frame(step + 1);
            for (name, value) in self.action_names.iter().zip(&action.0) {
                self.stream
                    .log(number(ACTION, name), &Scalars::single(f64::from(*value)))?;
            }
        }
        self.next_frame += record.steps as i64 + 1 + GAP_FRAMES;
        Ok(())
    }

    /// Writes what is still in memory.
    ///
    /// # Errors
    /// [`VisualizationError::Flush`].
    pub fn finish(self) -> Result<(), VisualizationError> {
        self.stream
            .flush_blocking()
            .map_err(|source| VisualizationError::Flush {
                path: self.path,
                source: Box::new(source),
            })
    }

    fn log_world(&self, world: &str, played: &Replayed) -> Result<(), VisualizationError> {
        self.set_frame(0);
        self.log_images(world, &played.first_observation)?;
        for (index, step) in played.steps.iter().enumerate() {
            self.set_frame(index + 1);
            self.log_images(world, &step.observation)?;
            self.stream.log(number(REWARD, world), &Scalars::single(step.reward))?;
            if let Some(progress) = step.info.metrics.get("progress") {
                self.stream.log(number(PROGRESS, world), &Scalars::single(*progress))?;
            }
        }
        Ok(())
    }

    fn log_images(&self, world: &str, observation: &Observation) -> Result<(), VisualizationError> {
        for (camera, picture) in &observation.images {
            let (width, height) = picture.dimensions();
            let logged = Image::from_rgb24(picture.as_raw().clone(), [width, height]);
            self.stream.log(image(world, camera), &logged)?;
        }
        Ok(())
    }

    fn set_frame(&self, step: usize) {
        self.stream.set_time_sequence(FRAME, self.next_frame + step as i64);
        self.stream.set_time_sequence(STEP, step as i64);
    }
}

fn describe(record: &EpisodeRecord) -> String {
    let outcome = if record.success { "success" } else { "failure" };
    format!(
        "# {} · {}\n\n“{}”\n\nseed {}, played in the {} world: **{outcome}** after {} steps",
        record.task, record.policy, record.instruction, record.seed, record.world, record.steps
    )
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use worldloop_envs::ActionChunk;

    use super::*;
    use crate::evaluation::report::replay_showcases;
    use crate::fixtures::{learned, physics};

    #[test]
    fn a_recording_holds_both_worlds_and_the_blueprint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("episodes.rrd");
        let spec = physics().batch("reach", 1).unwrap().spec().clone();
        let mut rng = worldloop_envs::seeding::rng(1, 1);
        let actions: ActionChunk = (0..10).map(|_| spec.action_space.sample(&mut rng)).collect();
        let record = EpisodeRecord {
            world: "learned".into(),
            model: None,
            task: "reach".into(),
            policy: "random".into(),
            seed: 3,
            success: false,
            steps: actions.len(),
            episode_return: 0.0,
            best_progress: None,
            wall_secs: 0.0,
            instruction: "reach".into(),
            actions,
        };
        let names = spec
            .action_space
            .dimensions
            .into_iter()
            .map(|dimension| dimension.name)
            .collect();
        let mut recording = RerunRecording::create(&path, names).unwrap();
        for showcase in replay_showcases(&[record], &physics(), Some(&learned())).unwrap() {
            recording.log(&showcase).unwrap();
        }
        recording.finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for word in [
            "/learned/third_person",
            "/physics/third_person",
            "/action/delta_x",
            "/reward/learned",
        ] {
            assert!(
                bytes.windows(word.len()).any(|window| window == word.as_bytes()),
                "{word}"
            );
        }
    }
}
