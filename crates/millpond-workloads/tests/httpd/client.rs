//! Servers for tests, and a client that says exactly what it is told to.

use millpond_workloads::httpd::{Heap, Limits, Memory, Pooled, Server};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

/// Nothing in these tests takes this long, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes of the file `/large.bin`.
pub(crate) const LARGE: usize = 3_000_000;

/// Limits short enough to wait for.
pub(crate) fn limits() -> Limits {
    Limits {
        connections: 256,
        idle: Duration::from_secs(10),
        ..Limits::default()
    }
}

/// A server with a few files of its own.
pub(crate) struct Site<M: Memory> {
    pub(crate) server: Server<M>,
    pub(crate) memory: M,
    pub(crate) directory: tempfile::TempDir,
}

impl Site<Pooled> {
    pub(crate) fn pooled(limits: Limits) -> Self {
        Self::new(Pooled::new(None).unwrap(), limits)
    }

    /// Stops the server; everything that it leased must be at home.
    pub(crate) fn check(mut self) {
        self.server.stop();
        assert_eq!(self.memory.outstanding(), 0);
    }
}

impl Site<Heap> {
    pub(crate) fn heap(limits: Limits) -> Self {
        Self::new(Heap::default(), limits)
    }
}

impl<M: Memory + Sync> Site<M> {
    pub(crate) fn new(memory: M, limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        files(directory.path());
        let any = "127.0.0.1:0".parse().unwrap();
        let server = Server::start(any, directory.path(), 2, limits, memory.clone()).unwrap();
        Self {
            server,
            memory,
            directory,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What the server says to `bytes` until it closes.
    pub(crate) fn talk(&self, bytes: &[u8]) -> Vec<Answer> {
        let mut stream = connect(self.address());
        stream.write_all(bytes).unwrap();
        answers(&hear(&mut stream))
    }

    /// The answer to one request, which is asked to be the last.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: us\r\nConnection: close\r\n{headers}\r\n");
        let mut stream = connect(self.address());
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let said = hear(&mut stream);
        if method == "HEAD" {
            return Answer::head(&said).0;
        }
        let mut answers = answers(&said);
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0)
    }
}

/// Files to be asked for.
fn files(root: &Path) {
    fs::write(root.join("small.txt"), "a small file\n").unwrap();
    fs::write(root.join("empty"), "").unwrap();
    fs::create_dir(root.join("folder")).unwrap();
    fs::write(root.join("folder/index.html"), "<p>index").unwrap();
    fs::write(root.join("medium.bin"), noise(40_000)).unwrap();
    fs::write(root.join("large.bin"), noise(LARGE)).unwrap();
}

/// Bytes without a pattern.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut dice = millpond_testing::Dice::new(bytes as u64);
    (0..bytes)
        .map(|_| dice.below(256).to_le_bytes()[0])
        .collect()
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Everything until the server closes, politely or not.
pub(crate) fn hear(stream: &mut TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the server neither answers nor closes: {error}"),
    }
    said
}

/// An answer, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The head at the front, and its length.
    pub(crate) fn head(said: &[u8]) -> (Self, usize) {
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(said).unwrap();
        assert!(parsed.is_complete(), "{:?}", String::from_utf8_lossy(said));
        let text = |bytes| String::from_utf8(Vec::from(bytes)).unwrap();
        let headers = response.headers.iter();
        let head = Self {
            code: response.code.unwrap(),
            // The date is that of now, which no two answers share.
            headers: headers
                .map(|header| (header.name.to_lowercase(), text(header.value)))
                .filter(|(name, _)| name != "date")
                .collect(),
            body: Vec::new(),
        };
        (head, parsed.unwrap())
    }
}

/// Answers one behind another.
pub(crate) fn answers(mut said: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !said.is_empty() {
        let (mut answer, head) = Answer::head(said);
        said = &said[head..];
        if answer.code >= 200 {
            let length: usize = answer.header("content-length").unwrap().parse().unwrap();
            assert!(length <= said.len(), "an answer was cut short");
            answer.body = said[..length].to_vec();
            said = &said[length..];
        }
        answers.push(answer);
    }
    answers
}

/// `body` in chunks of `size`.
pub(crate) fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in body.chunks(size.max(1)) {
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}
