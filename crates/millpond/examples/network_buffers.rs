//! Buffers under a server: read, split without copying, answer, and look at the figures.
//!
//! `cargo run --example network_buffers -p millpond`

use millpond::Pond;
use millpond::bytes::{Config, PoolBuf, PoolBytes};
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// Messages that the client sends; each is a length in four bytes and so many more.
const MESSAGES: u32 = 10_000;

/// As many bytes are read at once, so that many messages come with one call.
const READ_BYTES: usize = 16 << 10;

/// Room for an answer: the smallest class. What is much smaller is left to the allocator
/// by this configuration.
const ANSWER_BYTES: usize = 2 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let pond = Pond::builder()
        .with_name("server")
        .with_budget_bytes(8 << 20)
        .with_bytes(Config::for_network())
        .build()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let client = thread::spawn(move || ask(&mut TcpStream::connect(address)?));

    let (mut stream, _) = listener.accept()?;
    let served = serve(&pond, &mut stream)?;
    drop(stream);
    let answered = client.join().map_err(|_| "the client panicked")??;

    println!("{served} messages were served, and {answered} bytes came back.\n");
    println!("{}", pond.bytes().stats());
    println!("\nMisses are the buffers that had to be made: all others were reused.");
    Ok(())
}

/// Answers each message with its own bytes, until the client is gone.
fn serve(pond: &Pond, stream: &mut TcpStream) -> Result<u64, Box<dyn Error>> {
    let (mut served, mut rest) = (0, pond.buffer(READ_BYTES)?);
    while fill(&mut rest, stream)? > 0 {
        let mut arrived = rest.freeze(); // Shared from here on: messages are views of it.
        while let Some(message) = next_message(&mut arrived) {
            let mut answer = pond.buffer(ANSWER_BYTES)?;
            write!(answer, "{} bytes: ", message.len())?;
            answer.extend_from_slice(&message)?;
            stream.write_all(&answer)?;
            served += 1;
        }
        // The beginning of a message moves to the front of the next buffer.
        rest = pond.buffer(READ_BYTES)?;
        rest.extend_from_slice(&arrived)?;
    }
    Ok(served)
}

/// Reads what there is, as far as there is room; answers how much that was.
fn fill(buffer: &mut PoolBuf, stream: &mut TcpStream) -> io::Result<usize> {
    let before = buffer.len();
    buffer.resize(READ_BYTES, 0)?;
    let read = stream.read(&mut buffer[before..])?;
    buffer.truncate(before + read);
    Ok(read)
}

/// Takes the first message off, if all of it has arrived.
fn next_message(arrived: &mut PoolBytes) -> Option<PoolBytes> {
    let head = arrived.first_chunk::<4>()?;
    let len = usize::try_from(u32::from_be_bytes(*head)).ok()?;
    if arrived.len() - head.len() < len {
        return None;
    }
    arrived.consume_front(4);
    Some(arrived.split_to(len))
}

/// Sends all messages, and reads all answers meanwhile.
fn ask(stream: &mut TcpStream) -> io::Result<u64> {
    let mut answers = stream.try_clone()?;
    let reader = thread::spawn(move || io::copy(&mut answers, &mut io::sink()));
    for message in 0..MESSAGES {
        let body = vec![b'.'; message as usize % 500];
        let len = u32::try_from(body.len()).expect("below 500");
        stream.write_all(&[&len.to_be_bytes()[..], &body].concat())?;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    reader.join().expect("the reader does not panic")
}
