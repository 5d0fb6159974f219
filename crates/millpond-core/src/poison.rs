//! Poison: telling memory tools, and ourselves, which bytes are dead.
//!
//! A tool that watches an allocator sees a pool's region as one live block, and
//! is blind to every misuse inside it: in our experiments memcheck, the address
//! sanitizer and Miri found none of five seeded bugs in a pool without these
//! hooks, and all that they can find with them. So every place where an item is
//! handed out or taken back calls one of four hooks:
//!
//! ```text
//!              on_region_new      on_lease         on_release      on_region_drop
//!  Miri        uninitialised      –                uninitialised   –
//!  ASan        poisoned           readable         poisoned        readable
//!  MSan        uninitialised      uninitialised    uninitialised   –
//!  valgrind    no access          a new block      a freed block   undefined
//!  otherwise   –                  –                –               –
//! ```
//!
//! Miri is recognised by itself; the others by `--cfg millpond_asan`,
//! `--cfg millpond_msan` and `--cfg millpond_valgrind` (x86-64 only) in
//! `RUSTFLAGS`, beside the flags that the tool itself needs.
//!
//! # Which pools call them
//!
//! Only pools whose free items hold nothing. The bytes of an item are dead
//! between [`on_release`] and the next [`on_lease`]: a recycled value, a row
//! that is known to be zero, or a link of a free list inside the item does not
//! survive. A pool that keeps values while they are cached calls [`on_lease`]
//! when it constructs one and [`on_release`] when it drops one, not when it
//! lends it.
//!
//! # The pattern
//!
//! [`fill`] and [`first_damage`] find writes after release in any build, while
//! the program runs. With a tool in the build, fill before [`on_release`] and
//! look after [`on_lease`]; under Miri, the memory sanitizer and valgrind the
//! pattern is gone by then, and they are better at it: use one or the other,
//! which is what [`BLINDS_PATTERN`] is for.
//!
//! # Cost
//!
//! The hooks compile to nothing in normal builds. The pattern costs a `memset`
//! and a comparison at memory speed.

use core::ptr::NonNull;

/// Whether the hooks of this build make the bytes of a released item
/// unreadable, or uninitialised, so that a pattern written before
/// [`on_release`] must not be looked for after [`on_lease`].
pub const BLINDS_PATTERN: bool = cfg!(any(miri, millpond_msan, millpond_valgrind));

/// Whether somebody is watching: for pools that have to find out first what they
/// would tell.
pub const WATCHED: bool = cfg!(any(
    miri,
    millpond_asan,
    millpond_msan,
    all(millpond_valgrind, target_arch = "x86_64")
));

/// The byte that [`fill`] writes.
///
/// Chosen to be wrong as anything: as a `bool`, as UTF-8 (a leading byte
/// followed by no continuation), as a pointer (not canonical on x86-64 or
/// aarch64), as a length (beyond `isize::MAX`) and as a float (−3.1e105 or
/// −2.9e13). 0x00, 0xFF and 0x01 are what programs write most; 0x5A, 0xA5, 0xCD
/// and 0xDD already mean something in jemalloc and in Microsoft's debug heap.
pub const PATTERN: u8 = 0xD5;

/// A region came into being: none of its bytes belongs to an item yet.
///
/// # Safety
///
/// `base` is valid for writes of `len` bytes, which belong to the caller alone
/// and hold nothing that is used afterwards.
#[inline(always)]
#[allow(clippy::inline_always, reason = "nothing, in normal builds")]
pub unsafe fn on_region_new(base: NonNull<u8>, len: usize) {
    // SAFETY: the caller's promise is the one that is asked for.
    unsafe { tool::region_new(base, len) };
}

/// An item is about to be handed out, or a value constructed in it.
///
/// # Safety
///
/// `item` is valid for writes of `len` bytes inside a region that was announced
/// by [`on_region_new`]; the bytes belong to the caller alone and hold nothing
/// that is used afterwards.
#[inline(always)]
#[allow(clippy::inline_always, reason = "nothing, in normal builds")]
pub unsafe fn on_lease(item: NonNull<u8>, len: usize) {
    // SAFETY: the caller's promise is the one that is asked for.
    unsafe { tool::lease(item, len) };
}

/// An item was taken back, and the value in it dropped.
///
/// `len` is the one that was given to [`on_lease`].
///
/// # Panics
///
/// With the address sanitizer, if the item was released already.
///
/// # Safety
///
/// As [`on_lease`], for the same item.
#[inline(always)]
#[allow(clippy::inline_always, reason = "nothing, in normal builds")]
pub unsafe fn on_release(item: NonNull<u8>, len: usize) {
    // SAFETY: the caller's promise is the one that is asked for.
    unsafe { tool::release(item, len) };
}

/// A region is about to go back to whoever it came from.
///
/// # Safety
///
/// As [`on_region_new`], for the same region.
#[inline(always)]
#[allow(clippy::inline_always, reason = "nothing, in normal builds")]
pub unsafe fn on_region_drop(base: NonNull<u8>, len: usize) {
    // SAFETY: the caller's promise is the one that is asked for.
    unsafe { tool::region_drop(base, len) };
}

/// Writes [`PATTERN`] over `len` bytes.
///
/// # Safety
///
/// `item` is valid for writes of `len` bytes, which belong to the caller alone
/// and hold nothing that is used afterwards.
pub unsafe fn fill(item: NonNull<u8>, len: usize) {
    // SAFETY: by the caller's promise.
    unsafe { item.write_bytes(PATTERN, len) };
}

/// The offset of the first byte that is no longer [`PATTERN`], or `None` if
/// nobody wrote since [`fill`].
///
/// Cost: 32 bytes a step.
///
/// # Safety
///
/// `item` is valid for reads of `len` bytes, all of them initialised, which
/// belong to the caller alone. (That somebody writes there all the same is what
/// this function is looking for.)
#[must_use]
pub unsafe fn first_damage(item: NonNull<u8>, len: usize) -> Option<usize> {
    const STEP: usize = 32;
    const INTACT: [u8; STEP] = [PATTERN; STEP];

    // SAFETY: by the caller's promise.
    let bytes = unsafe { core::slice::from_raw_parts(item.as_ptr(), len) };
    let intact = bytes
        .chunks_exact(STEP)
        .take_while(|&chunk| chunk == INTACT);
    let start = intact.count() * STEP;
    let damage = bytes[start..].iter().position(|&byte| byte != PATTERN)?;
    Some(start + damage)
}

#[cfg(not(any(
    miri,
    millpond_asan,
    millpond_msan,
    all(millpond_valgrind, target_arch = "x86_64")
)))]
mod tool {
    //! Nobody is watching.

    use core::ptr::NonNull;

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "it is nothing")]
    pub(super) const unsafe fn region_new(_base: NonNull<u8>, _len: usize) {}

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "it is nothing")]
    pub(super) const unsafe fn lease(_item: NonNull<u8>, _len: usize) {}

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "it is nothing")]
    pub(super) const unsafe fn release(_item: NonNull<u8>, _len: usize) {}

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "it is nothing")]
    pub(super) const unsafe fn region_drop(_base: NonNull<u8>, _len: usize) {}
}

#[cfg(miri)]
mod tool {
    //! Miri: dead bytes are uninitialised, so that reading one is an error, and
    //! writing them ends the life of every reference that still points there.

    use core::mem::MaybeUninit;
    use core::ptr::NonNull;

    pub(super) unsafe fn region_new(base: NonNull<u8>, len: usize) {
        // SAFETY: by the caller's promise.
        unsafe { uninitialise(base, len) };
    }

    pub(super) const unsafe fn lease(_item: NonNull<u8>, _len: usize) {}

    pub(super) unsafe fn release(item: NonNull<u8>, len: usize) {
        // SAFETY: by the caller's promise.
        unsafe { uninitialise(item, len) };
    }

    pub(super) const unsafe fn region_drop(_base: NonNull<u8>, _len: usize) {}

    /// # Safety
    ///
    /// The bytes are valid for writes and hold nothing that is used afterwards.
    unsafe fn uninitialise(base: NonNull<u8>, len: usize) {
        // Miri pays for each write, not for each byte.
        type Chunk = MaybeUninit<[u8; 4096]>;
        let whole = len - len % size_of::<Chunk>();
        for offset in (0..whole).step_by(size_of::<Chunk>()) {
            // SAFETY: `offset + 4096 <= len`.
            let chunk = unsafe { base.add(offset) };
            // SAFETY: in bounds, as above; a chunk has no alignment.
            unsafe { chunk.cast::<Chunk>().write(Chunk::uninit()) };
        }
        for offset in whole..len {
            // SAFETY: `offset < len`.
            let byte = unsafe { base.add(offset) };
            // SAFETY: in bounds, as above.
            unsafe { byte.cast::<MaybeUninit<u8>>().write(MaybeUninit::uninit()) };
        }
    }
}

#[cfg(all(millpond_asan, not(miri)))]
mod tool {
    //! The address sanitizer: dead bytes are poisoned.
    //!
    //! It keeps one shadow byte for eight, and poisons only what it can do
    //! without touching a neighbour: items of less than eight bytes are seen in
    //! part.

    use core::ffi::c_void;
    use core::ptr::NonNull;

    unsafe extern "C" {
        fn __asan_poison_memory_region(address: *const c_void, len: usize);
        fn __asan_unpoison_memory_region(address: *const c_void, len: usize);
        fn __asan_address_is_poisoned(address: *const c_void) -> core::ffi::c_int;
    }

    pub(super) unsafe fn region_new(base: NonNull<u8>, len: usize) {
        // SAFETY: changes the sanitizer's shadow of the caller's own bytes.
        unsafe { __asan_poison_memory_region(base.as_ptr().cast(), len) };
    }

    pub(super) unsafe fn lease(item: NonNull<u8>, len: usize) {
        // SAFETY: changes the sanitizer's shadow of the caller's own bytes.
        unsafe { __asan_unpoison_memory_region(item.as_ptr().cast(), len) };
    }

    pub(super) unsafe fn release(item: NonNull<u8>, len: usize) {
        // SAFETY: reads the sanitizer's shadow only.
        let dead = unsafe { __asan_address_is_poisoned(item.as_ptr().cast()) } != 0;
        assert!(
            len == 0 || !dead,
            "{len} bytes at {item:p} were released twice"
        );
        // SAFETY: changes the sanitizer's shadow of the caller's own bytes.
        unsafe { __asan_poison_memory_region(item.as_ptr().cast(), len) };
    }

    pub(super) unsafe fn region_drop(base: NonNull<u8>, len: usize) {
        // SAFETY: changes the sanitizer's shadow of the caller's own bytes.
        unsafe { __asan_unpoison_memory_region(base.as_ptr().cast(), len) };
    }

    #[cfg(test)]
    pub(super) fn is_dead(item: NonNull<u8>) -> bool {
        // SAFETY: reads the sanitizer's shadow only.
        (unsafe { __asan_address_is_poisoned(item.as_ptr().cast()) }) != 0
    }
}

#[cfg(all(millpond_msan, not(miri)))]
mod tool {
    //! The memory sanitizer: dead bytes count as never written.

    use core::ffi::c_void;
    use core::ptr::NonNull;

    unsafe extern "C" {
        fn __msan_allocated_memory(address: *const c_void, len: usize);
        #[cfg(test)]
        fn __msan_test_shadow(address: *const c_void, len: usize) -> isize;
    }

    pub(super) unsafe fn region_new(base: NonNull<u8>, len: usize) {
        // SAFETY: changes the sanitizer's shadow of the caller's own bytes.
        unsafe { __msan_allocated_memory(base.as_ptr().cast(), len) };
    }

    pub(super) unsafe fn lease(item: NonNull<u8>, len: usize) {
        // SAFETY: changes the sanitizer's shadow of the caller's own bytes.
        unsafe { __msan_allocated_memory(item.as_ptr().cast(), len) };
    }

    pub(super) unsafe fn release(item: NonNull<u8>, len: usize) {
        // SAFETY: changes the sanitizer's shadow of the caller's own bytes.
        unsafe { __msan_allocated_memory(item.as_ptr().cast(), len) };
    }

    pub(super) const unsafe fn region_drop(_base: NonNull<u8>, _len: usize) {}

    #[cfg(test)]
    pub(super) fn is_dead(item: NonNull<u8>) -> bool {
        // SAFETY: reads the sanitizer's shadow only.
        (unsafe { __msan_test_shadow(item.as_ptr().cast(), 1) }) == 0
    }
}

#[cfg(all(millpond_valgrind, target_arch = "x86_64", not(miri)))]
mod tool {
    //! Valgrind: items are blocks of a memory pool, so that memcheck reports
    //! uses after release, overflows between items, double releases and leases
    //! that leaked, with both stacks.
    //!
    //! Requests are made by a sequence of instructions that does nothing on a
    //! real processor and that valgrind recognises. One pool in valgrind's sense
    //! serves the process: an item does not know its region.

    use core::arch::asm;
    use core::ptr::NonNull;
    use core::sync::atomic::{AtomicU8, Ordering};

    const CREATE_MEMPOOL: usize = 0x1303;
    const MEMPOOL_ALLOC: usize = 0x1305;
    const MEMPOOL_FREE: usize = 0x1306;
    /// Requests of memcheck begin with its initials.
    const MEMCHECK: usize = (b'M' as usize) << 24 | (b'C' as usize) << 16;
    const MAKE_MEM_NOACCESS: usize = MEMCHECK;
    const MAKE_MEM_UNDEFINED: usize = MEMCHECK + 1;

    const ABSENT: u8 = 0;
    const CREATING: u8 = 1;
    const PRESENT: u8 = 2;
    static POOL: AtomicU8 = AtomicU8::new(ABSENT);

    /// The address by which valgrind knows the pool, created at first use.
    fn pool() -> usize {
        let pool = (&raw const POOL).addr();
        if POOL.load(Ordering::Acquire) == PRESENT {
            return pool;
        }
        let created = POOL.compare_exchange(ABSENT, CREATING, Ordering::Acquire, Ordering::Acquire);
        if created.is_ok() {
            // No red zones, not zeroed.
            request([CREATE_MEMPOOL, pool, 0, 0, 0, 0]);
            POOL.store(PRESENT, Ordering::Release);
        }
        while POOL.load(Ordering::Acquire) != PRESENT {
            core::hint::spin_loop();
        }
        pool
    }

    pub(super) unsafe fn region_new(base: NonNull<u8>, len: usize) {
        request([MAKE_MEM_NOACCESS, base.addr().get(), len, 0, 0, 0]);
    }

    pub(super) unsafe fn lease(item: NonNull<u8>, len: usize) {
        if len > 0 {
            request([MEMPOOL_ALLOC, pool(), item.addr().get(), len, 0, 0]);
        }
    }

    pub(super) unsafe fn release(item: NonNull<u8>, len: usize) {
        if len > 0 {
            request([MEMPOOL_FREE, pool(), item.addr().get(), 0, 0, 0]);
        }
    }

    pub(super) unsafe fn region_drop(base: NonNull<u8>, len: usize) {
        request([MAKE_MEM_UNDEFINED, base.addr().get(), len, 0, 0, 0]);
    }

    /// Asks valgrind; 0 where the program does not run under it.
    fn request(arguments: [usize; 6]) -> usize {
        let answer: usize;
        // SAFETY: the rotations add up to 128 bits, so `rdi` keeps its value,
        // and the exchange is of a register with itself. Valgrind reads the six
        // arguments, writes its answer to `rdx`, and changes its own records.
        unsafe {
            asm!(
                "rol rdi, 3",
                "rol rdi, 13",
                "rol rdi, 61",
                "rol rdi, 51",
                "xchg rbx, rbx",
                in("rax") arguments.as_ptr(),
                inout("rdx") 0_usize => answer,
                options(nostack),
            );
        }
        answer
    }

    #[cfg(test)]
    pub(super) fn is_dead(item: NonNull<u8>) -> bool {
        /// Reads how defined bytes are, and reports no error.
        const GET_VBITS: usize = MEMCHECK + 8;
        const NO_VALGRIND: usize = 0;
        const NOT_ADDRESSABLE: usize = 3;
        let mut bits = 0_u8;
        let bits = (&raw mut bits).expose_provenance();
        let answer = request([GET_VBITS, item.addr().get(), bits, 1, 0, 0]);
        // Without valgrind it cannot be asked.
        matches!(answer, NO_VALGRIND | NOT_ADDRESSABLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = 100;

    fn at(bytes: &mut [u8], offset: usize) -> NonNull<u8> {
        NonNull::from(&mut bytes[offset..]).cast()
    }

    #[test]
    fn damage_is_found_at_every_offset_and_length() {
        let mut bytes = [0_u8; LEN];
        for len in 0..LEN {
            // SAFETY: `len` bytes of our own.
            unsafe { fill(at(&mut bytes, 0), len) };
            // SAFETY: `len` initialised bytes of our own.
            let damage = unsafe { first_damage(at(&mut bytes, 0), len) };
            assert_eq!(damage, None);
            for offset in (0..len).step_by(if cfg!(miri) { 17 } else { 1 }) {
                bytes[offset] ^= 1;
                // SAFETY: `len` initialised bytes of our own.
                let damage = unsafe { first_damage(at(&mut bytes, 0), len) };
                assert_eq!(damage, Some(offset));
                bytes[offset] ^= 1;
            }
        }
        assert_eq!(bytes[LEN - 1], 0, "nothing beyond the length was written");
    }

    #[test]
    fn first_of_several_damages_is_reported() {
        let mut bytes = [PATTERN; LEN];
        bytes[70] = 0;
        bytes[90] = 0;
        // SAFETY: initialised bytes of our own, also below.
        let damage = unsafe { first_damage(at(&mut bytes, 0), LEN) };
        assert_eq!(damage, Some(70));
        // SAFETY: as above.
        let damage = unsafe { first_damage(at(&mut bytes, 71), LEN - 71) };
        assert_eq!(damage, Some(19));
    }

    #[test]
    fn pattern_is_wrong_as_anything() {
        const { assert!(PATTERN > 1, "not a bool") };
        assert!(core::str::from_utf8(&[PATTERN; 8]).is_err());
        assert!(usize::from_ne_bytes([PATTERN; size_of::<usize>()]) > usize::MAX / 2);
        assert!(f64::from_ne_bytes([PATTERN; 8]) < -1e100);
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn an_item_can_be_leased_written_and_released_again_and_again() {
        use crate::region::{Region, RegionOptions};

        const ITEM: usize = 256;
        for len in [4 * ITEM, 128 * 1024] {
            let region = Region::new(len, 64, &RegionOptions::new()).expect("memory");
            // SAFETY: all bytes of the new region are ours.
            unsafe { on_region_new(region.base(), region.len()) };
            for round in 0..3_u8 {
                for index in 0..4 {
                    // SAFETY: four items fit into the region.
                    let item = unsafe { region.base().add(index * ITEM) };
                    // SAFETY: the item is ours and holds nothing.
                    unsafe { on_lease(item, ITEM) };
                    // SAFETY: leased above.
                    unsafe { item.write_bytes(round, ITEM) };
                    // SAFETY: the last byte of the item.
                    let last = unsafe { item.add(ITEM - 1) };
                    // SAFETY: written above.
                    let last = unsafe { last.read() };
                    assert_eq!(last, round);
                }
                for index in 0..4 {
                    // SAFETY: four items fit into the region.
                    let item = unsafe { region.base().add(index * ITEM) };
                    // SAFETY: the item is ours and what it holds is not used.
                    unsafe { on_release(item, ITEM) };
                }
            }
            // SAFETY: all items were released.
            unsafe { on_region_drop(region.base(), region.len()) };
        }
    }

    #[cfg(all(
        feature = "alloc",
        not(miri),
        any(
            millpond_asan,
            millpond_msan,
            all(millpond_valgrind, target_arch = "x86_64")
        )
    ))]
    #[test]
    fn the_tool_of_this_build_knows_what_is_dead() {
        use crate::region::{Region, RegionOptions};

        let region = Region::new(128 * 1024, 64, &RegionOptions::new()).expect("memory");
        let item = region.base();
        assert!(!cfg!(millpond_asan) || !tool::is_dead(item));
        // SAFETY: all bytes of the new region are ours.
        unsafe { on_region_new(item, region.len()) };
        assert!(tool::is_dead(item));
        // SAFETY: the item is ours and holds nothing.
        unsafe { on_lease(item, 64) };
        // SAFETY: leased above.
        unsafe { item.write_bytes(1, 64) };
        assert!(cfg!(millpond_valgrind) || !tool::is_dead(item));
        // SAFETY: the item is ours and what it holds is not used.
        unsafe { on_release(item, 64) };
        assert!(tool::is_dead(item));
        // SAFETY: all items were released.
        unsafe { on_region_drop(item, region.len()) };
    }
}
