// SPDX-License-Identifier: BSL-1.0

package main

import (
	"bytes"
	"fmt"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

const (
	patience = 60 * time.Second // for all that a connection has to do
	letters  = "häwser € 🚢 0123456789"
)

var (
	url   string
	told  int
	sizes = []int{0, 1, 125, 126, 127, 65535, 65536, 1024 * 1024}
	kinds = []int{websocket.TextMessage, websocket.BinaryMessage}
)

var closes = []struct {
	code   int
	reason string
}{
	{1000, ""}, {1001, "going"}, {1011, "internal trouble"}, {3000, "gruß"},
	{4999, strings.Repeat("x", 123)}, {0, ""},
}

func seen(code int) int {
	if code == 0 {
		return websocket.CloseNoStatusReceived
	}
	return code
}

func check(name string, ok bool, detail interface{}) {
	told++
	tell(map[string]interface{}{"check": name, "ok": ok, "detail": fmt.Sprint(detail)})
}

func nameOf(kind int) string {
	if kind == websocket.TextMessage {
		return "text"
	}
	return "binary"
}

// Begins with the index, so that no two messages are alike; text has characters of one to four bytes.
func pattern(kind, size, index int) []byte {
	data := []byte(fmt.Sprintf("%08d", index))
	if kind == websocket.TextMessage {
		for len(data)+len(letters) <= size {
			data = append(data, letters...)
		}
		for len(data) < size {
			data = append(data, 'z')
		}
	}
	for i := len(data); i < size; i++ {
		data = append(data, byte(i*7+index))
	}
	return data[:size]
}

// A connection that remembers the last pong.
type link struct {
	*websocket.Conn
	response *http.Response
	pong     string
}

// Messages go out in frames of at most writeBuffer bytes.
func open(writeBuffer int, offered ...string) *link {
	dialer := websocket.Dialer{
		Subprotocols:      offered,
		EnableCompression: true,
		WriteBufferSize:   writeBuffer,
		HandshakeTimeout:  patience,
	}
	conn, response, err := dialer.Dial(url+"/any/path?x=1", nil)
	if err != nil {
		log.Fatal("cannot connect: ", err)
	}
	l := &link{Conn: conn, response: response}
	l.SetReadLimit(messageLimit)
	_ = l.SetReadDeadline(time.Now().Add(patience))
	l.SetPongHandler(func(payload string) error {
		l.pong = payload
		return nil
	})
	return l
}

func openForWholeFrames(offered ...string) *link { return open(2*1024*1024, offered...) }

func (l *link) send(kind int, data []byte) {
	// What cannot be sent will be missed by a check.
	_ = l.WriteMessage(kind, data)
}

func (l *link) expectEcho(name string, kind int, data []byte) {
	gotKind, got, err := l.ReadMessage()
	if err != nil {
		check(name, false, err)
		return
	}
	check(name, gotKind == kind && bytes.Equal(got, data), fmt.Sprint(len(got), " bytes of kind ", gotKind))
}

// Pongs are only noticed while a message is read, so messages are exchanged: the echo of one that arrives
// together with the ping may overtake the pong, that of the next cannot.
func (l *link) expectPong(name, payload string) {
	for _, text := range []string{"one", "two"} {
		l.send(websocket.TextMessage, []byte(text))
		l.expectEcho(name+" is passed by "+text, websocket.TextMessage, []byte(text))
	}
	check(name+" is answered", l.pong == payload, l.pong)
}

// The close that ends the connection; what comes before is passed over.
func (l *link) closed() (int, string) {
	for {
		if _, _, err := l.ReadMessage(); err != nil {
			l.Close()
			return closeOf(err)
		}
	}
}

// Sends a message in `count` fragments with a ping after each but the last. A full write buffer goes
// out with the byte after it, so each part but the last brings one byte of the next.
func (l *link) sendInFragments(kind int, data []byte, step int) (lastPing string, err error) {
	w, err := l.NextWriter(kind)
	if err != nil {
		return "", err
	}
	from := 0
	for at := step + 1; at <= len(data); at += step {
		if _, err = w.Write(data[from:at]); err != nil {
			return "", err
		}
		lastPing = fmt.Sprint("after ", at)
		if err = ping(l.Conn, lastPing); err != nil {
			return "", err
		}
		from = at
	}
	if _, err = w.Write(data[from:]); err != nil {
		return "", err
	}
	return lastPing, w.Close()
}

// This library has no fragments without content, so a message needs two bytes.
func inFragments(kind, size, count int) {
	if size < 2 {
		return
	}
	step := (size + count - 1) / count
	l := open(step)
	defer l.Close()
	data, name := pattern(kind, size, 0), fmt.Sprintf("%s %d in %d fragments", nameOf(kind), size, count)
	lastPing, err := l.sendInFragments(kind, data, step)
	if err != nil {
		check(name, false, err)
		return
	}
	l.expectEcho(name, kind, data)
	// Pings that arrive together may get one pong, for the last (RFC 6455 section 5.5.3).
	l.expectPong(name+": the last ping", lastPing)
}

func pipelined(l *link, kind, size, count int) {
	go func() {
		for i := 0; i < count; i++ {
			l.send(kind, pattern(kind, size, i))
		}
	}()
	good := 0
	for i := 0; i < count; i++ {
		gotKind, got, err := l.ReadMessage()
		if err != nil {
			break
		}
		if gotKind == kind && bytes.Equal(got, pattern(kind, size, i)) {
			good++
		}
	}
	check(fmt.Sprintf("%d %s messages of %d at once", count, nameOf(kind), size), good == count, good)
}

func pings(l *link) {
	for _, size := range []int{0, 5, 125} {
		payload := strings.Repeat("p", size)
		l.pong = "none"
		check(fmt.Sprint("ping ", size, " is sent"), ping(l.Conn, payload) == nil, "")
		l.expectPong(fmt.Sprint("ping ", size), payload)
	}
}

func manyAtOnce() {
	var many []*link
	for i := 0; i < 50; i++ {
		many = append(many, open(0))
	}
	for i, l := range many {
		l.send(websocket.BinaryMessage, pattern(websocket.BinaryMessage, 1000, i))
	}
	for i, l := range many {
		l.expectEcho(fmt.Sprint("connection ", i, " of 50"), websocket.BinaryMessage,
			pattern(websocket.BinaryMessage, 1000, i))
		l.Close() // without a close frame
	}
}

func closeByUs() {
	for _, c := range closes {
		l := open(0)
		err := sendClose(l.Conn, c.code, c.reason)
		code, _ := l.closed()
		check(fmt.Sprint("close by the peer ", c.code), err == nil && code == seen(c.code), code)
	}
}

func echo() {
	l := openForWholeFrames()
	extensions := l.response.Header.Get("Sec-WebSocket-Extensions")
	check("permessage-deflate was offered, and is agreed on where both can",
		strings.HasPrefix(extensions, "permessage-deflate") == compression, extensions)
	for _, kind := range kinds {
		for _, size := range sizes {
			data := pattern(kind, size, 0)
			l.send(kind, data)
			l.expectEcho(fmt.Sprint(nameOf(kind), " ", size), kind, data)
			for _, count := range []int{2, 5, 40} {
				inFragments(kind, size, count)
			}
		}
	}
	pings(l)
	pipelined(l, websocket.TextMessage, 0, 1000)
	pipelined(l, websocket.TextMessage, 100, 10000)
	pipelined(l, websocket.BinaryMessage, 300, 10000)
	pipelined(l, websocket.BinaryMessage, 20000, 1000)
	err := sendClose(l.Conn, 1000, "")
	code, _ := l.closed()
	check("close", err == nil && code == 1000, code)
	manyAtOnce()
	closeByUs()
}

func talk() {
	for _, c := range closes {
		l := open(0)
		l.send(websocket.TextMessage, []byte(fmt.Sprint("close ", c.code, " ", c.reason)))
		code, reason := l.closed()
		check(fmt.Sprint("close by us ", c.code), code == seen(c.code) && reason == c.reason, fmt.Sprint(code, " ", reason))
	}
	closeByUs()
	for _, one := range []struct{ offered, chosen string }{
		{"two", "two"}, {"two one", "one"}, {"three two", "two"}, {"three", ""},
	} {
		l := open(0, strings.Fields(one.offered)...)
		check("offering "+one.offered, l.Subprotocol() == one.chosen, l.Subprotocol())
		l.send(websocket.TextMessage, []byte("subprotocol"))
		l.expectEcho("offering "+one.offered+": our side agrees", websocket.TextMessage, []byte(one.chosen))
		l.Close()
	}
	pinged()
	last := open(0)
	last.send(websocket.TextMessage, []byte("served"))
	last.expectEcho("after connections were torn down", websocket.TextMessage, []byte("served"))
	err := sendClose(last.Conn, 1000, "")
	code, _ := last.closed()
	check("close", err == nil && code == 1000, code)
}

// Says something with the third ping of our side's, so that the echo comes behind it.
func pinged() {
	l := open(0)
	answerPing, count := l.PingHandler(), 0
	l.SetPingHandler(func(payload string) error {
		if count++; count == 3 {
			l.send(websocket.TextMessage, []byte("still here"))
		}
		return answerPing(payload)
	})
	l.expectEcho("after three pings of ours", websocket.TextMessage, []byte("still here"))
	check("three pings of ours", count >= 3, count)
	l.Close()
}

func wait() {
	l := open(0)
	tellLine("connected")
	code, reason := l.closed()
	tellLine(fmt.Sprint("closed ", code, " ", reason))
}

func runClient(mode, address string) {
	url = address
	modes := map[string]func(){"echo": echo, "talk": talk, "wait": wait}
	run, known := modes[mode]
	if !known {
		log.Fatal("unknown mode ", mode)
	}
	run()
	if mode != "wait" {
		tell(map[string]interface{}{"end": told})
	}
}
