//! Files below a directory, and nothing above it.
//!
//! A path is walked name by name, each opened in the directory before it, and no
//! link is followed. So no name, however it is spelled, leads out of the root, not
//! even while somebody moves directories about.

use super::status::Status;
use arrayvec::ArrayVec;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use std::path::Path;

/// Longest path, in bytes, once it is decoded.
const LONGEST_PATH: usize = 1_024;

/// What stands for a directory.
const INDEX: &[u8] = b"index.html";

/// A file that was found, open.
#[derive(Debug)]
pub struct Found {
    /// The file.
    pub file: OwnedFd,
    /// Bytes that it had when it was opened.
    pub bytes: u64,
    /// Its media type, by its name.
    pub kind: &'static str,
}

/// The directory whose files are served.
#[derive(Debug)]
pub struct Root(OwnedFd);

impl Root {
    /// Opens the directory.
    ///
    /// # Errors
    ///
    /// If it is none, or may not be read.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(openat(CWD, path, flags, Mode::empty())?))
    }

    /// Opens the file that the path of a request names.
    ///
    /// # Errors
    ///
    /// If there is no such file, or none can be opened at the moment.
    pub fn find(&self, path: &str) -> Result<Found, Status> {
        let path = decode(path)?;
        let names = path
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty() && *name != b".");
        let (mut place, mut last) = (None::<OwnedFd>, &b""[..]);
        for name in names {
            place = Some(open_in(self.or(place.as_ref()), name)?);
            last = name;
        }
        let mut stat = fstat(self.or(place.as_ref())).map_err(status)?;
        if FileType::from_raw_mode(stat.st_mode).is_dir() {
            let index = open_in(self.or(place.as_ref()), INDEX)?;
            stat = fstat(&index).map_err(status)?;
            (place, last) = (Some(index), INDEX);
        }
        let is_file = FileType::from_raw_mode(stat.st_mode).is_file();
        let file = place.filter(|_| is_file).ok_or(Status::NOT_FOUND)?;
        let bytes = u64::try_from(stat.st_size).map_err(|_| Status::NOT_FOUND)?;
        let kind = kind(last);
        Ok(Found { file, bytes, kind })
    }

    fn or<'a>(&'a self, place: Option<&'a OwnedFd>) -> BorrowedFd<'a> {
        place.unwrap_or(&self.0).as_fd()
    }
}

fn open_in(directory: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Status> {
    if name == b".." || name.contains(&0) {
        return Err(Status::NOT_FOUND);
    }
    // Without NONBLOCK, opening a pipe would wait for somebody who writes.
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    openat(directory, name, flags, Mode::empty()).map_err(status)
}

fn status(error: Errno) -> Status {
    match error {
        Errno::MFILE | Errno::NFILE | Errno::NOMEM => Status::NO_MEMORY,
        Errno::IO => Status::FAILED,
        _ => Status::NOT_FOUND,
    }
}

fn decode(path: &str) -> Result<ArrayVec<u8, LONGEST_PATH>, Status> {
    let mut decoded = ArrayVec::new();
    for byte in percent_encoding::percent_decode_str(path) {
        decoded.try_push(byte).map_err(|_| Status::NOT_FOUND)?;
    }
    Ok(decoded)
}

/// The media type of a file by the end of its name.
fn kind(name: &[u8]) -> &'static str {
    let end = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    match end {
        b"html" | b"htm" => "text/html; charset=utf-8",
        b"css" => "text/css",
        b"js" => "text/javascript",
        b"json" => "application/json",
        b"svg" => "image/svg+xml",
        b"png" => "image/png",
        b"txt" | b"md" | b"rs" | b"toml" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_files_below_the_root_are_found() {
        let outside = tempfile::tempdir().unwrap();
        let root = outside.path().join("root");
        fs::create_dir_all(root.join("a b/c")).unwrap();
        fs::write(outside.path().join("secret"), "no").unwrap();
        fs::write(root.join("a b/c/d.txt"), "found").unwrap();
        fs::write(root.join("a b/index.html"), "index").unwrap();
        fs::write(root.join("secret"), "another").unwrap();
        symlink(outside.path().join("secret"), root.join("link")).unwrap();
        symlink(outside.path(), root.join("up")).unwrap();
        symlink(root.join("secret"), root.join("inside")).unwrap();
        rustix::fs::mknodat(
            CWD,
            root.join("pipe"),
            FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let files = Root::open(&root).unwrap();

        for (path, bytes) in [
            ("/a%20b/c/d.txt", 5),
            ("//a b/.//c/%64.txt", 5),
            ("/a%20b", 5),
            ("/a%20b/", 5),
            ("/secret", 7),
        ] {
            assert_eq!(
                files.find(path).map(|found| found.bytes),
                Ok(bytes),
                "{path}"
            );
        }
        assert_eq!(files.find("/a b/c/d.txt").unwrap().kind, kind(b"x.txt"));
        for path in [
            "/",
            "/none",
            "/a b/c",
            "/secret/more",
            "/../secret",
            "/a b/../secret",
            "/..",
            "/%2e%2e/secret",
            "/.%2E/secret",
            "/a b/%2e%2e/%2e%2e/secret",
            "/..%2fsecret",
            "/..%00/secret",
            "/secret%00.txt",
            "/link",
            "/up/secret",
            "/inside",
            "/pipe",
            "/%",
            &format!("/{}", "a".repeat(LONGEST_PATH)),
            &format!("/{}", "a/".repeat(400)),
        ] {
            assert_eq!(
                files.find(path).map(|found| found.bytes),
                Err(Status::NOT_FOUND),
                "{path}"
            );
        }
    }
}
