//! The behaviour-cloned policy: camera image and instruction in, action chunk out.
//!
//! [`ClonedNetwork`] is the network, [`ClonedPolicy`] puts it behind [`Policy`](crate::Policy). It looks at one camera
//! image and nothing else of the robot's state, so it acts in every world that draws that camera.
//! [`ClonedCheckpoints`] makes the ten graded policies from the checkpoints of one training run.

mod error;
mod graded;
mod network;
mod policy;
mod weights;

pub use error::ClonedWeightsError;
pub use graded::{ClonedCheckpoints, GRADES, Grade, NUM_GRADES};
pub use network::{ClonedNetwork, ClonedNetworkConfig};
pub use policy::{CAMERA, ClonedPolicy, images_tensor, tasks_tensor};
pub use weights::CONFIG_KEY;
