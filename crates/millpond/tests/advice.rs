//! Advice is configuration: what the advisor writes is what a pond reads.

use millpond::analytics::{Advisor, Demand, Snapshot};
use millpond::arena::{Scope, ScopeConfig};
use millpond::{Diagnosis, Observe, Pond, Settings};

/// A pond at work: sizes and demand that the defaults do not fit.
fn at_work() -> Pond {
    let mut config = Pond::builder();
    let render = config
        .arenas
        .own_scope("my render", ScopeConfig::of(1 << 20));
    let pond = config.build().unwrap();
    pond.set_diagnosis(Diagnosis::Full); // Every size is sampled.
    for n in 0..200 {
        drop(pond.buffer(if n % 2 == 0 { 1_500 } else { 9_000 }).unwrap());
        let arena = pond.arena(Scope::Json).unwrap();
        arena.alloc_slice_fill_copy(5_000, 1_u8).unwrap();
        let arena = pond.arena(render).unwrap();
        arena.alloc_slice_fill_copy(9_000, 1_u8).unwrap();
    }
    let sessions = pond.fixed_pool::<u64>("sessions", 1000).unwrap();
    drop((0..50).map(|n| sessions.acquire(n)).collect::<Vec<_>>());
    let odd = pond.fixed_pool::<u64>("[x]\n\"y.z\" = 1", 10).unwrap();
    drop(odd.acquire(1).unwrap());
    pond
}

#[test]
fn a_pond_is_made_as_advised() {
    let before = at_work();
    let snapshot = before.analytics().snapshot();
    let advice = Advisor::new().classes(2).of_snapshot(&snapshot);
    let toml = advice.to_toml();

    let settings = Settings::new().toml("advice.toml", &toml);
    let config = settings.and_then(|settings| settings.config());
    let config = config.unwrap_or_else(|error| panic!("{error}\n{toml}"));
    assert!(config.pools.contains_key("[x]\n\"y.z\" = 1"), "{toml}");
    let pond = config.build().unwrap();

    let sizes = pond.bytes().sizes();
    assert_eq!(sizes.len(), 2, "{toml}");
    assert!((1_500..2_048).contains(&sizes[0]), "{sizes:?}");
    assert!((9_000..16_384).contains(&sizes[1]), "{sizes:?}");
    let sessions = pond.fixed_pool::<u64>("sessions", 1).unwrap();
    assert!((49..=1000).contains(&sessions.stats().capacity), "{toml}");
    let json = pond.arena(Scope::Json).unwrap();
    assert!(json.held_bytes() < 128 << 10, "smaller than the default");
    let render = pond.arenas().scope_named("my render").expect(&toml);
    let render = pond.arena(render).unwrap();
    assert!((9_000..128 << 10).contains(&render.held_bytes()), "{toml}");
}

/// Advice of several ponds is for one: a fleet is a snapshot too.
#[test]
fn advice_for_a_fleet_is_read_the_same_way() {
    let one = at_work().analytics().snapshot();
    let fleet: Snapshot = one.clone().merge(&one);
    let toml = Advisor::new().of_snapshot(&fleet).to_toml();
    let config = Settings::new().toml("fleet.toml", &toml).unwrap().config();
    let demand = Demand::of(&fleet.pool("sessions").unwrap().figures);
    let capacity = config.unwrap().pools["sessions"].capacity;
    assert_eq!(capacity, Some(demand.capacity_for(0.99)), "{toml}");
}

#[test]
fn a_name_of_a_pond_is_what_it_was_called() {
    let pond = at_work();
    let names: Vec<_> = pond
        .classes()
        .into_iter()
        .map(|class| class.label)
        .collect();
    assert_eq!(&names[..3], ["arenas", "bytes", "sessions"]);
}
