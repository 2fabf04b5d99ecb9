// SPDX-License-Identifier: BSL-1.0

//! Rust's tokio-tungstenite as a server (`serve`) and as a client (`echo`, `talk`, `wait` with a URL);
//! paths and modes are those of ws_server.js and ws_client.js.

mod client;
mod server;

use std::io::Write;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::Message;

pub type Failure = Box<dyn std::error::Error>;

pub fn tell_line(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|_| out.flush()).expect("stdout is open");
}

/// `text` as a string of JSON.
pub fn json(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c < ' ' => quoted += &format!("\\u{:04x}", c as u32),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// Code 0 stands for a close frame without one.
pub fn close_frame(code: u16, reason: &str) -> Message {
    Message::Close((code != 0).then(|| CloseFrame { code: code.into(), reason: reason.into() }))
}

/// What the other side is told by a close frame.
pub fn close_of(frame: &Option<CloseFrame>) -> (u16, String) {
    frame.as_ref().map_or((1005, String::new()), |f| (f.code.into(), f.reason.to_string()))
}

/// One frame of a message in fragments.
pub fn fragment(part: &[u8], text: bool, first: bool, last: bool) -> Message {
    let kind = match (first, text) {
        (false, _) => Data::Continue,
        (true, true) => Data::Text,
        (true, false) => Data::Binary,
    };
    Message::Frame(Frame::message(part.to_vec(), OpCode::Data(kind), last))
}

/// The `index`th part of those that are `step` long.
pub fn part(data: &[u8], index: usize, step: usize) -> &[u8] {
    &data[(index * step).min(data.len())..((index + 1) * step).min(data.len())]
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    match given.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => server::serve().await,
        [mode, url] => client::run(mode, url).await,
        _ => Err("usage: peer serve | peer echo|talk|wait URL".into()),
    }
}
