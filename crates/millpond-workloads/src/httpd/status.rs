//! Status codes, and what a refusal says.

use std::fmt;

/// The status of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// The code.
    pub code: u16,
    /// What it means.
    pub reason: &'static str,
    /// The line that an answer begins with.
    pub line: &'static str,
}

macro_rules! statuses {
    ($($name:ident $code:literal $reason:literal)*) => {
        impl Status {
            $(#[doc = concat!("`", $code, " ", $reason, "`.")]
            pub const $name: Self = Self {
                code: $code,
                reason: $reason,
                line: concat!("HTTP/1.1 ", $code, " ", $reason, "\r\n"),
            };)*
        }
    };
}

statuses! {
    OK 200 "OK"
    BAD_REQUEST 400 "Bad Request"
    NOT_FOUND 404 "Not Found"
    NO_METHOD 405 "Method Not Allowed"
    TOO_LARGE 413 "Content Too Large"
    EXPECTATION 417 "Expectation Failed"
    HEAD_TOO_LARGE 431 "Request Header Fields Too Large"
    FAILED 500 "Internal Server Error"
    NOT_IMPLEMENTED 501 "Not Implemented"
    NO_MEMORY 503 "Service Unavailable"
    NO_VERSION 505 "HTTP Version Not Supported"
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.reason)
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
