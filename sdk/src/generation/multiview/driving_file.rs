//! Request files for the views of a drive.
//!
//! Source: `cosmos_predict2/multiview_config.py@682a4f3` (keys and defaults), and `cosmos_transfer2/multiview_config.py` of
//! cosmos-transfer2.5@2ff49d0 (`input_path`, `num_conditional_frames`, a list of captions).
//! Differs: where a request names views, they are all there are; the negative prompt can be changed; one frame is given by
//! default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use worldloop_world_model::catalog::VIEWS_FRAME_RATE_HZ;

use super::cameras::Cameras;
use super::driving::{DrivingView, DrivingViews};
use super::error::MultiviewError;
use super::request_keys::Keys;
use crate::generation::error::GenerationError;
use crate::generation::request::{GenerationRequest, InferenceType};
use crate::generation::request_file::{RequestFields, RequestObject, check_names, read_objects};

/// Frames per second that are believed.
const MOST_FPS: f64 = 1000.0;

/// Keys beside those of other requests and those of the views.
const OWN_KEYS: [&str; 3] = ["inference_type", "num_conditional_frames", "fps"];

/// Keys of the reference that change no frame: `cosmos_predict2/multiview.py@2ac6ee5` stacks the views of one clip, and reads no
/// other of them.
const WITHOUT_EFFECT: [&str; 5] = [
    "control_weight",
    "stack_mode",
    "enable_autoregressive",
    "num_chunks",
    "chunk_overlap",
];

/// A sample as a request file has it.
#[derive(Debug)]
struct DrivingSample {
    fields: RequestFields,
    views: DrivingViews,
}

/// Reads the samples of a `.json` or `.jsonl` file for a model of several views of a drive; `flags` override them, and paths
/// are relative to the file.
///
/// # Errors
/// [`GenerationError`] that names the file or the sample, and what of it is wrong: an unknown key or view with the known
/// ones, a view without an input, another number of captions than views.
pub fn read_driving_requests(path: &Path, flags: &RequestFields) -> Result<Vec<GenerationRequest>, GenerationError> {
    let samples = read_objects(path)?.into_iter().map(|object| sample(path, object));
    let samples = samples.collect::<Result<Vec<_>, _>>()?;
    check_names(path, samples.iter().map(|sample| sample.fields.name.as_deref()))?;
    samples.into_iter().map(|sample| sample.resolve(flags)).collect()
}

fn sample(path: &Path, object: RequestObject) -> Result<DrivingSample, GenerationError> {
    let view_keys = DrivingView::ALL.map(DrivingView::name);
    let mut keys = Keys::new(
        path,
        object,
        &[OWN_KEYS.as_slice(), &WITHOUT_EFFECT, &view_keys].concat(),
    )?;
    for key in WITHOUT_EFFECT {
        keys.take::<Value>(key)?;
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut inputs = BTreeMap::new();
    for view in DrivingView::ALL {
        if let Some(mut of_view) = keys.take_object(view.name(), &["input_path", "video_path"])? {
            let mut input_of = |key| Ok::<_, GenerationError>(of_view.take::<Option<PathBuf>>(key)?.flatten());
            let input = input_of("input_path")?.or(input_of("video_path")?);
            inputs.insert(view, input.map(|input| folder.join(input)));
        }
    }
    if inputs.is_empty() {
        inputs = DrivingView::ALL.map(|view| (view, None)).into();
    }
    let given = given(&mut keys)?;
    let fps = keys.take("fps")?.unwrap_or(VIEWS_FRAME_RATE_HZ);
    let captions = captions(&mut keys)?;
    let mut fields: RequestFields = keys.rest()?;
    fields.inference_type = given.or(fields.inference_type);
    fields.prompt_path = fields.prompt_path.map(|prompt| folder.join(prompt));
    let (captions, prompt) = match captions {
        Some(mut captions) if captions.len() == 1 => (None, captions.pop()),
        captions => (captions, None),
    };
    fields.prompt = fields.prompt.or(prompt);
    let views = DrivingViews { inputs, captions, fps };
    Ok(DrivingSample { fields, views })
}

/// Takes how many frames of every view are given.
fn given(keys: &mut Keys<'_>) -> Result<Option<InferenceType>, GenerationError> {
    Ok(match keys.take("num_conditional_frames")? {
        None => None,
        Some(0) => Some(InferenceType::Text2World),
        Some(1) => Some(InferenceType::Image2World),
        Some(5) => Some(InferenceType::Video2World),
        Some(found) => {
            let (path, place) = (keys.path.to_owned(), keys.place.clone());
            return Err(MultiviewError::GivenFrames { path, place, found }.into());
        }
    })
}

/// Takes the prompt where it is a list.
fn captions(keys: &mut Keys<'_>) -> Result<Option<Vec<String>>, GenerationError> {
    match keys.get("prompt") {
        Some(Value::Array(_)) => keys.take("prompt"),
        _ => Ok(None),
    }
}

impl DrivingSample {
    fn resolve(mut self, flags: &RequestFields) -> Result<GenerationRequest, GenerationError> {
        if flags.prompt.is_some() || flags.prompt_path.is_some() {
            self.views.captions = None;
        }
        let fields = flags.clone().or(&self.fields);
        let name = fields.name.clone().unwrap_or_default();
        if fields.input_path.is_some() {
            return Err(MultiviewError::OneInput { name }.into());
        }
        let inference_type = fields.inference_type.unwrap_or(InferenceType::Image2World);
        self.check(name, inference_type)?;
        fields.resolve_as(inference_type, Cameras::Driving(self.views), false)
    }

    fn check(&self, name: String, inference_type: InferenceType) -> Result<(), GenerationError> {
        let DrivingViews { inputs, captions, fps } = &self.views;
        if !(*fps > 0.0 && *fps <= MOST_FPS) {
            let (field, expected) = ("fps", "more than 0 and at most 1000");
            return Err(GenerationError::Field { name, field, expected });
        }
        let missing = inputs.iter().find(|(_, input)| input.is_none());
        if let Some((view, _)) = missing
            && inference_type != InferenceType::Text2World
        {
            let view = view.name();
            return Err(MultiviewError::MissingInput { name, view }.into());
        }
        match captions {
            Some(captions) if captions.len() != inputs.len() => {
                let views = inputs.keys().map(|view| view.name()).collect();
                let found = captions.len();
                Err(MultiviewError::Captions { name, found, views }.into())
            }
            None if !inputs.contains_key(&DrivingView::FrontWide) => Err(MultiviewError::NoFrontView { name }.into()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, flags: &RequestFields) -> Result<Vec<GenerationRequest>, GenerationError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("drive.json");
        std::fs::write(&path, text).unwrap();
        read_driving_requests(&path, flags)
    }

    fn one(text: &str) -> (GenerationRequest, DrivingViews) {
        let mut requests = read(text, &RequestFields::default()).unwrap();
        let request = requests.pop().expect("one sample");
        let Cameras::Driving(views) = request.cameras.clone() else {
            panic!("{:?}", request.cameras)
        };
        (request, views)
    }

    fn message(text: &str) -> String {
        read(text, &RequestFields::default()).unwrap_err().to_string()
    }

    #[test]
    fn one_frame_of_every_view_is_given_by_default() {
        let (request, views) = one(
            r#"{"name": "a", "prompt": "rain", "rear": {"video_path": "/r.mp4"}, "front_wide": {"input_path": "/f.png"}}"#,
        );
        assert_eq!(request.inference_type, InferenceType::Image2World);
        assert_eq!((request.prompt.as_deref(), views.fps), (Some("rain"), 30.0));
        // The order is that of the table, not of the file.
        let inputs: Vec<_> = views.inputs.into_iter().collect();
        assert_eq!(
            inputs,
            [
                (DrivingView::FrontWide, Some("/f.png".into())),
                (DrivingView::Rear, Some("/r.mp4".into()))
            ]
        );
    }

    #[test]
    fn every_view_can_have_a_caption() {
        let (request, views) = one(
            r#"{"name": "a", "prompt": ["one", "two"], "num_conditional_frames": 0, "fps": 10, "rear": {}, "cross_left": {}}"#,
        );
        assert_eq!(
            (request.prompt, request.inference_type),
            (None, InferenceType::Text2World)
        );
        assert_eq!(views.captions, Some(vec!["one".to_owned(), "two".to_owned()]));
        // A list of one is a prompt.
        let (request, views) =
            one(r#"{"name": "a", "prompt": ["one"], "num_conditional_frames": 0, "front_wide": {}}"#);
        assert_eq!((request.prompt.as_deref(), views.captions), (Some("one"), None));
    }

    #[test]
    fn the_settings_of_the_reference_are_accepted_as_it_writes_them() {
        let (_, views) = one(
            r#"{"name": "a", "inference_type": "text2world", "prompt": "p", "negative_prompt": null, "control_weight": 1.0,
                "stack_mode": "time", "enable_autoregressive": false, "num_chunks": 2, "chunk_overlap": 1, "fps": 30,
                "front_wide": {"video_path": null}, "rear": {"video_path": null}}"#,
        );
        assert_eq!(views.inputs.len(), 2);
        let (_, views) = one(r#"{"name": "a", "inference_type": "text2world", "prompt": "p"}"#);
        assert_eq!(views.inputs.len(), 7, "views that are not named are all there");
    }

    #[test]
    fn a_prompt_from_the_flags_takes_the_place_of_captions() {
        let flags = RequestFields {
            prompt: Some("rain".into()),
            ..RequestFields::default()
        };
        let text =
            r#"{"name": "a", "prompt": ["one", "two"], "inference_type": "text2world", "rear": {}, "front_wide": {}}"#;
        let requests = read(text, &flags).unwrap();
        assert_eq!(requests[0].prompt.as_deref(), Some("rain"));
        assert!(matches!(&requests[0].cameras, Cameras::Driving(views) if views.captions.is_none()));
    }

    #[test]
    fn mistakes_are_told_with_what_would_be_right() {
        let cases: [(&str, &[&str]); 9] = [
            (
                r#"{"name": "a", "prompt": "p", "front_left": {}}"#,
                &["front_left", "cross_left", "num_steps", "the file"],
            ),
            (r#"{"name": "a", "prompt": "p"}"#, &["front_wide", "input_path"]),
            (
                r#"{"name": "a", "prompt": "p", "front_wide": {"control_path": "c.mp4"}}"#,
                &["control_path", "Transfer"],
            ),
            (
                r#"{"name": "a", "prompt": "p", "front_wide": {}, "chunk_size": 29}"#,
                &["chunk_size", "Transfer"],
            ),
            (
                r#"{"name": "a", "prompt": "p", "front_wide": {}}"#,
                &["`a`", "front_wide", "input_path", "num_conditional_frames"],
            ),
            (
                r#"{"name": "a", "prompt": "p", "front_wide": {}, "num_conditional_frames": 3}"#,
                &["3 frames", "0, 1 or 5"],
            ),
            (
                r#"{"name": "a", "prompt": ["p", "q"], "num_conditional_frames": 0, "front_wide": {}, "rear": {}, "rear_left": {}}"#,
                &["2 captions for 3 views", "front_wide, rear, rear_left"],
            ),
            (
                r#"{"name": "a", "prompt": "p", "num_conditional_frames": 0, "rear": {}}"#,
                &["front_wide", "list"],
            ),
            (
                r#"{"name": "a", "prompt": "p", "num_conditional_frames": 0, "fps": 0, "front_wide": {}}"#,
                &["`fps` of `a`", "more than 0"],
            ),
        ];
        for (text, words) in cases {
            let message = message(text);
            for word in words {
                assert!(message.contains(word), "{text} does not say {word:?}: {message}");
            }
        }
    }
}
