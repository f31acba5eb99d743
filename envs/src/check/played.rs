//! What an episode looked like, and where it differs from another.

use crate::observation::Observation;
use crate::step::{Info, Step};

/// What one episode looked like from outside.
pub(super) struct Played {
    pub(super) first: (Observation, Info),
    pub(super) steps: Vec<Step>,
}

impl Played {
    pub(super) fn is_over(&self) -> bool {
        self.steps.last().is_some_and(Step::is_last)
    }
}

/// Says where two episodes differ first; `None` if they don't.
pub(super) fn first_difference(expected: &Played, found: &Played) -> Option<String> {
    if let Some(what) = observation_difference(&expected.first.0, &found.first.0) {
        return Some(format!("reset: {what} differs"));
    }
    if expected.first.1 != found.first.1 {
        return Some("reset: the info differs".into());
    }
    for (index, (one, other)) in expected.steps.iter().zip(&found.steps).enumerate() {
        if one != other {
            let what = observation_difference(&one.observation, &other.observation);
            return Some(format!(
                "step {index}: {} differs",
                what.unwrap_or_else(|| "the reward, the end or the info".into())
            ));
        }
    }
    let (one, other) = (expected.steps.len(), found.steps.len());
    (one != other).then(|| format!("{one} steps, then {other}"))
}

fn observation_difference(one: &Observation, other: &Observation) -> Option<String> {
    if one == other {
        return None;
    }
    let camera = one
        .images
        .iter()
        .find(|(camera, image)| other.images.get(*camera) != Some(*image));
    Some(match camera {
        Some((camera, _)) => format!("the image of camera `{camera}`"),
        None if one.proprioception != other.proprioception => "the robot state".into(),
        None if one.privileged != other.privileged => "the privileged state".into(),
        None => "the instruction or the set of cameras".into(),
    })
}
