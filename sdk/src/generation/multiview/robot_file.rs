//! Request files for the three cameras of a robot.
//!
//! Source: `cosmos_predict2/robot_multiview.py@c6bfc99` (files and defaults).
//! Differs: upstream has the folder among its settings; here each sample names it, with the number of its files.

use std::path::{Path, PathBuf};

use super::cameras::Cameras;
use super::error::MultiviewError;
use super::request_keys::Keys;
use super::robot::RobotInputs;
use crate::generation::error::GenerationError;
use crate::generation::request::{GenerationRequest, InferenceType};
use crate::generation::request_file::{RequestFields, RequestObject, check_names, read_objects};

/// Seed where none is given.
const SEED: u32 = 1;

/// Keys beside those of other requests.
const OWN_KEYS: [&str; 3] = ["input_root", "index", INPUT_NAME];

/// What the reference calls the number of the files, as text.
const INPUT_NAME: &str = "input_name";

/// A sample as a request file or flags give it.
#[derive(Debug, Clone, Default)]
struct RobotSample {
    fields: RequestFields,
    input_root: Option<PathBuf>,
    index: usize,
}

/// Reads the samples of a `.json` or `.jsonl` file for a model of a robot's cameras; `flags` override them, their input
/// being the folder. Without a file, the flags are the sample. Paths are relative to the file.
///
/// # Errors
/// [`GenerationError`] that names the file or the sample, and what of it is wrong.
pub fn read_robot_requests(
    path: Option<&Path>,
    flags: &RequestFields,
) -> Result<Vec<GenerationRequest>, GenerationError> {
    let samples = match path {
        None => vec![RobotSample::default()],
        Some(path) => {
            let samples = read_objects(path)?.into_iter().map(|object| sample(path, object));
            let samples = samples.collect::<Result<Vec<_>, _>>()?;
            check_names(path, samples.iter().map(|sample| sample.fields.name.as_deref()))?;
            samples
        }
    };
    samples.into_iter().map(|sample| sample.resolve(flags)).collect()
}

fn sample(path: &Path, object: RequestObject) -> Result<RobotSample, GenerationError> {
    let mut keys = Keys::new(path, object, &OWN_KEYS)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let input_root = keys.take::<PathBuf>("input_root")?.map(|root| folder.join(root));
    let index = match keys.take::<String>(INPUT_NAME)? {
        Some(name) => Some(
            name.parse()
                .ok()
                .filter(|index: &usize| index.to_string() == name)
                .ok_or_else(|| {
                    let (path, place) = (path.to_owned(), keys.place.clone());
                    MultiviewError::InputName { path, place, name }
                })?,
        ),
        None => keys.take("index")?,
    };
    let index = index.unwrap_or(0);
    let mut fields: RequestFields = keys.rest()?;
    fields.prompt_path = fields.prompt_path.map(|prompt| folder.join(prompt));
    Ok(RobotSample {
        fields,
        input_root,
        index,
    })
}

impl RobotSample {
    fn resolve(self, flags: &RequestFields) -> Result<GenerationRequest, GenerationError> {
        let mut fields = flags.clone().or(&self.fields);
        let name = fields.name.clone().unwrap_or_else(|| "video".to_owned());
        if fields
            .inference_type
            .is_some_and(|kind| kind != InferenceType::Image2World)
        {
            let (field, expected) = ("inference_type", "image2world: every camera starts from one picture");
            return Err(GenerationError::Field { name, field, expected });
        }
        fields.seed = fields.seed.or(Some(SEED));
        let Some(input_root) = fields.input_path.take().or(self.input_root) else {
            return Err(MultiviewError::NoRoot { name }.into());
        };
        let inputs = RobotInputs {
            input_root,
            index: self.index,
        };
        fields.resolve_as(InferenceType::Image2World, Cameras::Robot(inputs), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, flags: &RequestFields) -> Result<Vec<GenerationRequest>, GenerationError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("robot.json");
        std::fs::write(&path, text).unwrap();
        read_robot_requests(Some(&path), flags)
    }

    #[test]
    fn a_sample_names_its_folder_and_its_number() {
        let requests = read(
            r#"{"name": "a", "prompt": "p", "input_root": "/in", "index": 3}"#,
            &RequestFields::default(),
        );
        let request = requests.unwrap().pop().expect("one sample");
        assert_eq!((request.seed, request.inference_type), (1, InferenceType::Image2World));
        let expected = RobotInputs {
            input_root: "/in".into(),
            index: 3,
        };
        assert_eq!(request.cameras, Cameras::Robot(expected));
        let text = r#"{"name": "a", "prompt": "p", "input_root": "/in", "input_name": "3"}"#;
        let named = read(text, &RequestFields::default())
            .unwrap()
            .pop()
            .expect("one sample");
        assert_eq!(named.cameras, request.cameras);
    }

    #[test]
    fn flags_alone_are_a_sample() {
        let flags = RequestFields {
            input_path: Some("/in".into()),
            seed: Some(5),
            ..RequestFields::default()
        };
        let request = read_robot_requests(None, &flags).unwrap().pop().expect("one sample");
        assert_eq!(
            (request.seed, request.name.as_str(), request.input_path),
            (5, "video", None)
        );
        let message = read_robot_requests(None, &RequestFields::default())
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("input_root") && message.contains("--input DIR"),
            "{message}"
        );
    }

    #[test]
    fn what_does_not_belong_there_is_named() {
        for (text, word) in [
            (r#"{"name": "a", "input_root": "/in", "fps": 3}"#, "`fps`"),
            (r#"{"name": "a", "input_root": "/in", "input_name": "fold"}"#, "`fold`"),
            (r#"{"name": "a", "input_root": "/in", "control_weight": 1}"#, "Transfer"),
            (r#"{"name": "a", "input_root": "/in", "index": -1}"#, "`index`"),
        ] {
            let message = read(text, &RequestFields::default()).unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
        let flags = RequestFields {
            inference_type: Some(InferenceType::Text2World),
            ..RequestFields::default()
        };
        let message = read(r#"{"name": "a", "input_root": "/in"}"#, &flags)
            .unwrap_err()
            .to_string();
        assert!(message.contains("image2world"), "{message}");
    }
}
