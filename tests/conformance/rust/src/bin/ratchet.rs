// SPDX-License-Identifier: BSL-1.0

//! Rust's ratchet, which knows permessage-deflate, as an echo server (`serve HOW`) and as a client that has its messages
//! echoed (`echo HOW URL`). HOW is `takeover`, `fresh` (each message by itself) or `small` (windows of 1 KiB).

use bytes::BytesMut;
use ratchet_rs::deflate::{DeflateConfig, DeflateExtProvider, WindowBits};
use ratchet_rs::{CloseCode, CloseReason, Message, PayloadType, ProtocolRegistry, WebSocketConfig};
use std::io::Write;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const SIZES: [usize; 8] = [0, 1, 125, 126, 127, 65535, 65536, 1024 * 1024];

fn tell_line(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|_| out.flush()).expect("stdout is open");
}

/// What went over the wire in each direction, which shows whether anything was compressed.
#[derive(Default)]
struct Traffic {
    read: AtomicUsize,
    written: AtomicUsize,
}

struct Counted {
    stream: TcpStream,
    traffic: Arc<Traffic>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, c: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = into.filled().len();
        let done = Pin::new(&mut self.stream).poll_read(c, into);
        self.traffic.read.fetch_add(into.filled().len() - before, Relaxed);
        done
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, c: &mut Context<'_>, data: &[u8]) -> Poll<std::io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(c, data);
        if let Poll::Ready(Ok(size)) = done {
            self.traffic.written.fetch_add(size, Relaxed);
        }
        done
    }
    fn poll_flush(mut self: Pin<&mut Self>, c: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(c)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, c: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(c)
    }
}

fn compression(how: &str) -> DeflateExtProvider {
    let fresh = how == "fresh";
    let bits = if how == "small" { WindowBits::ten() } else { WindowBits::fifteen() };
    DeflateExtProvider::with_config(DeflateConfig {
        server_max_window_bits: bits,
        client_max_window_bits: bits,
        request_server_no_context_takeover: fresh,
        request_client_no_context_takeover: fresh,
        accept_no_context_takeover: fresh,
        ..DeflateConfig::default()
    })
}

fn limits() -> WebSocketConfig {
    WebSocketConfig { max_message_size: 64 << 20 }
}

async fn handle(stream: TcpStream, how: String) -> Result<(), Failure> {
    let traffic = Arc::new(Traffic::default());
    let counted = Counted { stream, traffic: traffic.clone() };
    let asked = ratchet_rs::accept_with(counted, limits(), compression(&how), ProtocolRegistry::default()).await?;
    let mut socket = asked.upgrade().await?.websocket;
    let (mut payload, mut data) = (0, BytesMut::new());
    loop {
        let kind = match socket.read(&mut data).await? {
            Message::Text => PayloadType::Text,
            Message::Binary => PayloadType::Binary,
            Message::Close(_) => break,
            _ => continue,
        };
        payload += data.len();
        socket.write(&data, kind).await?;
        data.clear();
    }
    let (read, written) = (traffic.read.load(Relaxed), traffic.written.load(Relaxed));
    tell_line(&format!("{{\"payload\":{payload},\"read\":{read},\"written\":{written}}}"));
    Ok(())
}

async fn serve(how: &str) -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    tell_line(&format!("listening {}", listener.local_addr()?.port()));
    loop {
        let (stream, _) = listener.accept().await?;
        let how = how.to_string();
        drop(tokio::spawn(async move {
            if let Err(error) = handle(stream, how).await {
                eprintln!("{error}");
            }
        }));
    }
}

/// Begins with the index, so that no two messages are alike, and goes on so that it can be compressed.
fn pattern(text: bool, size: usize, index: usize) -> Vec<u8> {
    let mut data = format!("{index:08}").into_bytes();
    for i in data.len()..size {
        data.push(if text { b'a' + (i / 3 % 26) as u8 } else { (i * 7) as u8 });
    }
    data.truncate(size);
    data
}

async fn echo(how: &str, url: &str) -> Result<(), Failure> {
    let address = url.trim_start_matches("ws://").trim_end_matches('/');
    let traffic = Arc::new(Traffic::default());
    let counted = Counted { stream: TcpStream::connect(address).await?, traffic: traffic.clone() };
    let upgraded = ratchet_rs::subscribe_with(limits(), counted, url, compression(how), ProtocolRegistry::default());
    let mut socket = upgraded.await?.websocket;
    let (mut told, mut payload, mut data) = (0, 0, BytesMut::new());
    let mut check = |name: &str, ok: bool, detail: usize| {
        told += 1;
        tell_line(&format!("{{\"check\":\"{name}\",\"ok\":{ok},\"detail\":\"{detail}\"}}"));
    };
    for round in 0..3 {
        for text in [true, false] {
            for size in SIZES {
                let sent = pattern(text, size, round);
                payload += sent.len();
                socket.write(&sent, if text { PayloadType::Text } else { PayloadType::Binary }).await?;
                let kind = socket.read(&mut data).await?;
                let same = kind.is_text() == text && kind.is_binary() != text && data[..] == sent[..];
                check(&format!("{how} text {text} {size}, round {round}"), same, data.len());
                data.clear();
            }
        }
    }
    socket.close(CloseReason::new(CloseCode::Normal, None)).await?;
    // Its name for an answer to its own close frame is an error.
    let closed = socket.read(&mut data).await.map_or_else(|error| error.is_close(), |message| message.is_close());
    check("our side answers the close", closed, 0);
    let (read, written) = (traffic.read.load(Relaxed), traffic.written.load(Relaxed));
    check("what we send is compressed", read < payload / 4, read);
    check("what the peer sends is compressed", written < payload / 4, written);
    tell_line(&format!("{{\"end\":{told}}}"));
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    match given.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", how] => serve(how).await,
        ["echo", how, url] => echo(how, url).await,
        _ => Err("usage: ratchet serve HOW | ratchet echo HOW URL".into()),
    }
}
