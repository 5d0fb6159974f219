//! Archives: a directory as a tar file, the same bytes each time, compressed if asked.
//!
//! ```text
//!   ┌────────┬──────────┬────────┬──────────┬──   ──┬───────────────┐
//!   │ header │ contents │ header │ contents │  ...  │ zeros         │   blocks of 512
//!   └────────┴──────────┴────────┴──────────┴──   ──┴───────────────┘
//!    a name of more than 100 bytes is an entry of its own before
//! ```
//!
//! The layout of a header is crate `tar`'s. Its `Builder` writes the same bytes, but makes
//! strings of the numbers in each header, which are its only allocations; so the two
//! numbers that differ between files are written here, and contents are read to where
//! they are written from.

use super::batched::Batched;
use super::memory::{Memory, Purpose};
use crate::corpus;
use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io::{self, Error, ErrorKind, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;
use tar::{EntryType, GnuHeader, Header};

/// Headers take one block, contents and long names as many as they need.
const BLOCK: usize = 512;
const ZEROS: [u8; BLOCK] = [0; BLOCK];

/// From here on a size is not written in octal digits.
const HUGE: u64 = 1 << 33;

/// Writes `files`, which lie below `root`, as a tar archive; returns its writer.
///
/// Owner, mode and time are the same for all files, so that equal contents give
/// equal archives. `done` is told the bytes of each file. Warm pools allocate nothing.
///
/// # Errors
///
/// If a file cannot be read, or became shorter meanwhile, if its name has no place in an
/// archive (`..`), or if `out` cannot be written. Of a file that grows, the bytes are taken
/// that it had when it was opened.
pub fn tar<M: Memory, W: Write>(
    root: &Path,
    files: &[PathBuf],
    memory: &M,
    out: W,
    mut done: impl FnMut(u64),
) -> Result<W> {
    let mut out = Batched::new(memory.buffer(Purpose::Archive)?, out);
    for path in files {
        let named = || path.display().to_string();
        let file = File::open(path).with_context(named)?;
        let bytes = file.metadata().with_context(named)?.len();
        write_header(corpus::below(root, path), bytes, &mut out).with_context(named)?;
        out.copy(file, bytes).with_context(named)?;
        pad(bytes, &mut out)?;
        done(bytes);
    }
    // Two blocks of zeros are the end.
    out.write_all(&ZEROS)?;
    out.write_all(&ZEROS)?;
    out.flush()?;
    Ok(out.into_inner())
}

/// The header of a file, and before it the entry that names it if it has no room for that.
fn write_header(name: &Path, bytes: u64, out: &mut impl Write) -> io::Result<()> {
    let (mut header, mut length) = (header(EntryType::Regular, bytes), 0);
    for part in parts(name) {
        let part = part?;
        let field = &mut fields(&mut header).name;
        let begin = field.len().min(length);
        let end = field.len().min(length + part.len());
        field[begin..end].copy_from_slice(&part[..end - begin]);
        length += part.len();
    }
    let name_field = &mut fields(&mut header).name;
    if length > name_field.len() {
        // What stands in the header is for those who do not know long names.
        let whole = std::str::from_utf8(name_field).map_or_else(|cut| cut.valid_up_to(), str::len);
        name_field[whole..].fill(0);
        write_long(name, length as u64 + 1, out)?;
    }
    out.write_all(summed(&mut header).as_bytes())
}

/// A name of any length, with the zero byte that `length` counts too, as GNU tar has it.
fn write_long(name: &Path, length: u64, out: &mut impl Write) -> io::Result<()> {
    const NAME: &[u8] = b"././@LongLink";
    let mut header = header(EntryType::GNULongName, length);
    fields(&mut header).name[..NAME.len()].copy_from_slice(NAME);
    out.write_all(summed(&mut header).as_bytes())?;
    for part in parts(name) {
        out.write_all(part?)?;
    }
    out.write_all(&[0])?;
    pad(length, out)
}

/// The parts of a name with slashes between them, whatever the system writes there.
fn parts(name: &Path) -> impl Iterator<Item = io::Result<&[u8]>> {
    let parts = name.components().filter(|part| *part != Component::CurDir);
    parts.enumerate().flat_map(|(index, part)| {
        let slash = (index > 0).then_some(Ok(&b"/"[..]));
        let part = match part {
            Component::Normal(part) => Ok(part.as_encoded_bytes()),
            _ => Err(Error::new(
                ErrorKind::InvalidInput,
                "a name in an archive is relative, and has no `..`",
            )),
        };
        slash.into_iter().chain([part])
    })
}

/// What all headers begin as: the crate makes a string for the time in each new one.
static PLAIN: LazyLock<Header> = LazyLock::new(|| {
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
});

/// A header without a name.
fn header(kind: EntryType, bytes: u64) -> Header {
    let mut header = PLAIN.clone();
    header.set_entry_type(kind);
    if bytes < HUGE {
        octal(&mut fields(&mut header).size, bytes);
    } else {
        header.set_size(bytes);
    }
    header
}

fn fields(header: &mut Header) -> &mut GnuHeader {
    header.as_gnu_mut().expect("made as one of GNU's")
}

/// The header with its sum in it, which is that of a header with spaces in that place.
fn summed(header: &mut Header) -> &Header {
    fields(header).cksum.fill(b' ');
    let sum = header.as_bytes().iter().map(|byte| u64::from(*byte)).sum();
    octal(&mut fields(header).cksum, sum);
    header
}

/// Writes a number in octal digits, as many as there is room for, and a zero byte.
fn octal(field: &mut [u8], number: u64) {
    let (mut left, mut places) = (number, field.iter_mut().rev());
    places.next().into_iter().for_each(|end| *end = 0);
    for place in places {
        *place = b'0' + (left % 8) as u8;
        left /= 8;
    }
    debug_assert_eq!(left, 0, "{number} has more digits than its field");
}

/// Fills up the last block of so many bytes.
fn pad(bytes: u64, out: &mut impl Write) -> io::Result<()> {
    let rest = bytes.next_multiple_of(BLOCK as u64) - bytes;
    out.write_all(&ZEROS[..usize::try_from(rest).expect("less than a block")])
}

/// The same through gzip.
///
/// # Errors
///
/// As [`tar()`].
pub fn tar_gz<M: Memory, W: Write>(
    root: &Path,
    files: &[PathBuf],
    memory: &M,
    out: W,
    done: impl FnMut(u64),
) -> Result<W> {
    let compressed = GzEncoder::new(out, Compression::fast());
    Ok(tar(root, files, memory, compressed, done)?.finish()?)
}

#[cfg(test)]
mod tests {
    use super::super::memory::{Heap, Pooled};
    use super::*;
    use proptest::prelude::*;
    use tar::Builder;

    /// A header of crate `tar` with what we say of every file.
    fn theirs(bytes: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(bytes);
        header
    }

    fn check_header(name: &Path, bytes: u64) {
        let mut ours = Vec::new();
        write_header(name, bytes, &mut ours).unwrap();
        let mut builder = Builder::new(Vec::new());
        let contents = io::empty();
        builder
            .append_data(&mut theirs(bytes), name, contents)
            .unwrap();
        let theirs = builder.into_inner().unwrap();
        assert!(ours == theirs[..theirs.len() - 2 * BLOCK], "{name:?}");
    }

    #[test]
    fn sizes_of_any_magnitude_are_written_as_the_crate_writes_them() {
        for bytes in [0, 1, 511, 512, HUGE - 1, HUGE, HUGE + 1, u64::MAX >> 1] {
            check_header(Path::new("a/b"), bytes);
        }
    }

    #[test]
    fn names_of_any_length_are_written_as_the_crate_writes_them() {
        for length in [1, 98, 99, 100, 101, 254, 255, 511, 512, 513, 2_000] {
            check_header(Path::new(&"n".repeat(length)), 7);
            check_header(&Path::new("folder").join("n".repeat(length)), 7);
            // Cut in the middle of a sign.
            check_header(Path::new(&"ä€𝄞".repeat(length)), 7);
        }
        check_header(Path::new("./a//b/./c"), 7);
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_text_are_written_as_the_crate_writes_them() {
        use std::os::unix::ffi::OsStrExt;
        for length in [5, 99, 100, 150] {
            let mut name = vec![b'n'; length];
            name[length / 2] = 0xff;
            check_header(Path::new(std::ffi::OsStr::from_bytes(&name)), 7);
        }
    }

    #[test]
    fn names_that_lead_out_of_an_archive_are_refused_and_nothing_is_written() {
        let long = format!("{}/../a", "n".repeat(200));
        for name in ["/a", "../a", "a/../b", &long] {
            let mut out = Vec::new();
            let error = write_header(Path::new(name), 0, &mut out).unwrap_err();
            assert!(error.to_string().contains("relative"), "{error}");
            assert!(out.is_empty());
        }
    }

    #[test]
    fn a_file_that_became_shorter_or_longer_breaks_no_archive() {
        let mut out = Batched::new(vec![0; 8], Vec::new());
        out.copy(&b"twenty bytes of text"[..], 11).unwrap();
        let short = out.copy(&b"text"[..], 5).unwrap_err();
        assert_eq!(short.kind(), ErrorKind::UnexpectedEof);
        out.flush().unwrap();
        assert_eq!(out.into_inner(), b"twenty bytetext");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn archives_are_those_of_the_crate(
            tree in prop::collection::btree_map("[a-z]{1,90}(/[a-zäöü]{1,60}){0,3}x", 0_usize..2_000, 1..12),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let (mut files, mut builder) = (Vec::new(), Builder::new(Vec::new()));
            for (name, length) in &tree {
                let (path, contents) = (folder.path().join(name), vec![7; *length]);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                // A name may be the folder of another.
                if std::fs::write(&path, &contents).is_ok() {
                    let mut header = theirs(*length as u64);
                    builder.append_data(&mut header, name, &*contents).unwrap();
                    files.push(path);
                }
            }
            let theirs = builder.into_inner().unwrap();
            let ours = tar(folder.path(), &files, &Heap, Vec::new(), |_| ()).unwrap();
            prop_assert!(ours == theirs);
            let pools = Pooled::new().unwrap();
            let pooled = tar(folder.path(), &files, &pools, Vec::new(), |_| ()).unwrap();
            prop_assert!(pooled == theirs);
        }
    }
}
