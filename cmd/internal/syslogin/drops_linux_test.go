package syslogin

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quench-dev/quench/cmd/internal/intake/intaketest"
)

// What the kernel drops, since nothing is read while nothing can be recorded, is counted
// and told: all that was sent is found or dropped.
func TestDrops(t *testing.T) {
	var dropped atomic.Uint64
	told := make(chan string, 100)
	s, c := start(t, Options{Addresses: []string{"udp://127.0.0.1:0"}, Dropped: func(n uint32) { dropped.Add(uint64(n)) },
		Trouble: func(_ string, err error) { told <- err.Error() }})
	s.udp[0].SetReadBuffer(64 << 10) // as small as it may be, so that little fills it
	c.Fail(errors.New("the database is away"))
	to, err := net.Dial("udp", s.Addrs[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	fmt.Fprint(to, oldHead+intaketest.Token(0))
	if text := <-told; !strings.Contains(text, "waiting until it can be") {
		t.Errorf("told %q", text)
	}
	const n = 500
	pad := strings.Repeat("x ", 2000)
	for i := range n {
		fmt.Fprint(to, oldHead+pad+intaketest.Token(uint64(1+i)))
	}
	c.Fail(nil)
	sent, found := 1+n, 0
	for end := time.Now().Add(20 * time.Second); dropped.Load() == 0 || found+int(dropped.Load()) != sent; {
		if time.Now().After(end) {
			t.Fatalf("%d sent, %d found, %d dropped", sent, found, dropped.Load())
		}
		// The kernel says it with the next that comes.
		fmt.Fprint(to, oldHead+intaketest.Token(uint64(1+sent)))
		sent++
		for range 100 {
			time.Sleep(time.Millisecond)
			if found += len(c.Found()); found+int(dropped.Load()) == sent {
				break
			}
		}
	}
	if text := <-told; !strings.Contains(text, "the kernel dropped") {
		t.Errorf("told %q", text)
	}
}
