//! Buffers as readers and writers.

use crate::buf::PoolBuf;
use crate::origin::Origin;
use std::io::{self, BufRead, Read, Write};

/// Appends what fits, as a slice does; `write_all` of more is `WriteZero`.
impl<O: Origin> Write for PoolBuf<O> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let fits = data.len().min(self.spare());
        self.extend_from_slice(&data[..fits])?;
        Ok(fits)
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
