package revokertest

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// Mail is the address of a server that speaks as much SMTP (RFC 5321) as a client needs,
// and gives the letters on, as they came.
func Mail(t testing.TB, letters chan<- string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r := bufio.NewReader(conn)
			say := func(s string) { io.WriteString(conn, s+"\r\n") }
			say("220 mail.example")
			var data strings.Builder
			for inData := false; ; {
				line, err := r.ReadString('\n')
				if err != nil {
					break
				}
				line = strings.TrimRight(line, "\r\n")
				switch verb, _, _ := strings.Cut(strings.ToUpper(line), " "); {
				case inData && line == ".":
					inData = false
					letters <- data.String()
					say("250 taken")
				case inData:
					data.WriteString(line + "\n")
				case verb == "EHLO":
					say("250 mail.example")
				case verb == "DATA":
					inData = true
					say("354 go on")
				case verb == "QUIT":
					say("221 bye")
					conn.Close()
				default:
					say("250 ok")
				}
			}
			conn.Close()
		}
	})
	return l.Addr().String()
}
