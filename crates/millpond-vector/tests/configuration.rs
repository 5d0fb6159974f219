//! What a pool of rows is configured with, as text.

use millpond_vector::{Alignment, SideArrays, Spread};

fn written<T: serde::Serialize>(value: T) -> String {
    serde_json::to_string(&value).unwrap()
}

fn refused<T: serde::de::DeserializeOwned + core::fmt::Debug>(text: &str) -> String {
    serde_json::from_str::<T>(text).unwrap_err().to_string()
}

#[test]
fn alignments_are_written_as_their_bytes() {
    for align in Alignment::ALL {
        assert_eq!(written(align), align.bytes().to_string());
        assert_eq!(
            serde_json::from_str::<Alignment>(&written(align)).unwrap(),
            align
        );
    }
    for bytes in ["0", "8", "48", "256"] {
        let error = refused::<Alignment>(bytes);
        assert!(error.contains("16, 32, 64 or 128"), "{error}");
        assert!(error.contains(&format!("but {bytes} were")), "{error}");
    }
}

#[test]
fn spreads_are_written_as_words() {
    for (spread, word) in [
        (Spread::Packed, "packed"),
        (Spread::PrefixScan, "prefix_scan"),
    ] {
        assert_eq!(written(spread), format!("\"{word}\""));
        assert_eq!(
            serde_json::from_str::<Spread>(&written(spread)).unwrap(),
            spread
        );
    }
    assert!(refused::<Spread>("\"loose\"").contains("`packed` or `prefix_scan`"));
}

#[test]
fn side_arrays_are_off_unless_they_are_written() {
    let side: SideArrays = serde_json::from_str(r#"{"norms":true}"#).unwrap();
    assert!(side.norms && !side.external_ids);
    for side in [SideArrays::NONE, side, SideArrays::ALL] {
        assert_eq!(
            serde_json::from_str::<SideArrays>(&written(side)).unwrap(),
            side
        );
    }
    assert!(refused::<SideArrays>(r#"{"norm":true}"#).contains("`norm`"));
}
