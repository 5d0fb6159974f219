//! Tells the binary how it was built, for the provenance of its figures.

use std::process::Command;

fn main() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().ok();
    let version = version.and_then(|output| String::from_utf8(output.stdout).ok());
    tell("COMPILER", version.as_deref().map_or("unknown", str::trim));
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    tell("FLAGS", &flags.replace('\u{1f}', " "));
    tell("TARGET", &std::env::var("TARGET").unwrap_or_default());
    println!("cargo::rerun-if-changed=build.rs");
}

fn tell(name: &str, value: &str) {
    println!("cargo::rustc-env=MILLPOND_BUILD_{name}={value}");
}
