//! What a vector env does with an env whose episode is over.

use serde::{Deserialize, Serialize};

/// When an env of a vector is reset after its episode ended.
///
/// The three modes, and the default, are those of Gymnasium.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoresetMode {
    /// The call after the last step ignores its actions and answers with the first observation of the next episode,
    /// reward 0 and neither flag.
    #[default]
    NextStep,
    /// The last step itself shows the first observation of the next episode; what was last seen is in
    /// `final_observation` and `final_info`.
    SameStep,
    /// Nothing is reset until the caller asks for it, with a mask of the envs to reset.
    Disabled,
}
