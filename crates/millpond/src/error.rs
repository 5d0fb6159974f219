//! Why a pond, or a pool of it, was not made.

use core::fmt;
use std::string::String;

/// Why a pond, or a pool of a pond, was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PondError {
    /// A pool of this name lives in the pond.
    Taken(String),
    /// The pond was closed.
    Closed,
    /// The configuration of the arenas cannot be.
    #[cfg(feature = "arena")]
    Arenas(millpond_arena::BuildError),
    /// The configuration of the byte pool cannot be.
    #[cfg(feature = "bytes")]
    Bytes(millpond_bytes::ConfigError),
    /// There was no memory for buffers that should be made with the pond.
    #[cfg(feature = "bytes")]
    WarmUp(millpond_core::error::AcquireError),
    /// Rows of this shape cannot be.
    #[cfg(feature = "vector")]
    Shape(millpond_vector::ShapeError),
    /// Analytics refused the name.
    #[cfg(feature = "analytics")]
    Register(millpond_analytics::RegisterError),
}

impl fmt::Display for PondError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(name) => write!(f, "the pond has a pool named {name:?} already"),
            Self::Closed => f.write_str("the pond is closed"),
            #[cfg(feature = "arena")]
            Self::Arenas(error) => write!(f, "arenas: {error}"),
            #[cfg(feature = "bytes")]
            Self::Bytes(error) => write!(f, "bytes: {error}"),
            #[cfg(feature = "bytes")]
            Self::WarmUp(error) => write!(f, "making buffers in advance: {error}"),
            #[cfg(feature = "vector")]
            Self::Shape(error) => error.fmt(f),
            #[cfg(feature = "analytics")]
            Self::Register(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for PondError {}

#[cfg(feature = "arena")]
impl From<millpond_arena::BuildError> for PondError {
    fn from(error: millpond_arena::BuildError) -> Self {
        Self::Arenas(error)
    }
}

#[cfg(feature = "bytes")]
impl From<millpond_bytes::ConfigError> for PondError {
    fn from(error: millpond_bytes::ConfigError) -> Self {
        Self::Bytes(error)
    }
}

#[cfg(feature = "vector")]
impl From<millpond_vector::ShapeError> for PondError {
    fn from(error: millpond_vector::ShapeError) -> Self {
        Self::Shape(error)
    }
}

#[cfg(feature = "analytics")]
impl From<millpond_analytics::RegisterError> for PondError {
    fn from(error: millpond_analytics::RegisterError) -> Self {
        Self::Register(error)
    }
}
