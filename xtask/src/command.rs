//! Running another program: say what is run, run it, fail with one line.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Prints the command in a form that can be pasted, then runs it with our terminal.
///
/// Returns whether it succeeded; an error means that it could not be started.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool> {
    announce(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {}", program(command)))?;
    Ok(status.success())
}

/// Runs the command and returns its standard output; failure carries its standard error.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", program(command)))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!(
            "{} failed ({}): {complaint}",
            program(command),
            output.status
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("{} did not print UTF-8", program(command)))
}

/// Prints the command as it could be typed, with the environment that we add.
pub(crate) fn announce(command: &Command) {
    eprintln!("$ {}", typed(command));
}

fn typed(command: &Command) -> String {
    let environment = command.get_envs().filter_map(|(key, value)| {
        let value = value?.to_string_lossy().into_owned();
        Some(format!("{}={}", key.to_string_lossy(), quoted(&value)))
    });
    let words = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| quoted(&word.to_string_lossy()));
    environment.chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:+,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_command_can_be_pasted() {
        let mut command = Command::new("cargo");
        command
            .args(["test", "--test", "loom_*"])
            .env("RUSTFLAGS", "--cfg it's");
        assert_eq!(
            typed(&command),
            r"RUSTFLAGS='--cfg it'\''s' cargo test --test 'loom_*'"
        );
    }

    #[test]
    fn a_failing_program_is_reported_with_its_own_words() {
        let error = output_of(Command::new("cargo").arg("--no-such-flag")).unwrap_err();
        assert!(error.to_string().contains("--no-such-flag"), "{error}");
    }

    #[test]
    fn a_missing_program_is_an_error_and_not_a_failure() {
        assert!(succeeds(&mut Command::new("no-such-program-anywhere")).is_err());
    }
}
