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

	mu     sync.Mutex
	addr   string
	handle http.Handler
	seen   []string // host, method and path of each request
}

// Serve starts a network whose hosts are all answered by handle.
func Serve(t testing.TB, handle http.Handler) *Network {
	t.Helper()
	ca, key := authority(t)
	n := &Network{RootCAs: x509.NewCertPool(), handle: handle}
	n.RootCAs.AddCert(ca)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		n.seen = append(n.seen, r.Host+" "+r.Method+" "+r.URL.RequestURI())
		h := n.handle
		n.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	srv.Config.ErrorLog = nil
	srv.TLS = &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		return leaf(ca, key, hello.ServerName)
	}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	n.addr = srv.Listener.Addr().String()
	return n
}

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

// Dial connects to the server whatever address is asked for.
func (n *Network) Dial(ctx context.Context, network, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, n.addr)
}

// Lookup gives every name an address that is public by its form: one of those
// kept for documentation (RFC 5737).
func (n *Network) Lookup(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("203.0.113.7")}, nil
}

func authority(t testing.TB) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "quench test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return ca, key
}

func leaf(ca *x509.Certificate, key *ecdsa.PrivateKey, name string) (*tls.Certificate, error) {
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{name}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca, &key.PublicKey, key)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
