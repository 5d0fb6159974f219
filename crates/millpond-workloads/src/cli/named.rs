//! Writers whose errors say what could not be written.

use anyhow::{Context, Result};
use std::fs::File;
use std::io::{self, BufWriter, StdoutLock, Write};
use std::path::Path;

/// A writer whose errors begin with its name.
#[derive(Debug)]
pub struct Named<W> {
    name: String,
    writer: W,
}

impl<W> Named<W> {
    fn named<T>(&self, result: io::Result<T>) -> io::Result<T> {
        let name = &self.name;
        result.map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))
    }
}

impl<W: Write> Write for Named<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(bytes);
        self.named(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.writer.flush();
        self.named(flushed)
    }
}

/// Standard output, which is written when the buffer is full or flushed.
#[must_use]
pub fn output() -> BufWriter<Named<StdoutLock<'static>>> {
    BufWriter::new(Named {
        name: "standard output".into(),
        writer: io::stdout().lock(),
    })
}

/// A new file in place of whatever `path` named.
///
/// # Errors
///
/// If it cannot be made; the error names it.
pub fn create(path: &Path) -> Result<Named<File>> {
    let name = path.display().to_string();
    let writer = File::create(path).with_context(|| name.clone())?;
    Ok(Named { name, writer })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_no_file_to_write_and_is_named() {
        let error = create(Path::new("/")).unwrap_err();
        assert!(format!("{error:#}").starts_with("/: "), "{error:#}");
    }

    #[test]
    fn errors_keep_their_kind_and_get_a_name() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let name = "the pipe".to_owned();
        let mut named = Named {
            name,
            writer: Closed,
        };
        let error = named.write_all(b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert!(error.to_string().starts_with("the pipe: "), "{error}");
        named.flush().unwrap();
    }
}
