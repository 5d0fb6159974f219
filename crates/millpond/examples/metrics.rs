//! `/metrics` of a pond as a route of axum, scraped once, for Prometheus.
//!
//! `cargo run --example metrics -p millpond`

use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use axum::{Router, response::Response};
use millpond::Pond;
use millpond::analytics::Exporter;
use std::error::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[allow(dead_code, reason = "a test asks too")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (page, metrics) = ask().await?;
    println!("GET / says {page:?}.");
    println!("GET /metrics says of the buffer that was sent, and of the budget:");
    let of_buffer = |line: &&str| {
        line.contains("class=\"2048\"") && !line.contains("_bucket") && !line.ends_with(" 0")
    };
    let of_budget = |line: &&str| line.contains("budget=\"shop\"");
    for line in metrics
        .lines()
        .filter(|line| of_buffer(line) || of_budget(line))
    {
        println!("  {line}");
    }
    println!("  … {} lines in all.", metrics.lines().count());
    Ok(())
}

/// A server, and what it answers to `/` and to `/metrics`.
pub(crate) async fn ask() -> Result<(String, String), Box<dyn Error>> {
    let pond = Pond::builder()
        .with_name("shop")
        .with_budget_bytes(64 << 20)
        .build()?;
    let exporter = Exporter::new(pond.analytics());
    let scrape = move |request: Request| async move { exporter.handle(&request).map(Body::from) };

    // A page whose body is a buffer of the pool: sent without a copy, and home
    // again when the last byte is out.
    let page = move || async move {
        let body = page_of(&pond).map_err(|error| error.to_string())?;
        Ok::<_, String>(Response::new(body))
    };
    let router = Router::new()
        .route("/", get(page))
        .route("/metrics", get(scrape));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let answers = (
        body_of(address, "/").await?,
        body_of(address, "/metrics").await?,
    );
    server.abort();
    Ok(answers)
}

fn page_of(pond: &Pond) -> Result<Body, Box<dyn Error>> {
    let mut buffer = pond.buffer(1024)?;
    buffer.extend_from_slice(b"from the pond")?;
    Ok(Body::from(bytes::Bytes::from(buffer.freeze())))
}

async fn body_of(address: std::net::SocketAddr, path: &str) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: pond\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("no body")?;
    Ok(body.to_owned())
}
