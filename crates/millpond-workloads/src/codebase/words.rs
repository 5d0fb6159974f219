//! From text to words, and from words to an embedding.
//!
//! A word is an identifier or a part of one: `tryAcquire_all` gives `tryacquire_all`,
//! `try`, `acquire` and `all`. Words are compared by a 64-bit hash of their lower
//! case; two different words among a million share one with a chance of 1 in 3·10⁷,
//! and then only a ranking shifts.

/// The dimension of an embedding.
pub const DIMENSION: usize = 256;

/// Longer words are no words: encoded data, mostly.
const LONGEST: usize = 64;

/// Calls `each` with the hash and the lower case of every word.
///
/// # Errors
///
/// What `each` says.
pub fn each_word<E>(
    text: &str,
    mut each: impl FnMut(u64, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !is_part(bytes[at]) {
            at += 1;
            continue;
        }
        let end = bytes[at..]
            .iter()
            .position(|&b| !is_part(b))
            .map_or(bytes.len(), |n| at + n);
        identifier(&bytes[at..end], &mut each)?;
        at = end;
    }
    Ok(())
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn identifier<E>(
    whole: &[u8],
    each: &mut impl FnMut(u64, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    if whole.len() > LONGEST {
        return Ok(());
    }
    let mut lower = [0; LONGEST];
    for (to, from) in lower.iter_mut().zip(whole) {
        *to = from.to_ascii_lowercase();
    }
    let lower = &lower[..whole.len()];
    if whole.len() > 1 {
        each(hash(lower), lower)?;
    }
    let mut begin = 0;
    for at in 1..=whole.len() {
        let ends = at == whole.len()
            || whole[at] == b'_'
            || (whole[at].is_ascii_uppercase() && !whole[at - 1].is_ascii_uppercase());
        if ends {
            let part = lower[begin..at]
                .strip_prefix(b"_")
                .unwrap_or(&lower[begin..at]);
            if part.len() > 1 && part.len() < whole.len() {
                each(hash(part), part)?;
            }
            begin = at;
        }
    }
    Ok(())
}

/// The hash by which words are compared.
#[must_use]
pub fn hash(lower: &[u8]) -> u64 {
    let fold = |sum: u64, &byte: &u8| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    scatter(lower.iter().fold(0xcbf2_9ce4_8422_2325, fold))
}

/// The hash of a name, whatever its case.
#[must_use]
pub fn hash_of_name(name: &str) -> u64 {
    let fold = |sum: u64, byte: u8| {
        (sum ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0000_0100_0000_01b3)
    };
    scatter(name.bytes().fold(0xcbf2_9ce4_8422_2325, fold))
}

fn scatter(mut sum: u64) -> u64 {
    sum ^= sum >> 32;
    sum = sum.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    sum ^ (sum >> 29)
}

/// Writes the embedding of `text` into `vector`: words and their trigrams are hashed
/// to a place and a sign, sums are damped, and the length becomes 1.
pub fn embed(text: &str, vector: &mut [f32]) {
    vector.fill(0.0);
    let done: Result<(), std::convert::Infallible> = each_word(text, |word, lower| {
        add(vector, word, 1.0);
        for trigram in lower.windows(3) {
            add(vector, hash(trigram), 0.25);
        }
        Ok(())
    });
    done.unwrap_or_else(|never| match never {});
    for number in vector.iter_mut() {
        *number = number.abs().sqrt().copysign(*number);
    }
    let length = dot(vector, vector).sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|number| *number /= length);
    }
}

fn add(vector: &mut [f32], hash: u64, weight: f32) {
    let sign = if hash & 1 == 0 { weight } else { -weight };
    vector[(hash >> 32) as usize % vector.len()] += sign;
}

/// The inner product, in sixteen sums that fit a vector register.
#[must_use]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 16];
    let (a, a_rest) = a.as_chunks::<16>();
    let (b, b_rest) = b.as_chunks::<16>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..16 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        let done: Result<(), ()> = each_word(text, |_, lower| {
            found.push(String::from_utf8_lossy(lower).into_owned());
            Ok(())
        });
        done.unwrap();
        found
    }

    #[test]
    fn identifiers_give_themselves_and_their_parts() {
        assert_eq!(
            words("tryAcquire_all(x)"),
            ["tryacquire_all", "try", "acquire", "all"]
        );
        assert_eq!(words("HTTPServer = 3;"), ["httpserver"]);
        assert_eq!(words("größe"), ["größe"]);
        assert_eq!(words(&"a".repeat(65)), Vec::<String>::new());
    }

    #[test]
    fn a_name_and_its_lower_case_share_a_hash() {
        assert_eq!(hash_of_name("FixedPool"), hash(b"fixedpool"));
    }

    #[test]
    fn embeddings_have_length_one_and_similar_texts_are_near() {
        let of = |text| {
            let mut vector = [0.0; DIMENSION];
            embed(text, &mut vector);
            vector
        };
        let pool = of("fn acquire(pool: &FixedPool) -> Lease { pool.acquire() }");
        let near = of("fn release(pool: &FixedPool, lease: Lease) { drop(lease) }");
        let far = of("<html><body>The weather of tomorrow is rainy</body></html>");
        assert!((dot(&pool, &pool) - 1.0).abs() < 1e-4);
        assert!(dot(&pool, &near) > dot(&pool, &far) + 0.2);
        assert_eq!(of("")[0].to_bits(), 0);
    }
}
