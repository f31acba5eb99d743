//! Ray intersection with the shapes of the scene.

use rapier3d::math::glamx::{Mat3, Pose3, Vec3};
use rapier3d::parry::shape::Shape;

use super::scene::Surface;

/// A shape around its own origin; the axis of capsules and cylinders is y.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Form {
    Cuboid { half: Vec3 },
    Ball { radius: f32 },
    Capsule { half_height: f32, radius: f32 },
    Cylinder { half_height: f32, radius: f32 },
}

/// Where a ray meets a form, in the form's frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hit {
    /// Multiple of the ray's direction.
    pub(super) distance: f32,
    /// Outward unit normal.
    pub(super) normal: Vec3,
    /// Which face of the form was hit; curved surfaces are one face.
    pub(super) face: u32,
}

impl Form {
    /// Reads the form of a shape, where it is one of the four kinds that scenes are made of.
    pub(super) fn of(shape: &dyn Shape) -> Option<Self> {
        if let Some(cuboid) = shape.as_cuboid() {
            return Some(Self::Cuboid {
                half: cuboid.half_extents,
            });
        }
        if let Some(ball) = shape.as_ball() {
            return Some(Self::Ball { radius: ball.radius });
        }
        if let Some(capsule) = shape.as_capsule() {
            return Some(Self::Capsule {
                half_height: capsule.half_height(),
                radius: capsule.radius,
            });
        }
        shape.as_cylinder().map(|cylinder| Self::Cylinder {
            half_height: cylinder.half_height,
            radius: cylinder.radius,
        })
    }

    /// Half extents of the box around the form.
    pub(super) fn half_extents(&self) -> Vec3 {
        match *self {
            Self::Cuboid { half } => half,
            Self::Ball { radius } => Vec3::splat(radius),
            Self::Capsule { half_height, radius } => Vec3::new(radius, half_height + radius, radius),
            Self::Cylinder { half_height, radius } => Vec3::new(radius, half_height, radius),
        }
    }

    /// Finds where a ray from outside enters the form.
    #[inline]
    pub(super) fn intersect(&self, origin: Vec3, direction: Vec3) -> Option<Hit> {
        match *self {
            Self::Cuboid { half } => intersect_cuboid(origin, direction, half),
            Self::Ball { radius } => intersect_ball(origin, direction, Vec3::ZERO, radius),
            Self::Capsule { half_height, radius } => intersect_capsule(origin, direction, half_height, radius),
            Self::Cylinder { half_height, radius } => intersect_cylinder(origin, direction, half_height, radius),
        }
    }
}

fn intersect_cuboid(origin: Vec3, direction: Vec3, half: Vec3) -> Option<Hit> {
    // A direction of exactly 0 would make infinities meet.
    let inverse = direction.map(|value| if value.abs() < 1e-12 { 1e12 } else { 1.0 / value });
    let center = -origin * inverse;
    let extent = half * inverse.abs();
    let (enter, leave) = (center - extent, center + extent);
    let distance = enter.max_element();
    if distance > leave.min_element() || distance <= 0.0 {
        return None;
    }
    let (face, axis) = match distance {
        _ if distance == enter.x => (0, Vec3::X),
        _ if distance == enter.y => (2, Vec3::Y),
        _ => (4, Vec3::Z),
    };
    let backward = direction.dot(axis) > 0.0;
    Some(Hit {
        distance,
        normal: if backward { -axis } else { axis },
        face: face + u32::from(backward),
    })
}

fn intersect_ball(origin: Vec3, direction: Vec3, center: Vec3, radius: f32) -> Option<Hit> {
    let offset = origin - center;
    let distance = entry(
        direction.length_squared(),
        offset.dot(direction),
        offset.length_squared() - radius * radius,
    )?;
    Some(Hit {
        distance,
        normal: (offset + direction * distance) / radius,
        face: 0,
    })
}

fn intersect_capsule(origin: Vec3, direction: Vec3, half_height: f32, radius: f32) -> Option<Hit> {
    let side = intersect_tube(origin, direction, radius)
        .filter(|hit| (origin.y + direction.y * hit.distance).abs() <= half_height);
    if side.is_some() {
        return side;
    }
    let cap = |y: f32| intersect_ball(origin, direction, Vec3::Y * y, radius);
    nearer(cap(half_height), cap(-half_height))
}

fn intersect_cylinder(origin: Vec3, direction: Vec3, half_height: f32, radius: f32) -> Option<Hit> {
    // The ray can enter through one of the two ends only.
    let end = -direction.y.signum();
    let distance = (end * half_height - origin.y) / direction.y;
    let (x, z) = (origin.x + direction.x * distance, origin.z + direction.z * distance);
    if distance > 0.0 && x * x + z * z <= radius * radius {
        return Some(Hit {
            distance,
            normal: Vec3::Y * end,
            face: if end > 0.0 { 1 } else { 2 },
        });
    }
    intersect_tube(origin, direction, radius).filter(|hit| (origin.y + direction.y * hit.distance).abs() <= half_height)
}

/// Intersects an endless cylinder.
fn intersect_tube(origin: Vec3, direction: Vec3, radius: f32) -> Option<Hit> {
    let (o, d) = (
        Vec3::new(origin.x, 0.0, origin.z),
        Vec3::new(direction.x, 0.0, direction.z),
    );
    let distance = entry(d.length_squared(), o.dot(d), o.length_squared() - radius * radius)?;
    Some(Hit {
        distance,
        normal: (o + d * distance) / radius,
        face: 0,
    })
}

/// Returns the smaller root of `a t² + 2 b t + c = 0` where it is positive.
#[inline]
fn entry(a: f32, b: f32, c: f32) -> Option<f32> {
    let discriminant = b * b - a * c;
    if discriminant < 0.0 || a <= 0.0 {
        return None;
    }
    let distance = (-b - discriminant.sqrt()) / a;
    (distance > 0.0).then_some(distance)
}

fn nearer(a: Option<Hit>, b: Option<Hit>) -> Option<Hit> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if a.distance <= b.distance { a } else { b }),
        (a, b) => a.or(b),
    }
}

/// A form in its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Primitive {
    pub(super) form: Form,
    pub(super) surface: Surface,
    pub(super) world_from_form: Mat3,
    pub(super) form_from_world: Mat3,
    pub(super) center: Vec3,
}

impl Primitive {
    pub(super) fn new(form: Form, pose: &Pose3, surface: Surface) -> Self {
        let world_from_form = Mat3::from_quat(pose.rotation);
        Self {
            form,
            surface,
            world_from_form,
            form_from_world: world_from_form.transpose(),
            center: pose.translation,
        }
    }

    /// Takes a point of the world into the form's frame.
    #[inline]
    pub(super) fn local_point(&self, point: Vec3) -> Vec3 {
        self.form_from_world * (point - self.center)
    }

    /// Corners of the box around the form, in the world.
    pub(super) fn corners(&self) -> [Vec3; 8] {
        let half = self.form.half_extents();
        std::array::from_fn(|index| {
            let sign = |bit: usize| if index & bit == 0 { -1.0 } else { 1.0 };
            self.center + self.world_from_form * (half * Vec3::new(sign(1), sign(2), sign(4)))
        })
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rapier3d::parry::query::Ray;
    use rapier3d::parry::shape::{Ball, Capsule, Cuboid, Cylinder};

    use super::*;
    use crate::seeding;

    /// Casts random rays from outside with both implementations: they hit and miss alike, and our hits are the first
    /// points of the shape's surface. (Parry's own distance to a cylinder is approximate near the rims.)
    fn rays_agree_with_parry(shape: &impl Shape) {
        let form = Form::of(shape).expect("a known form");
        let mut rng = seeding::rng(7, 0);
        let mut draw = || Vec3::from_array([0; 3].map(|_: i32| rng.random_range(-1.0_f32..=1.0)));
        let mut hits = 0;
        for _ in 0..2000 {
            let origin = draw().normalize() * 2.0;
            let direction = draw() * 0.5 - origin;
            let expected = shape.cast_local_ray(&Ray::new(origin, direction), 10.0, true);
            let found = form.intersect(origin, direction);
            assert_eq!(found.is_some(), expected.is_some(), "from {origin} along {direction}");
            let Some(found) = found else { continue };
            hits += 1;
            let point = |distance: f32| origin + direction * distance;
            let surface = shape.project_local_point(point(found.distance), false).point;
            assert!(
                surface.distance(point(found.distance)) < 1e-4,
                "{found:?} is off the surface"
            );
            assert!((1..50).all(|step| !shape.contains_local_point(point(found.distance * step as f32 / 50.0))));
            assert!(
                shape.contains_local_point(point(found.distance) - found.normal * 1e-3),
                "{found:?} points inwards"
            );
        }
        assert!(hits > 200, "only {hits} rays hit");
    }

    #[test]
    fn cuboid_rays_agree_with_parry() {
        rays_agree_with_parry(&Cuboid::new(Vec3::new(0.3, 0.5, 0.2)));
    }

    #[test]
    fn ball_rays_agree_with_parry() {
        rays_agree_with_parry(&Ball::new(0.4));
    }

    #[test]
    fn capsule_rays_agree_with_parry() {
        rays_agree_with_parry(&Capsule::new_y(0.4, 0.2));
    }

    #[test]
    fn cylinder_rays_agree_with_parry() {
        rays_agree_with_parry(&Cylinder::new(0.3, 0.3));
    }
}
