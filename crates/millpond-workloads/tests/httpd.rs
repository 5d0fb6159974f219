//! The HTTP server in all modes: the same answers, limits that hold, and every
//! buffer at home whatever clients do.

#![cfg(unix)]

#[path = "httpd/client.rs"]
mod client;
#[path = "httpd/faults.rs"]
mod faults;
#[path = "httpd/limits.rs"]
mod limits;
#[path = "httpd/modes.rs"]
mod modes;
#[path = "httpd/pace.rs"]
mod pace;
#[path = "httpd/program.rs"]
mod program;
#[path = "httpd/protocol.rs"]
mod protocol;
#[path = "httpd/tools.rs"]
mod tools;
