// SPDX-License-Identifier: BSL-1.0

// Go's gorilla/websocket as a server (serve) and as a client (echo, talk, wait with a URL); paths
// and modes are those of ws_server.js and ws_client.js, and so is the environment.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const messageLimit = 16 * 1024 * 1024

var (
	stdout      sync.Mutex
	compression = os.Getenv("HAWSER_COMPRESSION") != ""
)

func tellLine(line string) {
	stdout.Lock()
	defer stdout.Unlock()
	fmt.Println(line)
}

func tell(event map[string]interface{}) {
	line, err := json.Marshal(event)
	if err != nil {
		log.Fatal(err)
	}
	tellLine(string(line))
}

func ping(c *websocket.Conn, payload string) error {
	return c.WriteControl(websocket.PingMessage, []byte(payload), time.Now().Add(patience))
}

// Code 0 stands for a close frame without one.
func sendClose(c *websocket.Conn, code int, reason string) error {
	var payload []byte
	if code != 0 {
		payload = websocket.FormatCloseMessage(code, reason)
	}
	return c.WriteControl(websocket.CloseMessage, payload, time.Now().Add(patience))
}

// How the connection ended, as the error of a read tells it.
func closeOf(err error) (code int, reason string) {
	if closed, ok := err.(*websocket.CloseError); ok {
		return closed.Code, closed.Text
	}
	return websocket.CloseAbnormalClosure, ""
}

func main() {
	log.SetFlags(0)
	switch {
	case len(os.Args) == 2 && os.Args[1] == "serve":
		serve()
	case len(os.Args) == 3:
		runClient(os.Args[1], os.Args[2])
	default:
		log.Fatal("usage: peer serve | peer echo|talk|wait URL")
	}
}
