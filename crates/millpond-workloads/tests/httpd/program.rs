//! The program: its flags, its errors, its end.

use crate::client::{answers, connect, hear};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};

fn httpd(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_httpd");
    Command::new(program).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_names_every_flag() {
    let output = httpd(&["--help"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for flag in [
        "--addr",
        "--memory",
        "--workers",
        "--max-head",
        "--max-body",
        "--max-connections",
        "--idle-seconds",
        "--request-seconds",
        "--budget",
        "--warm-up",
        "--stats",
    ] {
        assert!(text.contains(flag), "{flag} in {text}");
    }
}

#[test]
fn what_is_wrong_with_the_command_line_is_said_in_a_line() {
    for (arguments, said) in [
        (&["--max-head", "9"][..], "9 is not in 256..=65536"),
        (
            &["--max-body", "lots"],
            "invalid value 'lots' for '--max-body <BYTES>'",
        ),
        (&["--max-body", "2000000000"], "is not in 0..=1073741824"),
        (&["--max-connections", "0"], "0 is not in 1..=65536"),
        (
            &["--idle-seconds=-1"],
            "invalid value '-1' for '--idle-seconds <S>'",
        ),
        (&["--budget", "1"], "1 is not in 4..=1048576"),
        (
            &["--addr", "nowhere"],
            "invalid value 'nowhere' for '--addr <HOST:PORT>': expected HOST:PORT",
        ),
        (&["--memory", "stack"], "[possible values: heap, pooled]"),
        (&["--color"], "unexpected argument '--color'"),
    ] {
        let output = httpd(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let text = stderr(&output);
        assert!(text.starts_with("error: ") && text.contains(said), "{text}");
    }
}

#[test]
fn a_place_that_cannot_be_served_is_named_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let file = env!("CARGO_BIN_EXE_httpd");
    for (arguments, said) in [
        (
            &["/no/such/place"][..],
            "error: directory /no/such/place: No such file".to_owned(),
        ),
        (&[file], format!("error: directory {file}: Not a directory")),
        (
            &["--addr", &address],
            format!("error: address {address}: Address already in use"),
        ),
    ] {
        for memory in ["heap", "pooled"] {
            let output = httpd(&[arguments, &["--memory", memory]].concat());
            let text = stderr(&output);
            assert_eq!(output.status.code(), Some(2), "{text}");
            assert!(text.starts_with(&said), "{text}");
            assert_eq!(text.lines().count(), 1, "{text}");
        }
    }
}

/// A program that serves, killed if a test fails before it ended.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_serves_until_it_is_told_to_end() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a"), "content").unwrap();
    for (memory, signal) in [("heap", "INT"), ("pooled", "TERM")] {
        let child = Command::new(env!("CARGO_BIN_EXE_httpd"))
            .args([
                "--addr",
                "127.0.0.1:0",
                "--memory",
                memory,
                "--stats",
                "--budget",
                "16",
            ])
            .arg(directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut running = Running(child);
        let mut line = String::new();
        let stdout = running.0.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap();
        let mut stream = connect(address.parse().unwrap());
        stream
            .write_all(b"GET /a HTTP/1.1\r\nHost: us\r\nConnection: close\r\n\r\n")
            .unwrap();
        assert_eq!(answers(&hear(&mut stream))[0].text(), "content");
        let id = running.0.id().to_string();
        let told = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(told.unwrap().success());
        assert!(running.0.wait().unwrap().success());
        let mut said = String::new();
        let mut stderr = running.0.stderr.take().unwrap();
        std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
        assert!(
            said.contains("1 request on 1 connection, 0 refused"),
            "{said}"
        );
        let is_home = said.lines().any(|line| line == "all buffers are home");
        assert_eq!(is_home, memory == "pooled", "{said}");
    }
}
