//! Where episodes of a learned world start.

use std::collections::BTreeMap;

use image::RgbImage;
use image::imageops::{self, FilterType};
use rand::RngExt;

use crate::error::EnvError;
use crate::observation::Observation;
use crate::seeding;

/// Random stream of the choice among recorded first observations.
const CHOICE_STREAM: u64 = 0x1417;

/// A source of first observations.
///
/// A closure is one too, for example around the `reset` of a physics env. The answer must depend on the seed and the
/// task alone.
pub trait InitialStates: Send {
    /// Returns the first observation of an episode, with its instruction.
    ///
    /// # Errors
    /// [`EnvError::UnknownName`] for a task it has nothing for, and whatever its env says.
    fn initial(&mut self, seed: u64, task: &str) -> Result<Observation, EnvError>;
}

impl<F> InitialStates for F
where
    F: FnMut(u64, &str) -> Result<Observation, EnvError> + Send,
{
    fn initial(&mut self, seed: u64, task: &str) -> Result<Observation, EnvError> {
        self(seed, task)
    }
}

/// First observations that are kept by task: images, or first frames of recorded episodes. The seed chooses one.
#[derive(Debug, Clone, Default)]
pub struct FixedInitialStates {
    by_task: BTreeMap<String, Vec<Observation>>,
}

impl FixedInitialStates {
    /// Makes a source that starts every episode of `task` from one image.
    pub fn from_image(task: &str, instruction: &str, camera: &str, image: RgbImage) -> Self {
        let images = BTreeMap::from([(camera.to_owned(), image)]);
        let observation = Observation {
            images,
            instruction: instruction.to_owned(),
            ..Observation::default()
        };
        Self::default().with_observations(task, vec![observation])
    }

    /// Adds first observations of a task.
    #[must_use]
    pub fn with_observations(mut self, task: &str, observations: Vec<Observation>) -> Self {
        self.by_task.entry(task.to_owned()).or_default().extend(observations);
        self
    }
}

impl InitialStates for FixedInitialStates {
    fn initial(&mut self, seed: u64, task: &str) -> Result<Observation, EnvError> {
        let observations = self.by_task.get(task).filter(|observations| !observations.is_empty());
        let observations = observations.ok_or_else(|| EnvError::UnknownName {
            env: "the kept initial states".into(),
            what: "task",
            expected: self.by_task.keys().cloned().collect::<Vec<_>>().join(", "),
            found: task.to_owned(),
        })?;
        let choice = seeding::rng(seed, CHOICE_STREAM).random_range(0..observations.len());
        Ok(observations[choice].clone())
    }
}

/// Brings an image to a size: cuts the longer side at its middle to the aspect ratio, then resizes.
pub fn fit_image(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    if image.dimensions() == (width, height) || image.width() == 0 || image.height() == 0 {
        return image.clone();
    }
    let (found_width, found_height) = (u64::from(image.width()), u64::from(image.height()));
    let (wanted_width, wanted_height) = (u64::from(width.max(1)), u64::from(height.max(1)));
    let cut_width = (found_height * wanted_width / wanted_height).clamp(1, found_width) as u32;
    let cut_height = (found_width * wanted_height / wanted_width).clamp(1, found_height) as u32;
    let (left, top) = ((image.width() - cut_width) / 2, (image.height() - cut_height) / 2);
    let cut = imageops::crop_imm(image, left, top, cut_width, cut_height).to_image();
    imageops::resize(&cut, width.max(1), height.max(1), FilterType::Triangle)
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn fitting_keeps_the_middle_of_a_wide_image() {
        let wide = RgbImage::from_fn(40, 20, |x, _| {
            if (10..30).contains(&x) {
                Rgb([200, 0, 0])
            } else {
                Rgb([0, 0, 200])
            }
        });
        let fitted = fit_image(&wide, 8, 8);
        assert_eq!(fitted.dimensions(), (8, 8));
        assert!(fitted.pixels().all(|pixel| pixel.0 == [200, 0, 0]));
    }

    #[test]
    fn the_seed_alone_chooses_the_initial_state() {
        let named = |name: &str| Observation {
            instruction: name.into(),
            ..Observation::default()
        };
        let observations = ["a", "b", "c", "d"].map(named).to_vec();
        let mut states = FixedInitialStates::default().with_observations("reach", observations);
        let mut choose = |seed| states.initial(seed, "reach").unwrap().instruction;
        let chosen: Vec<String> = (0..20).map(&mut choose).collect();
        assert_eq!(chosen, (0..20).map(&mut choose).collect::<Vec<_>>());
        assert!(
            ["a", "b", "c", "d"]
                .iter()
                .all(|name| chosen.iter().any(|found| found == name))
        );
    }

    #[test]
    fn a_task_without_states_is_named() {
        let mut states = FixedInitialStates::from_image("reach", "reach it", "third_person", RgbImage::new(4, 4));
        let error = states.initial(0, "push").unwrap_err().to_string();
        assert!(error.contains("push") && error.contains("reach"), "{error}");
    }
}
