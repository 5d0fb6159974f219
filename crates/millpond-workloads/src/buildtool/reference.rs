//! Image references: `[registry/]repository[:tag][@digest]`, read and written in full.

use super::memory::Memory;
use anyhow::{Result, ensure};
use std::fmt::Write;

/// The parts of a reference, borrowed from what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// The host, `docker.io` if none was named.
    pub registry: &'a str,
    /// The repository; one without a folder lies in `library`.
    pub repository: &'a str,
    /// The tag; `latest` if neither tag nor digest was named.
    pub tag: Option<&'a str>,
    /// The digest, as in `sha256:…`.
    pub digest: Option<&'a str>,
}

const HUB: &str = "docker.io";

impl<'a> Reference<'a> {
    /// Reads a reference.
    ///
    /// ```
    /// use millpond_workloads::buildtool::reference::Reference;
    ///
    /// let alpine = Reference::parse("alpine")?;
    /// assert_eq!(alpine.to_string(), "docker.io/library/alpine:latest");
    /// let error = Reference::parse("Alpine:3").unwrap_err();
    /// assert!(error.to_string().contains("\"Alpine\""));
    /// # Ok::<(), anyhow::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Which part is wrong, and what is allowed.
    pub fn parse(text: &'a str) -> Result<Self> {
        let (rest, digest) = split(text, '@');
        let (registry, rest) = match rest.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest),
            _ => (HUB, rest),
        };
        let (repository, tag) = split(rest, ':');
        let lower =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        let folder = |name: &str| !name.is_empty() && name.bytes().all(lower);
        ensure!(
            repository.split('/').all(folder),
            "repository {repository:?}: expected a-z, 0-9, '.', '_', '-' and '/' between names"
        );
        if let Some(tag) = tag {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            let allowed = (1..=128).contains(&tag.len()) && tag.bytes().all(good);
            ensure!(
                allowed,
                "tag {tag:?}: expected 1 to 128 of a-z, A-Z, 0-9, '.', '_', '-'"
            );
        }
        if let Some(digest) = digest {
            let hex = digest.strip_prefix("sha256:").unwrap_or_default();
            let allowed = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
            ensure!(
                allowed,
                "digest {digest:?}: expected sha256: and 64 hexadecimal digits"
            );
        }
        let tag = tag.or(digest.is_none().then_some("latest"));
        Ok(Self {
            registry,
            repository,
            tag,
            digest,
        })
    }

    /// The reference in full, in a name of `memory`.
    ///
    /// # Errors
    ///
    /// If there is no memory.
    #[inline]
    pub fn text_in<M: Memory>(&self, memory: &M) -> Result<M::Name> {
        let mut text = memory.name(self.length())?;
        self.write(&mut text)?;
        Ok(text)
    }

    fn write(&self, out: &mut impl Write) -> std::fmt::Result {
        out.write_str(self.registry)?;
        out.write_str(self.folder())?;
        out.write_str(self.repository)?;
        for (before, part) in [(":", self.tag), ("@", self.digest)] {
            if let Some(part) = part {
                out.write_str(before)?;
                out.write_str(part)?;
            }
        }
        Ok(())
    }

    fn folder(&self) -> &'static str {
        let top = self.registry == HUB && !self.repository.contains('/');
        if top { "/library/" } else { "/" }
    }

    fn length(&self) -> usize {
        let part = |part: Option<&str>| part.map_or(0, |part| part.len() + 1);
        self.registry.len() + 9 + self.repository.len() + part(self.tag) + part(self.digest)
    }
}

impl std::fmt::Display for Reference<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.write(f)
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    let parts = text.split_once(at);
    parts.map_or((text, None), |(before, after)| (before, Some(after)))
}

#[cfg(test)]
mod tests {
    use super::super::memory::{Heap, Pooled};
    use super::*;

    #[test]
    fn references_are_written_in_full_in_every_mode() {
        let pools = Pooled::new().unwrap();
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (text, full) in [
            ("alpine", "docker.io/library/alpine:latest".into()),
            ("alpine:3.20", "docker.io/library/alpine:3.20".into()),
            ("me/app", "docker.io/me/app:latest".into()),
            ("example.com:5000/app:v1", "example.com:5000/app:v1".into()),
            ("ghcr.io/a/b/c", "ghcr.io/a/b/c:latest".into()),
            (
                &*format!(
                    "registry.example.com:5000/{}app@{digest}",
                    "folder/".repeat(9)
                ),
                format!(
                    "registry.example.com:5000/{}app@{digest}",
                    "folder/".repeat(9)
                ),
            ),
            (
                &*format!("app@{digest}"),
                format!("docker.io/library/app@{digest}"),
            ),
            (
                &*format!("app:1@{digest}"),
                format!("docker.io/library/app:1@{digest}"),
            ),
        ] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!(*reference.text_in(&Heap).unwrap(), *full);
            assert_eq!(*reference.text_in(&pools).unwrap(), *full);
            // What is written in full reads as itself.
            assert_eq!(Reference::parse(&full).unwrap().to_string(), full);
        }
    }

    #[test]
    fn the_part_that_is_wrong_is_named() {
        for (text, part) in [
            ("", "repository \"\""),
            ("a//b", "repository \"a//b\""),
            ("App", "repository \"App\""),
            ("app:", "tag \"\""),
            ("app:a b", "tag \"a b\""),
            ("app@sha256:12", "digest \"sha256:12\""),
        ] {
            let error = Reference::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(part), "{error}");
        }
    }
}
