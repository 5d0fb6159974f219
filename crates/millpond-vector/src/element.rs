//! Elements: the numbers that rows are made of.

use core::fmt;
use core::panic::{RefUnwindSafe, UnwindSafe};

/// A number that a row can hold: `f64`, `f32`, [`F16`], [`Bf16`], `i8`, `u8` or
/// `u64`.
///
/// Sealed, because rows rely on what these types have in common: every pattern
/// of bits is a value, zero bytes are zero, and their size divides a lane.
pub trait Element:
    sealed::Sealed
    + Copy
    + Default
    + PartialEq
    + fmt::Debug
    + Send
    + Sync
    + Unpin
    + UnwindSafe
    + RefUnwindSafe
    + 'static
{
    /// Zero, which is what padding holds.
    const ZERO: Self;

    /// The name of the type, for errors and reports.
    const NAME: &'static str;
}

pub(crate) mod sealed {
    /// # Safety
    ///
    /// Every initialised pattern of bits is a value, zero bytes are the value
    /// [`super::Element::ZERO`], there is no padding and no destructor, and the
    /// size is a power of two, at most 8, and a multiple of the alignment.
    pub unsafe trait Sealed {}
}

macro_rules! element {
    ($($name:literal: $element:ty = $zero:expr),* $(,)?) => {$(
        // SAFETY: a plain number of at most 8 bytes.
        unsafe impl sealed::Sealed for $element {}

        impl Element for $element {
            const ZERO: Self = $zero;
            const NAME: &'static str = $name;
        }
    )*};
}

element! {
    "f64": f64 = 0.0,
    "f32": f32 = 0.0,
    "f16": F16 = F16(0),
    "bf16": Bf16 = Bf16(0),
    "i8": i8 = 0,
    "u8": u8 = 0,
    "u64": u64 = 0,
}

macro_rules! half_float {
    ($(#[$docs:meta])* $name:ident, $half:ident) => {
        $(#[$docs])*
        ///
        /// Sixteen bits and nothing else: it is stored and moved here, and
        /// calculated with elsewhere. Equality compares bits. With the feature
        /// `half` it converts to and from that crate's type and `f32`, one by one
        /// or a slice at a time without copying.
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
        #[repr(transparent)]
        pub struct $name(u16);

        impl $name {
            /// The number with these bits.
            #[must_use]
            pub const fn from_bits(bits: u16) -> Self {
                Self(bits)
            }

            /// The bits of the number.
            #[must_use]
            pub const fn to_bits(self) -> u16 {
                self.0
            }
        }

        #[cfg(not(feature = "half"))]
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#06x}", self.0)
            }
        }

        #[cfg(feature = "half")]
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.to_f32().fmt(f)
            }
        }

        #[cfg(feature = "half")]
        impl $name {
            /// The nearest number to `value`.
            #[must_use]
            pub fn from_f32(value: f32) -> Self {
                half::$half::from_f32(value).into()
            }

            /// The same number, which every `f32` can hold.
            #[must_use]
            pub fn to_f32(self) -> f32 {
                half::$half::from(self).to_f32()
            }

            /// The same numbers as the `half` crate's, without copying.
            #[must_use]
            pub const fn as_half(numbers: &[Self]) -> &[half::$half] {
                // SAFETY: both are a `u16` and nothing else, and the slice keeps
                // its length and its borrow.
                unsafe { core::slice::from_raw_parts(numbers.as_ptr().cast(), numbers.len()) }
            }

            /// The `half` crate's numbers as these, without copying.
            #[must_use]
            pub const fn from_half(numbers: &[half::$half]) -> &[Self] {
                // SAFETY: as above.
                unsafe { core::slice::from_raw_parts(numbers.as_ptr().cast(), numbers.len()) }
            }
        }

        #[cfg(feature = "half")]
        impl From<half::$half> for $name {
            fn from(number: half::$half) -> Self {
                Self(number.to_bits())
            }
        }

        #[cfg(feature = "half")]
        impl From<$name> for half::$half {
            fn from(number: $name) -> Self {
                Self::from_bits(number.0)
            }
        }
    };
}

half_float! {
    /// A 16-bit float of IEEE 754: 5 bits of exponent, 10 of fraction.
    F16, f16
}

half_float! {
    /// The upper half of an `f32`: 8 bits of exponent, 7 of fraction.
    Bf16, bf16
}
