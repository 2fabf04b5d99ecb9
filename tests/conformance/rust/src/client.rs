// SPDX-License-Identifier: BSL-1.0

use crate::{close_frame, close_of, fragment, json, part, tell_line, Failure};
use futures_util::{SinkExt, StreamExt};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

const PATIENCE: Duration = Duration::from_secs(60);
const SIZES: [usize; 8] = [0, 1, 125, 126, 127, 65535, 65536, 1024 * 1024];
const LETTERS: &[u8] = "häwser € 🚢 0123456789".as_bytes();
const SUBPROTOCOL: &str = "sec-websocket-protocol";

fn closes() -> Vec<(u16, String)> {
    let longest = "x".repeat(123);
    let all = [(1000, ""), (1001, "going"), (1011, "internal trouble"), (3000, "gruß"), (4999, &longest), (0, "")];
    all.iter().map(|(code, reason)| (*code, reason.to_string())).collect()
}

fn seen(code: u16) -> u16 {
    if code == 0 {
        1005
    } else {
        code
    }
}

/// Begins with the index, so that no two messages are alike; text has characters of one to four bytes.
fn pattern(text: bool, size: usize, index: usize) -> Vec<u8> {
    let mut data = format!("{index:08}").into_bytes();
    while text && data.len() + LETTERS.len() <= size {
        data.extend_from_slice(LETTERS);
    }
    for i in data.len()..size {
        data.push(if text { b'z' } else { (i * 7 + index) as u8 });
    }
    data.truncate(size);
    data
}

fn message(text: bool, data: Vec<u8>) -> Message {
    if text {
        Message::text(String::from_utf8(data).expect("a pattern is UTF-8"))
    } else {
        Message::binary(data)
    }
}

fn kind(text: bool) -> &'static str {
    if text {
        "text"
    } else {
        "binary"
    }
}

/// A connection; what is read is told apart from the pongs, of which the last is remembered.
struct Link {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    subprotocol: String,
    pong: Vec<u8>,
    pings: usize,
}

impl Link {
    /// The next message or close; `None` at the end of the connection.
    async fn next(&mut self) -> Option<Message> {
        loop {
            match tokio::time::timeout(PATIENCE, self.socket.next()).await.ok()??.ok()? {
                Message::Ping(_) => self.pings += 1,
                Message::Pong(payload) => self.pong = payload.to_vec(),
                other => return Some(other),
            }
        }
    }

    async fn closed(&mut self) -> (u16, String) {
        let mut closed = (1006, String::new());
        while let Some(got) = self.next().await {
            if let Message::Close(frame) = got {
                closed = close_of(&frame);
            }
        }
        closed
    }

    async fn send_in_fragments(&mut self, text: bool, data: &[u8], count: usize) -> Result<Vec<u8>, Failure> {
        let step = (data.len() + count - 1) / count;
        for i in 0..count {
            self.socket.feed(fragment(part(data, i, step), text, i == 0, i == count - 1)).await?;
            if i < count - 1 {
                self.socket.feed(Message::Ping(format!("after {i}").into())).await?;
            }
        }
        self.socket.flush().await?;
        Ok(format!("after {}", count - 2).into_bytes())
    }
}

struct Client {
    url: String,
    told: usize,
}

impl Client {
    fn check(&mut self, name: &str, ok: bool, detail: &str) {
        self.told += 1;
        tell_line(&format!("{{\"check\":{},\"ok\":{ok},\"detail\":{}}}", json(name), json(detail)));
    }

    async fn open(&self, offered: &str) -> Result<Link, Failure> {
        let mut request = format!("{}/any/path?x=1", self.url).into_client_request()?;
        if !offered.is_empty() {
            request.headers_mut().insert(SUBPROTOCOL, HeaderValue::from_str(offered)?);
        }
        let (socket, response) = tokio_tungstenite::connect_async(request).await?;
        let chosen = response.headers().get(SUBPROTOCOL).map_or("", |h| h.to_str().unwrap_or("?"));
        Ok(Link { socket, subprotocol: chosen.to_string(), pong: vec![], pings: 0 })
    }

    async fn expect(&mut self, link: &mut Link, name: &str, expected: Message) {
        let got = link.next().await;
        let detail = got.as_ref().map_or("the connection ended".to_string(), |m| format!("{} bytes", m.len()));
        self.check(name, got.as_ref() == Some(&expected), &detail);
    }

    /// Pongs are only noticed while a message is read, so messages are exchanged: the echo of one that
    /// arrives together with the ping may overtake the pong, that of the next cannot.
    async fn expect_pong(&mut self, link: &mut Link, name: &str, payload: &[u8]) -> Result<(), Failure> {
        for text in ["one", "two"] {
            link.socket.send(Message::text(text)).await?;
            self.expect(link, &format!("{name} is passed by {text}"), Message::text(text)).await;
        }
        self.check(&format!("{name} is answered"), link.pong == payload, &String::from_utf8_lossy(&link.pong));
        Ok(())
    }

    async fn whole_and_in_fragments(&mut self, link: &mut Link, text: bool, size: usize) -> Result<(), Failure> {
        let name = format!("{} {size}", kind(text));
        link.socket.send(message(text, pattern(text, size, 0))).await?;
        self.expect(link, &name, message(text, pattern(text, size, 0))).await;
        for count in [2, 5, 40] {
            let name = format!("{name} in {count} fragments");
            // Pings that arrive together may get one pong, for the last (RFC 6455 section 5.5.3).
            let last_ping = link.send_in_fragments(text, &pattern(text, size, 0), count).await?;
            self.expect(link, &name, message(text, pattern(text, size, 0))).await;
            self.expect_pong(link, &format!("{name}: the last ping"), &last_ping).await?;
        }
        Ok(())
    }

    /// Sends while it receives. Returns the connection, which it takes apart for that.
    async fn pipelined(&mut self, link: Link, text: bool, size: usize, count: usize) -> Result<Link, Failure> {
        let (mut sink, mut stream) = link.socket.split();
        let sending = async {
            for i in 0..count {
                sink.send(message(text, pattern(text, size, i))).await?;
            }
            Ok::<(), Failure>(())
        };
        let receiving = async {
            let mut good = 0;
            for i in 0..count {
                match tokio::time::timeout(PATIENCE, stream.next()).await {
                    Ok(Some(Ok(got))) => good += usize::from(got == message(text, pattern(text, size, i))),
                    _ => break,
                }
            }
            good
        };
        let (sent, good) = tokio::join!(sending, receiving);
        sent?;
        self.check(&format!("{count} {} messages of {size} at once", kind(text)), good == count, &good.to_string());
        Ok(Link { socket: sink.reunite(stream)?, ..link })
    }

    async fn pings(&mut self, link: &mut Link) -> Result<(), Failure> {
        for size in [0, 5, 125] {
            let payload = vec![b'p'; size];
            link.pong = b"none".to_vec();
            link.socket.send(Message::Ping(payload.clone().into())).await?;
            self.expect_pong(link, &format!("ping {size}"), &payload).await?;
        }
        Ok(())
    }

    async fn many_at_once(&mut self) -> Result<(), Failure> {
        let mut many = vec![];
        for _ in 0..50 {
            many.push(self.open("").await?);
        }
        for (i, link) in many.iter_mut().enumerate() {
            link.socket.send(Message::binary(pattern(false, 1000, i))).await?;
        }
        for (i, link) in many.iter_mut().enumerate() {
            self.expect(link, &format!("connection {i} of 50"), Message::binary(pattern(false, 1000, i))).await;
        }
        Ok(()) // all end without a close frame
    }

    async fn close_by_peer(&mut self) -> Result<(), Failure> {
        for (code, reason) in closes() {
            let mut link = self.open("").await?;
            link.socket.send(close_frame(code, &reason)).await?;
            let (got, _) = link.closed().await;
            self.check(&format!("close by the peer {code}"), got == seen(code), &got.to_string());
        }
        Ok(())
    }

    async fn echo(&mut self) -> Result<(), Failure> {
        let mut link = self.open("").await?;
        for text in [true, false] {
            for size in SIZES {
                self.whole_and_in_fragments(&mut link, text, size).await?;
            }
        }
        self.pings(&mut link).await?;
        for (text, size, count) in [(true, 0, 1000), (true, 100, 10000), (false, 300, 10000), (false, 20000, 1000)] {
            link = self.pipelined(link, text, size, count).await?;
        }
        link.socket.send(close_frame(1000, "")).await?;
        let (code, _) = link.closed().await;
        self.check("close", code == 1000, &code.to_string());
        self.many_at_once().await?;
        self.close_by_peer().await
    }

    async fn close_by_us(&mut self) -> Result<(), Failure> {
        for (code, reason) in closes() {
            let mut link = self.open("").await?;
            link.socket.send(Message::text(format!("close {code} {reason}"))).await?;
            let got = link.closed().await;
            self.check(&format!("close by us {code}"), got == (seen(code), reason), &format!("{got:?}"));
        }
        Ok(())
    }

    async fn subprotocols(&mut self) -> Result<(), Failure> {
        for (offered, chosen) in [("two", "two"), ("two, one", "one"), ("three, two", "two")] {
            let mut link = self.open(offered).await?;
            self.check(&format!("offering {offered}"), link.subprotocol == chosen, &link.subprotocol);
            link.socket.send(Message::text("subprotocol")).await?;
            self.expect(&mut link, &format!("offering {offered}: our side agrees"), Message::text(chosen)).await;
        }
        // This library takes an answer without a subprotocol for an error where it offered some.
        let error = self.open("three").await.err().map_or("none".to_string(), |e| e.to_string());
        self.check("offering only what we do not know", error.contains("Server sent no subprotocol"), &error);
        Ok(())
    }

    /// Says something with the third ping of our side's, so that the echo comes behind it.
    async fn pinged(&mut self) -> Result<(), Failure> {
        let mut link = self.open("").await?;
        while link.pings < 3 {
            match tokio::time::timeout(PATIENCE, link.socket.next()).await? {
                Some(Ok(Message::Ping(_))) => link.pings += 1,
                other => return Err(format!("{other:?} instead of a ping").into()),
            }
        }
        self.check("three pings of ours", link.pings == 3, "");
        link.socket.send(Message::text("still here")).await?;
        self.expect(&mut link, "after three pings of ours", Message::text("still here")).await;
        Ok(())
    }

    async fn talk(&mut self) -> Result<(), Failure> {
        self.close_by_us().await?;
        self.close_by_peer().await?;
        self.subprotocols().await?;
        self.pinged().await?;
        let mut last = self.open("").await?;
        last.socket.send(Message::text("served")).await?;
        self.expect(&mut last, "after connections were torn down", Message::text("served")).await;
        last.socket.send(close_frame(1000, "")).await?;
        let (code, _) = last.closed().await;
        self.check("close", code == 1000, &code.to_string());
        Ok(())
    }

    async fn wait(&mut self) -> Result<(), Failure> {
        let mut link = self.open("").await?;
        tell_line("connected");
        let (code, reason) = link.closed().await;
        tell_line(&format!("closed {code} {reason}"));
        Ok(())
    }
}

pub async fn run(mode: &str, url: &str) -> Result<(), Failure> {
    let mut client = Client { url: url.to_string(), told: 0 };
    match mode {
        "echo" => client.echo().await?,
        "talk" => client.talk().await?,
        "wait" => return client.wait().await,
        _ => return Err(format!("unknown mode {mode}").into()),
    }
    tell_line(&format!("{{\"end\":{}}}", client.told));
    Ok(())
}
