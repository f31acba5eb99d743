//! Sizes of generated frames: written out, or by the names of the released pipelines.
//!
//! Source: `cosmos_predict2/_src/predict2/datasets/utils.py@50369b8` (`VIDEO_RES_SIZE_INFO`).
//! Differs: names without an aspect mean the wide one; upstream's command takes numbers only.

use super::error::GenerationError;

/// Aspects of the table's columns, width to height.
const ASPECTS: [&str; 5] = ["1,1", "4,3", "3,4", "16,9", "9,16"];

/// Aspect that a name without one has.
const DEFAULT_ASPECT: &str = "16,9";

/// Sides that can be written out, in pixels.
const SIDES: std::ops::RangeInclusive<usize> = 1..=16_384;

/// A name and its sizes, `[width, height]` in pixels, one per aspect.
type Row = (&'static str, [[usize; 2]; ASPECTS.len()]);

/// The released table for video.
const TABLE: [Row; 9] = [
    (
        "1080",
        [[1024, 1024], [1440, 1056], [1056, 1440], [1920, 1056], [1056, 1920]],
    ),
    (
        "1024",
        [[1024, 1024], [1280, 1024], [1024, 1280], [1280, 768], [768, 1280]],
    ),
    ("720", [[960, 960], [960, 704], [704, 960], [1280, 704], [704, 1280]]),
    ("512", [[512, 512], [640, 512], [512, 640], [640, 384], [384, 640]]),
    ("480", [[480, 480], [640, 480], [480, 640], [768, 432], [432, 768]]),
    ("480p", [[640, 640], [640, 480], [480, 640], [832, 480], [480, 832]]),
    ("720p", [[960, 960], [960, 720], [720, 960], [1280, 720], [720, 1280]]),
    (
        "720robocasa",
        [[720, 720], [960, 720], [720, 960], [1280, 720], [720, 1280]],
    ),
    ("256", [[256, 256], [320, 256], [256, 320], [320, 192], [192, 320]]),
];

/// Size of generated frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Resolution {
    /// That of the released model.
    #[default]
    Model,
    /// Written out, in pixels.
    Pixels {
        /// Height.
        height: usize,
        /// Width.
        width: usize,
    },
}

impl Resolution {
    /// Reads `none`, a size `HEIGHT,WIDTH`, or a name with or without an aspect: `720`, `480:4,3`.
    ///
    /// # Errors
    /// [`GenerationError::Resolution`] with what there is.
    ///
    /// # Example
    /// ```
    /// use worldloop::generation::Resolution;
    ///
    /// assert_eq!(Resolution::parse("720")?, Resolution::parse("704,1280")?);
    /// # Ok::<(), worldloop::generation::GenerationError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, GenerationError> {
        if text == "none" {
            return Ok(Self::Model);
        }
        let found = written_out(text).or_else(|| named(text));
        found.ok_or_else(|| GenerationError::Resolution {
            found: text.to_owned(),
            names: TABLE.map(|(name, _)| name).join(", "),
            aspects: ASPECTS.join(" "),
        })
    }
}

fn written_out(text: &str) -> Option<Resolution> {
    let (height, width) = text.split_once(',')?;
    let side = |text: &str| text.trim().parse().ok().filter(|side| SIDES.contains(side));
    Some(Resolution::Pixels {
        height: side(height)?,
        width: side(width)?,
    })
}

fn named(text: &str) -> Option<Resolution> {
    let (name, aspect) = text.split_once(':').unwrap_or((text, DEFAULT_ASPECT));
    let aspect = aspect.trim().replace(':', ",");
    let column = ASPECTS.iter().position(|known| *known == aspect)?;
    let (_, sizes) = TABLE.iter().find(|(known, _)| *known == name.trim())?;
    let [width, height] = sizes[column];
    Some(Resolution::Pixels { height, width })
}

/// Checks that both sides of a frame are multiples of what VAE and patches shrink them by.
///
/// # Errors
/// [`GenerationError::Size`] that names the sizes next to it.
pub(super) fn check_size([height, width]: [usize; 2], multiple: usize) -> Result<(), GenerationError> {
    if height.is_multiple_of(multiple) && width.is_multiple_of(multiple) {
        return Ok(());
    }
    let below = |side: usize| (side / multiple * multiple).max(multiple);
    let above = |side: usize| side.div_ceil(multiple) * multiple;
    Err(GenerationError::Size {
        found: [height, width],
        multiple,
        below: [below(height), below(width)],
        above: [above(height), above(width)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(text: &str) -> [usize; 2] {
        match Resolution::parse(text) {
            Ok(Resolution::Pixels { height, width }) => [height, width],
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn sizes_are_written_height_first_and_names_follow_the_table() {
        assert_eq!(pixels("64,96"), [64, 96]);
        assert_eq!(pixels("704, 1280"), [704, 1280]);
        assert_eq!(pixels("720"), [704, 1280]);
        assert_eq!(pixels("720:9,16"), [1280, 704]);
        assert_eq!(pixels("480:4:3"), [480, 640]);
        assert_eq!(pixels("480p"), [480, 832]);
        assert_eq!(Resolution::parse("none").unwrap(), Resolution::Model);
    }

    #[test]
    fn what_is_no_size_is_told_with_the_names() {
        for text in ["", "64", "0,96", "64,99999", "64,96,3", "720:2,1", "wide", "-1,4"] {
            let message = Resolution::parse(text).unwrap_err().to_string();
            assert!(message.contains("720robocasa") && message.contains("16,9"), "{message}");
        }
    }

    #[test]
    fn a_size_that_does_not_fit_is_told_with_its_neighbours() {
        assert!(check_size([64, 96], 16).is_ok());
        let message = check_size([60, 96], 16).unwrap_err().to_string();
        for part in ["60,96", "16", "48,96", "64,96"] {
            assert!(message.contains(part), "{message}");
        }
        let message = check_size([3, 16], 16).unwrap_err().to_string();
        assert!(message.contains("16,16"), "{message}");
    }
}
