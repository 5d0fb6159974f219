//! The tail of every row stays zero, and everything else that must hold, under
//! random sequences of every operation.

mod sequence;

use millpond_testing::Dice;

const SEEDS: u64 = if cfg!(miri) { 2 } else { 1500 };
const BYTES: usize = if cfg!(miri) { 40 } else { 400 };

#[test]
fn rows_are_what_the_model_says_under_every_operation() {
    for seed in 0..SEEDS {
        let mut dice = Dice::new(seed);
        let bytes: Vec<u8> = (0..BYTES).map(|_| dice.bits().to_le_bytes()[0]).collect();
        let ran = std::panic::catch_unwind(|| sequence::drive(&bytes));
        assert!(ran.is_ok(), "seed {seed}");
    }
}
