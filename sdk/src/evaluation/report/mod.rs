//! What came out of an evaluation, as a page for people: `report.html`, animations, and a summary for programs.

mod animation;
mod chart;
mod film_strip;
mod machine;
mod page;
mod showcase;
mod style;
mod summary;

pub use animation::{Animation, side_by_side_gif};
pub use machine::Machine;
pub use page::{REPORT_FILE, Report};
pub use showcase::{Showcase, choose_showcases, replay_showcases};
pub use summary::Summary;
