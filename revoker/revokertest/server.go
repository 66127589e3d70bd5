// Package revokertest is what providers are tested against: fakes of the vendors
// that answer as their documentation says, behind a network of their own.
//
// Each fake is written from the vendor's page it cites and knows nothing of how
// quench calls it: it imports neither the providers nor their table. It keeps a
// few credentials beside the leaked one, so that a call which ends the wrong one
// is seen. Start reading at Vendor, then Serve.
package revokertest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// Network is a fake of the internet: every name leads to one loopback server that
// has a certificate for it, signed by an authority made for the test.
type Network struct {
	RootCAs *x509.CertPool

	// CA is the authority's certificate in PEM.
	CA []byte

	// TLS has a certificate for every name, for servers that speak something else.
	TLS *tls.Config

	srv    *httptest.Server
	mu     sync.Mutex
	addr   string
	handle http.Handler
	seen   []string // host, method and path of each request
}

// Serve starts a network for a test, whose hosts are all answered by handle.
func Serve(t testing.TB, handle http.Handler) *Network {
	t.Helper()
	n, err := Listen(handle)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// Listen is Serve for who closes it.
func Listen(handle http.Handler) (*Network, error) {
	ca, key, err := authority()
	if err != nil {
		return nil, err
	}
	n := &Network{RootCAs: x509.NewCertPool(), CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}), handle: handle}
	n.RootCAs.AddCert(ca)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		n.seen = append(n.seen, r.Host+" "+r.Method+" "+r.URL.RequestURI())
		h := n.handle
		n.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	// A config of its own: httptest adds a certificate, which would answer those who
	// ask for an address.
	own := &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		return leaf(ca, key, hello.ServerName)
	}}
	n.TLS = own
	srv.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return own, nil }}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that refuse the certificate are part of tests
	srv.StartTLS()
	n.srv, n.addr = srv, srv.Listener.Addr().String()
	return n, nil
}

// Close ends the server.
func (n *Network) Close() { n.srv.Close() }

// Answer replaces what answers.
func (n *Network) Answer(h http.Handler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.handle = h
}

// Seen are the requests so far, each as "host METHOD path".
func (n *Network) Seen() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.seen...)
}

// Addr is the server's own address, host:port.
func (n *Network) Addr() string { return n.addr }

// Dial connects to the server whatever address is asked for.
func (n *Network) Dial(ctx context.Context, network, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, n.addr)
}

// Lookup gives every name an address that is public by its form: one of those
// kept for documentation (RFC 5737).
func (n *Network) Lookup(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("203.0.113.7")}, nil
}

func authority() (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "quench test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	ca, err := x509.ParseCertificate(der)
	return ca, key, err
}

func leaf(ca *x509.Certificate, key *ecdsa.PrivateKey, name string) (*tls.Certificate, error) {
	if name == "" {
		name = "localhost" // the client asked for an address
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca, &key.PublicKey, key)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
