//! The demo application: the resident records of a civil-affairs bureau, in JSON, over plain HTTP.
//!
//! It checks nobody: that is the gateway's work. It shows what the gateway told it about the client, and remembers every
//! request that reached it, so that the self-test can prove what did not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use http::{HeaderMap, Method, Response, StatusCode, header};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use serde::Serialize;

/// The application.
#[derive(Debug)]
pub(super) struct Bureau {
    records: Mutex<BTreeMap<u32, Resident>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request that reached the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Every header that speaks of the gateway in any spelling, as it came.
    pub(super) headers: Vec<(String, String)>,
}

impl Seen {
    /// The value of `X-Hangu-Request-Id`.
    pub(super) fn request_id(&self) -> Option<&str> {
        let mut found = self.headers.iter();
        found
            .find(|(name, _)| name == "x-hangu-request-id")
            .map(|(_, value)| value.as_str())
    }
}

#[derive(Clone, Debug, Serialize)]
struct Resident {
    name: &'static str,
    born: &'static str,
    address: &'static str,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Reply<T: Serialize> {
    #[serde(flatten)]
    content: T,
    headers_from_the_gateway: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Content {
    Statistics {
        residents: usize,
        notes: usize,
    },
    Resident {
        id: u32,
        #[serde(flatten)]
        record: Resident,
    },
    Certificate {
        resident: u32,
        lives_in_this_district: bool,
    },
    NoteAdded {
        resident: u32,
        notes: usize,
    },
    Deleted {
        resident: u32,
    },
    Problem(&'static str),
}

impl Bureau {
    /// With three residents. `seen` gets every request.
    pub(super) fn new(seen: Arc<Mutex<Vec<Seen>>>) -> Self {
        let resident = |name, born, address| Resident {
            name,
            born,
            address,
            notes: Vec::new(),
        };
        Self {
            records: Mutex::new(BTreeMap::from([
                (
                    1024,
                    resident("Zhang Wei", "1987-03-12", "12 Lane 4, Hangu Road"),
                ),
                (
                    1025,
                    resident("Zhao Min", "1992-11-02", "3 East Gate Street"),
                ),
                (
                    9001,
                    resident("(protected person)", "1990-01-01", "(sealed)"),
                ),
            ])),
            seen,
        }
    }

    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> (StatusCode, Content) {
        let mut parts = path.split('/').skip(1);
        let (kind, id, rest) = (parts.next(), parts.next(), parts.next());
        let id = id.and_then(|id| id.parse().ok());
        match (method.as_str(), kind, id, rest) {
            ("GET", Some("statistics"), None, None) => self.statistics(),
            ("GET", Some("residents"), Some(id), None) => self.resident(id),
            ("DELETE", Some("residents"), Some(id), None) => self.delete(id),
            ("POST", Some("residents"), Some(id), Some("notes")) => self.add_note(id, body),
            ("GET", Some("certificates"), Some(id), None) => self.certificate(id),
            _ => (
                StatusCode::NOT_FOUND,
                Content::Problem("there is nothing here"),
            ),
        }
    }

    fn statistics(&self) -> (StatusCode, Content) {
        let records = lock(&self.records);
        let notes = records.values().map(|record| record.notes.len()).sum();
        let residents = records.len();
        (StatusCode::OK, Content::Statistics { residents, notes })
    }

    fn resident(&self, id: u32) -> (StatusCode, Content) {
        match lock(&self.records).get(&id) {
            Some(record) => (
                StatusCode::OK,
                Content::Resident {
                    id,
                    record: record.clone(),
                },
            ),
            None => NOBODY,
        }
    }

    fn certificate(&self, id: u32) -> (StatusCode, Content) {
        let certificate = Content::Certificate {
            resident: id,
            lives_in_this_district: lock(&self.records).contains_key(&id),
        };
        (StatusCode::OK, certificate)
    }

    fn add_note(&self, id: u32, body: &[u8]) -> (StatusCode, Content) {
        let mut records = lock(&self.records);
        let Some(record) = records.get_mut(&id) else {
            return NOBODY;
        };
        if record.notes.len() >= NOTES_MAX {
            return (
                StatusCode::CONFLICT,
                Content::Problem("this record can hold no more notes"),
            );
        }
        record
            .notes
            .push(String::from_utf8_lossy(body).into_owned());
        let notes = record.notes.len();
        (
            StatusCode::CREATED,
            Content::NoteAdded {
                resident: id,
                notes,
            },
        )
    }

    fn delete(&self, id: u32) -> (StatusCode, Content) {
        match lock(&self.records).remove(&id) {
            Some(_) => (StatusCode::OK, Content::Deleted { resident: id }),
            None => NOBODY,
        }
    }

    fn note(&self, headers: &HeaderMap) -> BTreeMap<String, String> {
        let text =
            |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let about_the_gateway: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), text(value)))
            .filter(|(name, _)| {
                let folded = name.replace('_', "-");
                folded.starts_with("x-hangu-") || SHOWN.contains(&folded.as_str())
            })
            .collect();
        let mut seen = lock(&self.seen);
        if seen.len() < SEEN_MAX {
            seen.push(Seen {
                headers: about_the_gateway.clone(),
            });
        }
        about_the_gateway.into_iter().collect()
    }
}

#[async_trait]
impl ServeHttp for Bureau {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            match session.read_request_body().await {
                Ok(Some(bytes)) if body.len() + bytes.len() <= NOTE_BYTES_MAX => {
                    body.extend_from_slice(&bytes);
                }
                Ok(Some(_)) => {
                    let problem = Content::Problem("a note has at most 4096 bytes");
                    return json(StatusCode::PAYLOAD_TOO_LARGE, &problem);
                }
                Ok(None) => break,
                Err(_) => {
                    let problem = Content::Problem("the note did not arrive whole");
                    return json(StatusCode::BAD_REQUEST, &problem);
                }
            }
        }
        let request = session.req_header();
        let headers_from_the_gateway = self.note(&request.headers);
        let (status, content) = self.answer(&request.method, request.uri.path(), &body);
        let reply = Reply {
            content,
            headers_from_the_gateway,
        };
        json(status, &reply)
    }
}

fn json(status: StatusCode, content: &impl Serialize) -> Response<Vec<u8>> {
    let mut body = serde_json::to_vec_pretty(content).unwrap_or_default();
    body.push(b'\n');
    let length = body.len();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CONTENT_LENGTH, length.into());
    response
}

/// A panic while the lock was held leaves a map that is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const NOBODY: (StatusCode, Content) = (
    StatusCode::NOT_FOUND,
    Content::Problem("there is no such resident"),
);
/// What else the gateway says about the client, beside `X-Hangu-…`.
const SHOWN: &[&str] = &["x-client-organisation", "x-forwarded-for", "forwarded"];
const NOTES_MAX: usize = 100;
const NOTE_BYTES_MAX: usize = 4096;
/// More than a self-test sends; a long demonstration forgets what comes later.
const SEEN_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn bureau() -> Bureau {
        Bureau::new(Arc::default())
    }

    #[test]
    fn each_route_answers_as_a_records_service_would() {
        let bureau = bureau();
        for (method, path, status) in [
            (Method::GET, "/statistics", 200),
            (Method::GET, "/residents/1024", 200),
            (Method::GET, "/residents/7", 404),
            (Method::POST, "/residents/1024/notes", 201),
            (Method::GET, "/certificates/1024", 200),
            (Method::GET, "/payroll", 404),
            (Method::DELETE, "/residents/1024", 200),
            (Method::GET, "/residents/1024", 404),
        ] {
            let (got, _) = bureau.answer(&method, path, b"note");
            assert_eq!(got.as_u16(), status, "{method} {path}");
        }
    }

    #[test]
    fn every_spelling_of_a_gateway_header_is_remembered() {
        let bureau = bureau();
        let mut headers = HeaderMap::new();
        headers.insert("x-hangu-subject", "li".parse().unwrap());
        headers.insert("x_hangu_subject", "mayor".parse().unwrap());
        headers.insert("accept", "*/*".parse().unwrap());
        bureau.note(&headers);
        let seen = lock(&bureau.seen);
        let names: Vec<_> = seen[0]
            .headers
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["x-hangu-subject", "x_hangu_subject"]);
    }
}
