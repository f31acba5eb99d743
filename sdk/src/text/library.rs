//! Embeddings in files, found by the prompts they say they are of.

use std::path::{Path, PathBuf};

use worldloop_world_model::text_encoder::{NEGATIVE_PROMPT, TextEmbedding};

use super::error::TextError;
use crate::generation::{Cameras, DrivingView, GenerationRequest, OTHER_VIEWS_TEXT};

/// Where an embedding comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextSource {
    /// A file.
    File(PathBuf),
    /// A prompt that has to be encoded.
    Prompt(String),
    /// Zeros, which stood for a text in training when it was left out.
    LeftOut,
}

/// The texts of one video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextSources {
    /// What is to be seen.
    pub prompt: TextSource,
    /// What is to be avoided, where there is guidance.
    pub negative: Option<TextSource>,
}

/// Embeddings for one network.
#[derive(Debug, Clone, Default)]
pub struct EmbeddingLibrary {
    named: Vec<Entry>,
    beside: Vec<Entry>,
    negative: Option<PathBuf>,
}

#[derive(Debug, Clone)]
struct Entry {
    prompt: String,
    path: PathBuf,
}

impl EmbeddingLibrary {
    /// Collects files that the user named, those beside the network, and the file to use for the negative prompt whatever
    /// it says. Embeddings are not read, but all must be of `width`.
    ///
    /// # Errors
    /// [`TextError`] that names a file which is no embedding of this width.
    pub fn open(
        named: &[PathBuf],
        beside: &[PathBuf],
        negative: Option<&Path>,
        width: usize,
    ) -> Result<Self, TextError> {
        let entries = |paths: &[PathBuf]| paths.iter().map(|path| entry(path, width)).collect::<Result<_, _>>();
        if let Some(path) = negative {
            entry(path, width)?;
        }
        Ok(Self {
            named: entries(named)?,
            beside: entries(beside)?,
            negative: negative.map(Path::to_owned),
        })
    }

    /// Says where the texts of a video come from; `guided` tells whether its negative prompt has an effect, and
    /// `has_encoder` whether prompts can be encoded.
    ///
    /// Without an encoder, guidance compares with a text that is left out, as in training, if the negative prompt is the
    /// default one.
    ///
    /// # Errors
    /// [`TextError::NoEmbedding`] and [`TextError::NoPrompt`].
    pub fn sources(
        &self,
        request: &GenerationRequest,
        guided: bool,
        has_encoder: bool,
    ) -> Result<TextSources, TextError> {
        let prompt = match &request.prompt {
            Some(prompt) => self.find(prompt, "the prompt", has_encoder)?,
            None => TextSource::File(self.only(&request.name)?.path.clone()),
        };
        let negative = self.negative(request, guided, has_encoder)?;
        Ok(TextSources { prompt, negative })
    }

    /// Does the same for every view of a video in which each reads a text of its own, in the order of the time axis; for
    /// other videos there is one text.
    ///
    /// # Errors
    /// As [`sources`](Self::sources).
    pub fn sources_of_views(
        &self,
        request: &GenerationRequest,
        guided: bool,
        has_encoder: bool,
    ) -> Result<Vec<TextSources>, TextError> {
        let Cameras::Driving(views) = &request.cameras else {
            return Ok(vec![self.sources(request, guided, has_encoder)?]);
        };
        if let Some(captions) = &views.captions {
            let of_caption = |caption: &String| {
                Ok(TextSources {
                    prompt: self.find(caption, "the caption", has_encoder)?,
                    negative: self.negative(request, guided, has_encoder)?,
                })
            };
            return captions.iter().map(of_caption).collect();
        }
        let of_view = |view: &DrivingView| {
            if *view == DrivingView::FrontWide {
                return self.sources(request, guided, has_encoder);
            }
            let text = self.find(OTHER_VIEWS_TEXT, "the text of views without a prompt,", has_encoder)?;
            Ok(TextSources {
                prompt: text.clone(),
                negative: guided.then_some(text),
            })
        };
        views.inputs.keys().map(of_view).collect()
    }

    fn negative(
        &self,
        request: &GenerationRequest,
        guided: bool,
        has_encoder: bool,
    ) -> Result<Option<TextSource>, TextError> {
        Ok(match (guided, &self.negative) {
            (false, _) => None,
            (true, Some(path)) => Some(TextSource::File(path.clone())),
            (true, None) => Some(
                match self.find(&request.negative_prompt, "the negative prompt", has_encoder) {
                    Err(TextError::NoEmbedding { .. }) if request.negative_prompt == NEGATIVE_PROMPT => {
                        TextSource::LeftOut
                    }
                    found => found?,
                },
            ),
        })
    }

    fn find(&self, prompt: &str, what: &'static str, has_encoder: bool) -> Result<TextSource, TextError> {
        match self.all().find(|entry| entry.prompt == prompt) {
            Some(entry) => Ok(TextSource::File(entry.path.clone())),
            None if has_encoder => Ok(TextSource::Prompt(prompt.to_owned())),
            None => Err(TextError::NoEmbedding {
                what,
                prompt: prompt.to_owned(),
                known: self.known(),
            }),
        }
    }

    /// Returns what stands for a prompt that was not given: the one embedding that was named, or that of the empty
    /// prompt beside the network.
    fn only(&self, name: &str) -> Result<&Entry, TextError> {
        let found = match (&self.named[..], &self.beside[..]) {
            ([only], _) | ([], [only]) => Some(only),
            ([], several) => several.iter().find(|entry| entry.prompt.is_empty()),
            _ => None,
        };
        found.ok_or_else(|| TextError::NoPrompt {
            name: name.to_owned(),
            known: self.known(),
        })
    }

    fn all(&self) -> impl Iterator<Item = &Entry> {
        self.named.iter().chain(&self.beside)
    }

    fn known(&self) -> Vec<String> {
        self.all().map(|entry| entry.prompt.clone()).collect()
    }
}

fn entry(path: &Path, width: usize) -> Result<Entry, TextError> {
    let header = TextEmbedding::header(path)?;
    let path = path.to_owned();
    match header.shape[..] {
        [tokens, found] if tokens > 0 && found == width => Ok(Entry {
            prompt: header.prompt,
            path,
        }),
        _ => Err(TextError::Width {
            path,
            found: header.shape,
            width,
        }),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;
    use worldloop_world_model::checkpoint::SaveDtype;

    use super::*;
    use crate::device::Device;
    use crate::generation::{DrivingViews, RequestFields};

    const WIDTH: usize = 8;

    fn save(path: &Path, prompt: &str) {
        let embedding = TextEmbedding {
            tokens: Tensor::ones([2, WIDTH], &Device::flex()),
            prompt: prompt.into(),
            model_fingerprint: "f".into(),
        };
        embedding.save(path, SaveDtype::F32).unwrap();
    }

    fn request(prompt: Option<&str>, negative: Option<&str>) -> GenerationRequest {
        let fields = RequestFields {
            prompt: prompt.map(str::to_owned),
            negative_prompt: negative.map(str::to_owned),
            ..RequestFields::default()
        };
        fields.resolve(false).unwrap()
    }

    #[test]
    fn embeddings_are_found_by_their_prompts() {
        let folder = tempfile::tempdir().unwrap();
        let [cube, ball, empty, other] = ["cube", "ball", "empty", "other"].map(|name| folder.path().join(name));
        save(&cube, "push the cube");
        save(&ball, "roll the ball");
        save(&empty, "");
        save(&other, "other");
        let beside = [empty.clone(), other.clone()];
        let library = EmbeddingLibrary::open(&[cube, ball.clone()], &beside, None, WIDTH).unwrap();
        let prompt = |request: GenerationRequest| library.sources(&request, false, false).map(|texts| texts.prompt);
        assert_eq!(
            prompt(request(Some("roll the ball"), None)).unwrap(),
            TextSource::File(ball)
        );
        assert_eq!(prompt(request(Some("other"), None)).unwrap(), TextSource::File(other));
        let message = prompt(request(Some("jump"), None)).unwrap_err().to_string();
        for part in ["jump", "push the cube", "worldloop embed", "--text-encoder"] {
            assert!(message.contains(part), "{message}");
        }
        let message = prompt(request(None, None)).unwrap_err().to_string();
        assert!(
            message.contains("--prompt TEXT") && message.contains("roll the ball"),
            "{message}"
        );
        let library = EmbeddingLibrary::open(&[], &beside, None, WIDTH).unwrap();
        let texts = library.sources(&request(None, None), false, false).unwrap();
        assert_eq!(texts.prompt, TextSource::File(empty));
    }

    #[test]
    fn only_the_front_view_reads_a_single_prompt() {
        let folder = tempfile::tempdir().unwrap();
        let [rain, snow, space] = ["rain", "snow", "space"].map(|name| folder.path().join(name));
        for (path, prompt) in [(&rain, "rain"), (&snow, "snow"), (&space, " ")] {
            save(path, prompt);
        }
        let mut drive = request(Some("rain"), Some("snow"));
        let mut views = DrivingViews {
            inputs: [(DrivingView::FrontWide, None), (DrivingView::Rear, None)].into(),
            captions: None,
            fps: 30.0,
        };
        drive.cameras = Cameras::Driving(views.clone());
        let texts = |prompt: &Path, negative: &Path| TextSources {
            prompt: TextSource::File(prompt.to_owned()),
            negative: Some(TextSource::File(negative.to_owned())),
        };
        let all = [rain.clone(), snow.clone(), space.clone()];
        let library = EmbeddingLibrary::open(&all, &[], None, WIDTH).unwrap();
        let found = library.sources_of_views(&drive, true, false).unwrap();
        assert_eq!(found, [texts(&rain, &snow), texts(&space, &space)]);
        views.captions = Some(vec!["snow".into(), "rain".into()]);
        drive.cameras = Cameras::Driving(views.clone());
        let found = library.sources_of_views(&drive, true, false).unwrap();
        assert_eq!(found, [texts(&snow, &snow), texts(&rain, &snow)]);
        // Without the embedding of the space, the message names it.
        views.captions = None;
        drive.cameras = Cameras::Driving(views);
        let library = EmbeddingLibrary::open(&all[..2], &[], None, WIDTH).unwrap();
        let message = library.sources_of_views(&drive, true, false).unwrap_err().to_string();
        assert!(message.contains("views without a prompt, \" \""), "{message}");
    }

    #[test]
    fn without_an_encoder_guidance_compares_with_a_text_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let [cube, bad] = ["cube", "bad"].map(|name| folder.path().join(name));
        save(&cube, "push the cube");
        save(&bad, "bad");
        let library = EmbeddingLibrary::open(std::slice::from_ref(&cube), &[], None, WIDTH).unwrap();
        let negative = |request: &GenerationRequest, has_encoder| {
            let texts = library.sources(request, true, has_encoder);
            texts.map(|texts| texts.negative.expect("guided"))
        };
        assert_eq!(negative(&request(None, None), false).unwrap(), TextSource::LeftOut);
        let encoded = TextSource::Prompt(NEGATIVE_PROMPT.to_owned());
        assert_eq!(negative(&request(None, None), true).unwrap(), encoded);
        let message = negative(&request(None, Some("blur")), false).unwrap_err().to_string();
        assert!(
            message.contains("negative prompt") && message.contains("blur"),
            "{message}"
        );
        let library = EmbeddingLibrary::open(&[cube], &[], Some(&bad), WIDTH).unwrap();
        let texts = library.sources(&request(None, None), true, false).unwrap();
        assert_eq!(texts.negative, Some(TextSource::File(bad)));
        assert_eq!(
            library.sources(&request(None, None), false, false).unwrap().negative,
            None
        );
    }

    #[test]
    fn an_embedding_of_another_width_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cube.safetensors");
        save(&path, "push the cube");
        let error = EmbeddingLibrary::open(&[path], &[], None, 9).unwrap_err().to_string();
        for part in ["cube.safetensors", "[2, 8]", "[tokens, 9]"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
