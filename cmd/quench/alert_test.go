package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func init() {
	scriptCmds["listen"] = scriptListen
	scriptCmds["told"] = scriptTold
}

// sink is a syslog receiver that keeps what it is told.
type sink struct {
	mu   sync.Mutex
	text strings.Builder
}

var (
	sinksMu sync.Mutex
	sinks   = map[string]*sink{} // by the script's folder and the sink's name
)

// scriptListen is "listen NAME": a syslog receiver, and policy.toml that names it.
func scriptListen(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	s := &sink{}
	sinksMu.Lock()
	sinks[ts.MkAbs(args[0])] = s
	sinksMu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 1<<16)
			for {
				n, err := c.Read(b)
				s.mu.Lock()
				s.text.Write(b[:n])
				s.mu.Unlock()
				if err != nil {
					break
				}
			}
			c.Close()
		}
	}()
	policy := fmt.Sprintf("[[notify.target]]\nname = %q\nkind = \"syslog\"\naddress = \"tcp://%s\"\n", args[0], l.Addr())
	ts.Check(os.WriteFile(ts.MkAbs("policy.toml"), []byte(policy), 0o600))
}

// scriptTold is "[!] told NAME TEXT": the receiver was told a text, or the value in
// the file of that name.
func scriptTold(ts *testscript.TestScript, neg bool, args []string) {
	sinksMu.Lock()
	s := sinks[ts.MkAbs(args[0])]
	sinksMu.Unlock()
	want := args[1]
	if b, err := os.ReadFile(ts.MkAbs(want)); err == nil {
		want = strings.TrimSpace(string(b))
	}
	// What was sent before the command ended is read a moment later.
	for end := time.Now().Add(10 * time.Second); ; {
		s.mu.Lock()
		has := strings.Contains(s.text.String(), want)
		s.mu.Unlock()
		switch {
		case has && neg:
			ts.Fatalf("it was told %q", args[1])
		case has || neg:
			return
		case time.Now().After(end):
			ts.Fatalf("it was never told %q", args[1])
		}
		time.Sleep(5 * time.Millisecond)
	}
}
