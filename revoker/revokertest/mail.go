package revokertest

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// Mail is the address of a server that speaks as much SMTP (RFC 5321) as a client needs,
// and gives the letters on, as they came. With secure it knows STARTTLS (RFC 3207), and
// takes letters from those alone who signed in behind it; what they sign in with is given
// on, too.
func Mail(t testing.TB, letters chan<- string, secure *tls.Config) string {
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
			(&mailbox{conn: conn, secure: secure, letters: letters}).serve()
		}
	})
	return l.Addr().String()
}

// mailbox is one connection to the server.
type mailbox struct {
	conn         net.Conn
	secure       *tls.Config
	letters      chan<- string
	hidden, user bool // behind TLS; signed in
}

func (m *mailbox) say(s string) { io.WriteString(m.conn, s+"\r\n") }

func (m *mailbox) serve() {
	defer func() { m.conn.Close() }()
	r := bufio.NewReader(m.conn)
	m.say("220 mail.example")
	var data strings.Builder
	for inData := false; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		switch verb, rest, _ := strings.Cut(line, " "); {
		case inData && line == ".":
			inData = false
			m.letters <- data.String()
			m.say("250 taken")
		case inData:
			data.WriteString(line + "\n")
		case strings.EqualFold(verb, "EHLO"):
			m.greet()
		case strings.EqualFold(verb, "STARTTLS") && m.secure != nil:
			m.say("220 go on")
			m.conn, m.hidden = tls.Server(m.conn, m.secure), true
			r = bufio.NewReader(m.conn)
		case strings.EqualFold(verb, "AUTH") && m.hidden:
			m.user = true
			m.letters <- rest
			m.say("235 welcome")
		case m.secure != nil && !m.user && (strings.EqualFold(verb, "AUTH") || strings.EqualFold(verb, "MAIL")):
			m.say("530 5.7.0 Must issue a STARTTLS command first")
		case strings.EqualFold(verb, "DATA"):
			inData = true
			m.say("354 go on")
		case strings.EqualFold(verb, "QUIT"):
			m.say("221 bye")
			return
		default:
			m.say("250 ok")
		}
	}
}

func (m *mailbox) greet() {
	switch {
	case m.hidden:
		m.say("250-mail.example\r\n250 AUTH PLAIN LOGIN")
	case m.secure != nil:
		m.say("250-mail.example\r\n250 STARTTLS")
	default:
		m.say("250 mail.example")
	}
}
