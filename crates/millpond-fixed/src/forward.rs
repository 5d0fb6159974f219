//! Traits of leases that see through to the leased value.

/// `AsRef`, `Debug` and `Display` of a lease, which dereferences to `T`, as its
/// value has them.
macro_rules! forward_shown {
    ([$($generics:tt)*] $lease:ty) => {
        impl<$($generics)*> AsRef<T> for $lease {
            fn as_ref(&self) -> &T {
                self
            }
        }

        impl<$($generics)*> core::fmt::Debug for $lease
        where
            T: core::fmt::Debug,
        {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                T::fmt(self, f)
            }
        }

        impl<$($generics)*> core::fmt::Display for $lease
        where
            T: core::fmt::Display,
        {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                T::fmt(self, f)
            }
        }
    };
}

/// [`forward_shown`], and `Borrow` with the traits that must then agree:
/// equality, order and hash are those of the value.
macro_rules! forward_value {
    ([$($generics:tt)*] $lease:ty) => {
        forward_shown!([$($generics)*] $lease);

        impl<$($generics)*> core::borrow::Borrow<T> for $lease {
            fn borrow(&self) -> &T {
                self
            }
        }

        impl<$($generics)*> PartialEq for $lease
        where
            T: PartialEq,
        {
            fn eq(&self, other: &Self) -> bool {
                T::eq(self, other)
            }
        }

        impl<$($generics)*> Eq for $lease where T: Eq {}

        impl<$($generics)*> PartialOrd for $lease
        where
            T: PartialOrd,
        {
            fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
                T::partial_cmp(self, other)
            }
        }

        impl<$($generics)*> Ord for $lease
        where
            T: Ord,
        {
            fn cmp(&self, other: &Self) -> core::cmp::Ordering {
                T::cmp(self, other)
            }
        }

        impl<$($generics)*> core::hash::Hash for $lease
        where
            T: core::hash::Hash,
        {
            fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
                T::hash(self, state);
            }
        }
    };
}

pub(crate) use {forward_shown, forward_value};
