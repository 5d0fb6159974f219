//! Command-line flags of a build: labels, build arguments, platforms.
//!
//! On the heap they are what a command takes, a string each. On pools they lie in
//! one string, each with a zero byte behind it, which no argument may contain.

use super::memory::Memory;
use anyhow::{Result, ensure};
use std::fmt::{self, Write};
use std::ops::Deref;

/// What a build is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    labels: Vec<(String, String)>,
    arguments: Vec<(String, String)>,
    platforms: Vec<String>,
}

impl Description {
    /// Adds a label.
    ///
    /// # Errors
    ///
    /// If the key is empty or has a `=`, or there is a zero byte.
    pub fn label(&mut self, key: &str, value: &str) -> Result<()> {
        self.labels.push(pair("label", key, value)?);
        Ok(())
    }

    /// Adds a build argument.
    ///
    /// # Errors
    ///
    /// As [`Description::label`].
    pub fn argument(&mut self, key: &str, value: &str) -> Result<()> {
        self.arguments.push(pair("build argument", key, value)?);
        Ok(())
    }

    /// Adds a platform, as in `linux/amd64`.
    ///
    /// # Errors
    ///
    /// If it has no `/`, or there is a zero byte or a comma.
    pub fn platform(&mut self, platform: &str) -> Result<()> {
        let good = platform.contains('/') && !platform.contains(['\0', ',']);
        ensure!(good, "platform {platform:?}: expected system/architecture");
        self.platforms.push(platform.to_owned());
        Ok(())
    }

    /// A flag and its value for each thing that was added, one string each.
    #[must_use]
    pub fn as_flags(&self) -> Vec<String> {
        let count = 2 * (self.labels.len() + self.arguments.len() + self.platforms.len().min(1));
        let mut flags = Vec::with_capacity(count);
        for (flag, pairs) in self.pairs() {
            for (key, value) in pairs {
                let mut text = String::with_capacity(key.len() + 1 + value.len());
                text.push_str(key);
                text.push('=');
                text.push_str(value);
                flags.extend([flag.to_owned(), text]);
            }
        }
        if !self.platforms.is_empty() {
            flags.extend(["--platform".to_owned(), self.platforms.join(",")]);
        }
        flags
    }

    /// The same in one string of `memory`.
    ///
    /// ```
    /// use millpond_workloads::buildtool::flags::Description;
    /// use millpond_workloads::buildtool::memory::Pooled;
    ///
    /// let mut build = Description::default();
    /// build.label("stage", "test")?;
    /// build.platform("linux/amd64")?;
    /// let flags = build.as_flags_in(&Pooled::new()?)?;
    /// let flags: Vec<&str> = flags.iter().collect();
    /// assert_eq!(flags, ["--label", "stage=test", "--platform", "linux/amd64"]);
    /// # Ok::<(), anyhow::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no memory.
    pub fn as_flags_in<M: Memory>(&self, memory: &M) -> Result<Flags<M::Text>> {
        let mut text = memory.text(self.length())?;
        write_pairs(&mut text, "--label\0", &self.labels)?;
        write_pairs(&mut text, "--build-arg\0", &self.arguments)?;
        if let Some((first, others)) = self.platforms.split_first() {
            text.write_str("--platform\0")?;
            text.write_str(first)?;
            for platform in others {
                text.write_str(",")?;
                text.write_str(platform)?;
            }
            text.write_str("\0")?;
        }
        Ok(Flags { text })
    }

    fn pairs(&self) -> [(&'static str, &[(String, String)]); 2] {
        [("--label", &self.labels), ("--build-arg", &self.arguments)]
    }

    fn length(&self) -> usize {
        let of = |pairs: &[(String, String)]| -> usize {
            pairs
                .iter()
                .map(|(key, value)| key.len() + value.len() + 15)
                .sum()
        };
        let platforms: usize = self.platforms.iter().map(|name| name.len() + 1).sum();
        of(&self.labels) + of(&self.arguments) + platforms + 12
    }
}

/// Inlined, so that the flag and the signs around are stored and not copied: of so
/// short texts a call to copy each costs as much as everything else.
#[inline(always)]
fn write_pairs(out: &mut impl Write, flag: &str, pairs: &[(String, String)]) -> fmt::Result {
    for (key, value) in pairs {
        out.write_str(flag)?;
        out.write_str(key)?;
        out.write_str("=")?;
        out.write_str(value)?;
        out.write_str("\0")?;
    }
    Ok(())
}

fn pair(what: &str, key: &str, value: &str) -> Result<(String, String)> {
    let good = !key.is_empty() && !key.contains(['=', '\0']) && !value.contains('\0');
    ensure!(
        good,
        "{what} {key:?}: expected a key without '=', and no zero bytes"
    );
    Ok((key.to_owned(), value.to_owned()))
}

/// Flags in one string.
#[derive(Clone, Debug)]
pub struct Flags<T> {
    text: T,
}

impl<T: Deref<Target = str>> Flags<T> {
    /// Each flag and each value.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.text.split_terminator('\0')
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::{Heap, Pooled};
    use super::*;

    #[test]
    fn both_forms_are_the_same_flags() {
        let pools = Pooled::new().unwrap();
        let mut build = Description::default();
        let same = |build: &Description| {
            let strings = build.as_flags();
            assert!(build.as_flags_in(&pools).unwrap().iter().eq(&strings));
            assert!(build.as_flags_in(&Heap).unwrap().iter().eq(&strings));
            strings.len()
        };
        assert_eq!(same(&build), 0);
        for n in 0..40 {
            build.platform(&format!("linux/arm{n}")).unwrap();
            assert_eq!(same(&build), 4 * n + 2);
            build
                .label(&format!("org.example.{n}"), &"x".repeat(n * n))
                .unwrap();
            build.argument(&format!("ARG_{n}"), "").unwrap();
            assert_eq!(same(&build), 4 * n + 6);
        }
    }

    #[test]
    fn what_would_not_arrive_is_refused() {
        let mut build = Description::default();
        for (key, value) in [("", "x"), ("a=b", "x"), ("a\0", "x"), ("a", "x\0")] {
            assert!(build.label(key, value).is_err());
            assert!(build.argument(key, value).is_err());
        }
        for platform in ["linux", "linux/a,b/c", "a/\0"] {
            assert!(
                build
                    .platform(platform)
                    .unwrap_err()
                    .to_string()
                    .contains("system/architecture")
            );
        }
        assert_eq!(build, Description::default());
    }
}
