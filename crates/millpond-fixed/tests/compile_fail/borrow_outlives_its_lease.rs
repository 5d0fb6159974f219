use millpond_fixed::FixedPool;

fn main() {
    let pool = FixedPool::new(1);
    let mut lease = pool.try_acquire(String::from("once")).unwrap();
    let text: &mut String = &mut lease;
    drop(lease);
    text.push('!');
}
