//! How the page looks.

/// Up to the first tile. The policy forbids whatever a browser might fetch or
/// run: there is nothing of the kind on the page, and a name cannot add it.
pub(super) const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>millpond</title>
<style>
:root { color-scheme: light dark;
  --ink: light-dark(#1c2329, #e4e8eb); --dim: light-dark(#5b6770, #9aa6ae);
  --paper: light-dark(#fff, #14181b); --card: light-dark(#f3f5f6, #1e2428);
  --use: light-dark(#1f6feb, #4c93ff); --hit: light-dark(#1a7f37, #3fb950);
  --cached: light-dark(#7fb3ff, #2f5c9e); --depot: light-dark(#c9dcf7, #263f63);
  --waste: light-dark(#e0861a, #d29922); --bad: light-dark(#b3261e, #ff7b72); }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 75rem; margin: 0 auto; padding: 1rem; }
h1 { margin: 0 0 1rem; font-size: 1.4rem; }
h2 { margin: 2rem 0 .5rem; font-size: 1.1rem; }
h3 { margin: 0 0 .4rem; font-size: .9rem; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .6rem; }
.tile { background: var(--card); border-radius: .5rem; padding: .7rem .9rem; color: var(--dim); font-size: .85rem; }
.tile b { display: block; color: var(--ink); font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.tile.good b { color: var(--hit); } .tile.bad b { color: var(--bad); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--dim); font-weight: 500; }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--card); white-space: nowrap; }
.n { text-align: right; }
.name { font-weight: 600; max-width: 22rem; overflow: hidden; text-overflow: ellipsis; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)); gap: .8rem; }
figure { margin: 0; background: var(--card); border-radius: .5rem; padding: .7rem .9rem; }
figure svg { width: 100%; height: auto; display: block; }
figcaption, .key { color: var(--dim); font-size: .82rem; margin: .4rem 0 0; }
.key i { display: inline-block; width: .75em; height: .75em; border-radius: 2px; margin-right: .35em; }
.key span { white-space: nowrap; margin-right: .8em; }
i.use { background: var(--use); } i.hit { background: var(--hit); } i.cached { background: var(--cached); }
i.depot { background: var(--depot); } i.waste { background: var(--waste); }
i.fresh { background: var(--card); border: 1px solid var(--dim); }
.region { margin: .45rem 0 .15rem; color: var(--dim); font-size: .78rem; overflow-wrap: anywhere; }
figure svg.strip { height: .8rem; }
.strip rect.fresh { fill: var(--paper); stroke: var(--dim); stroke-width: 1; vector-effect: non-scaling-stroke; }
.grid { stroke: var(--dim); stroke-opacity: .25; }
.line { fill: none; stroke-width: 1.8; vector-effect: non-scaling-stroke; }
.line.use { stroke: var(--use); } .line.hit { stroke: var(--hit); }
rect.use { fill: var(--use); } rect.cached { fill: var(--cached); } rect.depot { fill: var(--depot); } rect.waste { fill: var(--waste); }
.class { stroke: var(--waste); stroke-dasharray: 3 2; }
</style>
<main>
<h1>millpond</h1>
"#;
