//! What is wrong with a setting.

use core::fmt;
use std::borrow::ToOwned;
use std::format;
use std::string::{String, ToString};

/// What is wrong with a setting: where it was found, which field it is, its
/// value, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    source: String,
    field: Option<String>,
    value: Option<String>,
    reason: String,
}

impl SettingError {
    pub(super) fn syntax(source: &str, reason: &str) -> Self {
        Self {
            source: source.to_owned(),
            field: None,
            value: None,
            reason: reason.to_owned(),
        }
    }

    pub(super) fn unknown(source: &str, field: &str, nearest: Option<String>) -> Self {
        let nearest = nearest.map(|name| format!("; did you mean {name}?"));
        Self {
            source: source.to_owned(),
            field: Some(field.to_owned()),
            value: None,
            reason: match field {
                "" => "a field without a name stands there".to_owned(),
                _ => format!("there is no field {field}{}", nearest.unwrap_or_default()),
            },
        }
    }

    /// A field without which others mean nothing.
    pub(super) fn missing(source: &str, field: &str, reason: String) -> Self {
        Self {
            source: source.to_owned(),
            field: Some(field.to_owned()),
            value: None,
            reason,
        }
    }

    pub(super) fn value(source: &str, field: &str, value: &str, allowed: &str) -> Self {
        Self {
            source: source.to_owned(),
            field: Some(field.to_owned()),
            value: Some(value.to_owned()),
            reason: allowed.to_string(),
        }
    }

    /// Where it was found: the name that was given for a text, `environment`,
    /// or `code`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.source
    }

    /// The field, or the variable; `None` if the text could not be read at all.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// The value that was refused.
    #[must_use]
    pub fn value_found(&self) -> Option<&str> {
        self.value.as_deref()
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.source)?;
        if let (Some(field), Some(value)) = (&self.field, &self.value) {
            write!(f, "{field} is {value:?}; ")?;
        }
        f.write_str(&self.reason)
    }
}

impl core::error::Error for SettingError {}
