//! The header `Date`, written once a second.

use arrayvec::ArrayString;
use httpdate::HttpDate;
use std::cell::RefCell;
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes of a date, as in `Sun, 06 Nov 1994 08:49:37 GMT`.
pub const BYTES: usize = 29;

thread_local! {
    static LAST: RefCell<(u64, ArrayString<BYTES>)> = const { RefCell::new((0, ArrayString::new_const())) };
}

/// Shows the date of now to `show`.
pub fn now<R>(show: impl FnOnce(&str) -> R) -> R {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let second = since.as_ref().map_or(0, Duration::as_secs);
    LAST.with_borrow_mut(|(at, text)| {
        if *at != second || text.is_empty() {
            *at = second;
            text.clear();
            // A date of this form is always as long as that, until the year 9999.
            let date = HttpDate::from(UNIX_EPOCH + Duration::from_secs(second));
            let _ = write!(text, "{date}");
        }
        show(text)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_date_is_that_of_now() {
        let before = std::time::SystemTime::now();
        let said = super::now(|text| httpdate::parse_http_date(text).unwrap());
        let apart = said.duration_since(before).unwrap_or_else(|e| e.duration());
        assert!(apart < std::time::Duration::from_secs(2));
        assert_eq!(super::now(str::len), super::BYTES);
    }
}
