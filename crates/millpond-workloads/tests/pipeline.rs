//! The pipeline in all modes: same receipts, and no allocation where none is promised.

use millpond_testing::{TestAllocator, count};
use millpond_workloads::corpus::{self, Dice, Zipf};
use millpond_workloads::pipeline::memory::{Heap, RECEIPTS, local_buffers};
use millpond_workloads::pipeline::receipt::{Page, Receipt};
use millpond_workloads::pipeline::reflex::Question;
use millpond_workloads::pipeline::run::Triple;
use millpond_workloads::pipeline::{Pattern, Pipeline, memory, sample};
use proptest::prelude::*;

#[global_allocator]
static ALLOCATOR: TestAllocator = TestAllocator::new();

fn hooks(hook: &mut impl FnMut(Pattern<'_>, Question)) {
    let of = |predicate| Pattern {
        predicate: Some(predicate),
        ..Pattern::ANY
    };
    hook(of(sample::MENTIONS), Question::Count);
    hook(of(sample::LINES), Question::Ask);
    hook(
        Pattern {
            object: Some("\"self\""),
            ..Pattern::ANY
        },
        Question::AtLeast(2),
    );
}

fn in_all_modes(text: &str) -> [Vec<Receipt>; 2] {
    let pool = local_buffers();
    let mut pooled = Pipeline::new(&pool, Page::new(RECEIPTS));
    let mut heap = Pipeline::new(&Heap, Heap);
    hooks(&mut |pattern, question| pooled.hook(pattern, question));
    hooks(&mut |pattern, question| heap.hook(pattern, question));
    let mut receipts = [vec![], vec![]];
    heap.ingest(text, |receipt| receipts[0].push(*receipt))
        .unwrap();
    pooled
        .ingest(text, |receipt| receipts[1].push(*receipt))
        .unwrap();
    assert_eq!(pooled.passed(), heap.passed());
    assert_eq!(memory::usage(&pool).in_use, 0);
    receipts
}

#[test]
fn the_corpus_gives_the_same_receipts_in_every_mode() {
    let roots = corpus::default_roots().unwrap();
    let documents = corpus::documents(&roots[..1], 400_000).unwrap();
    let text = sample::ntriples(&documents, 20_000);
    let [heap, pooled] = in_all_modes(&text);
    assert!(heap.len() > 3 * 2_000);
    assert_eq!(heap, pooled);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_statements_give_the_same_receipts_in_every_mode(
        seed: u64,
        count in 0_usize..200,
    ) {
        let (zipf, mut dice) = (Zipf::new(20), Dice::new(seed));
        let mut text = String::new();
        for _ in 0..count {
            let mut draw = || zipf.draw(&mut dice);
            text += &format!("_:s{} <urn:{}> \"{}\" .\n", draw(), draw(), draw());
        }
        let [heap, pooled] = in_all_modes(&text);
        prop_assert_eq!(heap, pooled);
    }
}

#[test]
fn the_hot_path_allocates_nothing_when_pooled_and_for_each_run_on_the_heap() {
    let triples: [Triple; 8] = std::array::from_fn(|lane| [lane as u64 + 1, 2, 3]);
    let pool = local_buffers();
    let mut pooled = Pipeline::new(&pool, Page::new(RECEIPTS));
    let mut heap = Pipeline::new(&Heap, Heap);
    hooks(&mut |pattern, question| pooled.hook(pattern, question));
    hooks(&mut |pattern, question| heap.hook(pattern, question));
    let mut answers = 0_u64;
    let (_, counts) = count(|| {
        for _ in 0..1_000 {
            pooled
                .process(&triples, |receipt| answers += u64::from(receipt.answer))
                .unwrap();
        }
    });
    assert_eq!((counts.allocations, counts.deallocations), (0, 0));
    let (_, counts) = count(|| heap.process(&triples, |_| ()).unwrap());
    assert_eq!(counts.allocations, 2);
    // Ids are given in order, so 2 and 3 are what the last two hooks look for.
    assert_eq!(answers, 2_000);
}
