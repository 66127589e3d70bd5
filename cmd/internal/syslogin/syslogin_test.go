package syslogin

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/goleak"

	"github.com/quench-dev/quench/cmd/internal/intake/intaketest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// start listens at addresses until the test ends.
func start(t *testing.T, o Options) (*Server, *intaketest.Sink) {
	t.Helper()
	c := intaketest.New(t, "syslog")
	o.Sink = c.Sink
	if o.Trouble == nil {
		o.Trouble = func(what string, err error) { t.Logf("%s: %v", what, err) }
	}
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, c
}

func send(t *testing.T, network string, addr net.Addr, texts ...string) {
	t.Helper()
	c, err := net.Dial(network, addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, x := range texts {
		if _, err := io.WriteString(c, x); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	newHead = "<34>1 2026-10-11T22:14:15.003Z web.example.com shop 812 ID47 - "
	oldHead = "<34>Oct 11 22:14:15 web shop[812]: "
)

// TestConformance has each transport and framing carry both formats.
func TestConformance(t *testing.T) {
	s, c := start(t, Options{Addresses: []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"}})
	udp, tcp := s.Addrs[0], s.Addrs[1]
	seed := uint64(0)
	for _, x := range []struct {
		name, head, sender string
	}{
		{"5424", newHead, "127.0.0.1/web.example.com/shop"},
		{"5424 with BOM", newHead + "\xef\xbb\xbf", "127.0.0.1/web.example.com/shop"},
		{"3164", oldHead, "127.0.0.1/web/shop"},
		{"neither", "hello ", "127.0.0.1"},
	} {
		for _, how := range []string{"udp", "newline", "nul", "octets"} {
			seed++
			m := x.head + "token " + intaketest.Token(seed) + " used"
			switch how {
			case "udp":
				send(t, "udp", udp, m)
			case "newline":
				send(t, "tcp", tcp, m[:20], m[20:]+"\n")
			case "nul":
				send(t, "tcp", tcp, m+"\x00"+x.head+"more\n")
			case "octets":
				send(t, "tcp", tcp, fmt.Sprintf("%d %s", len(m), m))
			}
			f := c.Await(t, 1)[0]
			if f.Origin.Path != x.sender || f.Rule.ID != "github-pat" || f.Origin.Source != "syslog" {
				t.Errorf("%s, %s: %s by %q, want %q", x.name, how, f.Rule.ID, f.Origin.Path, x.sender)
			}
		}
	}
}

// TestKeyOverMessages finds a key that comes a line a message, and one in a message.
func TestKeyOverMessages(t *testing.T) {
	s, c := start(t, Options{Addresses: []string{"tcp://127.0.0.1:0"}})
	var b strings.Builder
	for _, line := range strings.Split(strings.TrimSpace(intaketest.Key(1)), "\n") {
		b.WriteString(oldHead + line + "\n")
	}
	b.WriteString(strings.Repeat(oldHead+strings.Repeat("x", 3000)+"\n", 15)) // after which nothing waits
	send(t, "tcp", s.Addrs[0], b.String())
	if f := c.Await(t, 1)[0]; f.Rule.ID != "private-key" {
		t.Errorf("%+v", f)
	}
	m := newHead + intaketest.Key(9)
	after := newHead + strings.Repeat("y", 3000)
	send(t, "tcp", s.Addrs[0], fmt.Sprintf("%d %s", len(m), m)+strings.Repeat(fmt.Sprintf("%d %s", len(after), after), 15))
	if f := c.Await(t, 1)[0]; f.Rule.ID != "private-key" {
		t.Errorf("%+v", f)
	}
}

// TestLogger has logger(1) send, where it is there.
func TestLogger(t *testing.T) {
	path, err := exec.LookPath("logger")
	if err != nil {
		t.Skip("there is no logger(1)")
	}
	s, c := start(t, Options{Addresses: []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"}})
	for i, args := range [][]string{{"--udp", "--rfc3164"}, {"--udp", "--rfc5424"}, {"--tcp", "--rfc3164"}, {"--tcp", "--rfc5424"}, {"--tcp", "--octet-count"}} {
		addr := s.Addrs[0]
		if args[0] == "--tcp" {
			addr = s.Addrs[1]
		}
		_, port, _ := net.SplitHostPort(addr.String())
		args = append(args, "--server", "127.0.0.1", "--port", port, "--tag", "shop", "token "+intaketest.Token(uint64(i)))
		if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
			t.Fatalf("logger %v: %v: %s", args[:2], err, out)
		}
		f := c.Await(t, 1)[0]
		if !strings.HasSuffix(f.Origin.Path, "/shop") {
			t.Errorf("logger %v: by %q", args[:2], f.Origin.Path)
		}
	}
}

// certificate is one of a test's own for 127.0.0.1.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	pool.AddCert(c)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestTLS(t *testing.T) {
	cert, pool := certificate(t)
	s, c := start(t, Options{Addresses: []string{"tls://127.0.0.1:0"}, TLS: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}})
	conn, err := tls.Dial("tcp", s.Addrs[0].String(), &tls.Config{RootCAs: pool})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	m := newHead + intaketest.Token(1)
	fmt.Fprintf(conn, "%d %s", len(m), m)
	c.Await(t, 1)
	send(t, "tcp", s.Addrs[0], "no handshake at all\n") // its connection ends, and the others do not
	fmt.Fprintf(conn, "%d %s", len(m), m)
	c.Await(t, 1)
}

// TestBackPressure reads no more while nothing can be recorded, and loses nothing.
func TestBackPressure(t *testing.T) {
	var mu sync.Mutex
	told := make(chan bool, 100)
	s, c := start(t, Options{Addresses: []string{"tcp://127.0.0.1:0"}, Trouble: func(_ string, err error) {
		mu.Lock()
		defer mu.Unlock()
		told <- strings.Contains(err.Error(), "waiting until it can be")
	}})
	c.Fail(errors.New("the database is away"))
	for i := range uint64(5) {
		send(t, "tcp", s.Addrs[0], oldHead+intaketest.Token(i)+"\n")
	}
	if !<-told {
		t.Error("something else is told")
	}
	c.Fail(nil)
	c.Await(t, 5)
}

func TestRefused(t *testing.T) {
	for a, want := range map[string]string{
		"udp://0.0.0.0:0": "--listen-remote", "tcp://192.0.2.1:514": "--listen-remote", "http://127.0.0.1:1": "udp, tcp or tls",
		"127.0.0.1:514": "want udp://", "tls://127.0.0.1:0": "--tls-cert", "udp://127.0.0.1": "HOST:PORT",
	} {
		if s, err := Listen(Options{Addresses: []string{a}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", a, s, err)
		}
	}
}

// framed is what frames makes of a stream.
func framed(r io.Reader) (list []string, err error) {
	whole := true
	err = frames(bufio.NewReaderSize(r, 16<<10), func(b []byte, more bool) error {
		if whole {
			list = append(list, "")
		}
		list[len(list)-1] += string(b)
		whole = !more
		return nil
	})
	return list, err
}

func TestFrames(t *testing.T) {
	long := strings.Repeat("a", 200<<10)
	for in, want := range map[string][]string{
		"a\nb\r\n":           {"a", "b\r"},
		"3 abc4 de\nf5 x":    {"abc", "de\nf", "x"},
		"12 monkeys\n":       {"monkeys\n"},
		"12th of May\n3 abc": {"12th of May", "abc"},
		"last without end":   {"last without end"},
		fmt.Sprintf("%d %s2 ab", len(long), long): {long, "ab"},
		"<1>" + long + "\nx\n":                    {"<1>" + long, "x"},
	} {
		if got, _ := framed(strings.NewReader(in)); strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%.40q: %.60q, want %.60q", in, got, want)
		}
	}
	if _, err := framed(strings.NewReader("999999999 a")); !errors.Is(err, errFrame) {
		t.Error(err)
	}
}

// TestStructuredData scans what stands before the text.
func TestStructuredData(t *testing.T) {
	m := `<34>1 2026-10-11T22:14:15.003Z web shop - - [auth@32473 token="` + intaketest.Token(1) + `"] hello`
	list := newParser().records([]byte(m), "a")
	if len(list) != 2 || list[0].Sender != "a/web/shop (header)" || string(list[1].Text) != "hello" || !bytes.Contains(list[0].Text, []byte(intaketest.Token(1))) {
		t.Errorf("%+v", list)
	}
}

// FuzzSyslog frames the same whatever the pieces, and has every byte of a message in its
// records but for the header.
func FuzzSyslog(f *testing.F) {
	f.Add([]byte(newHead + "text\n" + oldHead + "text\n"))
	f.Add([]byte("11 " + oldHead + "3 abc"))
	f.Add([]byte(`<34>1 - - - - - [a b="c\]"] x` + "\n<0>Oct  1 00:00:00 h t: m\x00"))
	p := newParser()
	f.Fuzz(func(t *testing.T, in []byte) {
		one, err := framed(bytes.NewReader(in))
		many, err2 := framed(iotest.OneByteReader(bytes.NewReader(in)))
		if strings.Join(one, "|") != strings.Join(many, "|") || (err == io.EOF) != (err2 == io.EOF) {
			t.Fatalf("%q %v at once, %q %v byte by byte", one, err, many, err2)
		}
		for _, m := range append(one, string(in)) {
			list := p.records([]byte(m), "from")
			trimmed := strings.TrimRight(m, "\r\n\x00")
			if len(list) == 0 {
				if trimmed != "" {
					t.Fatalf("%q has no record", m)
				}
				continue
			}
			last := list[len(list)-1]
			if !strings.HasSuffix(trimmed, string(last.Text)) && len(list) == 1 && last.Sender == "from" {
				t.Fatalf("%q ends in %q", m, last.Text)
			}
			for _, r := range list {
				if len(r.Sender) > 1000 || strings.ContainsAny(r.Sender, "\n\x00") {
					t.Fatalf("a sender %q", r.Sender)
				}
			}
		}
	})
}
