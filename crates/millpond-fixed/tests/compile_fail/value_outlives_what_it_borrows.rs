use millpond_fixed::FixedPool;

fn main() {
    let pool = FixedPool::new(1).into_handle();
    let lease = {
        let text = String::from("short-lived");
        pool.try_acquire_owned(text.as_str()).unwrap()
    };
    println!("{lease}");
}
