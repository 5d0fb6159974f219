//! Files that are either the old ones or the new ones, never half of either.

use anyhow::{Context, Result};
use std::path::Path;

/// Writes `text` to `path` by way of a neighbour and a rename.
///
/// Ctrl-C at any moment leaves the previous file, or the new one.
///
/// # Errors
///
/// If the directory cannot be made or written to.
pub fn atomically(path: &Path, text: &str) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let partial = directory.join(format!(".{name}.partial"));
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(&partial, text))
        .and_then(|()| std::fs::rename(&partial, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_written_file_leaves_no_neighbour() {
        let directory = std::env::temp_dir().join(format!("millpond-write-{}", std::process::id()));
        let path = directory.join("report.md");
        super::atomically(&path, "first").unwrap();
        super::atomically(&path, "second").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "second");
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
