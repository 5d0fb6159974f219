//! The programs as a person runs them: what they print, where they write, and outputs
//! that take nothing any more.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const BUILDTOOL: &str = env!("CARGO_BIN_EXE_buildtool");
const CODEBASE: &str = env!("CARGO_BIN_EXE_codebase");
const ENCODE: &str = env!("CARGO_BIN_EXE_encode");
const PIPELINE: &str = env!("CARGO_BIN_EXE_pipeline");

fn command(program: &str, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    command
}

fn output(program: &str, folder: &Path, arguments: &[&str]) -> Output {
    command(program, folder, arguments).output().unwrap()
}

/// What a program prints that must succeed.
fn said(program: &str, folder: &Path, arguments: &[&str]) -> String {
    let output = output(program, folder, arguments);
    let (stdout, stderr) = (output.stdout, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(stdout).unwrap()
}

/// A folder with a text, statements, and a folder of its own with the same text.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("inner")).unwrap();
    fs::write(path("a.txt"), "hello pond\n").unwrap();
    fs::write(path("inner/a.txt"), "hello pond\n").unwrap();
    fs::write(path("t.nt"), "<urn:a> <urn:knows> <urn:b> .\n").unwrap();
    folder
}

/// Lines that each program prints, with its flags.
const PRINTING: &[(&str, &[&str])] = &[
    (BUILDTOOL, &["checksum", "a.txt"]),
    (BUILDTOOL, &["flags", "--label", "a=b"]),
    (BUILDTOOL, &["build", "app", "inner", "x.tar"]),
    (CODEBASE, &["index", "--input", "inner", "--db", "x"]),
    (CODEBASE, &["search", "hello", "--db", "x"]),
    (ENCODE, &["pack", "x.gly", "--input", "a.txt"]),
    (ENCODE, &["unpack", "x.gly", "out"]),
    (PIPELINE, &["t.nt"]),
];

#[test]
fn every_mode_prints_the_same_wherever_the_flag_stands() {
    let (heap, pooled) = (folder(), folder());
    for (program, arguments) in PRINTING {
        let with = |folder: &Path, memory| {
            let arguments = [*arguments, &["--memory", memory]].concat();
            said(program, folder, &arguments)
        };
        let (heap, pooled) = (with(heap.path(), "heap"), with(pooled.path(), "pooled"));
        assert!(!heap.is_empty(), "{arguments:?}");
        if *program != PIPELINE {
            assert_eq!(heap, pooled, "{arguments:?}"); // It prints a time, too.
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_output_is_an_error_that_is_named() {
    let folder = folder();
    for (program, arguments) in PRINTING {
        let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
        let mut command = command(program, folder.path(), arguments);
        let output = command.stdout(full()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        let errors = stderr.lines().filter(|line| line.starts_with("error: "));
        let errors: Vec<_> = errors.collect();
        assert!(
            matches!(errors[..], [line] if line.contains("standard output: ")),
            "{arguments:?}: {stderr}"
        );
        // Nobody hears the error, and the exit code is the same.
        let status = command.stdout(full()).stderr(full()).status().unwrap();
        assert_eq!(status.code(), Some(2), "{arguments:?}");
    }
    let archive = ["archive", "inner", "/dev/full"];
    let output = output(BUILDTOOL, folder.path(), &archive);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("error: /dev/full: "), "{stderr}");
}

#[test]
fn a_reader_of_standard_error_that_went_away_changes_nothing() {
    let folder = folder();
    said(
        CODEBASE,
        folder.path(),
        &["index", "--input", "inner", "--db", "x"],
    );
    let search = ["search", "hello", "--db", "x", "--stats"];
    let mut child = command(CODEBASE, folder.path(), &search)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_single_file_is_packed_under_its_name() {
    let folder = folder();
    let text = folder.path().join("a.txt");
    let input = ["pack", "x.gly", "--input", text.to_str().unwrap()];
    assert!(said(ENCODE, folder.path(), &input).starts_with("1 document, 11 bytes"));
    said(ENCODE, folder.path(), &["unpack", "x.gly", "out"]);
    let unpacked = fs::read(folder.path().join("out/a.txt")).unwrap();
    assert_eq!(unpacked, b"hello pond\n");
}

#[test]
fn files_are_found_under_the_name_of_their_folder() {
    let folder = folder();
    let inner = folder.path().join("inner");
    said(CODEBASE, &inner, &["index", "--input", ".", "--db", "../x"]);
    let found = said(CODEBASE, folder.path(), &["search", "hello", "--db", "x"]);
    assert!(found.contains(" inner/a.txt"), "{found}");
    let none = ["search", "zebra", "--by", "text", "--db", "x"];
    let none = output(CODEBASE, folder.path(), &none);
    assert!(none.status.success() && none.stdout.is_empty());
    assert_eq!(none.stderr, b"nothing found for \"zebra\"\n");
}

/// The second archive would have been copied into itself until the disk was full.
#[test]
fn an_archive_in_its_own_directory_leaves_itself_out() {
    let folder = folder();
    fs::write(folder.path().join("inner/b.bin"), [7; 300_000]).unwrap();
    let pack = || {
        let archive = ["archive", "inner", "inner/z.tar"];
        assert_eq!(said(BUILDTOOL, folder.path(), &archive), "2 files\n");
        fs::read(folder.path().join("inner/z.tar")).unwrap()
    };
    let first = pack();
    assert_eq!(pack(), first);
}

#[test]
fn a_context_has_the_same_digest_however_it_is_named() {
    let folder = folder();
    let build = |context| {
        said(
            BUILDTOOL,
            folder.path(),
            &["build", "app", context, "x.tar"],
        )
    };
    let digest = build("inner");
    assert!(digest.contains("context "), "{digest}");
    assert_eq!(build("./inner"), digest);
    assert_eq!(build(folder.path().join("inner").to_str().unwrap()), digest);
}

#[test]
fn a_bad_image_leaves_no_archive() {
    let folder = folder();
    let output = output(
        BUILDTOOL,
        folder.path(),
        &["build", "App", "inner", "x.tar"],
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(!folder.path().join("x.tar").exists());
}

#[cfg(unix)]
#[test]
fn statements_and_archives_come_from_pipes_too() {
    let folder = folder();
    let piped = |program, name: &str, arguments: &[&str]| {
        let input = File::open(folder.path().join(name)).unwrap();
        let mut command = command(program, folder.path(), arguments);
        let output = command.stdin(input).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let said_of = piped(PIPELINE, "t.nt", &["-", "--predicate", "<urn:knows>"]);
    assert!(said_of.starts_with("1 × <urn:knows>\nstandard input: 1 statement, "));
    said(
        ENCODE,
        folder.path(),
        &["pack", "x.gly", "--input", "a.txt"],
    );
    assert_eq!(
        piped(ENCODE, "x.gly", &["unpack", "-", "out"]),
        "1 document\n"
    );
}
