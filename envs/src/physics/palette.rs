//! Colours of the scene.

/// A named colour that blocks or targets can have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct NamedColor {
    /// Name as it appears in instructions.
    pub(super) name: &'static str,
    /// RGB in `[0, 1]`.
    pub(super) rgb: [f32; 3],
}

/// Colours of blocks.
pub(super) const BLOCK_COLORS: [NamedColor; 3] = [
    NamedColor {
        name: "red",
        rgb: [0.90, 0.13, 0.12],
    },
    NamedColor {
        name: "blue",
        rgb: [0.12, 0.30, 0.92],
    },
    NamedColor {
        name: "yellow",
        rgb: [0.98, 0.82, 0.08],
    },
];

/// Colours of targets; none is close to a block's.
pub(super) const TARGET_COLORS: [NamedColor; 3] = [
    NamedColor {
        name: "green",
        rgb: [0.10, 0.72, 0.25],
    },
    NamedColor {
        name: "purple",
        rgb: [0.62, 0.18, 0.80],
    },
    NamedColor {
        name: "cyan",
        rgb: [0.05, 0.75, 0.85],
    },
];

pub(super) const TABLE: [f32; 3] = [0.80, 0.77, 0.72];
pub(super) const ARM: [f32; 3] = [0.42, 0.46, 0.54];
pub(super) const PALM: [f32; 3] = [0.16, 0.18, 0.22];
pub(super) const FINGER: [f32; 3] = [1.00, 0.56, 0.08];
pub(super) const BACKGROUND: [f32; 3] = [0.62, 0.70, 0.80];
