//! Giving memory back, from every thread's cache, idle threads included.

use super::SharedEngine;
use super::acquire::Changing;
use super::stop::Patience;
use crate::entry::Entry;
use crate::event::Event;
use crate::magazine::{Magazine, Stack};
use crate::source::Source;
use crate::thread_id;
use crate::trim::{Level, TrimReport};
use alloc::vec::Vec;

impl<S: Source> SharedEngine<S> {
    /// Gives back what `level` allows. Items leave existence under the lock and
    /// their memory goes after unlocking, so an acquire meanwhile may create
    /// new ones, but is never told that items are leased which are not.
    pub fn trim(&self, level: Level) -> TrimReport {
        let source = match level {
            Level::Full if !self.is_changing_here() => Some(self.population.lock()),
            // A trim on behalf of a budget may come from inside another pool's
            // growth: waiting for each other would be for ever.
            _ => self.population.try_lock(),
        };
        let Some(mut source) = source else {
            return TrimReport {
                busy: true,
                ..TrimReport::default()
            };
        };
        let mut free = Vec::new();
        let mut report = TrimReport::default();
        let state = self.state.lock();
        let expected = state.created;
        drop(state);
        if free.try_reserve(expected).is_err() {
            return report;
        }
        let before = source.held_bytes();
        let machinery = self.collect(level, &mut free, &mut report);
        let changing = Changing(&self.state);
        let home = free.len();
        let retired = source.retire(&mut free, level);
        report.freed_items = home - free.len();
        report.pinned = free.len();
        report.freed_bytes = before - source.held_bytes();
        let magazines = self.restore(&free, report.freed_items);
        drop(changing);
        drop(source);
        self.serve();
        report.freed_bytes += self.free_magazines(machinery) + self.free_magazines(magazines);
        // Memory goes, and foreign destructors may run, with no lock held.
        drop(retired);
        self.tell(&Event::Trimmed { report: &report });
        report
    }

    fn is_changing_here(&self) -> bool {
        self.state.lock().changing == Some(thread_id::current())
    }

    /// Takes the free items into `free`, which has room for them, and, for a
    /// full trim, the magazines out of the caches.
    fn collect(&self, level: Level, free: &mut Vec<Entry>, report: &mut TrimReport) -> Stack {
        let mut machinery = Stack::new();
        let mut state = self.state.lock();
        if level > Level::Light {
            let strict = state.strict;
            self.stop(&mut state, Patience::Brief);
            // Only exhaustion makes a pool strict for longer than a moment. A
            // cache that was passed over still has its gate closed: its owner
            // opens it again.
            state.strict = strict;
            if level == Level::Full {
                self.take_magazines(&mut machinery);
            }
        }
        while free.len() < free.capacity() {
            let Some(entry) = state.depot.pop() else {
                break;
            };
            free.push(entry);
        }
        let cached: usize = self.table.iter().map(|(_, cache)| cache.items()).sum();
        if level > Level::Light {
            report.unreachable = cached;
        }
        report.leased = (state.created - state.depot.count()).saturating_sub(free.len() + cached);
        state.changing = Some(thread_id::current());
        machinery
    }

    /// Takes the magazines out of stopped caches.
    fn take_magazines(&self, machinery: &mut Stack) {
        for (_, cache) in self.table.iter() {
            if !cache.is_stolen() {
                continue;
            }
            // SAFETY: stolen, so stopped: gate closed, barrier run, owner outside.
            let (loaded, previous) = unsafe {
                cache.contents(|contents| {
                    contents.exchanges = 0;
                    (contents.loaded.take(), contents.previous.take())
                })
            };
            for magazine in [loaded, previous].into_iter().flatten() {
                // SAFETY: taken out of the cache, so ours alone.
                unsafe { machinery.push(magazine) };
            }
        }
    }

    /// Puts back what the source kept, and answers the magazines that the depot
    /// no longer needs.
    fn restore(&self, kept: &[Entry], retired: usize) -> Stack {
        let mut state = self.state.lock();
        state.created -= retired;
        state.tally.retired += retired as u64;
        for &entry in kept.iter().rev() {
            state.depot.push(entry);
        }
        let mut magazines = Stack::new();
        let created = state.created;
        while let Some(magazine) = state.depot.defund(created) {
            // SAFETY: taken out of the depot, so ours alone.
            unsafe { magazines.push(magazine) };
        }
        magazines
    }

    /// Frees magazines and refunds them; answers the bytes.
    fn free_magazines(&self, mut magazines: Stack) -> usize {
        let mut bytes = 0;
        while let Some(magazine) = magazines.pop() {
            bytes += Magazine::bytes(magazine.capacity());
            // SAFETY: popped, so ours alone.
            unsafe { magazine.free() };
        }
        if bytes > 0 {
            self.state.lock().tally.machinery_bytes -= bytes;
            self.refund(bytes);
        }
        bytes
    }
}
