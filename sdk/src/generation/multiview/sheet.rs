//! Videos of several cameras beside each other.

use image::{RgbImage, imageops};

use super::cameras::Cameras;
use super::robot::RobotCamera;

impl Cameras {
    /// Returns the ending of the name of the file with all views.
    pub fn sheet_name(&self) -> &'static str {
        match self {
            Self::Single | Self::Driving(_) => "grid",
            Self::Robot(_) => "stack",
        }
    }

    /// Puts the frames of all views beside each other: those of a car in the smallest grid that holds them, row after row
    /// in the order of the cameras, those of a robot above each other, its head first.
    pub fn sheet(&self, videos: &[Vec<RgbImage>]) -> Vec<RgbImage> {
        match self {
            Self::Single | Self::Driving(_) => {
                let views: Vec<_> = videos.iter().collect();
                let columns = (1..).find(|columns| columns * columns >= views.len()).unwrap_or(1);
                tiled(&views, columns)
            }
            Self::Robot(_) => {
                let place = |camera| RobotCamera::ON_TIME_AXIS.iter().position(|other| *other == camera);
                let views: Vec<_> = RobotCamera::ALL
                    .into_iter()
                    .filter_map(|camera| videos.get(place(camera)?))
                    .collect();
                tiled(&views, 1)
            }
        }
    }
}

/// Puts equally large frames into rows of `columns`; places that are left stay black.
fn tiled(views: &[&Vec<RgbImage>], columns: usize) -> Vec<RgbImage> {
    let frames = views.iter().map(|frames| frames.len()).min().unwrap_or(0);
    let rows = views.len().div_ceil(columns);
    let sheet = |index: usize| {
        let (width, height) = views[0][index].dimensions();
        let mut sheet = RgbImage::new(columns as u32 * width, rows as u32 * height);
        for (place, frames) in views.iter().enumerate() {
            let (row, column) = (place / columns, place % columns);
            let (left, top) = (column as i64 * i64::from(width), row as i64 * i64::from(height));
            imageops::replace(&mut sheet, &frames[index], left, top);
        }
        sheet
    };
    (0..frames).map(sheet).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use image::Rgb;

    use super::super::driving::{DrivingView, DrivingViews};
    use super::super::robot::RobotInputs;
    use super::*;

    fn videos(count: u8) -> Vec<Vec<RgbImage>> {
        let frame = |level: u8| RgbImage::from_pixel(4, 2, Rgb([level; 3]));
        (1..=count).map(|view| vec![frame(view), frame(view + 100)]).collect()
    }

    fn drive(count: usize) -> Cameras {
        let inputs: BTreeMap<_, _> = DrivingView::ALL
            .into_iter()
            .take(count)
            .map(|view| (view, None))
            .collect();
        Cameras::Driving(DrivingViews {
            inputs,
            captions: None,
            fps: 30.0,
        })
    }

    #[test]
    fn seven_views_of_a_car_are_three_by_three() {
        let sheet = drive(7).sheet(&videos(7));
        assert_eq!((sheet.len(), sheet[1].dimensions()), (2, (12, 6)));
        let level = |x, y| sheet[1].get_pixel(x, y)[0];
        assert_eq!(
            [level(0, 0), level(11, 0), level(0, 2), level(3, 5), level(4, 5)],
            [101, 103, 104, 107, 0]
        );
    }

    #[test]
    fn fewer_views_take_the_smallest_grid() {
        for (count, size) in [(1, (4, 2)), (2, (8, 2)), (3, (8, 4)), (4, (8, 4)), (6, (12, 4))] {
            assert_eq!(
                drive(count as usize).sheet(&videos(count))[0].dimensions(),
                size,
                "{count}"
            );
        }
    }

    #[test]
    fn the_head_of_a_robot_is_above_its_hands() {
        let robot = Cameras::Robot(RobotInputs {
            input_root: "in".into(),
            index: 0,
        });
        let sheet = robot.sheet(&videos(3));
        assert_eq!(sheet[0].dimensions(), (4, 6));
        // The head is the second on the time axis.
        assert_eq!([0, 2, 4].map(|y| sheet[0].get_pixel(0, y)[0]), [2, 1, 3]);
    }
}
