//! How the viewer lays an evaluation out.

use rerun::blueprint::{
    Blueprint, ContainerLike, Horizontal, Spatial2DView, TextDocumentView, TimePanel, TimeSeriesView, Vertical,
};

use super::entity_paths::{ACTION, EPISODE, FRAME, LEARNED, PHYSICS, PROGRESS, REWARD};

/// Puts the images of both worlds beside each other, and numbers below.
pub(super) fn layout() -> Blueprint {
    let pictures: [ContainerLike; 3] = [
        Spatial2DView::new("predicted").with_origin(LEARNED).into(),
        Spatial2DView::new("physics").with_origin(PHYSICS).into(),
        TextDocumentView::new("episode").with_origin(EPISODE).into(),
    ];
    let numbers: [ContainerLike; 3] = [
        TimeSeriesView::new("reward").with_origin(REWARD).into(),
        TimeSeriesView::new("progress").with_origin(PROGRESS).into(),
        TimeSeriesView::new("action").with_origin(ACTION).into(),
    ];
    let rows: [ContainerLike; 2] = [Horizontal::new(pictures).into(), Horizontal::new(numbers).into()];
    Blueprint::new(Vertical::new(rows)).with_time_panel(TimePanel::new().with_timeline(FRAME))
}
