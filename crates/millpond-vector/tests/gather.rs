//! Gathering by ids, and kernels over what was gathered.

use millpond_testing::Dice;
use millpond_vector::{VectorPool, kernel};

#[test]
fn gathering_yields_every_row_in_the_order_of_the_list() {
    let mut pool = VectorPool::<f32>::new(40, 100).unwrap();
    let ids: Vec<_> = (0..50)
        .map(|i| pool.insert(&[i as f32; 40]).unwrap())
        .collect();
    pool.remove(ids[13]);
    for len in [0, 1, 3, 4, 5, 50] {
        let mut dice = Dice::new(len as u64);
        let picked: Vec<_> = (0..len).map(|_| dice.below(50)).collect();
        let list: Vec<_> = picked.iter().map(|&i| ids[i]).collect();
        let gather = pool.gather(&list);
        assert_eq!(gather.len(), len);
        let rows: Vec<_> = gather.collect();
        let expected: Vec<_> = list.iter().map(|&id| pool.row_padded(id)).collect();
        assert_eq!(rows, expected);
        for (row, &i) in rows.iter().zip(&picked) {
            assert_eq!(row.is_none(), i == 13);
        }
    }
}

#[test]
fn kernels_agree_with_the_sums_that_they_stand_for() {
    let mut dice = Dice::new(7);
    for dimension in [1, 3, 15, 16, 17, 63, 64, 65, 100, 300, 768] {
        if cfg!(miri) && dimension > 65 {
            continue;
        }
        let mut number = || dice.below(2001) as f32 / 1000.0 - 1.0;
        let a: Vec<f32> = (0..dimension).map(|_| number()).collect();
        let b: Vec<f32> = (0..dimension).map(|_| number()).collect();
        let exact = |term: fn(f64, f64) -> f64| -> f64 {
            let pairs = a.iter().zip(&b);
            pairs.map(|(&a, &b)| term(a.into(), b.into())).sum()
        };
        let (dot, l2) = (exact(|a, b| a * b), exact(|a, b| (a - b) * (a - b)));
        let norms = exact(|a, _| a * a).sqrt() * exact(|_, b| b * b).sqrt();
        let pool = VectorPool::<f32>::new(dimension, 2).unwrap();
        let (row_a, row_b) = (pool.insert(&a).unwrap(), pool.insert(&b).unwrap());
        let rows = (
            pool.row_padded(row_a).unwrap(),
            pool.row_padded(row_b).unwrap(),
        );
        for (a, b) in [(&a[..], &b[..]), rows] {
            let near = |is: f32, exact: f64| (f64::from(is) - exact).abs() < 1e-3;
            assert!(near(kernel::dot(a, b), dot), "dot, {dimension}");
            assert!(near(kernel::l2_squared(a, b), l2), "distance, {dimension}");
            assert!(
                near(kernel::cosine(a, b), dot / norms),
                "cosine, {dimension}"
            );
        }
    }
    assert_eq!(kernel::cosine(&[0.0; 4], &[1.0; 4]), 0.0);
}
