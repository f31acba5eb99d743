//! Files of the Hugging Face Hub: where they are on this machine, and how they get here.
//!
//! The cache has the layout that Hugging Face's own tools use, so that what one of them fetched is found by the other.
//! Looking into it needs no network and no feature; what is missing is fetched where the feature `hub` is
//! compiled in.
//!
//! | variable | meaning |
//! |---|---|
//! | `HF_ENDPOINT` | the server, `https://huggingface.co` where it is not set; a mirror |
//! | `HF_TOKEN`, or the file `HF_TOKEN_PATH` or `$HF_HOME/token` | who asks, for models whose licence has to be accepted |
//! | `HF_HUB_CACHE`, or `$HF_HOME/hub` | the cache; `HF_HOME` is `~/.cache/huggingface` where it is not set |
//! | `HF_HUB_OFFLINE` | `1`: only the cache |

mod cache;
#[cfg(feature = "hub")]
mod download;
mod error;
mod locate;
mod location;
mod settings;
#[cfg(feature = "hub")]
mod storage;
#[cfg(all(test, feature = "hub"))]
mod tests;

pub use error::HubError;
pub use locate::Received;
pub use location::HubLocation;
pub use settings::{HubSettings, Token};
