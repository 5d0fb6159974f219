//! Advice as configuration: the TOML that a pond reads.

use super::{Advice, CapacityAdvice, PoolAdvice};
use std::fmt::{self, Write as _};

/// What a pond calls its byte pool, its arenas, and their scopes.
const BYTES: &str = "bytes";
const ARENAS: &str = "arenas";
const SCOPES: [&str; 3] = ["primitive", "search", "json"];

/// Most items that a configuration takes.
const MOST: usize = u32::MAX as usize;

impl Advice {
    /// The advice as configuration: TOML for `Settings` of the crate `millpond`.
    ///
    /// The byte pool of a pond is `[bytes]`, the scopes of its arenas are
    /// `[arenas.SCOPE]`, and other pools have their names. What a pond cannot be
    /// told stands in comments: a second byte pool, pools without a name, scopes of
    /// which no size is advised, and classes of one's own.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut toml = String::new();
        for pool in &self.pools {
            // Writing to a string does not fail.
            let _ = match (pool.kind.as_str(), pool.pool.as_str()) {
                ("bytes", BYTES) => bytes(&mut toml, pool),
                ("arena", ARENAS) => arenas(&mut toml, pool),
                ("bytes" | "arena", _) | (_, "") => remark(&mut toml, pool),
                _ => by_name(&mut toml, pool),
            };
        }
        toml
    }
}

fn bytes(toml: &mut String, pool: &PoolAdvice) -> fmt::Result {
    match &pool.classes {
        Some(classes) => writeln!(toml, "[bytes]\nclasses = {:?}\n", classes.sizes),
        None => remark(toml, pool),
    }
}

fn arenas(toml: &mut String, pool: &PoolAdvice) -> fmt::Result {
    let sized = pool.nominal.iter().map(|(label, _)| label.as_str());
    // A pond knows how large its own scopes are; of others a size must be said.
    let own = sized.filter(|label| !SCOPES.contains(label) && !label.is_empty());
    let scopes: Vec<&str> = SCOPES.into_iter().chain(own).collect();
    let mut rest = pool.clone();
    for scope in scopes {
        let nominal = pool.nominal.iter().find(|(label, _)| label == scope);
        let capacity = pool.capacities.iter().find(|(label, _)| label == scope);
        if nominal.is_none() && capacity.is_none() {
            continue;
        }
        match SCOPES.contains(&scope) {
            true => writeln!(toml, "[arenas.{scope}]")?,
            false => writeln!(toml, "[arenas.{}]", quoted(scope))?,
        }
        if let Some((_, nominal)) = nominal {
            writeln!(toml, "nominal_bytes = {}", nominal.bytes)?;
        }
        if let Some((_, capacity)) = capacity {
            writeln!(toml, "parked = {}", capacity.capacity.min(MOST))?;
            let prewarm = capacity.warm_up.min(capacity.capacity).min(MOST);
            writeln!(toml, "prewarm = {prewarm}")?;
        }
        toml.push('\n');
        rest.nominal.retain(|(label, _)| label != scope);
        rest.capacities.retain(|(label, _)| label != scope);
    }
    remark(toml, &rest)
}

fn by_name(toml: &mut String, pool: &PoolAdvice) -> fmt::Result {
    let [(label, only)] = pool.capacities.as_slice() else {
        return remark(toml, pool);
    };
    if !label.is_empty() {
        return remark(toml, pool);
    }
    writeln!(toml, "[pools.{}]", quoted(&pool.pool))?;
    let capacity = only.capacity.clamp(1, MOST);
    writeln!(toml, "capacity = {capacity}")?;
    writeln!(toml, "warm_up = {}\n", only.warm_up.min(capacity))
}

/// What no field takes, for people.
fn remark(toml: &mut String, pool: &PoolAdvice) -> fmt::Result {
    let before = toml.len();
    let name = quoted(&pool.pool);
    for (label, CapacityAdvice { capacity, .. }) in &pool.capacities {
        writeln!(toml, "# {name} {}: capacity {capacity}", quoted(label))?;
    }
    if let Some(classes) = &pool.classes {
        writeln!(toml, "# {name}: classes {:?}", classes.sizes)?;
    }
    for (label, nominal) in &pool.nominal {
        let bytes = nominal.bytes;
        writeln!(toml, "# {name} {}: nominal_bytes {bytes}", quoted(label))?;
    }
    if toml.len() > before {
        toml.push('\n');
    }
    Ok(())
}

/// A quoted key. The escapes of JSON are those of TOML, but for DEL.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007F")
}
