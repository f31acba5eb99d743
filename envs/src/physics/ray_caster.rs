//! Pictures of the scene by casting rays at the colliders' shapes.
//!
//! A ray is tested only against shapes whose outline, or shadow, can be at its pixel: both are bounded by rectangles
//! on the screen before the first ray is cast. Rays go through the pixels' corners; pixels whose corners see different
//! things are sampled again on a finer grid, so edges are smooth and plain areas cost one ray per pixel.

use image::RgbImage;
use rapier3d::math::glamx::{Mat3, Vec3};

use super::camera::{Camera, CameraFrame, Intrinsics, pose_of};
use super::palette;
use super::primitive::{Form, Primitive};
use super::scene::{Scene, Segment};

/// Direction to the lamp; steep, so that a shadow lies nearly below what casts it.
const TO_LIGHT: Vec3 = Vec3::new(0.12, 0.16, 0.98);
/// Direction from which the room is brighter: the side of the third-person camera. It casts no shadows.
const TO_WINDOW: Vec3 = Vec3::new(0.64, 0.0, 0.77);
/// Brightness of a surface that faces away from lamp and window.
const AMBIENT: f32 = 0.41;
/// Brightness that the window adds to a surface that faces it.
const FILL: f32 = 0.34;
/// Brightness that the lamp adds to a surface that faces it.
const DIFFUSE: f32 = 0.36;
/// Samples along each side of a pixel at an edge.
const EDGE_SAMPLES: u32 = 4;
/// Height over a surface from which its shadow rays start, in metres.
const SHADOW_OFFSET: f32 = 1e-4;

/// Casts rays from one camera into one state of the scene.
pub(super) struct RayCaster {
    primitives: Vec<Prepared>,
    /// Per pixel, which primitives can be seen there (bit by index).
    seen: Vec<u64>,
    /// Per pixel, which primitives can cast a shadow there.
    shading: Vec<u64>,
    width: u32,
    height: u32,
    intrinsics: Intrinsics,
    origin: Vec3,
    world_from_camera: Mat3,
    to_light: Vec3,
}

/// A primitive with what is the same for all rays.
struct Prepared {
    primitive: Primitive,
    /// The camera in the form's frame.
    local_origin: Vec3,
    /// The light's direction in the form's frame.
    local_light: Vec3,
}

/// What one ray saw.
#[derive(Debug, Clone, Copy)]
struct Sample {
    color: Vec3,
    /// Differs between primitives, faces, and light and shadow.
    key: u32,
    /// Along the optical axis.
    depth: f32,
    segment: Segment,
}

impl RayCaster {
    pub(super) fn new(scene: &Scene, camera: &Camera, width: u32, height: u32) -> Self {
        let world_from_camera = Mat3::from_quat(camera.world_from_camera.rotation);
        let mut caster = Self {
            primitives: Vec::new(),
            seen: vec![0; (width * height) as usize],
            shading: vec![0; (width * height) as usize],
            width,
            height,
            intrinsics: camera.intrinsics(width, height),
            origin: camera.world_from_camera.translation,
            world_from_camera,
            to_light: TO_LIGHT.normalize(),
        };
        scene.for_each_surface(|collider, surface| {
            if let Some(form) = Form::of(collider.shape()) {
                caster.add(Primitive::new(form, collider.position(), *surface));
            }
        });
        caster
    }

    /// Returns the smooth picture.
    pub(super) fn rgb(&self) -> RgbImage {
        let columns = self.width as usize + 1;
        let mut corners: Vec<Option<Sample>> = vec![None; columns * (self.height as usize + 1)];
        let mut corner = |x: u32, y: u32, pixel: usize| {
            *corners[y as usize * columns + x as usize].get_or_insert_with(|| self.cast(x as f32, y as f32, pixel))
        };
        let plain = self.plain_table();
        RgbImage::from_fn(self.width, self.height, |x, y| {
            let pixel = self.pixel(x, y);
            if let Some((mask, color)) = plain
                && self.seen[pixel] == mask
                && self.shading[pixel] == 0
            {
                return rgb_of(color);
            }
            let around = [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)].map(|(x, y)| corner(x, y, pixel));
            rgb_of(if around.iter().all(|sample| sample.key == around[0].key) {
                around.iter().map(|sample| sample.color).sum::<Vec3>() / 4.0
            } else {
                self.cast_grid(x, y)
            })
        })
    }

    /// Returns the mask and the colour of pixels that show nothing but the lit table, where it fills the view.
    fn plain_table(&self) -> Option<(u64, Vec3)> {
        let index = self
            .primitives
            .iter()
            .position(|prepared| prepared.primitive.surface.segment == Segment::Table)?;
        let (right, bottom) = (self.width as f32, self.height as f32);
        let views =
            [(0.0, 0.0), (right, 0.0), (0.0, bottom), (right, bottom)].map(|(u, v)| self.cast_at(u, v, 1 << index, 0));
        // The table's top is flat: what holds at the four corners of the view holds between them.
        let fills = views
            .iter()
            .all(|view| view.segment == Segment::Table && view.key == views[0].key);
        fills.then_some((1 << index, views[0].color))
    }

    /// Returns the picture with depth and segmentation.
    pub(super) fn frame(&self, camera: &Camera) -> CameraFrame {
        let centers = (0..self.height).flat_map(|y| (0..self.width).map(move |x| (x, y)));
        let (depth, segmentation) = centers
            .map(|(x, y)| {
                let sample = self.cast(x as f32 + 0.5, y as f32 + 0.5, self.pixel(x, y));
                (sample.depth, sample.segment as u8)
            })
            .unzip();
        CameraFrame {
            rgb: self.rgb(),
            depth,
            segmentation,
            intrinsics: self.intrinsics,
            world_from_camera: pose_of(&camera.world_from_camera),
        }
    }

    /// Adds a primitive and marks the pixels at which it can be seen or can cast a shadow.
    fn add(&mut self, primitive: Primitive) {
        // A scene has a dozen primitives.
        let bit = 1_u64 << self.primitives.len();
        let corners = primitive.corners();
        let outline = self.screen_bounds(&corners);
        mark(&mut self.seen, self.width, outline, bit);
        // The table is below everything; the arm is high up, where a broad lamp leaves no shadow of it.
        if !matches!(primitive.surface.segment, Segment::Table | Segment::Arm) {
            let to_light = self.to_light;
            let on_table = corners.map(|corner| corner - to_light * (corner.z / to_light.z).max(0.0));
            let shadow = union(outline, self.screen_bounds(&on_table));
            mark(&mut self.shading, self.width, shadow, bit);
        }
        let local_origin = primitive.local_point(self.origin);
        let local_light = primitive.form_from_world * self.to_light;
        self.primitives.push(Prepared {
            primitive,
            local_origin,
            local_light,
        });
    }

    /// Returns the pixels, one more on each side, that enclose points: left, top, right, bottom (both exclusive).
    fn screen_bounds(&self, points: &[Vec3; 8]) -> [u32; 4] {
        let camera_from_world = self.world_from_camera.transpose();
        let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
        for point in points {
            let local = camera_from_world * (*point - self.origin);
            if local.z < 0.01 {
                return [0, 0, self.width, self.height];
            }
            let screen = [
                self.intrinsics.cx + self.intrinsics.fx * local.x / local.z,
                self.intrinsics.cy + self.intrinsics.fy * local.y / local.z,
            ];
            for axis in 0..2 {
                low[axis] = low[axis].min(screen[axis]);
                high[axis] = high[axis].max(screen[axis]);
            }
        }
        // Casting to an unsigned number stops at 0.
        [
            (low[0] - 1.0) as u32,
            (low[1] - 1.0) as u32,
            ((high[0] + 2.0) as u32).min(self.width),
            ((high[1] + 2.0) as u32).min(self.height),
        ]
    }

    fn pixel(&self, x: u32, y: u32) -> usize {
        (y * self.width + x) as usize
    }

    /// Averages a fine grid of samples in one pixel.
    fn cast_grid(&self, x: u32, y: u32) -> Vec3 {
        let mut sum = Vec3::ZERO;
        for index in 0..EDGE_SAMPLES * EDGE_SAMPLES {
            let offset = |step: u32| (step as f32 + 0.5) / EDGE_SAMPLES as f32;
            let u = x as f32 + offset(index % EDGE_SAMPLES);
            let v = y as f32 + offset(index / EDGE_SAMPLES);
            sum += self.cast(u, v, self.pixel(x, y)).color;
        }
        sum / (EDGE_SAMPLES * EDGE_SAMPLES) as f32
    }

    /// Casts the ray through a point of the screen that belongs to a pixel.
    fn cast(&self, u: f32, v: f32, pixel: usize) -> Sample {
        self.cast_at(u, v, self.seen[pixel], self.shading[pixel])
    }

    /// Casts the ray through a point of the screen against the primitives of two masks.
    fn cast_at(&self, u: f32, v: f32, seen: u64, shading: u64) -> Sample {
        let in_camera = Vec3::new(
            (u - self.intrinsics.cx) / self.intrinsics.fx,
            (v - self.intrinsics.cy) / self.intrinsics.fy,
            1.0,
        );
        let direction = self.world_from_camera * in_camera;
        let mut nearest = None;
        let mut limit = f32::INFINITY;
        let mut candidates = seen;
        while candidates != 0 {
            let index = candidates.trailing_zeros() as usize;
            candidates &= candidates - 1;
            let prepared = &self.primitives[index];
            let local = prepared.primitive.form_from_world * direction;
            if let Some(hit) = prepared.primitive.form.intersect(prepared.local_origin, local)
                && hit.distance < limit
            {
                limit = hit.distance;
                nearest = Some((index, hit));
            }
        }
        let Some((index, hit)) = nearest else {
            return Sample {
                color: Vec3::from_array(palette::BACKGROUND),
                key: 0,
                depth: f32::INFINITY,
                segment: Segment::Background,
            };
        };
        let prepared = &self.primitives[index];
        let facing = hit.normal.dot(prepared.local_light);
        let normal = prepared.primitive.world_from_form * hit.normal;
        let point = self.origin + direction * hit.distance + normal * SHADOW_OFFSET;
        let lit = facing > 0.0 && !self.is_shaded(point, index, shading);
        let brightness = AMBIENT + FILL * normal.dot(TO_WINDOW).max(0.0) + if lit { DIFFUSE * facing } else { 0.0 };
        Sample {
            color: Vec3::from_array(prepared.primitive.surface.albedo) * brightness,
            key: 1 + (((index as u32) << 4) | (hit.face << 1) | u32::from(lit)),
            depth: hit.distance,
            segment: prepared.primitive.surface.segment,
        }
    }

    /// Returns whether something other than primitive `own` is between a point and the light.
    fn is_shaded(&self, point: Vec3, own: usize, mut candidates: u64) -> bool {
        // The forms are convex: what faces the light does not shade itself.
        candidates &= !(1 << own);
        while candidates != 0 {
            let prepared = &self.primitives[candidates.trailing_zeros() as usize];
            candidates &= candidates - 1;
            let local = prepared.primitive.local_point(point);
            if prepared.primitive.form.intersect(local, prepared.local_light).is_some() {
                return true;
            }
        }
        false
    }
}

fn rgb_of(color: Vec3) -> image::Rgb<u8> {
    image::Rgb(
        color
            .to_array()
            .map(|value| (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8),
    )
}

fn mark(masks: &mut [u64], width: u32, [left, top, right, bottom]: [u32; 4], bit: u64) {
    if left >= right {
        return;
    }
    for row in masks
        .chunks_exact_mut(width as usize)
        .take(bottom as usize)
        .skip(top as usize)
    {
        for mask in &mut row[left as usize..right as usize] {
            *mask |= bit;
        }
    }
}

fn union(a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
    [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]
}
