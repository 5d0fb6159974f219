//! Arenas keep what was put into them, whatever is done around it: seeded
//! sequences of operations, and those that the fuzz target runs.

mod sequence;

use millpond_testing::Dice;

#[test]
fn arenas_contain_what_the_heap_would() {
    let (seeds, len) = if cfg!(miri) { (2, 80) } else { (300, 600) };
    for seed in 0..seeds {
        let mut dice = Dice::new(seed);
        let script: Vec<u8> = (0..len).map(|_| dice.bits().to_le_bytes()[0]).collect();
        sequence::run(&script);
    }
}

#[test]
fn the_shortest_scripts_do_no_harm() {
    sequence::run(&[]);
    for first in 0..=255 {
        if cfg!(miri) && first % 64 != 0 {
            continue;
        }
        sequence::run(&[first]);
        sequence::run(&[0, first, 4, first, 8, 1, 0, 255]);
    }
}
