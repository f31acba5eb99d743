//! Where the elbow of a two-link arm must be.

use rapier3d::math::glamx::Vec3;

/// Finds the elbow between a shoulder and a wrist, bent upwards.
///
/// The arm lies in the vertical plane through shoulder and wrist. A wrist out of reach gives a straight arm that
/// points at it.
pub(super) fn elbow_position(shoulder: Vec3, wrist: Vec3, upper_arm: f32, forearm: f32) -> Vec3 {
    let reach = wrist - shoulder;
    let distance = reach.length().max(1e-6);
    let direction = reach / distance;
    // Foot of the elbow's perpendicular on the line from shoulder to wrist.
    let along = ((distance * distance + upper_arm * upper_arm - forearm * forearm) / (2.0 * distance))
        .clamp(-upper_arm, upper_arm);
    let height = (upper_arm * upper_arm - along * along).max(0.0).sqrt();
    // Upwards, made perpendicular to the line; a vertical line has no such direction, then the arm bends forward.
    let up = (Vec3::Z - direction * direction.z).try_normalize().unwrap_or(Vec3::X);
    shoulder + direction * along + up * height
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_lengths_are_kept_within_reach() {
        let shoulder = Vec3::new(-0.3, 0.0, 0.1);
        for wrist in [
            Vec3::new(0.1, 0.1, 0.2),
            Vec3::new(-0.1, -0.15, 0.3),
            Vec3::new(0.17, 0.17, 0.15),
        ] {
            let elbow = elbow_position(shoulder, wrist, 0.34, 0.34);
            assert!((elbow.distance(shoulder) - 0.34).abs() < 1e-5);
            assert!((elbow.distance(wrist) - 0.34).abs() < 1e-5);
            assert!(elbow.z > shoulder.z.min(wrist.z));
        }
    }

    #[test]
    fn out_of_reach_gives_a_straight_arm() {
        let wrist = Vec3::new(2.0, 0.0, 0.0);
        let elbow = elbow_position(Vec3::ZERO, wrist, 0.3, 0.3);
        assert!(elbow.distance(Vec3::new(0.3, 0.0, 0.0)) < 1e-5);
    }
}
