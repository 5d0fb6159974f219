//! Buffers and views as readers and writers, and what collects bytes.
//!
//! Whoever wants to seek takes a cursor: `Cursor<PoolBytes>` and `Cursor<PoolBuf>`
//! read and seek, `Cursor<&mut [u8]>` over the contents writes as well.
//!
//! ```
//! use std::io::{Cursor, Read, Seek, SeekFrom, Write};
//!
//! let mut buffer = millpond_bytes::acquire_zeroed(12)?;
//! let mut cursor = Cursor::new(&mut buffer[..]);
//! cursor.seek(SeekFrom::Start(8))?;
//! cursor.write_all(b"tail")?;
//! let mut cursor = Cursor::new(buffer.freeze());
//! cursor.seek(SeekFrom::End(-4))?;
//! let mut tail = String::new();
//! cursor.read_to_string(&mut tail)?;
//! assert_eq!(tail, "tail");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::buf::{Full, PoolBuf};
use crate::origin::Origin;
use crate::view::PoolBytes;
use std::io::{self, BufRead, IoSlice, Read, Write};

/// Appends what fits, as a slice does; `write_all` of more is `WriteZero`.
impl<O: Origin> Write for PoolBuf<O> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let fits = data.len().min(self.spare());
        self.extend_from_slice(&data[..fits])?;
        Ok(fits)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let before = self.len();
        for slice in slices {
            if self.write(slice)? < slice.len() {
                break;
            }
        }
        Ok(self.len() - before)
    }

    fn write_all(&mut self, data: &[u8]) -> io::Result<()> {
        if data.len() > self.spare() {
            // As for a slice, what fits is written.
            self.write(data)?;
            let spare = self.spare();
            let needed = data.len();
            return Err(Full { needed, spare }.into());
        }
        Ok(self.extend_from_slice(data)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Consumes the contents from the front.
impl<O: Origin> Read for PoolBuf<O> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = into.len().min(self.len());
        into[..count].copy_from_slice(&self[..count]);
        self.consume_front(count);
        Ok(count)
    }
}

impl<O: Origin> BufRead for PoolBuf<O> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self)
    }

    fn consume(&mut self, count: usize) {
        self.consume_front(count);
    }
}

/// Consumes the view from the front; the buffer stays as it is.
impl<O: Origin> Read for PoolBytes<O> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = into.len().min(self.len());
        into[..count].copy_from_slice(&self[..count]);
        self.consume_front(count);
        Ok(count)
    }
}

impl<O: Origin> BufRead for PoolBytes<O> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self)
    }

    fn consume(&mut self, count: usize) {
        self.consume_front(count);
    }
}
