//! What the expert reads from the privileged state.

use worldloop_envs::Observation;

use crate::error::PolicyError;

/// Gripper and target, in metres and radians in the world frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Situation {
    /// The point between the fingertips.
    pub(super) tool: [f32; 3],
    /// Roll, pitch and yaw of the gripper.
    pub(super) rotation: [f32; 3],
    /// Gap between the fingers, 0 closed to 1 open.
    pub(super) opening: f32,
    /// The point that the task measures to.
    pub(super) target: [f32; 3],
}

/// The block of the tasks that have one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Block {
    /// Centre of the block in metres.
    pub(super) position: [f32; 3],
    /// Yaw in radians, within an eighth turn of 0.
    pub(super) yaw: f32,
    /// Whether the gripper holds it.
    pub(super) held: bool,
}

/// Reads privileged state and says what is missing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) policy: &'a str,
    pub(super) env: &'a str,
    pub(super) observation: &'a Observation,
}

impl Reader<'_> {
    /// Reads gripper and target.
    pub(super) fn situation(&self) -> Result<Situation, PolicyError> {
        let [opening] = self.read("gripper_opening")?;
        Ok(Situation {
            tool: self.read("gripper_position")?,
            rotation: self.read("gripper_rotation")?,
            opening,
            target: self.read("target_position")?,
        })
    }

    /// Reads the block.
    pub(super) fn block(&self) -> Result<Block, PolicyError> {
        let ([yaw], [held]) = (self.read("block_yaw")?, self.read("held")?);
        Ok(Block {
            position: self.read("block_position")?,
            yaw,
            held: held > 0.5,
        })
    }

    fn read<const N: usize>(&self, name: &str) -> Result<[f32; N], PolicyError> {
        let values = self
            .observation
            .privileged
            .get(name)
            .and_then(|values| values.as_slice().try_into().ok());
        values.ok_or_else(|| PolicyError::PrivilegedStateMissing {
            policy: self.policy.to_owned(),
            needed: name.to_owned(),
            env: self.env.to_owned(),
        })
    }
}
