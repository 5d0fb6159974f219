//! The system behind regions on Linux: anonymous private mappings through
//! `libc`.
//!
//! Every function takes or returns whole pages. A failure is an answer, never a
//! panic: the kernel may refuse any of these at any time (limits, seccomp,
//! containers).

use core::ptr::{self, NonNull};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::string::String;
use std::sync::OnceLock;

use super::HUGE_PAGE_BYTES;

/// Whether [`map`] can succeed.
pub(super) const CAN_MAP: bool = true;

/// What became of a request to back every page.
pub(super) enum Populated {
    /// Every page is backed.
    Yes,
    /// The kernel knows the request and could not fulfil it.
    Refused,
    /// The kernel is older than the request (before 5.14).
    Unknown,
}

/// Bytes of a page, asked once.
pub(super) fn page_bytes() -> usize {
    static PAGE_BYTES: OnceLock<usize> = OnceLock::new();
    *PAGE_BYTES.get_or_init(|| {
        // SAFETY: `sysconf` only reads its argument.
        let answer = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(answer)
            .ok()
            .filter(|bytes| bytes.is_power_of_two())
            .unwrap_or(4096)
    })
}

/// Maps `len` bytes at a multiple of `align`, both whole pages.
pub(super) fn map(len: usize, align: usize) -> Option<NonNull<u8>> {
    map_with(len, align, page_bytes(), 0)
}

/// Maps `len` bytes from the reserve of huge pages, at a multiple of `align`,
/// both whole huge pages. Refused where the reserve cannot cover all of it.
pub(super) fn map_huge(len: usize, align: usize) -> Option<NonNull<u8>> {
    map_with(
        len,
        align,
        HUGE_PAGE_BYTES,
        libc::MAP_HUGETLB | libc::MAP_HUGE_2MB,
    )
}

/// Maps, too much if the alignment exceeds what the kernel gives by itself, and
/// cuts off the ends.
fn map_with(len: usize, align: usize, page: usize, flags: libc::c_int) -> Option<NonNull<u8>> {
    debug_assert!(len > 0 && len % page == 0 && align % page == 0);
    let surplus = align - page;
    let mapping = map_anywhere(len.checked_add(surplus)?, flags)?;
    let head = mapping.addr().get().next_multiple_of(align) - mapping.addr().get();
    // SAFETY: `head <= surplus`, as the mapping starts on a page boundary, so
    // `head + len` stays inside the mapping.
    let base = unsafe { mapping.add(head) };
    if head > 0 {
        // SAFETY: these bytes of our own mapping precede the region.
        unsafe { unmap(mapping, head) };
    }
    if surplus > head {
        // SAFETY: `head + len` stays inside the mapping, as above.
        let end = unsafe { base.add(len) };
        // SAFETY: these bytes of our own mapping follow the region.
        unsafe { unmap(end, surplus - head) };
    }
    Some(base)
}

fn map_anywhere(len: usize, flags: libc::c_int) -> Option<NonNull<u8>> {
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches
    // no memory that exists already.
    let address = unsafe {
        libc::mmap(
            ptr::null_mut(),
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags,
            -1,
            0,
        )
    };
    if address == libc::MAP_FAILED {
        return None;
    }
    NonNull::new(address.cast())
}

/// # Safety
///
/// `base..base + len` is our own mapping or an end of it, in whole pages, and
/// is not used again.
pub(super) unsafe fn unmap(base: NonNull<u8>, len: usize) {
    // SAFETY: by the caller's promise nobody else owns these pages.
    let answer = unsafe { libc::munmap(base.as_ptr().cast(), len) };
    // Only cutting a mapping in two can fail (too many mappings); the pages then
    // stay mapped, untouched and unowned.
    debug_assert!(
        answer == 0 || errno() == libc::ENOMEM,
        "munmap refused its arguments"
    );
}

/// Asks for transparent huge pages.
///
/// # Safety
///
/// `base..base + len` is our own mapping, in whole pages.
pub(super) unsafe fn advise_huge(base: NonNull<u8>, len: usize) -> bool {
    // SAFETY: the advice changes how our own pages are backed, not their value.
    (unsafe { libc::madvise(base.as_ptr().cast(), len, libc::MADV_HUGEPAGE) }) == 0
}

/// Prefers the memory of one NUMA node for pages not touched yet.
///
/// # Safety
///
/// `base..base + len` is our own mapping, in whole pages.
pub(super) unsafe fn prefer_node(base: NonNull<u8>, len: usize, node: u32) -> bool {
    /// Nodes that a mask can name. Linux is built for at most 1024.
    const NODES: usize = 1024;
    const WORD_BITS: usize = libc::c_ulong::BITS as usize;

    let node = node as usize;
    let mut mask: [libc::c_ulong; NODES / WORD_BITS] = [0; NODES / WORD_BITS];
    let Some(word) = mask.get_mut(node / WORD_BITS) else {
        return false;
    };
    *word |= 1 << (node % WORD_BITS);
    // SAFETY: the mask outlives the call and holds `NODES` bits; the kernel
    // reads one bit less than the count that it is given. The policy does not
    // change the value of any page.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mbind,
            base.as_ptr(),
            len,
            libc::MPOL_PREFERRED,
            mask.as_ptr(),
            NODES + 1,
            0,
        )
    };
    answer == 0
}

/// The node of memory on which a sample of the pages lies that are backed. `None`
/// if they lie on several, none is backed, or the system does not say.
pub(super) fn placed_node(base: NonNull<u8>, len: usize) -> Option<u32> {
    /// Pages asked about, evenly spaced: some of every huge page of a slab of 64.
    const SAMPLE: usize = 64;

    let pages = len / page_bytes();
    let count = pages.min(SAMPLE);
    let mut places = [ptr::null::<u8>(); SAMPLE];
    for (at, place) in places.iter_mut().take(count).enumerate() {
        *place = base
            .as_ptr()
            .wrapping_add(at * pages / count * page_bytes());
    }
    let mut nodes = [-1; SAMPLE];
    nodes_of(&places[..count], &mut nodes)?;
    let mut backed = nodes[..count]
        .iter()
        .filter_map(|&node| u32::try_from(node).ok());
    let first = backed.next()?;
    backed.all(|node| node == first).then_some(first)
}

/// The node of each page, or a negative reason why it is on none. `None` if the
/// system does not say.
fn nodes_of(pages: &[*const u8], nodes: &mut [libc::c_int]) -> Option<()> {
    debug_assert!(nodes.len() >= pages.len());
    // SAFETY: with no nodes to move to, the call moves nothing and touches none of
    // the pages; it reads their addresses and writes as many answers, for which
    // there is room.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_move_pages,
            0, // This process.
            pages.len(),
            pages.as_ptr(),
            ptr::null::<libc::c_int>(),
            nodes.as_mut_ptr(),
            0,
        )
    };
    (answer == 0).then_some(())
}

/// Backs every page, keeping its value.
///
/// # Safety
///
/// `base..base + len` is our own mapping, in whole pages.
pub(super) unsafe fn populate(base: NonNull<u8>, len: usize) -> Populated {
    // SAFETY: populating does not change the value of any page.
    let answer = unsafe { libc::madvise(base.as_ptr().cast(), len, libc::MADV_POPULATE_WRITE) };
    match answer {
        0 => Populated::Yes,
        _ if errno() == libc::EINVAL => Populated::Unknown,
        _ => Populated::Refused,
    }
}

/// Bytes of pages that are backed by physical memory.
///
/// # Safety
///
/// `base..base + len` is our own mapping, in whole pages.
pub(super) unsafe fn resident_bytes(base: NonNull<u8>, len: usize) -> Option<usize> {
    /// Pages asked about in one call: 2 MiB of small ones, half a kilobyte of
    /// stack.
    const PAGES: usize = 512;

    let page = page_bytes();
    let mut resident = 0;
    let mut answers = [0_u8; PAGES];
    for offset in (0..len).step_by(PAGES * page) {
        let stretch = (len - offset).min(PAGES * page);
        // SAFETY: `offset < len`, inside the mapping.
        let first = unsafe { base.add(offset) };
        // SAFETY: the stretch is inside the mapping, and `answers` has one byte
        // for each of its pages.
        let answer = unsafe { libc::mincore(first.as_ptr().cast(), stretch, answers.as_mut_ptr()) };
        if answer != 0 {
            return None;
        }
        let pages = answers.iter().take(stretch.div_ceil(page));
        resident += pages.filter(|&page| page & 1 == 1).count() * page;
    }
    Some(resident)
}

/// Gives pages back to the system; they read as zero afterwards. Answers how
/// many bytes had been backed.
///
/// # Safety
///
/// `base..base + len` is our own mapping, in whole pages, and nobody uses it.
pub(super) unsafe fn discard(base: NonNull<u8>, len: usize) -> usize {
    // SAFETY: by the caller's promise the range is our own mapping.
    let resident = unsafe { resident_bytes(base, len) };
    // SAFETY: by the caller's promise nobody uses these bytes.
    let answer = unsafe { libc::madvise(base.as_ptr().cast(), len, libc::MADV_DONTNEED) };
    if answer == 0 {
        resident.unwrap_or(len)
    } else {
        0
    }
}

/// Bytes of `base..base + len` in huge pages, from the kernel's table.
///
/// The table has one entry for each stretch with the same properties, which may
/// cover neighbours of ours. What the neighbours could hold at most is taken
/// off, so that the figure is never too high.
pub(super) fn huge_bytes(base: NonNull<u8>, len: usize) -> Option<usize> {
    let table = BufReader::new(File::open("/proc/self/smaps").ok()?);
    huge_bytes_in(table, base.addr().get(), len)
}

fn huge_bytes_in(mut table: impl BufRead, base: usize, len: usize) -> Option<usize> {
    let end = base.checked_add(len)?;
    let mut total = 0;
    // Bytes of the current entry inside and outside of our range.
    let (mut inside, mut outside) = (0, 0);
    let mut huge = 0_usize;
    let mut line = String::new();
    loop {
        line.clear();
        let ended = table.read_line(&mut line).ok()? == 0;
        let entry = entry_range(&line);
        if ended || entry.is_some() {
            total += huge.saturating_sub(outside).min(inside);
            huge = 0;
        }
        if ended {
            return Some(total);
        }
        if let Some((first, last)) = entry {
            inside = last.min(end).saturating_sub(first.max(base));
            outside = (last - first) - inside;
        } else if inside > 0 {
            huge += huge_field(&line).unwrap_or(0);
        }
    }
}

/// `7f00a000-7f00c000 rw-p …` is the first line of an entry.
fn entry_range(line: &str) -> Option<(usize, usize)> {
    let (first, last) = line.split_ascii_whitespace().next()?.split_once('-')?;
    let first = usize::from_str_radix(first, 16).ok()?;
    let last = usize::from_str_radix(last, 16).ok()?;
    (first <= last).then_some((first, last))
}

/// `AnonHugePages:      2048 kB` and its two siblings for reserved pages.
fn huge_field(line: &str) -> Option<usize> {
    let (name, value) = line.split_once(':')?;
    if !matches!(name, "AnonHugePages" | "Private_Hugetlb" | "Shared_Hugetlb") {
        return None;
    }
    let kibibytes: usize = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

fn errno() -> libc::c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
7f0000000000-7f0000400000 rw-p 00000000 00:00 0
Size:               4096 kB
AnonHugePages:      4096 kB
Private_Hugetlb:       0 kB
7f0000400000-7f0000c00000 rw-p 00000000 00:00 0          [anon: millpond]
Size:               8192 kB
AnonHugePages:      6144 kB
Private_Hugetlb:    2048 kB
VmFlags: rd wr mr mw me ac sd
";
    const MIB: usize = 1 << 20;

    #[test]
    fn huge_pages_of_other_entries_are_not_counted() {
        let first = huge_bytes_in(TABLE.as_bytes(), 0x7f00_0000_0000, 4 * MIB);
        assert_eq!(first, Some(4 * MIB));
        let second = huge_bytes_in(TABLE.as_bytes(), 0x7f00_0040_0000, 8 * MIB);
        assert_eq!(second, Some(8 * MIB));
        let both = huge_bytes_in(TABLE.as_bytes(), 0x7f00_0000_0000, 12 * MIB);
        assert_eq!(both, Some(12 * MIB));
        let neither = huge_bytes_in(TABLE.as_bytes(), 0x1000, MIB);
        assert_eq!(neither, Some(0));
    }

    #[test]
    fn huge_pages_in_a_shared_entry_are_never_overstated() {
        // Half of an entry of 4 MiB, all of it huge: 2 MiB for certain.
        let half = huge_bytes_in(TABLE.as_bytes(), 0x7f00_0000_0000, 2 * MIB);
        assert_eq!(half, Some(2 * MIB));
        let table = TABLE.replace("4096 kB\nPrivate", "2048 kB\nPrivate");
        // Half of an entry in which 2 of 4 MiB are huge: they may be the
        // neighbour's.
        let half = huge_bytes_in(table.as_bytes(), 0x7f00_0000_0000, 2 * MIB);
        assert_eq!(half, Some(0));
    }

    #[test]
    fn only_pages_that_are_backed_lie_on_a_node() {
        let len = 100 * page_bytes();
        let base = map(len, page_bytes()).expect("a few pages");
        assert_eq!(placed_node(base, len), None, "none is backed");
        // SAFETY: the first byte of our own mapping.
        unsafe { base.write(1) };
        let page = base.as_ptr().cast_const();
        // SAFETY: inside of the mapping.
        let untouched = unsafe { page.add(page_bytes()) };
        let mut nodes = [-1; 2];
        if nodes_of(&[page, untouched], &mut nodes).is_some() {
            assert!(nodes[0] >= 0 && nodes[1] == -libc::ENOENT, "{nodes:?}");
            assert_eq!(placed_node(base, len), u32::try_from(nodes[0]).ok());
        }
        // SAFETY: our own mapping, unused.
        unsafe { unmap(base, len) };
    }

    #[test]
    fn over_aligned_mapping_is_trimmed_to_its_length() {
        let page = page_bytes();
        let align = 64 * page;
        let base = map(page, align).expect("one page");
        assert_eq!(base.addr().get() % align, 0);
        // SAFETY: one page, mapped above.
        let resident = unsafe { resident_bytes(base, page) };
        assert_eq!(resident, Some(0));
        // SAFETY: our own mapping, unused.
        unsafe { unmap(base, page) };
    }
}
