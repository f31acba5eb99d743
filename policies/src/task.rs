//! The tasks that the policies of this crate know.

use worldloop_envs::EnvSpec;

use crate::error::PolicyError;

/// A task of the table-top world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// Move the gripper to a target.
    Reach,
    /// Push a block onto a target.
    Push,
    /// Lift a block and put it onto a target.
    PickAndPlace,
}

impl Task {
    /// All tasks, in the order of [`Task::index`].
    pub const ALL: [Self; 3] = [Self::Reach, Self::Push, Self::PickAndPlace];

    /// Returns the name, as in [`EnvSpec::task`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Reach => "reach",
            Self::Push => "push",
            Self::PickAndPlace => "pick_and_place",
        }
    }

    /// Returns the position in [`Task::ALL`], which is also the position in a one-hot vector.
    pub fn index(self) -> usize {
        match self {
            Self::Reach => 0,
            Self::Push => 1,
            Self::PickAndPlace => 2,
        }
    }

    /// Finds the task by its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.name() == name)
    }

    /// Finds the task that an instruction asks for, by its verb or by the task's own name.
    pub fn from_instruction(instruction: &str) -> Option<Self> {
        let lower = instruction.trim().to_lowercase();
        if let Some(task) = Self::from_name(&lower) {
            return Some(task);
        }
        let words: Vec<&str> = lower.split(|letter: char| !letter.is_alphabetic()).collect();
        let says = |verbs: &[&str]| verbs.iter().any(|verb| words.contains(verb));
        // Grasping verbs first: "place the block that you can reach" is not a reach task.
        if says(&["pick", "place", "put", "lift", "grasp"]) {
            Some(Self::PickAndPlace)
        } else if says(&["push", "slide"]) {
            Some(Self::Push)
        } else if says(&["reach", "touch"]) {
            Some(Self::Reach)
        } else {
            None
        }
    }

    /// Finds the task of an observation: the instruction decides, the env's own task where there is none.
    ///
    /// # Errors
    /// [`PolicyError::UnknownTask`] if neither names a known task.
    pub fn resolve(policy: &str, instruction: &str, spec: &EnvSpec) -> Result<Self, PolicyError> {
        let said = if instruction.trim().is_empty() {
            spec.task.as_str()
        } else {
            instruction
        };
        Self::from_instruction(said).ok_or_else(|| PolicyError::UnknownTask {
            policy: policy.to_owned(),
            expected: Self::names(),
            found: said.to_owned(),
        })
    }

    /// Returns the names of all tasks, separated by commas.
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_indices_go_round() {
        for (index, task) in Task::ALL.into_iter().enumerate() {
            assert_eq!(task.index(), index);
            assert_eq!(Task::from_name(task.name()), Some(task));
            assert_eq!(Task::from_instruction(task.name()), Some(task));
        }
    }

    #[test]
    fn the_verb_decides() {
        assert_eq!(Task::from_instruction("Reach the red target."), Some(Task::Reach));
        assert_eq!(Task::from_instruction("push the block to the target"), Some(Task::Push));
        assert_eq!(
            Task::from_instruction("Pick up the block and place it on the target"),
            Some(Task::PickAndPlace)
        );
    }

    #[test]
    fn other_instructions_are_unknown() {
        assert_eq!(Task::from_instruction("open the drawer"), None);
        assert_eq!(Task::from_instruction(""), None);
        // A verb must be a word of its own.
        assert_eq!(Task::from_instruction("outreach"), None);
    }
}
