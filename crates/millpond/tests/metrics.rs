//! Bodies and `/metrics` of axum, by the example that shows them.

#[path = "../examples/metrics.rs"]
mod example;

#[test]
fn axum_sends_pooled_buffers_and_answers_scrapes() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (page, metrics) = runtime.block_on(example::ask()).unwrap();
    assert_eq!(page, "from the pond");
    // The buffer of the page is home again, and was counted.
    let figure = |name: &str| {
        let class = format!("millpond_{name}{{pool=\"bytes\",class=\"2048\"}} ");
        let mut lines = metrics.lines();
        lines
            .find_map(|line| line.strip_prefix(&class))
            .map(str::to_owned)
    };
    assert_eq!(figure("acquires_total").as_deref(), Some("1"), "{metrics}");
    assert_eq!(figure("in_use").as_deref(), Some("0"), "{metrics}");
    assert!(metrics.contains("millpond_budget_limit_bytes{budget=\"shop\"} 67108864"));
}
