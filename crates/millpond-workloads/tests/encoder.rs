//! The encoder in all modes: any text comes back, and the codes are the same.

use millpond_testing::{TestAllocator, count};
use millpond_workloads::corpus::{self, Dice, Document, Zipf};
use millpond_workloads::encoder::memory::{Heap, Memory, Pooled};
use millpond_workloads::encoder::sizing::Sizing;
use millpond_workloads::encoder::{Decoder, Dictionary, Encoder, archive};
use proptest::prelude::*;

#[global_allocator]
static ALLOCATOR: TestAllocator = TestAllocator::new();

fn coded<M: Memory>(dictionary: &Dictionary, memory: &M, texts: &[String]) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(dictionary, memory);
    let encode = |text: &String| {
        let mut pages = Vec::new();
        encoder.encode(text, &mut pages).unwrap();
        pages.iter().flat_map(|page| page.iter().copied()).collect()
    };
    texts.iter().map(encode).collect()
}

/// Encodes in every mode, decodes in the other one.
fn round_trip(dictionary: &Dictionary, texts: &[String]) -> usize {
    let pools = Pooled::new(Sizing::adaptive()).unwrap();
    let heap = coded(dictionary, &Heap, texts);
    let pooled = coded(dictionary, &pools, texts);
    assert_eq!(heap, pooled);
    let (mut on_heap, mut on_pools) = (
        Decoder::new(dictionary, &Heap),
        Decoder::new(dictionary, &pools),
    );
    let mut text = Vec::new();
    for (codes, expected) in heap.iter().zip(texts) {
        on_pools.decode(codes, &mut text).unwrap();
        assert!(text == expected.as_bytes());
        on_heap.decode(codes, &mut text).unwrap();
        assert!(text == expected.as_bytes());
    }
    heap.iter().map(Vec::len).sum()
}

fn workspace() -> Vec<Document> {
    let roots = corpus::default_roots().unwrap();
    corpus::documents(&roots[..1], 1_500_000).unwrap()
}

#[test]
fn the_workspace_comes_back_at_twice_the_density() {
    let texts: Vec<String> = workspace()
        .into_iter()
        .map(|document| document.text)
        .collect();
    let dictionary = Dictionary::learn(texts.iter().map(String::as_str));
    let bytes: usize = texts.iter().map(String::len).sum();
    let coded = round_trip(&dictionary, &texts);
    assert!(coded * 2 < bytes, "{coded} of {bytes}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_texts_come_back(texts in prop::collection::vec("\\PC{0,300}|[\\s\\S]{0,80}", 1..6), learn: bool) {
        let dictionary = if learn { Dictionary::learn(texts.iter().map(String::as_str)) } else { Dictionary::default() };
        round_trip(&dictionary, &texts);
    }

    #[test]
    fn texts_that_repeat_and_nest_come_back(seed: u64, count in 1_usize..12) {
        let (zipf, mut dice) = (Zipf::new(60), Dice::new(seed));
        let texts: Vec<String> = (0..count).map(|_| nested(&zipf, &mut dice)).collect();
        round_trip(&Dictionary::learn([texts[0].as_str()]), &texts);
    }

    #[test]
    fn damaged_codes_are_an_error_or_another_text_and_never_a_panic(
        at in 0_usize..2_000, byte: u8, cut in 0_usize..2_000,
    ) {
        let texts = [nested(&Zipf::new(60), &mut Dice::new(7))];
        let dictionary = Dictionary::learn([texts[0].as_str()]);
        let mut codes = coded(&dictionary, &Heap, &texts).remove(0);
        let (length, mut text) = (codes.len(), Vec::new());
        codes[at % length] = byte;
        codes.truncate(cut.max(1));
        let _ = Decoder::new(&dictionary, &Heap).decode(&codes, &mut text);
    }
}

/// Lines of words that repeat, in braces that nest.
fn nested(zipf: &Zipf, dice: &mut Dice) -> String {
    let mut text = String::new();
    for _ in 0..dice.below(300) {
        match dice.below(6) {
            0 => text.push_str("{\n"),
            1 => text.push_str("}\n"),
            _ => {
                text += &format!(
                    "identifier_{} = some.thing(of, everyone_{});\n",
                    zipf.draw(dice),
                    zipf.draw(dice)
                );
            }
        }
    }
    text
}

#[test]
fn archives_come_back_and_damage_is_named() {
    let documents = &workspace()[..20];
    let pools = Pooled::new(Sizing::adaptive()).unwrap();
    let (mut bytes, mut heap_bytes) = (Vec::new(), Vec::new());
    archive::pack(documents, &pools, &mut bytes, |_| ()).unwrap();
    let packed = archive::pack(documents, &Heap, &mut heap_bytes, |_| ()).unwrap();
    assert_eq!(bytes, heap_bytes);
    assert_eq!((packed.documents, packed.archive_bytes), (20, bytes.len()));
    let (mut found, mut ends) = (Vec::new(), Vec::new());
    archive::unpack(&bytes, &Heap, |document, end| {
        ends.push(end);
        found.push(document);
        Ok(())
    })
    .unwrap();
    assert_eq!(found, documents);
    assert!(ends.is_sorted() && ends.last() == Some(&bytes.len()));

    let no_archive = archive::unpack(b"zip", &Heap, |_, _| Ok(())).unwrap_err();
    assert!(no_archive.to_string().contains("no archive"));
    assert!(archive::unpack(&bytes[..bytes.len() - 1], &Heap, |_, _| Ok(())).is_err());
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    assert!(archive::unpack(&bytes, &Heap, |_, _| Ok(())).is_err());
}

#[test]
fn a_warm_encoder_allocates_nothing_on_pools() {
    let texts: Vec<String> = workspace()
        .into_iter()
        .take(60)
        .map(|document| document.text)
        .collect();
    let dictionary = Dictionary::learn(texts.iter().map(String::as_str));
    let pools = Pooled::new(Sizing::fixed(128)).unwrap();
    let mut encoder = Encoder::new(&dictionary, &pools);
    let mut pages = Vec::with_capacity(128);
    let mut pass = || {
        for text in texts.iter().filter(|text| text.len() < 60_000) {
            encoder.encode(text, &mut pages).unwrap();
            pages.clear();
        }
    };
    (0..4).for_each(|_| pass());
    let (_, counts) = count(pass);
    assert_eq!(counts.allocations, 0);
}

#[test]
fn the_pool_follows_demand_that_steps_up_and_down() {
    let pools = Pooled::new(Sizing::adaptive()).unwrap();
    let dictionary = Dictionary::default();
    let mut encoder = Encoder::new(&dictionary, &pools);
    let (mut pages, mut number) = (Vec::new(), 0);
    let mut demand = |letters: usize, times: usize| {
        for _ in 0..times {
            // The number keeps it from being a copy of the one before.
            number += 1;
            let text = format!("{number} {}", "é".repeat(letters));
            encoder.encode(&text, &mut pages).unwrap();
            pages.clear();
        }
        pools.stats().pool_size
    };
    assert_eq!(demand(100, 200), 16);
    // 26 pages each.
    assert!(demand(50_000, 300) >= 24);
    assert_eq!(demand(100, 500), 16);
    let stats = pools.stats();
    assert!(stats.resizes >= 3 && stats.overflows > 0 && stats.efficiency > 1.0);
    // What the pool grew by was given back, whole slabs at a time.
    assert!(stats.held_bytes <= 2 * 16 * 4096, "{}", stats.held_bytes);
}
