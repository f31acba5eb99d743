//! Server, token and cache, from the environment.

use std::fmt;
use std::path::PathBuf;

/// The Hub itself.
const ENDPOINT: &str = "https://huggingface.co";

/// Where files come from and where they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubSettings {
    /// The server, without a slash at its end.
    pub endpoint: String,
    /// Who asks.
    pub token: Option<Token>,
    /// Folder of the cache.
    pub cache: PathBuf,
    /// Whether only the cache may be used.
    pub is_offline: bool,
}

/// A secret that is sent to the server and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Takes a token; none if it is blank or holds what no token has.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| Self(text.to_owned()))
    }

    /// Returns the value of the header that says who asks.
    #[cfg(feature = "hub")]
    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl HubSettings {
    /// Reads the variables that Hugging Face's own tools read; see the [module](super).
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let home = || std::env::home_dir().unwrap_or_default().join(".cache");
        let cache_home = set("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
        let hf_home = set("HF_HOME").map_or_else(|| cache_home.join("huggingface"), PathBuf::from);
        let token_path = set("HF_TOKEN_PATH").map_or_else(|| hf_home.join("token"), PathBuf::from);
        let token_file = || std::fs::read_to_string(token_path).ok();
        let token = set("HF_TOKEN")
            .or_else(|| set("HUGGING_FACE_HUB_TOKEN"))
            .or_else(token_file);
        let cache = set("HF_HUB_CACHE").or_else(|| set("HUGGINGFACE_HUB_CACHE"));
        let offline = set("HF_HUB_OFFLINE").unwrap_or_default().to_ascii_uppercase();
        Self {
            endpoint: set("HF_ENDPOINT").map_or_else(
                || ENDPOINT.to_owned(),
                |text| text.trim().trim_end_matches('/').to_owned(),
            ),
            token: token.as_deref().and_then(Token::new),
            cache: cache.map_or_else(|| hf_home.join("hub"), PathBuf::from),
            is_offline: matches!(offline.as_str(), "1" | "ON" | "YES" | "TRUE"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> HubSettings {
        HubSettings::from_variables(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables_are_those_of_hugging_faces_tools() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        let plain = settings(&[("HF_HOME", home)]);
        assert_eq!(plain.endpoint, "https://huggingface.co");
        assert_eq!(plain.cache, folder.path().join("hub"));
        assert_eq!((plain.token, plain.is_offline), (None, false));

        std::fs::write(folder.path().join("token"), "hf_file\n").unwrap();
        assert_eq!(settings(&[("HF_HOME", home)]).token, Token::new("hf_file"));
        let all = settings(&[
            ("HF_HOME", home),
            ("HF_TOKEN", " hf_variable "),
            ("HF_ENDPOINT", "http://127.0.0.1:1/"),
            ("HF_HUB_CACHE", "/cache"),
            ("HF_HUB_OFFLINE", "true"),
        ]);
        assert_eq!(all.token, Token::new("hf_variable"));
        assert_eq!((all.endpoint.as_str(), all.is_offline), ("http://127.0.0.1:1", true));
        assert_eq!(all.cache, PathBuf::from("/cache"));
    }

    #[test]
    fn a_token_is_never_printed() {
        let settings = settings(&[("HF_TOKEN", "hf_secret"), ("HF_HOME", "/nowhere")]);
        assert!(!format!("{settings:?}").contains("secret"));
        assert_eq!(Token::new("two words"), None);
    }
}
