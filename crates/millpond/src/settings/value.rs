//! Values: what was written, and what it means.

use core::fmt;
use core::time::Duration;
use millpond_core::adaptive::Adaptive;
use millpond_core::exhaustion::Exhaustion;
use millpond_core::region::HugePages;
use std::borrow::ToOwned;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

/// What was written.
#[derive(Clone, Debug)]
pub(super) enum Raw {
    One(String),
    Many(Vec<String>),
}

impl Raw {
    /// A leaf of a tree, as text; `None` for what is no scalar.
    pub(super) fn of(leaf: &serde_json::Value) -> Option<Self> {
        match leaf {
            serde_json::Value::Array(items) => items
                .iter()
                .map(scalar)
                .collect::<Option<_>>()
                .map(Self::Many),
            leaf => scalar(leaf).map(Self::One),
        }
    }

    /// The items of a list: commas separate them in one text.
    fn items(&self) -> Vec<&str> {
        match self {
            Self::One(text) => text.split(',').map(str::trim).collect(),
            Self::Many(items) => items.iter().map(String::as_str).collect(),
        }
    }
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(text) => f.write_str(text),
            Self::Many(items) => f.write_str(&items.join(", ")),
        }
    }
}

fn scalar(leaf: &serde_json::Value) -> Option<String> {
    match leaf {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        serde_json::Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// The leaves of a tree, each with its name. A table that is empty is a leaf.
pub(super) fn flatten<'t>(
    tree: &'t serde_json::Value,
    name: String,
    leaves: &mut Vec<(String, &'t serde_json::Value)>,
) {
    let fields = match tree {
        serde_json::Value::Object(fields) if !fields.is_empty() => fields,
        _ => return leaves.push((name, tree)),
    };
    for (key, value) in fields {
        flatten(value, format!("{name}.{key}"), leaves);
    }
}

/// What a field takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Size { least: usize },
    Sizes,
    Count { least: usize, most: usize },
    Flag,
    Policy,
    Name,
    Pages,
    Adaptive,
    OneOf(&'static [&'static str]),
}

/// What was meant.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Number(usize),
    Sizes(Vec<usize>),
    Flag(bool),
    Policy(Exhaustion),
    Name(String),
    Pages(HugePages),
    Adaptive(Adaptive),
    Word(&'static str),
}

/// The words for pages.
const PAGES: [(&str, HugePages); 3] = [
    ("none", HugePages::None),
    ("transparent", HugePages::Transparent),
    ("explicit", HugePages::Explicit),
];

impl Kind {
    /// What the field takes, in words.
    pub(super) fn allowed(self) -> String {
        match self {
            Self::Size { least } => {
                format!("{least} bytes or more are allowed, as a number or like \"256 KiB\"")
            }
            Self::Sizes => "increasing sizes are allowed, like \"4 KiB, 64 KiB\"".to_owned(),
            Self::Count {
                least,
                most: usize::MAX,
            } => format!("{least} or more are allowed"),
            Self::Count { least, most } => format!("{least} to {most} are allowed"),
            Self::Flag => "true and false are allowed".to_owned(),
            Self::Policy => "fail, fallback, \"fallback N\", \"grow N\", wait and \"wait N ms\" \
                 are allowed"
                .to_owned(),
            Self::Name => "a name of 1 to 64 bytes is allowed".to_owned(),
            Self::Pages => "none, transparent and explicit are allowed".to_owned(),
            Self::Adaptive => "two numbers are allowed, the smaller first, like \"16 to 128\", \
                 and which share of peaks to have room for, like \
                 \"16 to 128 for 990 of 1000 peaks\""
                .to_owned(),
            Self::OneOf(words) => format!("{} are allowed", words.join(", ")),
        }
    }

    pub(super) fn parse(self, raw: &Raw) -> Option<Value> {
        if let (Self::Sizes, raw) = (self, raw) {
            let sizes = raw.items().into_iter().map(size).collect::<Option<_>>();
            return sizes.map(Value::Sizes);
        }
        let Raw::One(text) = raw else { return None };
        let text = text.trim();
        match self {
            Self::Size { least } => size(text).filter(|&size| size >= least).map(Value::Number),
            Self::Count { least, most } => {
                let count = text.replace('_', "").parse().ok();
                count
                    .filter(|count| (least..=most).contains(count))
                    .map(Value::Number)
            }
            Self::Flag => text.parse().ok().map(Value::Flag),
            Self::Policy => policy(text).map(Value::Policy),
            Self::Name => (1..=64)
                .contains(&text.len())
                .then(|| Value::Name(text.to_owned())),
            Self::Pages => PAGES
                .into_iter()
                .find(|(word, _)| *word == text)
                .map(|(_, pages)| Value::Pages(pages)),
            Self::Adaptive => adaptive(text).map(Value::Adaptive),
            Self::OneOf(words) => {
                let word = words.iter().find(|word| **word == text);
                word.map(|word| Value::Word(word))
            }
            Self::Sizes => None,
        }
    }
}

/// A number of bytes: plain, or with a unit.
fn size(text: &str) -> Option<usize> {
    let size: bytesize::ByteSize = text.parse().ok()?;
    usize::try_from(size.as_u64()).ok()
}

fn policy(text: &str) -> Option<Exhaustion> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let number = || rest.trim().parse::<usize>().ok();
    match (word, rest) {
        ("fail", "") => Some(Exhaustion::Fail),
        ("fallback", "") => Some(Exhaustion::Fallback {
            at_most: usize::MAX,
        }),
        ("fallback", _) => number().map(|at_most| Exhaustion::Fallback { at_most }),
        ("grow", _) => number().map(|extra| Exhaustion::Grow { extra }),
        ("wait", "") => Some(Exhaustion::Block { timeout: None }),
        ("wait", time) => {
            let ms = time.trim().strip_suffix("ms")?.trim().parse().ok()?;
            Some(Exhaustion::Block {
                timeout: Some(Duration::from_millis(ms)),
            })
        }
        _ => None,
    }
}

/// A policy in the words that are read as it; `None` for one that has none.
pub(super) fn policy_words(policy: Exhaustion) -> Option<String> {
    const ANY: usize = usize::MAX;
    Some(match policy {
        Exhaustion::Fail => "fail".to_owned(),
        Exhaustion::Fallback { at_most: ANY } => "fallback".to_owned(),
        Exhaustion::Fallback { at_most } => format!("fallback {at_most}"),
        Exhaustion::Grow { extra } => format!("grow {extra}"),
        Exhaustion::Block { timeout: None } => "wait".to_owned(),
        Exhaustion::Block {
            timeout: Some(time),
        } => format!("wait {} ms", time.as_millis()),
        _ => return None,
    })
}

fn adaptive(text: &str) -> Option<Adaptive> {
    let number = |text: &str| {
        text.trim()
            .parse::<u32>()
            .ok()
            .map(|number| number as usize)
    };
    let (bounds, share) = match text.split_once(" for ") {
        Some((bounds, share)) => (bounds, Some(share)),
        None => (text, None),
    };
    let (least, most) = bounds.split_once("to")?;
    let (least, most) = (number(least)?, number(most)?);
    let adaptive = (0 < least && least <= most).then(|| Adaptive::between(least, most))?;
    let Some(share) = share else {
        return Some(adaptive);
    };
    let peaks = number(share.trim().strip_suffix("of 1000 peaks")?)?;
    (1..=1000)
        .contains(&peaks)
        .then(|| adaptive.for_share_of_peaks(peaks))
}

/// What is read as this.
pub(super) fn adaptive_words(adaptive: Adaptive) -> String {
    let (least, most) = adaptive.bounds();
    let share = adaptive.share_of_peaks();
    let share = share.map(|peaks| format!(" for {peaks} of 1000 peaks"));
    format!("{least} to {most}{}", share.unwrap_or_default())
}

/// The word for pages.
pub(super) fn pages_word(pages: HugePages) -> &'static str {
    let word = PAGES.into_iter().find(|(_, known)| *known == pages);
    word.map_or("none", |(word, _)| word)
}

/// The words for how rows are spread.
const SPREADS: [(&str, millpond_vector::Spread); 2] = [
    ("packed", millpond_vector::Spread::Packed),
    ("prefix_scan", millpond_vector::Spread::PrefixScan),
];

/// How rows are spread, by the word for it; packed, if it is no such word.
pub(super) fn spread(word: &str) -> millpond_vector::Spread {
    let spread = SPREADS.into_iter().find(|(known, _)| *known == word);
    spread.map_or_else(Default::default, |(_, spread)| spread)
}

/// The word for how rows are spread.
pub(super) fn spread_word(spread: millpond_vector::Spread) -> &'static str {
    let word = SPREADS.into_iter().find(|(_, known)| *known == spread);
    word.map_or("packed", |(word, _)| word)
}
