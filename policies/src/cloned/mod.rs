//! The behaviour-cloned policy: camera image and instruction in, action chunk out.
//!
//! [`ClonedNetwork`] is the network, [`ClonedPolicy`] puts it behind [`Policy`](crate::Policy). It looks at one camera
//! image and nothing else of the robot's state, so it acts in every world that draws that camera. Tensors are float32.

mod network;

pub use network::{ClonedNetwork, ClonedNetworkConfig};
