//! The tool server against a real client: the Python package `mcp`.
//!
//! `TEST_MCP_PYTHON` names an interpreter that has it; without the variable
//! `python3` is tried. Where there is none, this says loudly that nothing was tested.

use std::io::Write;
use std::process::{Command, Stdio};

fn python() -> Option<String> {
    let named = std::env::var("TEST_MCP_PYTHON").ok();
    let required = named.is_some();
    let python = named.unwrap_or_else(|| "python3".into());
    let tried = Command::new(&python)
        .args(["-c", "import mcp"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let found = tried.is_ok_and(|status| status.success());
    assert!(
        found || !required,
        "TEST_MCP_PYTHON={python} cannot import mcp"
    );
    found.then_some(python)
}

#[test]
fn the_python_client_gets_along_with_the_tool_server() {
    let Some(python) = python() else {
        // Not through the test's captured output: whoever runs the tests must see it.
        let said = "NOT RUN: the tool server against the Python client; `pip install mcp` and set TEST_MCP_PYTHON\n";
        std::io::stderr().write_all(said.as_bytes()).unwrap();
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let done = Command::new(python)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/codebase_tools.py"
        ))
        .args([env!("CARGO_BIN_EXE_codebase"), "serve", "--db"])
        .arg(folder.path().join("code.redb"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let complained = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success() && said.contains("all tools answered"),
        "{said}\n{complained}"
    );
}

#[test]
fn what_the_pools_did_is_told_as_json() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pond.rs"), "pub fn fill() {}\n").unwrap();
    for memory in ["heap", "pooled"] {
        let done = Command::new(env!("CARGO_BIN_EXE_codebase"))
            .args(["index", "--stats", "--memory", memory, "--input"])
            .arg(folder.path().join("pond.rs"))
            .arg("--db")
            .arg(folder.path().join(memory))
            .output()
            .unwrap();
        let told: serde_json::Value = serde_json::from_slice(&done.stderr).unwrap();
        assert!(done.status.success() && told["memory"] == memory, "{told}");
        let pools = told["snapshot"]["pools"].as_array().map(Vec::len);
        assert_eq!(pools, (memory == "pooled").then_some(7), "{told}");
    }
}
