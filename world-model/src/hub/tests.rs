//! A small server that behaves as the Hub does, and misbehaves.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::{HubError, HubLocation, HubSettings, Received, Token};

const COMMIT: &str = "15a82a2e0123456789abcdef0123456789abcdef";
/// The digest of the content, as it is of all large files on the Hub.
const ETAG: &str = "9de1e004dba2e50ac9ec5ae801e7eb55a6714acf03f769cc7fa78bacfdecc4a9";
const CONTENT: &[u8] = b"some weights, a few of them";

/// What the server does with the file.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Behaviour {
    Serves,
    /// Serves whole files only, whatever range is asked for.
    IgnoresRanges,
    /// Knows GET and no other method.
    KnowsGetAlone,
    /// Closes the connection after so many bytes of an answer.
    BreaksOffAfter(usize),
    Answers(u16, &'static str),
    /// Points to the same file on another port.
    PointsTo(u16),
    SendsNoEtag,
}

/// A request line with its headers in lower case.
#[derive(Debug, Clone)]
struct Request {
    line: String,
    headers: HashMap<String, String>,
}

struct Server {
    port: u16,
    behaviour: Arc<Mutex<Behaviour>>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            behaviour: Arc::new(Mutex::new(behaviour)),
            requests: Arc::default(),
        };
        let (behaviour, requests) = (server.behaviour.clone(), server.requests.clone());
        // The thread ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let request = read_request(&stream);
                requests.lock().unwrap().push(request.clone());
                let behaviour = *behaviour.lock().unwrap();
                // A client that has seen enough may close first.
                let _closed = answer(stream, &request, behaviour);
            }
        });
        server
    }

    fn change(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    fn hub(&self, cache: &Path) -> HubSettings {
        HubSettings {
            endpoint: format!("http://127.0.0.1:{}", self.port),
            token: Token::new("hf_secret"),
            cache: cache.to_path_buf(),
            is_offline: false,
        }
    }
}

fn read_request(stream: &TcpStream) -> Request {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let line = lines.next().unwrap_or_default();
    let headers = lines.take_while(|line| !line.is_empty()).filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_ascii_lowercase(), value.to_owned()))
    });
    Request {
        line,
        headers: headers.collect(),
    }
}

fn answer(mut stream: TcpStream, request: &Request, behaviour: Behaviour) -> std::io::Result<()> {
    let is_head = request.line.starts_with("HEAD");
    let metadata = format!("X-Repo-Commit: {COMMIT}\r\nETag: \"{ETAG}\"\r\nConnection: close\r\n");
    if request.line.contains("/commits/main?p=0") {
        let list = format!(r#"[{{"id":"{}"}},{{"id":"{COMMIT}"}}]"#, "e".repeat(40));
        return write!(
            stream,
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{list}",
            list.len()
        );
    }
    if request.line.contains("/commits/main") {
        return write!(
            stream,
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n[]"
        );
    }
    let len = CONTENT.len();
    match behaviour {
        Behaviour::Answers(status, code) => {
            return write!(
                stream,
                "HTTP/1.1 {status} No\r\nX-Error-Code: {code}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            );
        }
        Behaviour::PointsTo(port) => {
            return write!(
                stream,
                "HTTP/1.1 302 Found\r\nX-Linked-ETag: \"{ETAG}\"\r\nX-Linked-Size: {len}\r\nX-Repo-Commit: {COMMIT}\r\n\
                 Location: http://127.0.0.1:{port}/blob\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            );
        }
        Behaviour::SendsNoEtag => {
            return write!(
                stream,
                "HTTP/1.1 200 OK\r\nX-Repo-Commit: {COMMIT}\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n"
            );
        }
        Behaviour::KnowsGetAlone if is_head => {
            return write!(
                stream,
                "HTTP/1.1 501 Unsupported\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            );
        }
        Behaviour::Serves | Behaviour::IgnoresRanges | Behaviour::KnowsGetAlone | Behaviour::BreaksOffAfter(_) => {}
    }
    let range = request
        .headers
        .get("range")
        .filter(|_| behaviour != Behaviour::IgnoresRanges);
    let bounds = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let bounds = bounds.and_then(|(first, last)| Some((first.parse().ok()?, last.parse().unwrap_or(len - 1))));
    let (start, last): (usize, usize) = bounds.unwrap_or((0, len - 1));
    let body = &CONTENT[start..=last];
    match bounds {
        None => write!(stream, "HTTP/1.1 200 OK\r\n{metadata}Content-Length: {len}\r\n\r\n")?,
        Some(_) => write!(
            stream,
            "HTTP/1.1 206 Partial Content\r\n{metadata}Content-Range: bytes {start}-{last}/{len}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )?,
    }
    match behaviour {
        _ if is_head => Ok(()),
        Behaviour::BreaksOffAfter(count) => stream.write_all(&body[..count]),
        _ => stream.write_all(body),
    }
}

fn on(_: Received) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn location(revision: &str) -> HubLocation {
    HubLocation::new("nvidia/Cosmos-Predict2.5-2B", revision, "base/model.pt").unwrap()
}

fn message_of(behaviour: Behaviour) -> String {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(behaviour);
    let error = server.hub(cache.path()).locate(&location("main"), on);
    error.expect_err("the server refuses").to_string()
}

#[test]
fn a_file_is_fetched_once_into_the_usual_layout() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(Behaviour::Serves);
    let hub = server.hub(cache.path());
    let mut seen = Vec::new();
    let path = hub
        .locate(&location("diffusers/base"), |received| {
            seen.push(received);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(fs::read(&path).unwrap(), CONTENT);
    let folder = cache.path().join("models--nvidia--Cosmos-Predict2.5-2B");
    assert_eq!(path, folder.join("snapshots").join(COMMIT).join("base/model.pt"));
    assert_eq!(
        fs::canonicalize(&path).unwrap(),
        fs::canonicalize(folder.join("blobs").join(ETAG)).unwrap()
    );
    assert_eq!(fs::read_to_string(folder.join("refs/diffusers/base")).unwrap(), COMMIT);
    let total = CONTENT.len() as u64;
    assert_eq!(seen.last(), Some(&Received { bytes: total, total }));

    let asked = server.requests();
    assert!(
        asked[0]
            .line
            .contains("/nvidia/Cosmos-Predict2.5-2B/resolve/diffusers%2Fbase/base/model.pt"),
        "{asked:?}"
    );
    assert_eq!(asked[0].headers["authorization"], "Bearer hf_secret");
    assert_eq!(hub.locate(&location("diffusers/base"), on).unwrap(), path);
    assert_eq!(server.requests().len(), asked.len(), "the cache was asked first");
}

#[test]
fn hugging_faces_own_crate_finds_what_was_fetched() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(Behaviour::Serves);
    let path = server
        .hub(cache.path())
        .locate(&location("diffusers/base"), on)
        .unwrap();
    let repository = hf_hub::Repo::with_revision(
        "nvidia/Cosmos-Predict2.5-2B".to_owned(),
        hf_hub::RepoType::Model,
        "diffusers/base".to_owned(),
    );
    let theirs = hf_hub::Cache::new(cache.path().to_path_buf()).repo(repository);
    assert_eq!(theirs.get("base/model.pt"), Some(path));
    assert_eq!(theirs.get("base/other.pt"), None);
}

#[test]
fn a_mirror_that_knows_get_alone_will_do() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(Behaviour::KnowsGetAlone);
    let path = server.hub(cache.path()).locate(&location("main"), on).unwrap();
    assert_eq!(fs::read(path).unwrap(), CONTENT);
}

#[test]
fn the_start_of_a_commit_finds_the_whole_one() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(Behaviour::Serves);
    let hub = server.hub(cache.path());
    let path = hub.locate(&location("15a82a2e"), on).unwrap();
    assert!(path.ends_with(format!("snapshots/{COMMIT}/base/model.pt")), "{path:?}");
    assert_eq!(hub.cached(&location("15a82a2e")), Some(path));
    let error = hub.locate(&location("99999999"), on).unwrap_err();
    assert!(matches!(error, HubError::NotFound { what: "revision", .. }), "{error}");
}

#[test]
fn a_transfer_that_broke_off_goes_on_where_it_stopped() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(Behaviour::BreaksOffAfter(10));
    let hub = server.hub(cache.path());
    let error = hub.locate(&location("main"), on).unwrap_err();
    assert!(
        matches!(
            error,
            HubError::BrokenOff {
                received: 10,
                expected: 27,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("goes on where it stopped"), "{error}");
    assert_eq!(hub.cached(&location("main")), None, "half a file is no file");

    server.change(Behaviour::Serves);
    let mut first = None;
    let path = hub
        .locate(&location("main"), |received| {
            first.get_or_insert(received.bytes);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(fs::read(path).unwrap(), CONTENT);
    assert_eq!(first, Some(10));
    assert_eq!(server.requests().last().unwrap().headers["range"], "bytes=10-");
}

#[test]
fn a_transfer_can_be_stopped() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(Behaviour::Serves);
    let error = server
        .hub(cache.path())
        .locate(&location("main"), |_| ControlFlow::Break(()))
        .unwrap_err();
    assert!(error.to_string().contains("stopped on request"), "{error}");
}

#[test]
fn a_server_without_ranges_starts_anew() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(Behaviour::BreaksOffAfter(10));
    let hub = server.hub(cache.path());
    hub.locate(&location("main"), on).unwrap_err();
    server.change(Behaviour::IgnoresRanges);
    assert_eq!(fs::read(hub.locate(&location("main"), on).unwrap()).unwrap(), CONTENT);
}

#[test]
fn a_kill_between_the_last_byte_and_the_name_costs_nothing() {
    let cache = tempfile::tempdir().unwrap();
    let blobs = cache.path().join("models--nvidia--Cosmos-Predict2.5-2B/blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(format!("{ETAG}.incomplete")), CONTENT).unwrap();
    let server = Server::start(Behaviour::Serves);
    let path = server.hub(cache.path()).locate(&location("main"), on).unwrap();
    assert_eq!(fs::read(path).unwrap(), CONTENT);
    assert_eq!(server.requests().len(), 1, "there was nothing left to fetch");
}

#[test]
fn a_file_that_is_not_what_the_hub_says_is_not_kept() {
    let cache = tempfile::tempdir().unwrap();
    let blobs = cache.path().join("models--nvidia--Cosmos-Predict2.5-2B/blobs");
    fs::create_dir_all(&blobs).unwrap();
    // The start that an earlier call left is of another file, or a disk has failed.
    fs::write(blobs.join(format!("{ETAG}.incomplete")), b"other weig").unwrap();
    let server = Server::start(Behaviour::Serves);
    let hub = server.hub(cache.path());
    let error = hub.locate(&location("main"), on).unwrap_err();
    assert!(
        matches!(&error, HubError::Damaged { expected, .. } if expected == ETAG),
        "{error}"
    );
    assert!(error.to_string().contains("`base/model.pt`"), "{error}");
    assert_eq!(hub.cached(&location("main")), None);
    assert_eq!(fs::read(hub.locate(&location("main"), on).unwrap()).unwrap(), CONTENT);
}

#[test]
fn the_token_stays_with_the_hub() {
    let cache = tempfile::tempdir().unwrap();
    let storage = Server::start(Behaviour::Serves);
    let server = Server::start(Behaviour::PointsTo(storage.port));
    let path = server.hub(cache.path()).locate(&location("main"), on).unwrap();
    assert_eq!(fs::read(path).unwrap(), CONTENT);
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.headers.contains_key("authorization"))
    );
    let asked = storage.requests();
    assert_eq!(asked.len(), 1);
    assert!(!asked[0].headers.contains_key("authorization"), "{asked:?}");
}

#[test]
fn a_refusal_of_the_storage_is_not_taken_for_a_missing_licence() {
    let cache = tempfile::tempdir().unwrap();
    let storage = Server::start(Behaviour::Answers(403, ""));
    let server = Server::start(Behaviour::PointsTo(storage.port));
    let error = server.hub(cache.path()).locate(&location("main"), on).unwrap_err();
    assert!(
        matches!(&error, HubError::Answer { problem, .. } if problem.contains("status 403")),
        "{error}"
    );
}

#[test]
fn each_refusal_says_which_why_and_where() {
    let unauthorized = message_of(Behaviour::Answers(401, "GatedRepo"));
    let forbidden = message_of(Behaviour::Answers(403, "GatedRepo"));
    let missing = message_of(Behaviour::Answers(404, "EntryNotFound"));
    let page = "https://huggingface.co/nvidia/Cosmos-Predict2.5-2B";
    for (message, parts) in [
        (&unauthorized, ["(401)", "HF_TOKEN", page]),
        (&forbidden, ["(403)", "licence was not accepted", page]),
        (&missing, ["(404)", "no such file", page]),
    ] {
        for part in parts
            .iter()
            .chain(&["`base/model.pt`", "nvidia/Cosmos-Predict2.5-2B", "main"])
        {
            assert!(message.contains(part), "{part} is not in: {message}");
        }
        assert!(!message.contains("hf_secret"), "{message}");
    }
    assert!(message_of(Behaviour::Answers(403, "")).contains("or the token may not read"));
    assert!(message_of(Behaviour::Answers(404, "RevisionNotFound")).contains("no such revision"));
    assert!(message_of(Behaviour::Answers(404, "RepoNotFound")).contains("no such repository"));
    assert!(message_of(Behaviour::Answers(503, "")).contains("status 503"));
    assert!(message_of(Behaviour::SendsNoEtag).contains("no usable header etag"));
}

#[test]
fn a_repository_for_members_alone_is_not_taken_for_a_missing_licence() {
    let cache = tempfile::tempdir().unwrap();
    for status in [401, 403, 404] {
        let server = Server::start(Behaviour::Answers(status, "GatedRepo"));
        let internal = HubLocation::new("nvidia/Cosmos-Experimental", "main", "7bbc8d06/model_ema_bf16.pt").unwrap();
        let error = server.hub(cache.path()).locate(&internal, on).unwrap_err();
        assert!(matches!(error, HubError::Internal { .. }), "{error}");
        assert!(error.to_string().contains("nvidia/Cosmos-Experimental"), "{error}");
    }
}

#[test]
fn offline_and_out_of_reach_are_two_things() {
    let cache = tempfile::tempdir().unwrap();
    let settings = HubSettings {
        endpoint: "http://127.0.0.1:1".to_owned(),
        token: None,
        cache: cache.path().to_path_buf(),
        is_offline: true,
    };
    let offline = settings.locate(&location("main"), on).unwrap_err();
    assert!(offline.to_string().contains("HF_HUB_OFFLINE"), "{offline}");
    let online = HubSettings {
        is_offline: false,
        ..settings
    };
    let unreachable = online.locate(&location("main"), on).unwrap_err();
    assert!(matches!(unreachable, HubError::Unreachable { .. }), "{unreachable}");
    assert!(unreachable.to_string().contains("http://127.0.0.1:1"), "{unreachable}");
}
