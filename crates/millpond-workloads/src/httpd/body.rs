//! Where a body is in the bytes that come in: by length, or chunk by chunk.
//!
//! ```text
//!   Size ──▶ Data(n) ──▶ End ──▶ Size …        5\r\n hello \r\n 0\r\n \r\n
//!     └─ 0 ──▶ Trailer ──▶ Done
//! ```
//!
//! Nothing is read or written here: [`Body::step`] looks at bytes and says what
//! they are. Sizes and trailers are parsed by `httparse`; what it lets through and
//! other servers do not is refused, so that no two of them can disagree about
//! where a request ends.

use super::status::Status;

/// Longest line that says how long a chunk is.
const LONGEST_SIZE_LINE: usize = 256;

/// Most headers behind the last chunk.
const MOST_TRAILERS: usize = 16;

/// A body that is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunk),
}

/// Which part of a chunk comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// The line that says how long it is.
    Size,
    /// So many bytes of it.
    Data(u64),
    /// The end of the line behind it.
    End,
    /// Headers behind the last chunk, and an empty line.
    Trailer,
    /// Nothing: the body is complete.
    Done,
}

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many of them belong to the body.
    Data(usize),
    /// So many of them frame it.
    Framing(usize),
    /// It cannot be said before more have come.
    More,
    /// Not the body's: it is complete.
    Done,
}

impl Body {
    /// No body.
    pub const NONE: Self = Self::Length(0);

    /// Chunks, from the first on.
    pub const CHUNKED: Self = Self::Chunked(Chunk::Size);

    /// Looks at what has come and says what it begins with. The caller consumes
    /// what it is told of.
    ///
    /// # Errors
    ///
    /// If the framing is broken.
    pub fn step(&mut self, bytes: &[u8]) -> Result<Step, Status> {
        let chunk = match self {
            Self::Length(0) | Self::Chunked(Chunk::Done) => return Ok(Step::Done),
            _ if bytes.is_empty() => return Ok(Step::More),
            Self::Length(left) => return Ok(data(left, bytes)),
            Self::Chunked(chunk) => chunk,
        };
        match chunk {
            Chunk::Size => {
                let Some((line, size)) = size_line(bytes)? else {
                    return Ok(Step::More);
                };
                *chunk = match size {
                    0 => Chunk::Trailer,
                    _ => Chunk::Data(size),
                };
                Ok(Step::Framing(line))
            }
            Chunk::Data(left) => {
                let step = data(left, bytes);
                if *left == 0 {
                    *chunk = Chunk::End;
                }
                Ok(step)
            }
            Chunk::End => match bytes {
                [b'\r', b'\n', ..] => {
                    *chunk = Chunk::Size;
                    Ok(Step::Framing(2))
                }
                [b'\r'] => Ok(Step::More),
                _ => Err(Status::BAD_REQUEST),
            },
            Chunk::Trailer => {
                let mut headers = [httparse::EMPTY_HEADER; MOST_TRAILERS];
                match httparse::parse_headers(bytes, &mut headers) {
                    Ok(httparse::Status::Complete((end, _))) => {
                        *chunk = Chunk::Done;
                        Ok(Step::Framing(end))
                    }
                    Ok(httparse::Status::Partial) => Ok(Step::More),
                    Err(_) => Err(Status::BAD_REQUEST),
                }
            }
            Chunk::Done => Ok(Step::Done),
        }
    }
}

fn data(left: &mut u64, bytes: &[u8]) -> Step {
    let here = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
    *left -= here as u64;
    Step::Data(here)
}

/// The length of the line and of the chunk, if the line is complete.
fn size_line(bytes: &[u8]) -> Result<Option<(usize, u64)>, Status> {
    // `httparse` takes an empty line for a length of zero.
    if !bytes[0].is_ascii_hexdigit() {
        return Err(Status::BAD_REQUEST);
    }
    match httparse::parse_chunk_size(bytes) {
        // It also lets an extension go on behind a line feed, which others take
        // for the end of the line.
        Ok(httparse::Status::Complete((line, size)))
            if line <= LONGEST_SIZE_LINE && !bytes[..line - 2].contains(&b'\n') =>
        {
            Ok(Some((line, size)))
        }
        Ok(httparse::Status::Partial) if bytes.len() < LONGEST_SIZE_LINE => Ok(None),
        _ => Err(Status::BAD_REQUEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `bytes`, of which `piece` more come at a time.
    fn decode(mut body: Body, bytes: &[u8], piece: usize) -> Result<(Vec<u8>, usize), Status> {
        let (mut decoded, mut at, mut here) = (Vec::new(), 0, 0);
        loop {
            match body.step(&bytes[at..here])? {
                Step::Data(count) => {
                    decoded.extend_from_slice(&bytes[at..at + count]);
                    at += count;
                }
                Step::Framing(count) => at += count,
                Step::More if here == bytes.len() => return Err(Status::NO_MEMORY),
                Step::More => here = bytes.len().min(here + piece),
                Step::Done => return Ok((decoded, at)),
            }
        }
    }

    #[test]
    fn a_body_is_the_same_however_it_arrives() {
        let chunked = b"5\r\nhello\r\nA;name=value\r\n, chunks! \r\n0\r\nDigest: none\r\n\r\nGET";
        for piece in 1..chunked.len() {
            let decoded = decode(Body::CHUNKED, chunked, piece);
            assert_eq!(
                decoded,
                Ok((b"hello, chunks! ".to_vec(), chunked.len() - 3))
            );
            let decoded = decode(Body::Length(7), chunked, piece);
            assert_eq!(decoded, Ok((chunked[..7].to_vec(), 7)));
        }
        assert_eq!(decode(Body::NONE, b"GET", 1), Ok((vec![], 0)));
        assert_eq!(decode(Body::CHUNKED, b"0\r\n\r\n", 5), Ok((vec![], 5)));
    }

    proptest::proptest! {
        /// Whatever comes, in whatever pieces: no panic, nothing consumed that has not
        /// come, and the pieces make no difference.
        #[test]
        fn bytes_of_any_kind_are_framed_or_refused(
            bytes in "([0-9a-f]{1,2}(;[a-z]{0,3})?(\r\n|\n)|[a-z:\r\n]{0,9}|0\r\n\r\n){0,6}",
            piece in 1..40_usize,
        ) {
            let whole = decode(Body::CHUNKED, bytes.as_bytes(), bytes.len() + 1);
            proptest::prop_assert_eq!(decode(Body::CHUNKED, bytes.as_bytes(), piece), whole);
        }
    }

    #[test]
    fn broken_framing_is_refused_and_not_guessed_at() {
        let long = format!("5;{}\r\n", "x".repeat(LONGEST_SIZE_LINE));
        for broken in [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "0x5\r\nhello",
            "5 5\r\nhello",
            "5\nhello\r\n0\r\n\r\n",
            "5;a\nb\r\nhello\r\n0\r\n\r\n",
            "5\r\nhello!\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "11111111111111111\r\n",
            "0\r\nno colon\r\n\r\n",
            &long,
        ] {
            for piece in 1..=broken.len() {
                let decoded = decode(Body::CHUNKED, broken.as_bytes(), piece);
                assert_eq!(decoded, Err(Status::BAD_REQUEST), "{broken:?} by {piece}");
            }
        }
        // The longest chunk that can be said is no overflow.
        let mut body = Body::CHUNKED;
        assert_eq!(body.step(b"ffffffffffffffff\r\nab"), Ok(Step::Framing(18)));
        assert_eq!(body.step(b"ab"), Ok(Step::Data(2)));
        assert_eq!(body, Body::Chunked(Chunk::Data(u64::MAX - 2)));
    }
}
