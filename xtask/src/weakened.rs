//! `cargo xtask loom --weakened`: each model fails when its protection is removed.
//!
//! A model that passes proves nothing unless it can fail. So for each protection of the
//! engine this table says how to take it away, and which model must notice:
//!
//! ```text
//!  copy of the workspace ── one replacement ──► build ──► run the named model
//!        │                   (found once, or        │              │
//!        │                    an error)         must succeed    must FAIL
//!        └── unchanged: every named model must pass, or its failure means nothing
//! ```
//!
//! A text that is not found exactly once is an error: the engine has moved on and the
//! entry must follow it. A weakened engine that does not compile is an error too, and so
//! is a model that does not end in time, because neither shows that the model notices.

mod scratch;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use anyhow::{Result, ensure};

use self::scratch::{Ending, Scratch};
use crate::{Verdict, workspace};

/// One protection, how to remove it, and the model that must then fail.
#[derive(Clone, Copy, Debug)]
struct Weakening {
    /// What is missing afterwards, as one would say it: `no busy mark`.
    name: &'static str,
    /// The file, relative to the root.
    file: &'static str,
    /// The exact text of the protection; it stands in the file once.
    find: &'static str,
    /// What stands there without the protection. It must compile.
    replace: &'static str,
    /// The test target that holds the model.
    model: &'static str,
    /// The model's function.
    test: &'static str,
}

/// The protections of the engine.
const TABLE: &[Weakening] = &[
    Weakening {
        name: "a pin without a look at the generation",
        file: TENANCY,
        find: "if !generation(word).is_named_by(id) || word & PINS == PINS {",
        replace: "if word & PINS == PINS {",
        model: "loom_tenancy",
        test: "a_value_ends_once_after_its_last_pin",
    },
    Weakening {
        name: "a relaxed end of a pin",
        file: TENANCY,
        find: "self.word.fetch_sub(1, Ordering::Release)",
        replace: "self.word.fetch_sub(1, Ordering::Relaxed)",
        model: "loom_tenancy",
        test: "a_value_ends_once_after_its_last_pin",
    },
    Weakening {
        name: "a relaxed beginning of a life",
        file: "crates/millpond-core/src/life.rs",
        find: "        let id = RawId::new(index, generation.open()?);\n        // Release: whoever reads by the id sees what is in the slot.\n        self.generation.store(generation.bits(), Ordering::Release);",
        replace: "        let id = RawId::new(index, generation.open()?);\n        self.generation.store(generation.bits(), Ordering::Relaxed);",
        model: "loom_life",
        test: "whoever_finds_a_row_live_sees_all_of_it",
    },
    Weakening {
        name: "a relaxed look at a life",
        file: "crates/millpond-core/src/life.rs",
        find: "self.generation.load(Ordering::Acquire)",
        replace: "self.generation.load(Ordering::Relaxed)",
        model: "loom_life",
        test: "whoever_finds_a_row_live_sees_all_of_it",
    },
    Weakening {
        name: "a relaxed offer of an item",
        file: CLAIM,
        find: "self.ticket.store(ticket, Ordering::Release);",
        replace: "self.ticket.store(ticket, Ordering::Relaxed);",
        model: "loom_claim",
        test: "one_gets_the_item_and_sees_what_was_written",
    },
    Weakening {
        name: "a relaxed claim of an item",
        file: CLAIM,
        find: "let order = Ordering::Acquire;",
        replace: "let order = Ordering::Relaxed;",
        model: "loom_claim",
        test: "one_gets_the_item_and_sees_what_was_written",
    },
    Weakening {
        name: "a claim in two steps",
        file: CLAIM,
        find: "let taken = self\n            .ticket\n            .compare_exchange(ticket, NONE, order, Ordering::Relaxed);\n        taken.is_ok()",
        replace: "let found = self.ticket.load(order) == ticket;\n        if found {\n            self.ticket.store(NONE, Ordering::Relaxed);\n        }\n        found",
        model: "loom_claim",
        test: "one_gets_the_item_and_sees_what_was_written",
    },
    Weakening {
        name: "a relaxed end of a holder",
        file: "crates/millpond-core/src/sharing.rs",
        find: "self.holders.fetch_sub(1, Ordering::Release)",
        replace: "self.holders.fetch_sub(1, Ordering::Relaxed)",
        model: "loom_tenancy",
        test: "the_last_holder_sees_what_the_others_did",
    },
    Weakening {
        name: "no busy mark",
        file: CACHE,
        find: "self.word.store(word | BUSY, Ordering::Relaxed);",
        replace: "",
        model: "loom_stop",
        test: "stop_against_acquire_and_release",
    },
    Weakening {
        name: "no owner fence",
        file: CACHE,
        find: "barrier::owner();",
        replace: "",
        model: "loom_stop",
        test: "stop_against_acquire_and_release",
    },
    Weakening {
        name: "no barrier",
        file: STOP,
        find: "barrier::everyone();",
        replace: "",
        model: "loom_stop",
        test: "stop_against_acquire_and_release",
    },
    Weakening {
        name: "no wait for BUSY to clear",
        file: STOP,
        find: "while !cache.is_idle() {",
        replace: "while false && !cache.is_idle() {",
        model: "loom_stop",
        test: "stop_against_acquire_and_release",
    },
    Weakening {
        name: "a foreign write of the packed word",
        file: STOP,
        find: "cache.set_stolen(true);",
        replace: "cache.set_len(0);",
        model: "loom_stop",
        test: "stop_against_acquire_and_release",
    },
    Weakening {
        name: "a relaxed commit",
        file: CACHE,
        find: "place.store(word, Ordering::Release);",
        replace: "place.store(word, Ordering::Relaxed);",
        model: "loom_stop",
        test: "stop_against_acquire_and_release",
    },
    Weakening {
        name: "a relaxed look at BUSY",
        file: CACHE,
        find: "self.word.load(Ordering::Acquire) & BUSY == 0",
        replace: "self.word.load(Ordering::Relaxed) & BUSY == 0",
        model: "loom_stop",
        test: "stop_against_acquire_and_release",
    },
    Weakening {
        name: "a commit before the item is in its slot",
        file: CACHE,
        find: "            Self::commit(&this.word, word);\n            return false;\n        }\n",
        replace: "            Self::commit(&this.word, word);\n            return false;\n        }\n        Self::commit(&this.word, word.wrapping_add(1));\n",
        model: "loom_stop",
        test: "stop_against_acquire_and_release",
    },
    Weakening {
        name: "BUSY left set on the way to the lock",
        file: CACHE,
        find: "        Self::commit(&self.word, word);\n        None\n",
        replace: "        None\n",
        model: "loom_stop",
        test: "stop_against_acquire_and_release",
    },
    Weakening {
        name: "a closed gate that the second path ignores",
        file: CACHE,
        find: "if gate != 0 && word & LENGTH == 0 {",
        replace: "if word & LENGTH == 0 {",
        model: "loom_stop",
        test: "both_magazines_are_emptied",
    },
    Weakening {
        name: "a gate that is not closed",
        file: STOP,
        find: "        for (_, cache) in self.table.iter() {\n            cache.close();\n        }\n",
        replace: "",
        model: "loom_stop",
        test: "stop_against_acquire_and_release",
    },
    Weakening {
        name: "a theft that the owner does not notice",
        file: OWNER,
        find: "if cache.is_stolen() {",
        replace: "if false && cache.is_stolen() {",
        model: "loom_stop",
        test: "stop_against_acquire_and_release",
    },
    Weakening {
        name: "an owner that opens its gate outside the lock",
        file: ACQUIRE,
        find: "let refilled = state.tally.refills != refills;\n                drop(state);",
        replace: "let refilled = state.tally.refills != refills;\n                drop(state);\n                cache.inspect(|cache| cache.open(1));",
        model: "loom_stop",
        test: "stop_against_acquire_and_release",
    },
    Weakening {
        name: "caches that open while the pool is strict",
        file: OWNER,
        find: "        if state.strict {\n",
        replace: "        if false {\n",
        model: "loom_stop",
        test: "stop_against_acquire_and_release",
    },
    Weakening {
        name: "exhaustion claimed without a stop",
        file: ACQUIRE,
        find: "} else if !state.strict || state.skipped {",
        replace: "} else if false {",
        model: "loom_stop",
        test: "an_idle_cache_is_emptied",
    },
    Weakening {
        name: "items in the hands of a trim taken for leased",
        file: TRIM,
        find: "state.changing = true;",
        replace: "",
        model: "loom_trim",
        test: "full_against_pairs",
    },
    Weakening {
        name: "a waiter that enqueues after letting go of the lock",
        file: WAIT,
        find: "state.tally.waits += 1;",
        replace: "drop(state);\n        let mut state = self.state.lock();\n        state.tally.waits += 1;",
        model: "loom_wait",
        test: "a_release_wakes_the_waiter",
    },
    Weakening {
        name: "a release that looks at the queue before it locks",
        file: RELEASE,
        find: "            match state.place(entry) {\n",
        replace: "            let waiting = !state.waiters.is_empty();\n            drop(state);\n            let mut state = this.state.lock();\n            if !waiting {\n                state.depot.push(entry);\n                return state.released();\n            }\n            match state.place(entry) {\n",
        model: "loom_wait",
        test: "a_release_in_a_strict_pool_wakes_the_waiter",
    },
    Weakening {
        name: "a hand-off that wakes nobody",
        file: RELEASE,
        find: "wake.wake();",
        replace: "",
        model: "loom_wait",
        test: "a_release_wakes_the_waiter",
    },
    Weakening {
        name: "a close that wakes nobody",
        file: CLOSE,
        find: "Ok(wake) => wakes.push(wake),",
        replace: "Ok(_) => {}",
        model: "loom_wait",
        test: "close_wakes_the_waiter",
    },
    Weakening {
        name: "a time-out that does not look whether an item was given",
        file: WAIT,
        find: "if turn.is_none() && !in_time {",
        replace: "if !in_time {",
        model: "loom_wait",
        test: "a_time_out_races_a_release",
    },
    Weakening {
        name: "a dropped future that keeps its item",
        file: FUTURE,
        find: "if let Some(Turn::Given(entry)) = turn {",
        replace: "if let Some(Turn::Given(entry)) = turn.filter(|_| false) {",
        model: "loom_future",
        test: "a_dropped_future_loses_nothing",
    },
    Weakening {
        name: "caches that open while somebody waits",
        file: RELEASE,
        find: "self.waiters.is_empty() && !self.closed",
        replace: "!self.closed",
        model: "loom_future",
        test: "a_long_queue_is_served_to_its_end",
    },
    Weakening {
        name: "a queue that serves the last first",
        file: QUEUE,
        find: "let Some(first) = NonNull::new(self.first.cast_mut()) else {",
        replace: "let Some(first) = NonNull::new(self.last.cast_mut()) else {",
        model: "loom_future",
        test: "items_go_to_tasks_in_the_order_of_the_queue",
    },
    Weakening {
        name: "a close without a stop",
        file: CLOSE,
        find: "self.stop(&mut state, Patience::Endless);",
        replace: "",
        model: "loom_close",
        test: "a_warm_release_races_the_owner",
    },
    Weakening {
        name: "the last one decided after unlocking",
        file: RELEASE,
        find: "None => return state.released(),",
        replace: "None => {\n                    drop(state);\n                    return this.state.lock().released();\n                }",
        model: "loom_close",
        test: "two_threads_release_the_last_items",
    },
    Weakening {
        name: "an id that is taken while its caches are emptied",
        file: THREAD_ID,
        find: "    f(&ids().lock())\n",
        replace: "    let book = ids().lock();\n    let (taken, deaths) = (book.taken.clone(), book.deaths);\n    drop(book);\n    f(&Ids { taken, deaths })\n",
        model: "loom_thread_id",
        test: "an_heir_needs_no_lock",
    },
    Weakening {
        name: "a living thread's cache taken for a dead one's",
        file: STOP,
        find: "if !ids.is_taken(id) {",
        replace: "if true {",
        model: "loom_thread_id",
        test: "a_dead_threads_cache_is_swept_or_adopted",
    },
    Weakening {
        name: "an owner who goes tells nobody",
        file: "crates/millpond-core/src/shared/close.rs",
        find: "state.orphaned = true;",
        replace: "",
        model: "loom_close",
        test: "the_last_release_frees_the_pool",
    },
    Weakening {
        name: "an arena whose holder went unseen",
        file: CACHE,
        find: "place.store(word, Ordering::Release)",
        replace: "place.store(word, Ordering::Relaxed)",
        model: "loom_decay",
        test: "leases_against_ticks",
    },
];

const CLAIM: &str = "crates/millpond-core/src/claim.rs";
const TENANCY: &str = "crates/millpond-core/src/tenancy.rs";
const CACHE: &str = "crates/millpond-core/src/cache.rs";
const STOP: &str = "crates/millpond-core/src/shared/stop.rs";
const OWNER: &str = "crates/millpond-core/src/shared/owner.rs";
const ACQUIRE: &str = "crates/millpond-core/src/shared/acquire.rs";
const RELEASE: &str = "crates/millpond-core/src/shared/release.rs";
const TRIM: &str = "crates/millpond-core/src/shared/trim.rs";
const WAIT: &str = "crates/millpond-core/src/shared/wait.rs";
const FUTURE: &str = "crates/millpond-core/src/shared/future.rs";
const CLOSE: &str = "crates/millpond-core/src/shared/close.rs";
const QUEUE: &str = "crates/millpond-core/src/wait.rs";
const THREAD_ID: &str = "crates/millpond-core/src/thread_id.rs";

/// The packages whose models run. No two models have the same name.
const PACKAGES: [&str; 2] = ["millpond-core", "millpond-arena"];

pub(crate) fn run(filter: Option<&str>) -> Result<Verdict> {
    let chosen = TABLE
        .iter()
        .filter(|weakening| filter.is_none_or(|part| weakening.name.contains(part)));
    let chosen: Vec<Weakening> = chosen.copied().collect();
    ensure!(
        !chosen.is_empty(),
        "no weakening to try: the table in xtask/src/weakened.rs has none of that name"
    );
    let tree = workspace::target_dir_for("weakened");
    // A build directory of its own: cargo tells a file here from the same file there by
    // nothing but its age, and would take weakened builds for those of the models.
    let scratch = Scratch::copy_of(workspace::root(), &tree, tree.join("build"), &PACKAGES)?;
    let results = try_all(&scratch, &chosen)?;
    for (weakening, finding) in &results {
        println!(
            "{:<34} {:<52} {finding}",
            weakening.name,
            format!("{}::{}", weakening.model, weakening.test)
        );
    }
    let caught = results
        .iter()
        .filter(|(_, finding)| finding.is_caught())
        .count();
    println!(
        "{caught} of {} protections are missed when they are gone",
        results.len()
    );
    Ok(Verdict::from_holds(caught == results.len()))
}

/// What became of one weakening.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Finding {
    /// The model failed, with its own words. This is what we want to see.
    Caught(String),
    /// The model passed without the protection: it does not model it.
    Survived,
    /// The text stands in the file this many times, not once.
    NotOnce(usize),
    /// The weakened engine does not compile.
    DoesNotCompile,
    /// The model did not end in time, which shows nothing.
    TimedOut,
    /// The model does not pass with the protection in place, or does not exist.
    FailsUnweakened,
    /// The model does not compile with the protection in place.
    StaleModel,
}

impl Finding {
    fn is_caught(&self) -> bool {
        matches!(self, Self::Caught(_))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caught(words) => write!(f, "caught: {words}"),
            Self::Survived => write!(f, "SURVIVED: the model passes without it"),
            Self::NotOnce(times) => {
                write!(f, "STALE: the text stands there {times} times, not once")
            }
            Self::DoesNotCompile => write!(f, "STALE: does not compile without it"),
            Self::TimedOut => write!(f, "UNDECIDED: the model did not end in time"),
            Self::StaleModel => write!(f, "STALE: the model does not compile"),
            Self::FailsUnweakened => write!(f, "UNDECIDED: the model does not pass with it either"),
        }
    }
}

fn try_all(scratch: &Scratch, weakenings: &[Weakening]) -> Result<Vec<(Weakening, Finding)>> {
    let mut sound = BTreeMap::new();
    for Weakening { model, test, .. } in weakenings {
        if let Entry::Vacant(place) = sound.entry((*model, *test)) {
            place.insert(scratch.run_model(model, test)?);
        }
    }
    let mut results = Vec::new();
    for weakening in weakenings {
        let finding = match &sound[&(weakening.model, weakening.test)] {
            Ending::Passed => try_one(scratch, weakening)?,
            Ending::TimedOut => Finding::TimedOut,
            Ending::DidNotCompile => Finding::StaleModel,
            Ending::Failed(_) => Finding::FailsUnweakened,
        };
        eprintln!("{}: {finding}", weakening.name);
        results.push((*weakening, finding));
    }
    Ok(results)
}

fn try_one(scratch: &Scratch, weakening: &Weakening) -> Result<Finding> {
    let sound = scratch.read(weakening.file)?;
    let times = sound.matches(weakening.find).count();
    if times != 1 {
        return Ok(Finding::NotOnce(times));
    }
    scratch.write(
        weakening.file,
        &sound.replace(weakening.find, weakening.replace),
    )?;
    let ending = scratch.run_model(weakening.model, weakening.test);
    scratch.write(weakening.file, &sound)?;
    Ok(match ending? {
        Ending::Passed => Finding::Survived,
        Ending::Failed(words) => Finding::Caught(words),
        Ending::DidNotCompile => Finding::DoesNotCompile,
        Ending::TimedOut => Finding::TimedOut,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const TOY: Weakening = Weakening {
        name: "no guard",
        file: "src/lib.rs",
        find: "guarded(true)",
        replace: "guarded(false)",
        model: "loom_toy",
        test: "the_guard_holds",
    };

    /// A package with one protection, one model, and one thing that no model looks at.
    fn toy_workspace(name: &str) -> std::path::PathBuf {
        let root = workspace::target_dir_for("weakened-toy").join(name);
        for directory in ["src", "tests"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        let files = [
            (
                "Cargo.toml",
                "[package]\nname = 'toy'\nversion = '0.0.0'\nedition = '2024'\n[workspace]\n",
            ),
            (
                "src/lib.rs",
                "fn guarded(on: bool) -> bool { on }\npub fn check() -> bool { guarded(true) }\n\
                 pub fn unwatched() -> u8 { 7 }\n// twice twice\n",
            ),
            (
                "tests/loom_toy.rs",
                "#[test] fn the_guard_holds() { assert!(toy::check(), \"the guard is gone\"); }\n\
                 #[test] fn never_true() { panic!(); }\n",
            ),
        ];
        for (file, text) in files {
            fs::write(root.join(file), text).unwrap();
        }
        root
    }

    #[test]
    fn the_protections_that_the_engine_rests_on_are_in_the_table() {
        let required = [
            "no busy mark",
            "no owner fence",
            "no barrier",
            "a foreign write of the packed word",
            "a relaxed commit",
        ];
        for name in required {
            let entries = TABLE.iter().filter(|weakening| weakening.name == name);
            assert_eq!(entries.count(), 1, "{name}");
        }
    }

    #[test]
    fn each_ending_is_told_apart() {
        let cases = [
            (TOY, Finding::Caught("the guard is gone".to_owned())),
            (
                Weakening {
                    find: "{ 7 }",
                    replace: "{ 8 }",
                    ..TOY
                },
                Finding::Survived,
            ),
            (
                Weakening {
                    find: "no such text",
                    ..TOY
                },
                Finding::NotOnce(0),
            ),
            (
                Weakening {
                    find: "twice",
                    ..TOY
                },
                Finding::NotOnce(2),
            ),
            (
                Weakening {
                    replace: "guarded(1.5)",
                    ..TOY
                },
                Finding::DoesNotCompile,
            ),
            (
                Weakening {
                    test: "never_true",
                    ..TOY
                },
                Finding::FailsUnweakened,
            ),
            (
                Weakening {
                    model: "loom_missing",
                    ..TOY
                },
                Finding::StaleModel,
            ),
            (
                Weakening {
                    test: "no_such_test",
                    ..TOY
                },
                Finding::FailsUnweakened,
            ),
        ];
        let root = toy_workspace("cases");
        let target = workspace::target_dir_for("weakened-toy");
        let scratch = Scratch::copy_of(&root, &target, target.join("build"), &["toy"]).unwrap();
        let weakenings = cases.clone().map(|(weakening, _)| weakening);
        let found = try_all(&scratch, &weakenings).unwrap();
        let findings: Vec<_> = found.into_iter().map(|(_, finding)| finding).collect();
        assert_eq!(findings, cases.map(|(_, expected)| expected));
    }
}
