//! Pools do what maps and counts say, whatever is done to them: seeded sequences of
//! operations, and those that the fuzz target runs.
#![cfg(all(feature = "std", feature = "allocator-api2"))]

mod sequence;

use millpond_testing::Dice;

#[test]
fn pools_contain_what_maps_would() {
    let (seeds, len) = if cfg!(miri) { (3, 60) } else { (900, 400) };
    for seed in 0..seeds {
        let mut dice = Dice::new(seed);
        let mut script: Vec<u8> = (0..len).map(|_| dice.bits().to_le_bytes()[0]).collect();
        // Each kind as often as the others.
        script[0] = seed.to_le_bytes()[0];
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
        sequence::run(&[first, 0, 1, 3, first, 255, 0]);
    }
}
