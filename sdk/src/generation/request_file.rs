//! Request files of the reference, and the flags that override them.
//!
//! Source: `cosmos_predict2/config.py@50369b8` (one object with `samples`) and `@2ac6ee5` (one object per sample).
//! Differs: `inference_type` may be left out and follows from the input then; a file may hold a list of objects; a
//! number of frames counts without `enable_autoregressive` too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};
use worldloop_world_model::text_encoder::NEGATIVE_PROMPT;

use super::chunks::Chunking;
use super::error::GenerationError;
use super::frame_source::is_image;
use super::multiview::Cameras;
use super::request::{GenerationRequest, InferenceType};
use super::resolution::Resolution;

/// Key of the samples in the older form, which has settings for all of them beside it.
const SAMPLES: &str = "samples";

/// Place of the one object of a file.
const WHOLE_FILE: &str = "the file";

/// Frames and steps that can be asked for: 100 000 frames are more than an hour and a half.
const COUNTS: std::ops::RangeInclusive<usize> = 1..=100_000;

/// Bytes of a name that leave room for what is added to it: file systems allow 255.
const LONGEST_NAME: usize = 200;

/// Seed of the older form, where none is given.
const SEED_WITH_SAMPLES: u32 = 1;

/// Settings of a sample as a request file or flags give them, under the reference's names; none is its default.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestFields {
    /// Name of the output files.
    pub name: Option<String>,
    /// What the video starts from.
    pub inference_type: Option<InferenceType>,
    /// What is to be seen.
    pub prompt: Option<String>,
    /// File with the prompt.
    pub prompt_path: Option<PathBuf>,
    /// Image, video, or folder of images to start from.
    pub input_path: Option<PathBuf>,
    /// What is to be avoided.
    pub negative_prompt: Option<String>,
    /// Seed of the noise.
    #[serde(default, deserialize_with = "whole_number")]
    pub seed: Option<u32>,
    /// Strength of the guidance.
    pub guidance: Option<f64>,
    /// Size of the frames.
    pub resolution: Option<String>,
    /// Frames of the video.
    #[serde(default, deserialize_with = "whole_number")]
    pub num_output_frames: Option<usize>,
    /// Denoising steps.
    #[serde(default, deserialize_with = "whole_number")]
    pub num_steps: Option<usize>,
    /// Whether the video is made in chunks.
    pub enable_autoregressive: Option<bool>,
    /// Frames of a chunk.
    #[serde(default, deserialize_with = "whole_number")]
    pub chunk_size: Option<usize>,
    /// Frames that chunks share.
    #[serde(default, deserialize_with = "whole_number")]
    pub chunk_overlap: Option<usize>,
}

/// Reads a whole number, which the reference also takes as `35.0`.
fn whole_number<'de, D: Deserializer<'de>, T: TryFrom<u64>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let of_float = || {
        number
            .as_f64()
            .filter(|value| value.fract() == 0.0 && (0.0..=1e15).contains(value))
    };
    let whole = number.as_u64().or_else(|| of_float().map(|value| value as u64));
    let fitting = whole.and_then(|whole| T::try_from(whole).ok());
    fitting
        .map(Some)
        .ok_or_else(|| D::Error::custom(format!("expected a whole number of at least 0, found {number}")))
}

/// An object of a request file, and where it is.
#[derive(Debug)]
pub(super) struct RequestObject {
    pub(super) place: String,
    pub(super) value: Value,
}

/// Reads the samples of a `.json`, `.jsonl` or `.yaml` file; their paths are relative to the file.
///
/// # Errors
/// [`GenerationError`] that names the file, and what of it is wrong: an unknown key with the known ones, a sample
/// without a name or with the name of another.
pub fn read_request_file(path: &Path) -> Result<Vec<RequestFields>, GenerationError> {
    let mut samples = Vec::new();
    for RequestObject { place, value } in read_objects(path)? {
        match value {
            Value::Object(mut object) if place == WHOLE_FILE && object.contains_key(SAMPLES) => {
                let inner = object.remove(SAMPLES).unwrap_or_default();
                let inner = serde_json::from_value(inner).map_err(|source| parse_error(path, "`samples`", source))?;
                samples.extend(with_samples(path, object, inner)?);
            }
            value => samples.push(fields(path, &place, value)?),
        }
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    for sample in &mut samples {
        for relative in [&mut sample.prompt_path, &mut sample.input_path].into_iter().flatten() {
            *relative = folder.join(&relative);
        }
    }
    check_names(path, samples.iter().map(|sample| sample.name.as_deref()))?;
    Ok(samples)
}

/// Reads the objects of a `.json` or `.yaml` file, which is one or a list of them, or of a `.jsonl` file.
pub(super) fn read_objects(path: &Path) -> Result<Vec<RequestObject>, GenerationError> {
    let text = std::fs::read_to_string(path).map_err(|source| GenerationError::Read {
        path: path.to_owned(),
        source,
    })?;
    let parse = |place: &str, text: &str| serde_json::from_str(text).map_err(|source| parse_error(path, place, source));
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension {
        Some("json") => Ok(one_or_list(parse(WHOLE_FILE, &text)?)),
        Some("yaml" | "yml") => {
            let value = serde_saphyr::from_str(&text).map_err(|error| {
                let source = serde_json::Error::custom(error.without_snippet());
                parse_error(path, WHOLE_FILE, source)
            })?;
            Ok(one_or_list(value))
        }
        Some("jsonl") => (1..)
            .zip(text.lines())
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(number, line)| {
                let place = format!("line {number}");
                let value = parse(&place, line)?;
                Ok(RequestObject { place, value })
            })
            .collect(),
        _ => Err(GenerationError::RequestFormat { path: path.to_owned() }),
    }
}

fn one_or_list(value: Value) -> Vec<RequestObject> {
    let at = |place, value| RequestObject { place, value };
    match value {
        Value::Array(list) => {
            let numbered = (1..).zip(list);
            numbered
                .map(|(number, value)| at(format!("sample {number}"), value))
                .collect()
        }
        value => vec![at(WHOLE_FILE.to_owned(), value)],
    }
}

/// Reads the older form: what holds for all samples, and the samples by their names.
fn with_samples(
    path: &Path,
    shared: Map<String, Value>,
    samples: Map<String, Value>,
) -> Result<Vec<RequestFields>, GenerationError> {
    let mut shared = fields(path, WHOLE_FILE, shared.into())?;
    shared.seed = shared.seed.or(Some(SEED_WITH_SAMPLES));
    samples
        .into_iter()
        .map(|(name, value)| {
            let mut own = fields(path, &format!("sample `{name}`"), value)?;
            own.name = Some(name);
            Ok(own.or(&shared))
        })
        .collect()
}

fn fields(path: &Path, place: &str, value: Value) -> Result<RequestFields, GenerationError> {
    serde_json::from_value(value).map_err(|source| parse_error(path, place, source))
}

pub(super) fn parse_error(path: &Path, place: &str, source: serde_json::Error) -> GenerationError {
    GenerationError::Request {
        path: path.to_owned(),
        place: place.to_owned(),
        source,
    }
}

/// Checks a name of output files.
///
/// # Errors
/// [`GenerationError::Name`] for one that leaves its folder, or that no file can have.
pub fn check_name(name: &str) -> Result<(), GenerationError> {
    let is_file_name = !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
    if is_file_name && (1..=LONGEST_NAME).contains(&name.len()) {
        return Ok(());
    }
    Err(GenerationError::Name { name: name.to_owned() })
}

/// Checks that there are samples, and that each has a name of its own.
pub(super) fn check_names<'a>(
    path: &Path,
    samples: impl Iterator<Item = Option<&'a str>>,
) -> Result<(), GenerationError> {
    let path = path.to_owned();
    let mut names = BTreeSet::new();
    for (sample, name) in (1..).zip(samples) {
        let Some(name) = name else {
            return Err(GenerationError::NoName { path, sample });
        };
        if !names.insert(name) {
            let name = name.to_owned();
            return Err(GenerationError::SameName { path, name });
        }
    }
    if names.is_empty() {
        return Err(GenerationError::NoSamples { path });
    }
    Ok(())
}

impl RequestFields {
    /// Fills what is not given from `others`. A prompt of one's own leaves no place for the others' file, and the other
    /// way round.
    #[must_use]
    pub fn or(self, others: &Self) -> Self {
        let has_prompt = self.prompt.is_some() || self.prompt_path.is_some();
        let prompt_of = if has_prompt { &Self::default() } else { others };
        Self {
            name: self.name.or_else(|| others.name.clone()),
            inference_type: self.inference_type.or(others.inference_type),
            prompt: self.prompt.or_else(|| prompt_of.prompt.clone()),
            prompt_path: self.prompt_path.or_else(|| prompt_of.prompt_path.clone()),
            input_path: self.input_path.or_else(|| others.input_path.clone()),
            negative_prompt: self.negative_prompt.or_else(|| others.negative_prompt.clone()),
            seed: self.seed.or(others.seed),
            guidance: self.guidance.or(others.guidance),
            resolution: self.resolution.or_else(|| others.resolution.clone()),
            num_output_frames: self.num_output_frames.or(others.num_output_frames),
            num_steps: self.num_steps.or(others.num_steps),
            enable_autoregressive: self.enable_autoregressive.or(others.enable_autoregressive),
            chunk_size: self.chunk_size.or(others.chunk_size),
            chunk_overlap: self.chunk_overlap.or(others.chunk_overlap),
        }
    }

    /// Fills in the defaults, reads the prompt's file, and checks what can be checked without the model.
    ///
    /// `like_reference` repeats what is mended otherwise: see [`Chunking::overlap_as_latents`], and a number of frames
    /// counts for a video in chunks only.
    ///
    /// # Errors
    /// [`GenerationError`] that names the sample and the field.
    pub fn resolve(self, like_reference: bool) -> Result<GenerationRequest, GenerationError> {
        let inference_type = self.inference_type.unwrap_or(match &self.input_path {
            None => InferenceType::Text2World,
            Some(path) if is_image(path) => InferenceType::Image2World,
            Some(_) => InferenceType::Video2World,
        });
        if inference_type != InferenceType::Text2World && self.input_path.is_none() {
            let name = self.checked_name()?;
            return Err(GenerationError::NoInput { name, inference_type });
        }
        self.resolve_as(inference_type, Cameras::Single, like_reference)
    }

    /// Does the same where it is known what the video starts from.
    pub(super) fn resolve_as(
        self,
        inference_type: InferenceType,
        cameras: Cameras,
        like_reference: bool,
    ) -> Result<GenerationRequest, GenerationError> {
        let name = self.checked_name()?;
        let prompt = match (&self.prompt, &self.prompt_path) {
            // As in the reference, which does not read the file then.
            (Some(prompt), _) => Some(prompt.clone()),
            (None, Some(path)) => Some(read_prompt(path)?),
            (None, None) => None,
        };
        self.check_ranges(&name)?;
        let is_chunked = self.enable_autoregressive.unwrap_or(false);
        let default = Chunking::DEFAULT;
        let chunking = is_chunked.then(|| Chunking {
            chunk_size: self.chunk_size.unwrap_or(default.chunk_size),
            chunk_overlap: self.chunk_overlap.unwrap_or(default.chunk_overlap),
            overlap_as_latents: like_reference,
        });
        let num_output_frames = match self.num_output_frames {
            None if is_chunked => Some(default.chunk_size),
            Some(_) if like_reference && !is_chunked => None,
            frames => frames,
        };
        Ok(GenerationRequest {
            name,
            inference_type,
            prompt,
            negative_prompt: self.negative_prompt.unwrap_or_else(|| NEGATIVE_PROMPT.to_owned()),
            // The reference ignores an input for a video from text alone.
            input_path: self.input_path.filter(|_| inference_type != InferenceType::Text2World),
            seed: self.seed.unwrap_or(0),
            guidance: self.guidance,
            resolution: self
                .resolution
                .map_or(Ok(Resolution::Model), |text| Resolution::parse(&text))?,
            num_output_frames,
            num_steps: self.num_steps,
            chunking,
            cameras,
        })
    }

    fn checked_name(&self) -> Result<String, GenerationError> {
        let name = self.name.clone().unwrap_or_else(|| "video".to_owned());
        check_name(&name)?;
        Ok(name)
    }

    fn check_ranges(&self, sample: &str) -> Result<(), GenerationError> {
        let field = |field, expected| GenerationError::Field {
            name: sample.to_owned(),
            field,
            expected,
        };
        if self.guidance.is_some_and(|scale| !scale.is_finite() || scale < 0.0) {
            return Err(field("guidance", "a number of at least 0"));
        }
        for (value, of) in [
            (self.num_steps, "num_steps"),
            (self.num_output_frames, "num_output_frames"),
            (self.chunk_size, "chunk_size"),
        ] {
            if value.is_some_and(|value| !COUNTS.contains(&value)) {
                return Err(field(of, "1 to 100000"));
            }
        }
        Ok(())
    }
}

/// Reads a prompt from a file, without the white space around it.
///
/// # Errors
/// [`GenerationError::Read`].
pub fn read_prompt(path: &Path) -> Result<String, GenerationError> {
    let text = std::fs::read_to_string(path).map_err(|source| GenerationError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests;
