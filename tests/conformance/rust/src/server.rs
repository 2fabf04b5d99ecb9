// SPDX-License-Identifier: BSL-1.0

use crate::{close_frame, close_of, fragment, json, part, tell_line, Failure};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_native_tls::native_tls::{self, Identity};
use tokio_native_tls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::WebSocketStream;

const SUBPROTOCOL: &str = "sec-websocket-protocol";

struct Session<S> {
    socket: WebSocketStream<S>,
    url: String,
    pings: usize,
    pongs: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    fn path(&self) -> &str {
        self.url.split('?').next().unwrap_or_default()
    }

    /// Four fragments, one of them empty, with a ping in between.
    async fn send_in_fragments(&mut self, data: &[u8], text: bool) -> Result<(), Failure> {
        let third = (data.len() + 2) / 3;
        self.socket.feed(fragment(part(data, 0, third), text, true, false)).await?;
        self.socket.feed(fragment(b"", text, false, false)).await?;
        self.socket.feed(fragment(part(data, 1, third), text, false, false)).await?;
        self.socket.feed(Message::Ping("between".into())).await?;
        self.socket.send(fragment(part(data, 2, third), text, false, true)).await?;
        Ok(())
    }

    /// Whether the connection is to go on.
    async fn answer(&mut self, message: Message) -> Result<bool, Failure> {
        match self.path() {
            "/fragments" => {
                let text = message.is_text();
                self.send_in_fragments(&message.into_data(), text).await?;
            }
            "/ping" => {
                let size = message.to_text()?.parse()?;
                self.socket.send(Message::Ping(vec![b'p'; size].into())).await?;
            }
            "/close" => {
                let (code, reason) = message.to_text()?.split_once(':').ok_or("CODE:REASON is missing")?;
                self.socket.send(close_frame(code.parse()?, reason)).await?;
            }
            "/record" if message.to_text()? == "cut" => return Ok(false),
            "/record" => {
                let line = format!("{{\"url\":{},\"message\":{}}}", json(&self.url), json(message.to_text()?));
                tell_line(&line);
            }
            _ => self.socket.send(message).await?,
        }
        Ok(true)
    }

    async fn note_ping(&mut self) -> Result<(), Failure> {
        self.pings += 1;
        if self.pings == 3 && self.path() == "/pinged" {
            self.socket.send(Message::text("3 pings")).await?;
        }
        Ok(())
    }

    async fn note_pong(&mut self, payload: &[u8]) -> Result<(), Failure> {
        if payload == b"between" {
            self.pongs += 1;
        } else if self.path() == "/ping" {
            self.socket.send(Message::text(format!("pong {}", payload.len()))).await?;
        }
        Ok(())
    }

    async fn converse(&mut self) -> Result<(u16, String), Failure> {
        let mut closed = (1006, String::new());
        while let Some(message) = self.socket.next().await {
            match message? {
                Message::Ping(_) => self.note_ping().await?,
                Message::Pong(payload) => self.note_pong(&payload).await?,
                Message::Close(frame) => closed = close_of(&frame),
                data => {
                    if !self.answer(data).await? {
                        break;
                    }
                }
            }
        }
        Ok(closed)
    }
}

fn offers_two(request: &Request) -> bool {
    let offers = request.headers().get_all(SUBPROTOCOL);
    offers.iter().filter_map(|h| h.to_str().ok()).flat_map(|h| h.split(',')).any(|one| one.trim() == "two")
}

async fn handle<S: AsyncRead + AsyncWrite + Unpin>(stream: S) {
    let mut url = String::new();
    #[allow(clippy::result_large_err)] // the library's choice
    let choose = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        url = request.uri().to_string();
        if offers_two(request) {
            response.headers_mut().insert(SUBPROTOCOL, HeaderValue::from_static("two"));
        }
        Ok(response)
    };
    let socket = match tokio_tungstenite::accept_hdr_async(stream, choose).await {
        Ok(socket) => socket,
        Err(_) => return,
    };
    let mut session = Session { socket, url, pings: 0, pongs: 0 };
    let (code, reason) = session.converse().await.unwrap_or_else(|error| (1006, error.to_string()));
    tell_line(&format!(
        "{{\"url\":{},\"closed\":{code},\"reason\":{},\"pongs\":{},\"compressed\":false}}",
        json(&session.url),
        json(&reason),
        session.pongs
    ));
}

/// With the certificate and the key that the environment names.
fn security() -> Result<Option<TlsAcceptor>, Failure> {
    let (chain, key) = match (std::env::var("HAWSER_TLS_CHAIN"), std::env::var("HAWSER_TLS_KEY")) {
        (Ok(chain), Ok(key)) => (std::fs::read(chain)?, std::fs::read(key)?),
        _ => return Ok(None),
    };
    let acceptor = native_tls::TlsAcceptor::new(Identity::from_pkcs8(&chain, &key)?)?;
    Ok(Some(acceptor.into()))
}

pub async fn serve() -> Result<(), Failure> {
    let security = security()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    tell_line(&format!("listening {}", listener.local_addr()?.port()));
    loop {
        let (stream, _) = listener.accept().await?;
        match security.clone() {
            None => drop(tokio::spawn(handle(stream))),
            Some(acceptor) => drop(tokio::spawn(async move {
                if let Ok(secured) = acceptor.accept(stream).await {
                    handle(secured).await;
                }
            })),
        }
    }
}
