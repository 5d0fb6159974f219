//! Many documents in one file: the dictionary, then each document with its digest.
//!
//! ```text
//!  "millpond glyphs 1\n"   dictionary   { length of path, path, length, digest, codes }*
//! ```

use super::dictionary::Dictionary;
use super::memory::Memory;
use super::{Decoder, Encoder, FormatError, varint};
use crate::corpus::Document;
use anyhow::{Context, Result, ensure};
use std::io::Write;

const MAGIC: &[u8] = b"millpond glyphs 1\n";
/// Bytes of a digest: enough to notice a damage.
const DIGEST: usize = 8;

/// What was packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// Documents.
    pub documents: usize,
    /// Bytes of their texts.
    pub text_bytes: usize,
    /// Bytes of the archive.
    pub archive_bytes: usize,
}

/// Learns a dictionary from `documents` and encodes all of them with one encoder.
///
/// `done` is told the bytes of each text.
///
/// # Errors
///
/// If `out` cannot be written or there is no memory.
pub fn pack<M: Memory>(
    documents: &[Document],
    memory: &M,
    out: &mut impl Write,
    done: impl FnMut(u64),
) -> Result<Packed> {
    let dictionary = Dictionary::learn(documents.iter().map(|document| &*document.text));
    pack_with(&dictionary, documents, memory, out, done)
}

/// The same with a dictionary that is known already, from an earlier batch: learning
/// takes most of the time of [`pack`].
///
/// # Errors
///
/// As [`pack`].
pub fn pack_with<M: Memory>(
    dictionary: &Dictionary,
    documents: &[Document],
    memory: &M,
    out: &mut impl Write,
    mut done: impl FnMut(u64),
) -> Result<Packed> {
    let mut head = MAGIC.to_vec();
    dictionary.write(&mut head);
    out.write_all(&head)?;
    let mut packed = Packed {
        archive_bytes: head.len(),
        ..Packed::default()
    };
    let (mut encoder, mut pages) = (Encoder::new(dictionary, memory), Vec::new());
    for Document { path, text } in documents {
        encoder.encode(text, &mut pages)?;
        let length: usize = pages.iter().map(|page| page.len()).sum();
        head.clear();
        varint::write(&mut head, path.len() as u64);
        head.extend_from_slice(path.as_bytes());
        varint::write(&mut head, length as u64);
        head.extend_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..DIGEST]);
        out.write_all(&head)?;
        pages.drain(..).try_for_each(|page| out.write_all(&page))?;
        packed.documents += 1;
        packed.text_bytes += text.len();
        packed.archive_bytes += head.len() + length;
        done(text.len() as u64);
    }
    Ok(packed)
}

/// Decodes an archive; `each` is handed every document, and where in the archive it
/// ends.
///
/// # Errors
///
/// If the archive is none, is damaged (what, and at which byte), or `each` fails.
pub fn unpack<M: Memory>(
    archive: &[u8],
    memory: &M,
    mut each: impl FnMut(Document, usize) -> Result<()>,
) -> Result<()> {
    let begin = MAGIC.len();
    ensure!(
        archive.starts_with(MAGIC),
        "byte 0: this is no archive of glyphs"
    );
    let (dictionary, length) = Dictionary::read(&archive[begin..]).context("the dictionary")?;
    let (mut decoder, mut text) = (Decoder::new(&dictionary, memory), Vec::new());
    let mut at = begin + length;
    while at < archive.len() {
        let (path, next) = field(archive, at)?;
        let path = String::from_utf8_lossy(path).into_owned();
        let (length, codes) = varint::read(archive, next)?;
        let (digest, codes) = part(archive, codes, DIGEST as u64)?;
        let (codes, end) = part(archive, codes, length)?;
        decoder
            .decode(codes, &mut text)
            .with_context(|| path.clone())?;
        let found = blake3::hash(&text);
        ensure!(
            found.as_bytes()[..DIGEST] == *digest,
            "{path}: the digest differs"
        );
        let text = String::from_utf8(text.clone()).with_context(|| path.clone())?;
        each(Document { path, text }, end)?;
        at = end;
    }
    Ok(())
}

fn field(archive: &[u8], at: usize) -> Result<(&[u8], usize), FormatError> {
    let (length, begin) = varint::read(archive, at)?;
    part(archive, begin, length)
}

fn part(archive: &[u8], at: usize, length: u64) -> Result<(&[u8], usize), FormatError> {
    let end = usize::try_from(length)
        .ok()
        .and_then(|length| at.checked_add(length));
    let bytes = end.and_then(|end| Some((archive.get(at..end)?, end)));
    bytes.ok_or(FormatError {
        at,
        what: "the archive is cut off",
    })
}
