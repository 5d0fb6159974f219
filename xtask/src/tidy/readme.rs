//! README: exactly two commands for a fresh machine with Rust.
//!
//! Two, because a reader tries two; these, because they show the product and its proof.

use super::Violation;
use super::markdown::{self, Piece};
use super::tree::Tree;

const COMMANDS: &[&str] = &["cargo xtask bench --quick", "cargo test --workspace"];
const SHELLS: &[&str] = &["sh", "bash", "shell", "console"];

pub(crate) fn check(tree: &Tree) -> Vec<Violation> {
    let Some(page) = tree.text("README.md") else {
        return vec![Violation::new("README.md", 1, "there is no README.md")];
    };
    let mut violations = Vec::new();
    let commands = commands(page);
    for (line, command) in &commands {
        if !COMMANDS.contains(&command.as_str()) {
            violations.push(Violation::new(
                "README.md",
                *line,
                format!("`{command}` is not one of the two commands"),
            ));
        }
    }
    for command in COMMANDS {
        let count = commands
            .iter()
            .filter(|(_, found)| found == command)
            .count();
        if count != 1 {
            violations.push(Violation::new(
                "README.md",
                1,
                format!("`{command}` stands here {count} times, not once"),
            ));
        }
    }
    violations
}

/// Commands in shell blocks, without prompts and comments.
fn commands(page: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for piece in markdown::pieces(page) {
        let Piece::Block {
            number,
            language,
            lines,
        } = piece
        else {
            continue;
        };
        if !SHELLS.contains(&language) {
            continue;
        }
        for (line, at) in lines.iter().zip(number + 1..) {
            let command = line.trim().trim_start_matches("$ ");
            let command = command.split(" #").next().unwrap_or(command).trim();
            if !command.is_empty() && !command.starts_with('#') {
                found.push((at, command.to_owned()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(page: &str) -> usize {
        check(&Tree::of_files(&[("README.md", page)])).len()
    }

    const GOOD: &str =
        "```sh\ncargo xtask bench --quick   # three minutes\ncargo test --workspace\n```\n";

    #[test]
    fn the_two_commands_are_fine() {
        assert_eq!(complaints(GOOD), 0);
        assert_eq!(complaints(&format!("{GOOD}```rust\ncargo();\n```\n")), 0);
    }

    #[test]
    fn a_third_command_is_found() {
        assert_eq!(
            complaints(&format!("{GOOD}```sh\ncargo install x\n```\n")),
            1
        );
    }

    #[test]
    fn a_missing_and_a_repeated_command_are_found() {
        assert_eq!(complaints("```sh\ncargo test --workspace\n```\n"), 1);
        assert_eq!(complaints(&format!("{GOOD}{GOOD}")), 2);
    }
}
