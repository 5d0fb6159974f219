//! Heads of requests, parsed by `httparse` where they lie.

use super::body::Body;
use super::status::Status;
use std::mem::MaybeUninit;

/// Most headers of a request.
const MOST_HEADERS: usize = 64;

/// What a request asks, borrowed from the buffer that it lies in.
#[derive(Debug)]
pub struct Head<'b> {
    /// Its bytes, the empty line at its end included.
    pub bytes: usize,
    /// The method.
    pub method: Method,
    /// The path, without the query; percent signs as they came.
    pub path: &'b str,
    /// What follows it.
    pub body: Body,
    /// Whether the connection outlives it, as far as the client is concerned.
    pub keep_alive: bool,
    /// Whether the client waits for a word before it sends the body.
    pub expects_continue: bool,
    /// What the client would like to get.
    pub accept: Option<&'b str>,
}

/// The methods that there are answers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`.
    Get,
    /// `HEAD`.
    Head,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// Another one.
    Other,
}

impl<'b> Head<'b> {
    /// Parses the head at the front of `bytes`, or answers `None` if it is not
    /// complete yet.
    ///
    /// # Errors
    ///
    /// If it is malformed, says two things about its body, or is longer than `limit`.
    pub fn parse(bytes: &'b [u8], limit: usize) -> Result<Option<Self>, Status> {
        let mut headers = [MaybeUninit::uninit(); MOST_HEADERS];
        let mut request = httparse::Request::new(&mut []);
        let end = match request.parse_with_uninit_headers(bytes, &mut headers) {
            Ok(httparse::Status::Complete(end)) if end <= limit => end,
            Ok(httparse::Status::Partial) if bytes.len() < limit => return Ok(None),
            Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Status::HEAD_TOO_LARGE),
            Err(httparse::Error::Version) => return Err(Status::NO_VERSION),
            Err(_) => return Err(Status::BAD_REQUEST),
        };
        let (Some(method), Some(target)) = (request.method, request.path) else {
            return Err(Status::BAD_REQUEST);
        };
        let mut head = Self {
            bytes: end,
            method: Method::of(method),
            path: path_of(target),
            body: Body::NONE,
            keep_alive: request.version == Some(1),
            expects_continue: false,
            accept: None,
        };
        head.read(request.headers, request.version == Some(1))?;
        Ok(Some(head))
    }

    fn read(&mut self, headers: &[httparse::Header<'b>], is_1_1: bool) -> Result<(), Status> {
        let (mut hosts, mut lengths, mut codings) = (0, 0, 0);
        for header in headers {
            let (name, value) = (header.name, header.value.trim_ascii());
            if name.eq_ignore_ascii_case("host") {
                hosts += 1;
            } else if name.eq_ignore_ascii_case("connection") {
                self.keep_alive = connection(value, self.keep_alive);
            } else if name.eq_ignore_ascii_case("content-length") {
                lengths += 1;
                self.body = Body::Length(length(value)?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                codings += 1;
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Status::NOT_IMPLEMENTED);
                }
                self.body = Body::CHUNKED;
            } else if name.eq_ignore_ascii_case("expect") {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Status::EXPECTATION);
                }
                self.expects_continue = is_1_1;
            } else if name.eq_ignore_ascii_case("accept") {
                self.accept = std::str::from_utf8(value).ok();
            }
        }
        // Who says two things about where a request ends wants two servers to
        // disagree about it.
        if lengths + codings > 1 || (codings == 1 && !is_1_1) || hosts > 1 || (is_1_1 && hosts == 0)
        {
            return Err(Status::BAD_REQUEST);
        }
        Ok(())
    }
}

impl Method {
    fn of(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            _ => Self::Other,
        }
    }
}

/// The path of a target, which a client may also send as it would to a proxy, with scheme
/// and host.
fn path_of(target: &str) -> &str {
    let after = |scheme: &str| {
        let begins = target.get(..scheme.len())?.eq_ignore_ascii_case(scheme);
        let authority = begins.then(|| &target[scheme.len()..])?;
        let end = authority.find(['/', '?', '#']).unwrap_or(authority.len());
        Some(&authority[end..])
    };
    let local = after("http://").or_else(|| after("https://"));
    match local.unwrap_or(target).split(['?', '#']).next() {
        None | Some("") => "/",
        Some(path) => path,
    }
}

/// Digits, and nothing but digits.
fn length(value: &[u8]) -> Result<u64, Status> {
    let digits = value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| digits);
    text.and_then(|text| text.parse().ok())
        .ok_or(Status::BAD_REQUEST)
}

fn connection(value: &[u8], otherwise: bool) -> bool {
    let options = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let says = |option: &[u8]| {
        let mut options = options.clone();
        options.any(|said| said.eq_ignore_ascii_case(option))
    };
    if says(b"close") {
        false
    } else {
        says(b"keep-alive") || otherwise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<Head<'_>>, Status> {
        Head::parse(text.as_bytes(), 1_000)
    }

    #[test]
    fn a_head_is_read_once_it_is_complete() {
        let text = "PUT /a%20b?c=d HTTP/1.1\r\nHost: us\r\nContent-Length: 12\r\n\
                    Expect: 100-Continue\r\nAccept: */*\r\n\r\n";
        for end in 0..text.len() {
            assert!(parse(&text[..end]).unwrap().is_none());
        }
        let head = parse(text).unwrap().unwrap();
        assert_eq!((head.bytes, head.path), (text.len(), "/a%20b"));
        assert_eq!((head.method, head.body), (Method::Put, Body::Length(12)));
        assert!(head.keep_alive && head.expects_continue);
        assert_eq!(head.accept, Some("*/*"));
    }

    #[test]
    fn targets_lead_to_the_same_path_with_and_without_a_host() {
        for (target, path) in [
            ("/", "/"),
            ("/a/b?c=/d", "/a/b"),
            ("/a#b", "/a"),
            ("*", "*"),
            ("http://us/a/b?c", "/a/b"),
            ("HTTPS://us:8080/a", "/a"),
            ("http://us", "/"),
            ("http://us?c", "/"),
            ("http:/a", "http:/a"),
            ("httpé://a", "httpé://a"),
        ] {
            assert_eq!(path_of(target), path, "{target}");
        }
    }

    #[test]
    fn the_connection_is_kept_as_version_and_header_say() {
        for (version, header, kept) in [
            ("1.1", "", true),
            ("1.1", "Connection: Close\r\n", false),
            ("1.1", "Connection: upgrade, close\r\n", false),
            ("1.0", "", false),
            ("1.0", "Connection: keep-alive\r\n", true),
            ("1.0", "Connection: keep-alive, close\r\n", false),
        ] {
            let text = format!("GET / HTTP/{version}\r\nHost: us\r\n{header}\r\n");
            assert_eq!(parse(&text).unwrap().unwrap().keep_alive, kept, "{text:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_head_is_said() {
        let of = |line: &str, headers: &str| {
            let text = format!("{line}\r\n{headers}\r\n");
            parse(&text).map(|head| head.map(|head| head.bytes))
        };
        let get = "GET / HTTP/1.1";
        let host = "Host: us\r\n";
        for headers in [
            "",
            "Host: a\r\nHost: b\r\n",
            "Host : a\r\n",
            "Host: a\r\n folded\r\n",
            "Host: a\r\nContent-Length: +1\r\n",
            "Host: a\r\nContent-Length: 1, 1\r\n",
            "Host: a\r\nContent-Length: \r\n",
            "Host: a\r\nContent-Length: 18446744073709551616\r\n",
            "Host: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
            "Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Host: a\r\nna\0me: a\r\n",
        ] {
            assert_eq!(of(get, headers), Err(Status::BAD_REQUEST), "{headers:?}");
        }
        for (line, headers, status) in [
            ("GET /", host, Status::BAD_REQUEST),
            ("GET / HTTP/2.0", host, Status::NO_VERSION),
            ("G\x01T / HTTP/1.1", host, Status::BAD_REQUEST),
            (
                "GET / HTTP/1.0",
                "Transfer-Encoding: chunked\r\n",
                Status::BAD_REQUEST,
            ),
            (
                get,
                "Host: a\r\nTransfer-Encoding: gzip, chunked\r\n",
                Status::NOT_IMPLEMENTED,
            ),
            (get, "Host: a\r\nExpect: wine\r\n", Status::EXPECTATION),
            (get, &"A: b\r\n".repeat(65), Status::HEAD_TOO_LARGE),
            (
                get,
                &format!("A: {}\r\n", "b".repeat(1_000)),
                Status::HEAD_TOO_LARGE,
            ),
        ] {
            assert_eq!(of(line, headers), Err(status), "{line:?} {headers:?}");
        }
        let endless = format!("GET /{}", "a".repeat(1_000));
        assert_eq!(parse(&endless).unwrap_err(), Status::HEAD_TOO_LARGE);
    }
}
