//! A pond from a file and the environment, and what a slip of the fingers says.
//!
//! `MILLPOND_NODES=500 cargo run --example configuration -p millpond`

use millpond::Settings;
use std::error::Error;

const FILE: &str = r#"
budget_bytes = "256 MiB"
nodes = 20_000

[bytes]
classes = ["4 KiB", "64 KiB"]
"#;

fn main() -> Result<(), Box<dyn Error>> {
    println!("pond.toml:\n{FILE}");
    let settings = Settings::new().toml("pond.toml", FILE)?.environment()?;
    println!("What holds, and where it is from:");
    for (field, value, source) in settings.effective() {
        println!("  {field} = {value}    ({source})");
    }
    let pond = settings.config()?.build()?;
    println!("\n{pond:?}\n");

    println!("What mistakes say:");
    for mistake in [
        "bytes.clases = ['4 KiB']",
        "nodes = 0",
        "budget_bytes = '1 parsec'",
        "[arenas.json]\nlimit_bytes = '64 KiB'",
    ] {
        let said = Settings::new()
            .toml("pond.toml", mistake)
            .and_then(|settings| settings.config());
        if let Err(error) = said {
            println!("  {error}");
        }
    }
    Ok(())
}
