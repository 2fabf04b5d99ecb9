// SPDX-License-Identifier: BSL-1.0

package main

import (
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/gorilla/websocket"
)

type session struct {
	*websocket.Conn
	path  string
	url   string
	pings int
	pongs int
}

// A server of this library makes a frame of each Write that is more than twice as long as its write
// buffer, and cuts shorter ones to the size of the buffer.
func upgrader(path string) *websocket.Upgrader {
	u := &websocket.Upgrader{
		Subprotocols: []string{"two"},
		CheckOrigin:  func(*http.Request) bool { return true },

		EnableCompression: compression,
	}
	if path == "/fragments" {
		u.WriteBufferSize = 1
	}
	return u
}

// Three fragments, a ping and an empty last one; what has less than two bytes is not divided.
func (s *session) sendInFragments(kind int, data []byte) error {
	third := (len(data) + 2) / 3
	w, err := s.NextWriter(kind)
	if err != nil {
		return err
	}
	for i := 0; i < 3; i++ {
		part := data[least(i*third, len(data)):least((i+1)*third, len(data))]
		if _, err := w.Write(part); err != nil {
			return err
		}
		if i == 1 {
			if err := ping(s.Conn, "between"); err != nil {
				return err
			}
		}
	}
	return w.Close()
}

func least(a, b int) int {
	if a < b {
		return a
	}
	return b
}

func (s *session) answer(kind int, data []byte) error {
	switch {
	case s.path == "/fragments":
		return s.sendInFragments(kind, data)
	case s.path == "/ping":
		size, _ := strconv.Atoi(string(data))
		return ping(s.Conn, strings.Repeat("p", size))
	case s.path == "/close":
		parts := strings.SplitN(string(data), ":", 2)
		code, _ := strconv.Atoi(parts[0])
		return sendClose(s.Conn, code, parts[1])
	case s.path == "/record" && string(data) == "cut":
		return s.UnderlyingConn().Close()
	case s.path == "/record":
		tell(map[string]interface{}{"url": s.url, "message": string(data)})
		return nil
	}
	return s.WriteMessage(kind, data)
}

// The handlers are called by the goroutine that reads, which is also the one that writes.
func (s *session) watchPingsAndPongs() {
	answerPing := s.PingHandler()
	s.SetPingHandler(func(payload string) error {
		s.pings++
		if s.path == "/pinged" && s.pings == 3 {
			if err := s.WriteMessage(websocket.TextMessage, []byte("3 pings")); err != nil {
				return err
			}
		}
		return answerPing(payload)
	})
	s.SetPongHandler(func(payload string) error {
		if payload == "between" {
			s.pongs++
		} else if s.path == "/ping" {
			return s.WriteMessage(websocket.TextMessage, []byte("pong "+strconv.Itoa(len(payload))))
		}
		return nil
	})
}

func handle(w http.ResponseWriter, r *http.Request) {
	conn, err := upgrader(r.URL.Path).Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	s := &session{Conn: conn, path: r.URL.Path, url: r.URL.String()}
	s.SetReadLimit(messageLimit)
	s.watchPingsAndPongs()
	for {
		kind, data, err := s.ReadMessage()
		if err != nil {
			code, reason := closeOf(err)
			tell(map[string]interface{}{"url": s.url, "closed": code, "reason": reason, "pongs": s.pongs,
				"compressed": compression && strings.Contains(r.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate")})
			return
		}
		// An error of a write is followed by one of a read, which tells why.
		_ = s.answer(kind, data)
	}
}

func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	tellLine("listening " + strconv.Itoa(listener.Addr().(*net.TCPAddr).Port))
	if chain := os.Getenv("HAWSER_TLS_CHAIN"); chain != "" {
		server := &http.Server{Handler: http.HandlerFunc(handle), TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}}
		log.Fatal(server.ServeTLS(listener, chain, os.Getenv("HAWSER_TLS_KEY")))
	}
	log.Fatal(http.Serve(listener, http.HandlerFunc(handle)))
}
