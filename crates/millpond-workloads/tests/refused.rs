//! Requests that cannot be carried out: each binary says what is wrong in one line, and
//! its exit code is 2.

use std::path::Path;
use std::process::{Command, Output};

const BUILDTOOL: &str = env!("CARGO_BIN_EXE_buildtool");
const CODEBASE: &str = env!("CARGO_BIN_EXE_codebase");
const ENCODE: &str = env!("CARGO_BIN_EXE_encode");
const PIPELINE: &str = env!("CARGO_BIN_EXE_pipeline");

/// Arguments, and what the line must say. `{}` is a folder with broken files in it.
type Case = (&'static str, &'static [&'static str], &'static str);

const BAD_FLAGS: &[Case] = &[
    (BUILDTOOL, &[], "no command"),
    (BUILDTOOL, &["paint"], "paint"),
    (BUILDTOOL, &["--memory", "gold", "flags"], "heap, pooled"),
    (BUILDTOOL, &["flags", "--label", "x"], "expected KEY=VALUE"),
    (
        BUILDTOOL,
        &["flags", "--platform", "linux"],
        "system/architecture",
    ),
    (
        BUILDTOOL,
        &["checksum", "--algorithm", "crc", "x"],
        "sha256",
    ),
    (
        BUILDTOOL,
        &["checksum", "--threads", "100000", "x"],
        "0..=256",
    ),
    (BUILDTOOL, &["reference", "App"], "repository \"App\""),
    (
        BUILDTOOL,
        &["build", "a", ".", "/tmp/x", "--runtime", "here"],
        "--runtime",
    ),
    (CODEBASE, &[], "no command"),
    (CODEBASE, &["search"], "<QUERY>"),
    (CODEBASE, &["search", "x", "--limit", "0"], "1..=1000"),
    (CODEBASE, &["search", "x", "--by", "luck"], "hybrid"),
    (CODEBASE, &["index", "--memory", "gold"], "heap, pooled"),
    (ENCODE, &["pack"], "<ARCHIVE>"),
    (ENCODE, &["pack", "x", "--limit", "much"], "much"),
    (ENCODE, &["squeeze"], "squeeze"),
    (CODEBASE, &["search", " "], "expected at least a word"),
    (BUILDTOOL, &["stand-in", "nowhere"], "expected HOST:PORT"),
    (PIPELINE, &["--limit", "-1"], "-1"),
    (PIPELINE, &["--predicate", "knows"], "as in <urn:knows>"),
    (
        PIPELINE,
        &["--predicate", "<urn:a> <urn:b> . #"],
        "an absolute IRI",
    ),
    (PIPELINE, &["x.nt", "--limit", "3"], "cannot be used with"),
    (PIPELINE, &["x.nt", "--input", "x"], "cannot be used with"),
    (PIPELINE, &["--memory", "gold"], "heap, pooled"),
];

const MISSING: &[Case] = &[
    (BUILDTOOL, &["checksum", "/no/such/file"], "/no/such/file"),
    (
        BUILDTOOL,
        &["archive", "/no/such/folder", "{}/x.tar"],
        "/no/such/folder",
    ),
    (
        BUILDTOOL,
        &["archive", "{}", "/no/such/folder/x.tar"],
        "/no/such/folder/x.tar",
    ),
    (
        BUILDTOOL,
        &["build", "app", "/no/such/folder", "{}/x.tar"],
        "/no/such/folder",
    ),
    (
        CODEBASE,
        &["search", "x", "--db", "/no/such/base"],
        "/no/such/base",
    ),
    (
        CODEBASE,
        &["index", "--input", "/no/such/place", "--db", "{}/x"],
        "/no/such/place",
    ),
    (
        CODEBASE,
        &["index", "--input", "{}/text", "--db", "/no/such/folder/x"],
        "/no/such/folder/x",
    ),
    (
        ENCODE,
        &["unpack", "/no/such/archive", "{}"],
        "/no/such/archive",
    ),
    (
        ENCODE,
        &["pack", "{}/x", "--input", "/no/such/place"],
        "/no/such/place",
    ),
    (
        ENCODE,
        &["pack", "/no/such/folder/x", "--input", "{}/text"],
        "/no/such/folder/x",
    ),
    (PIPELINE, &["/no/such/triples"], "/no/such/triples"),
];

const BROKEN: &[Case] = &[
    (BUILDTOOL, &["checksum", "/dev/null"], "neither file"),
    (CODEBASE, &["search", "x", "--db", "{}/noise"], "/noise"),
    (CODEBASE, &["index", "--input", "{}/empty"], "no text"),
    (
        ENCODE,
        &["pack", "{}/x", "--input", "{}/text", "--limit", "3"],
        "13 bytes, and the limit is 3",
    ),
    (ENCODE, &["unpack", "{}/noise", "{}/out"], "no archive"),
    (ENCODE, &["unpack", "{}/cut", "{}/out"], "cut"),
    (PIPELINE, &["{}/noise"], "not UTF-8"),
    (PIPELINE, &["{}/text"], "line 1, column 1"),
];

fn run(folder: &Path, program: &str, arguments: &[&str]) -> Output {
    let folder = folder.to_str().unwrap();
    let arguments = arguments
        .iter()
        .map(|argument| argument.replace("{}", folder));
    Command::new(program).args(arguments).output().unwrap()
}

fn refused(cases: &[Case]) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("noise"), [0xff_u8, 0, 0x80, 0xfe].repeat(300)).unwrap();
    std::fs::write(path("text"), "no statement\n").unwrap();
    std::fs::create_dir(path("empty")).unwrap();
    let packed = run(
        folder.path(),
        ENCODE,
        &["pack", "{}/cut", "--input", "{}/text"],
    );
    assert!(packed.status.success(), "{packed:?}");
    let whole = std::fs::read(path("cut")).unwrap();
    std::fs::write(path("cut"), &whole[..whole.len() - 3]).unwrap();
    for (program, arguments, part) in cases {
        let output = run(folder.path(), program, arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        let asked = format!("{program} {}", arguments.join(" "));
        assert_eq!(output.status.code(), Some(2), "{asked}: {said}");
        assert_eq!(said.lines().count(), 1, "{asked}: {said}");
        assert!(
            said.starts_with("error: ") && said.contains(part),
            "{asked}: {said}"
        );
    }
}

#[test]
fn bad_flags_are_named() {
    refused(BAD_FLAGS);
}

#[test]
fn missing_files_are_named() {
    refused(MISSING);
}

#[test]
fn broken_input_is_named() {
    refused(BROKEN);
}

#[test]
fn help_and_version_are_no_errors() {
    for program in [BUILDTOOL, CODEBASE, ENCODE, PIPELINE] {
        for flag in ["--help", "--version"] {
            let output = Command::new(program).arg(flag).output().unwrap();
            assert!(
                output.status.success() && !output.stdout.is_empty(),
                "{program} {flag}"
            );
        }
    }
}
