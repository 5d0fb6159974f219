use millpond_fixed::FixedPool;
use std::rc::Rc;

static POOL: FixedPool<Rc<u8>> = FixedPool::new(1);

fn main() {
    let _ = POOL.capacity();
}
