//! Small writes that go out together.

use std::io::{self, ErrorKind, Read, Write};
use std::ops::DerefMut;

/// Collects small writes in a buffer. What waits is lost unless it is flushed.
pub(super) struct Batched<B, W: Write> {
    buffer: B,
    length: usize,
    out: W,
}

impl<B: DerefMut<Target = [u8]>, W: Write> Batched<B, W> {
    /// Writes to `out`, whenever `buffer` is full.
    pub(super) fn new(buffer: B, out: W) -> Self {
        Self {
            buffer,
            length: 0,
            out,
        }
    }

    /// Writes `bytes` bytes of `from`, read to where they wait.
    ///
    /// # Errors
    ///
    /// If `from` ends before, or cannot be read, or what waits not be written.
    pub(super) fn copy(&mut self, mut from: impl Read, bytes: u64) -> io::Result<()> {
        let mut left = bytes;
        while left > 0 {
            if self.length == self.buffer.len() {
                self.flush()?;
            }
            let room = &mut self.buffer[self.length..];
            let wanted = usize::try_from(left).map_or(room.len(), |left| room.len().min(left));
            match from.read(&mut room[..wanted]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => {
                    self.length += length;
                    left -= length as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What is written to.
    pub(super) fn into_inner(self) -> W {
        self.out
    }
}

impl<B: DerefMut<Target = [u8]>, W: Write> Write for Batched<B, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.length == self.buffer.len() {
            self.flush()?;
        }
        let room = &mut self.buffer[self.length..];
        let length = bytes.len().min(room.len());
        room[..length].copy_from_slice(&bytes[..length]);
        self.length += length;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer[..self.length])?;
        self.length = 0;
        Ok(())
    }
}
