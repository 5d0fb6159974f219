//! Buffers of secrets, for those who speak `zeroize`.

use crate::buf::PoolBuf;
use crate::origin::Origin;
use core::ptr::NonNull;
use millpond_core::wipe::wipe;
use zeroize::Zeroize;

/// Zeroes the whole capacity, contents and what they left behind, and empties the
/// buffer: at the speed of a memset, in a way that the compiler may not leave out.
///
/// ```
/// use zeroize::Zeroizing;
///
/// let mut key = Zeroizing::new(millpond_bytes::acquire(32)?);
/// key.extend_from_slice(&[42; 32])?;
/// drop(key); // Zeroed, and home.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`PoolBuf::wipe_on_release`] and `Config::with_wipe_on_release` do the same without
/// the wrapper. A buffer that grew beyond its class left a copy in the old one, unless
/// one of these was said before.
impl<O: Origin> Zeroize for PoolBuf<O> {
    fn zeroize(&mut self) {
        self.clear();
        let all = self.spare_capacity_mut();
        let len = all.len();
        // SAFETY: the room of an empty buffer, which is ours alone.
        unsafe { wipe(NonNull::from(all).cast(), len, 0) };
    }
}
