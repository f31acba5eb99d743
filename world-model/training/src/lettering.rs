//! Lines, and a few letters and digits drawn into pictures, so that no font is needed.

use image::{Rgb, RgbImage};

/// Pixels per dot of a letter.
const SCALE: u32 = 2;

/// Width of a letter with its gap, in pixels.
pub(crate) const LETTER_WIDTH: u32 = 4 * SCALE;

/// Height of a letter, in pixels.
pub(crate) const LETTER_HEIGHT: u32 = 5 * SCALE;

/// Writes digits, points, minus signs and the letters of "LOSS", "STEP" and "k"; other characters are blanks.
pub(crate) fn draw_text(picture: &mut RgbImage, text: &str, left: u32, top: u32, colour: Rgb<u8>) {
    for (place, letter) in text.chars().enumerate() {
        let x = left + place as u32 * LETTER_WIDTH;
        for (row, bits) in (0..).zip(dots(letter)) {
            for column in (0..3).filter(|column| bits & (0b100 >> column) != 0) {
                fill(picture, [x + column * SCALE, top + row * SCALE, SCALE, SCALE], colour);
            }
        }
    }
}

/// Fills a rectangle `[left, top, width, height]`; what lies outside the picture is left out.
pub(crate) fn fill(picture: &mut RgbImage, [left, top, width, height]: [u32; 4], colour: Rgb<u8>) {
    for y in top..(top + height).min(picture.height()) {
        for x in left..(left + width).min(picture.width()) {
            picture.put_pixel(x, y, colour);
        }
    }
}

/// Draws a line, two pixels wide.
pub(crate) fn draw_line(picture: &mut RgbImage, from: (u32, u32), to: (u32, u32), colour: Rgb<u8>) {
    let count = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1)).max(1);
    let between = |a: u32, b: u32, step: u32| {
        (f64::from(a) + (f64::from(b) - f64::from(a)) * f64::from(step) / f64::from(count)).round() as u32
    };
    for step in 0..=count {
        fill(
            picture,
            [between(from.0, to.0, step), between(from.1, to.1, step), 2, 2],
            colour,
        );
    }
}

/// Returns the dots of a letter, five rows of three.
fn dots(letter: char) -> [u8; 5] {
    match letter.to_ascii_uppercase() {
        '0' => [0b111, 0b101, 0b101, 0b101, 0b111],
        '1' => [0b010, 0b110, 0b010, 0b010, 0b111],
        '2' => [0b111, 0b001, 0b111, 0b100, 0b111],
        '3' => [0b111, 0b001, 0b011, 0b001, 0b111],
        '4' => [0b101, 0b101, 0b111, 0b001, 0b001],
        '5' => [0b111, 0b100, 0b111, 0b001, 0b111],
        '6' => [0b111, 0b100, 0b111, 0b101, 0b111],
        '7' => [0b111, 0b001, 0b010, 0b010, 0b010],
        '8' => [0b111, 0b101, 0b111, 0b101, 0b111],
        '9' => [0b111, 0b101, 0b111, 0b001, 0b111],
        '.' => [0b000, 0b000, 0b000, 0b000, 0b010],
        '-' => [0b000, 0b000, 0b111, 0b000, 0b000],
        'E' => [0b111, 0b100, 0b110, 0b100, 0b111],
        'L' => [0b100, 0b100, 0b100, 0b100, 0b111],
        'O' => [0b111, 0b101, 0b101, 0b101, 0b111],
        'S' => [0b111, 0b100, 0b111, 0b001, 0b111],
        'T' => [0b111, 0b010, 0b010, 0b010, 0b010],
        'P' => [0b111, 0b101, 0b111, 0b100, 0b100],
        'K' => [0b101, 0b101, 0b110, 0b101, 0b101],
        _ => [0; 5],
    }
}
