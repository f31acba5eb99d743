//! Rotations in space.

/// A rotation, row by row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rotation([[f64; 3]; 3]);

impl Rotation {
    pub(crate) const IDENTITY: Self = Self([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);

    /// Returns `Rz(yaw) Ry(pitch) Rx(roll)`.
    pub(crate) fn from_angles([roll, pitch, yaw]: [f64; 3]) -> Self {
        let ((sin_r, cos_r), (sin_p, cos_p), (sin_y, cos_y)) = (roll.sin_cos(), pitch.sin_cos(), yaw.sin_cos());
        let about_x = Self([[1.0, 0.0, 0.0], [0.0, cos_r, -sin_r], [0.0, sin_r, cos_r]]);
        let about_y = Self([[cos_p, 0.0, sin_p], [0.0, 1.0, 0.0], [-sin_p, 0.0, cos_p]]);
        let about_z = Self([[cos_y, -sin_y, 0.0], [sin_y, cos_y, 0.0], [0.0, 0.0, 1.0]]);
        about_z.times(&about_y).times(&about_x)
    }

    /// Returns the rotation about an axis by the axis's length.
    fn from_rotation_vector(vector: [f64; 3]) -> Self {
        let angle = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
        if angle < 1e-12 {
            return Self::IDENTITY;
        }
        let [x, y, z] = vector.map(|value| value / angle);
        let (sine, cosine) = angle.sin_cos();
        let rest = 1.0 - cosine;
        Self([
            [cosine + x * x * rest, x * y * rest - z * sine, x * z * rest + y * sine],
            [y * x * rest + z * sine, cosine + y * y * rest, y * z * rest - x * sine],
            [z * x * rest - y * sine, z * y * rest + x * sine, cosine + z * z * rest],
        ])
    }

    /// Returns `roll, pitch, yaw` of a rotation that pitches by less than a quarter turn.
    pub(crate) fn angles(&self) -> [f64; 3] {
        let [[r00, ..], [r10, ..], [r20, r21, r22]] = self.0;
        [r21.atan2(r22), (-r20).clamp(-1.0, 1.0).asin(), r10.atan2(r00)]
    }

    pub(crate) fn times(&self, right: &Self) -> Self {
        let entry = |row: usize, column: usize| (0..3).map(|inner| self.0[row][inner] * right.0[inner][column]).sum();
        Self(std::array::from_fn(|row| {
            std::array::from_fn(|column| entry(row, column))
        }))
    }

    pub(crate) fn apply(&self, vector: [f64; 3]) -> [f64; 3] {
        self.0
            .map(|row| row.iter().zip(vector).map(|(axis, value)| axis * value).sum())
    }

    /// Returns a share of the shortest way to another rotation.
    pub(crate) fn towards(&self, other: &Self, share: f64) -> Self {
        let way = self.inverse().times(other).rotation_vector();
        self.times(&Self::from_rotation_vector(way.map(|angle| share * angle)))
    }

    fn inverse(&self) -> Self {
        Self(std::array::from_fn(|row| {
            std::array::from_fn(|column| self.0[column][row])
        }))
    }

    /// Returns the axis of the rotation, as long as its angle.
    pub(crate) fn rotation_vector(&self) -> [f64; 3] {
        let [[r00, r01, r02], [r10, r11, r12], [r20, r21, r22]] = self.0;
        let doubled_axis = [r21 - r12, r02 - r20, r10 - r01];
        let doubled_sine = doubled_axis.iter().map(|value| value * value).sum::<f64>().sqrt();
        let angle = doubled_sine.atan2(r00 + r11 + r22 - 1.0);
        let factor = if doubled_sine < 1e-9 { 0.5 } else { angle / doubled_sine };
        doubled_axis.map(|value| factor * value)
    }
}
