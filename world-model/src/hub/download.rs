//! Fetching a file: who it is, the rest of it, and its place in the cache.
//!
//! The cache is that of the crate `hf-hub`, its client is not: version 0.5.0 sends the token also to the servers that the Hub
//! points to, 1.0.0 begins a transfer that broke off anew, and neither compares what came with the announced digest.

use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body};

use super::cache::is_commit;
use super::error::HubError;
use super::locate::Received;
use super::location::{HubLocation, is_hexadecimal};
use super::settings::HubSettings;
use super::storage::{Incomplete, blobs, publish};

/// Time for a connection, for the start of an answer, and between two pieces of a file.
const PATIENCE: Duration = Duration::from_secs(30);

/// Repository of weights that NVIDIA's own scripts name and that only its members can read.
const INTERNAL_REPOSITORY: &str = "nvidia/Cosmos-Experimental";

/// Digits of a SHA-256.
const SHA256_DIGITS: usize = 64;

/// Redirections that are followed.
const MAX_HOPS: usize = 8;

/// Bytes between two reports of progress.
const PIECE: usize = 1 << 16;

/// Largest answer that is a list of commits.
const MAX_LIST_BYTES: u64 = 8 << 20;

/// Pages of commits that are searched for one that starts as asked.
const MAX_PAGES: usize = 20;

/// Fetches files of the Hub into the cache.
#[derive(Debug)]
pub(super) struct Hub {
    settings: HubSettings,
    agent: Agent,
}

/// What the server says about a file.
#[derive(Debug)]
struct Description {
    commit: String,
    etag: String,
    total: u64,
    /// Where its bytes are; another server for large files.
    url: String,
}

/// One commit of a list.
#[derive(Deserialize)]
struct Commit {
    id: String,
}

impl Hub {
    /// Creates a client; nothing is asked yet.
    pub(super) fn new(settings: HubSettings) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            // A compressed answer would make ranges and lengths those of something else.
            .accept_encoding("identity")
            .user_agent(concat!("worldloop/", env!("CARGO_PKG_VERSION")))
            .build();
        Self {
            settings,
            agent: config.into(),
        }
    }

    /// Fetches a file into the cache; a transfer that broke off goes on where it stopped.
    ///
    /// # Errors
    /// [`HubError`], one variant for each reason.
    pub(super) fn fetch(
        &self,
        location: &HubLocation,
        mut progress: impl FnMut(Received) -> ControlFlow<()>,
    ) -> Result<PathBuf, HubError> {
        let whole = if location.is_short_commit() {
            location.at(&self.whole_commit(location)?)
        } else {
            location.clone()
        };
        let description = self.describe(&whole)?;
        let blob = self.receive(&whole, &description, &mut progress)?;
        publish(&self.settings, location, &description.commit, &blob)
    }

    /// Finds the commit that starts as asked; the Hub itself knows only whole ones.
    fn whole_commit(&self, location: &HubLocation) -> Result<String, HubError> {
        for page in 0..MAX_PAGES {
            let address = format!("api/models/{}/commits/main?p={page}&limit=100", location.repository());
            let url = format!("{}/{address}", self.settings.endpoint);
            let mut response = self.get(&url, location, None, true)?;
            let text = response.body_mut().with_config().limit(MAX_LIST_BYTES).read_to_vec();
            let text = text.map_err(|error| self.unreachable(location, &error))?;
            let commits: Vec<Commit> = serde_json::from_slice(&text)
                .map_err(|error| answer(location, format!("no list of commits, {error}")))?;
            let found = commits.iter().find(|commit| commit.id.starts_with(location.revision()));
            if let Some(commit) = found.filter(|commit| is_commit(&commit.id)) {
                return Ok(commit.id.clone());
            }
            if commits.is_empty() {
                break;
            }
        }
        Err(HubError::NotFound {
            location: Box::new(location.clone()),
            what: "revision",
        })
    }

    /// Asks for the headers of a file, as far as this server answers; large files are on another.
    fn describe(&self, location: &HubLocation) -> Result<Description, HubError> {
        let revision = location.revision().replace('/', "%2F");
        let (endpoint, repository, file) = (&self.settings.endpoint, location.repository(), location.file());
        let mut url = format!("{endpoint}/{repository}/resolve/{revision}/{file}");
        for _ in 0..MAX_HOPS {
            let response = self.head(&url, location)?;
            let headers = response.headers();
            let next = match response.status().as_u16() {
                300..=399 => Some(redirection(&url, headers).ok_or_else(|| answer(location, "no new address"))?),
                _ => None,
            };
            match next {
                Some(next) if origin(&next) == origin(&url) => url = next,
                next => return description(location, headers, next.unwrap_or(url)),
            }
        }
        Err(answer(location, "too many redirections"))
    }

    /// Fetches what is missing of a file.
    fn receive(
        &self,
        location: &HubLocation,
        description: &Description,
        progress: &mut impl FnMut(Received) -> ControlFlow<()>,
    ) -> Result<PathBuf, HubError> {
        let total = description.total;
        let blob = blobs(&self.settings, location).join(&description.etag);
        if blob.metadata().is_ok_and(|metadata| metadata.len() == total) {
            return Ok(blob);
        }
        let mut incomplete = Incomplete::open(&self.settings, location, &description.etag)?;
        if incomplete.len > total {
            incomplete.restart()?;
        }
        if incomplete.len < total {
            let response = self.request_rest(location, description, incomplete.len)?;
            if response.status().as_u16() != 206 {
                // The server sends the whole file, whatever was asked for.
                incomplete.restart()?;
            }
            copy(location, response, &mut incomplete, total, progress)?;
        }
        // Large files go by their SHA-256; small ones by something that the file alone does not tell.
        if description.etag.len() == SHA256_DIGITS && is_hexadecimal(&description.etag) {
            let found = incomplete.digest()?;
            if found != description.etag {
                incomplete.restart()?;
                return Err(HubError::Damaged {
                    location: Box::new(location.clone()),
                    expected: description.etag.clone(),
                    found,
                });
            }
        }
        incomplete.complete()
    }

    /// Asks for the bytes from `start` on, at whatever address they are.
    fn request_rest(
        &self,
        location: &HubLocation,
        description: &Description,
        start: u64,
    ) -> Result<Response<Body>, HubError> {
        let range = (start > 0).then(|| format!("bytes={start}-"));
        let mut url = description.url.clone();
        for _ in 0..MAX_HOPS {
            // The token is for the Hub alone, not for the servers that it points to.
            let is_hub = origin(&url) == origin(&self.settings.endpoint);
            let response = self.get(&url, location, range.as_deref(), is_hub)?;
            match response.status().as_u16() {
                200 => return Ok(response),
                206 => {
                    let found = text_of(response.headers(), "content-range").unwrap_or_default();
                    let is_rest = found.starts_with(&format!("bytes {start}-"));
                    return match is_rest {
                        true => Ok(response),
                        false => Err(answer(
                            location,
                            format!("asked for bytes from {start} on, got {found:?}"),
                        )),
                    };
                }
                300..=399 => {
                    url = redirection(&url, response.headers()).ok_or_else(|| answer(location, "no new address"))?;
                }
                status => return Err(answer(location, format!("status {status}"))),
            }
        }
        Err(answer(location, "too many redirections"))
    }

    fn head(&self, url: &str, location: &HubLocation) -> Result<Response<Body>, HubError> {
        let mut request = self.agent.head(url);
        if let Some(token) = &self.settings.token {
            request = request.header("authorization", token.header());
        }
        let response = request.call().map_err(|error| self.unreachable(location, &error))?;
        match response.status().as_u16() {
            // Some mirrors answer GET alone; its first byte comes with the same headers.
            405 | 501 => self.get(url, location, Some("bytes=0-0"), true),
            _ => self.accepted(response, location),
        }
    }

    fn get(
        &self,
        url: &str,
        location: &HubLocation,
        range: Option<&str>,
        with_token: bool,
    ) -> Result<Response<Body>, HubError> {
        let mut request = self.agent.get(url);
        if let Some(token) = self.settings.token.as_ref().filter(|_| with_token) {
            request = request.header("authorization", token.header());
        }
        if let Some(range) = range {
            request = request.header("range", range);
        }
        let response = request.call().map_err(|error| self.unreachable(location, &error))?;
        match response.status().as_u16() {
            // What stores the bytes knows neither accounts nor licences: its links run out.
            status @ 400.. if !with_token => Err(answer(
                location,
                format!("status {status} of the server that the Hub points to"),
            )),
            _ => self.accepted(response, location),
        }
    }

    /// Turns a refusal into its reason.
    fn accepted(&self, response: Response<Body>, location: &HubLocation) -> Result<Response<Body>, HubError> {
        let boxed = || Box::new(location.clone());
        match response.status().as_u16() {
            200..=399 => Ok(response),
            // Neither a token nor a licence helps there.
            401 | 403 | 404 if location.repository() == INTERNAL_REPOSITORY => Err(HubError::Internal {
                address: location.to_string(),
            }),
            401 => Err(HubError::Unauthorized {
                location: boxed(),
                has_token: self.settings.token.is_some(),
            }),
            403 => Err(HubError::Forbidden {
                is_gated: text_of(response.headers(), "x-error-code") == Some("GatedRepo"),
                location: boxed(),
            }),
            404 => {
                let what = match text_of(response.headers(), "x-error-code") {
                    Some("RepoNotFound") => "repository",
                    Some("RevisionNotFound") => "revision",
                    _ => "file",
                };
                let location = boxed();
                Err(HubError::NotFound { location, what })
            }
            status => Err(answer(location, format!("status {status}"))),
        }
    }

    fn unreachable(&self, location: &HubLocation, error: &ureq::Error) -> HubError {
        HubError::Unreachable {
            endpoint: self.settings.endpoint.clone(),
            location: Box::new(location.clone()),
            reason: error.to_string(),
        }
    }
}

fn answer(location: &HubLocation, problem: impl Into<String>) -> HubError {
    HubError::Answer {
        location: Box::new(location.clone()),
        problem: problem.into(),
    }
}

fn description(location: &HubLocation, headers: &HeaderMap, url: String) -> Result<Description, HubError> {
    let lacks = |name: &str| answer(location, format!("no usable header {name}"));
    let etag = text_of(headers, "x-linked-etag").or_else(|| text_of(headers, "etag"));
    let etag = etag.map(|etag| etag.trim_start_matches("W/").trim_matches('"'));
    // It becomes the name of a file.
    let is_name = |etag: &&str| {
        !etag.is_empty() && etag.len() <= 128 && etag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let etag = etag.filter(is_name).ok_or_else(|| lacks("etag"))?;
    let commit = text_of(headers, "x-repo-commit").unwrap_or_else(|| location.revision());
    if !is_commit(commit) {
        return Err(lacks("x-repo-commit"));
    }
    // The length of a redirection or of a range is not that of the file.
    let total = text_of(headers, "x-linked-size").or_else(|| {
        if headers.contains_key("location") {
            return None;
        }
        let range = text_of(headers, "content-range").and_then(|range| range.rsplit('/').next());
        range.or_else(|| text_of(headers, "content-length"))
    });
    let total = total.and_then(|text| text.parse().ok());
    Ok(Description {
        commit: commit.to_owned(),
        etag: etag.to_owned(),
        total: total.ok_or_else(|| lacks("content-length"))?,
        url,
    })
}

/// Writes what comes, and says how much is here.
fn copy(
    location: &HubLocation,
    mut response: Response<Body>,
    incomplete: &mut Incomplete,
    total: u64,
    progress: &mut impl FnMut(Received) -> ControlFlow<()>,
) -> Result<(), HubError> {
    let mut reader = response.body_mut().as_reader();
    let mut piece = vec![0; PIECE];
    let mut bytes = incomplete.len;
    let reason = loop {
        if progress(Received { bytes, total }).is_break() {
            break "stopped on request".to_owned();
        }
        match reader.read(&mut piece) {
            Ok(0) if bytes == total => return Ok(()),
            Ok(0) => break "the server closed the connection".to_owned(),
            Ok(len) => {
                bytes += len as u64;
                if bytes > total {
                    incomplete.restart()?;
                    return Err(answer(
                        location,
                        format!("more than the {total} bytes that it announced"),
                    ));
                }
                let written = incomplete.file.write_all(&piece[..len]);
                written.map_err(|source| incomplete.error(source))?;
            }
            Err(error) => break error.to_string(),
        }
    };
    Err(HubError::BrokenOff {
        location: Box::new(location.clone()),
        received: bytes,
        expected: total,
        reason,
    })
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Returns the address that an answer points to.
fn redirection(url: &str, headers: &HeaderMap) -> Option<String> {
    let target = text_of(headers, "location")?;
    if target.starts_with("https://") || target.starts_with("http://") {
        return Some(target.to_owned());
    }
    let is_path = target.starts_with('/') && !target.starts_with("//");
    is_path.then(|| format!("{}{target}", origin(url)))
}

/// Returns scheme, host and port of an address.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    let len = url[host..].find('/').unwrap_or(url.len() - host);
    &url[..host + len]
}
