// The plain Go way, to compare with: gorilla's connections in a map under one mutex, and each post written to each.
//
//	gorilla json MESSAGE      encodes the post anew for each client (WriteJSON)
//	gorilla prepared MESSAGE  encodes and frames it once for all (PreparedMessage)
//
// It replies with its "port". Told {"accept": n} it waits until it has that many clients, told {"write": n} it sends
// n posts like MESSAGE to each. It reads no queue and decodes nothing: what that would cost is left out.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

type user struct {
	ID       int64  `json:"id"`
	Username string `json:"username"`
}

type post struct {
	ID          int64     `json:"id"`
	Description string    `json:"description"`
	CreatedAt   time.Time `json:"created_at"`
	User        user      `json:"user"`
	IsLiked     bool      `json:"is_liked"`
	ImageURLs   []string  `json:"image_urls"`
	LikesCount  int       `json:"likes_count"`
}

type message struct {
	Action  string `json:"action"`
	Payload post   `json:"payload"`
}

type command struct {
	Accept int `json:"accept"`
	Write  int `json:"write"`
}

type hub struct {
	mutex   sync.Mutex
	joined  *sync.Cond
	clients map[*websocket.Conn]struct{}
}

var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

func (h *hub) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	client, err := upgrader.Upgrade(writer, request, nil)
	if err != nil {
		return
	}
	h.mutex.Lock()
	h.clients[client] = struct{}{}
	h.joined.Signal()
	h.mutex.Unlock()
	for err == nil {
		_, _, err = client.NextReader()
	}
	h.mutex.Lock()
	delete(h.clients, client)
	h.mutex.Unlock()
	client.Close()
}

func (h *hub) accept(count int) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	for len(h.clients) < count {
		h.joined.Wait()
	}
}

func (h *hub) sendJSON(each message) error {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	for client := range h.clients {
		if err := client.WriteJSON(each); err != nil {
			return err
		}
	}
	return nil
}

func (h *hub) sendPrepared(each message) error {
	text, err := json.Marshal(each)
	if err != nil {
		return err
	}
	prepared, err := websocket.NewPreparedMessage(websocket.TextMessage, text)
	if err != nil {
		return err
	}
	h.mutex.Lock()
	defer h.mutex.Unlock()
	for client := range h.clients {
		if err := client.WritePreparedMessage(prepared); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	h := &hub{clients: make(map[*websocket.Conn]struct{})}
	h.joined = sync.NewCond(&h.mutex)
	send := map[string]func(message) error{"json": h.sendJSON, "prepared": h.sendPrepared}[os.Args[1]]
	var each message
	if err := json.Unmarshal([]byte(os.Args[2]), &each); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.Serve(listener, h)) }()
	fmt.Printf("{\"port\": %d}\n", listener.Addr().(*net.TCPAddr).Port)

	// Standard input is our life: we end when it does.
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var told command
		if err := json.Unmarshal(lines.Bytes(), &told); err != nil {
			log.Fatal(err)
		}
		h.accept(told.Accept)
		for range told.Write {
			if err := send(each); err != nil {
				log.Fatal(err)
			}
			each.Payload.ID++
		}
		fmt.Println("{}")
	}
}
