package keystore

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// key is a private key in DER.
func key(t testing.TB) []byte {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

type writer struct{ bytes.Buffer }

func (w *writer) put(v ...any) {
	for _, x := range v {
		switch x := x.(type) {
		case string:
			binary.Write(w, binary.BigEndian, uint16(len(x)))
			w.WriteString(x)
		case []byte:
			binary.Write(w, binary.BigEndian, uint32(len(x)))
			w.Write(x)
		default:
			binary.Write(w, binary.BigEndian, x)
		}
	}
}

func jksOf(der []byte) []byte {
	var w writer
	w.put(uint32(0xfeedfeed), uint32(2), uint32(2))
	w.put(uint32(2), "ca", uint64(0), "X.509", []byte("certificate"))
	w.put(uint32(1), "mykey", uint64(0), der, uint32(1), "X.509", []byte("certificate"))
	w.Write(make([]byte, 20))
	return w.Bytes()
}

func bksOf(der []byte) []byte {
	var w writer
	w.put(uint32(2), make([]byte, 20), uint32(1024))
	w.put(uint8(1), "ca", uint64(0), uint32(0), "X.509", []byte("certificate"))
	w.put(uint8(4), "sealed", uint64(0), uint32(1), "X.509", []byte("certificate"), der)
	w.put(uint8(2), "clear", uint64(0), uint32(0), uint8(0), "PKCS#8", "EC", der)
	w.put(uint8(0))
	w.Write(make([]byte, 20))
	return w.Bytes()
}

func TestKeys(t *testing.T) {
	der := key(t)
	for name, c := range map[string]struct {
		data []byte
		want []string
	}{
		"jks": {jksOf(der), []string{"mykey ENCRYPTED PRIVATE KEY"}},
		"bks": {bksOf(der), []string{"sealed ENCRYPTED PRIVATE KEY", "clear PRIVATE KEY"}},
		"der": {der, []string{" PRIVATE KEY"}},
	} {
		if !Is(c.data[:min(len(c.data), 64)]) {
			t.Errorf("%s is not known by its head", name)
		}
		keys, err := Keys(c.data)
		if err != nil || len(keys) != len(c.want) {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
			continue
		}
		for i, k := range keys {
			b, _ := pem.Decode(k.PEM)
			if got := k.Alias + " " + b.Type; got != c.want[i] || !bytes.Equal(b.Bytes, der) {
				t.Errorf("%s: %q, want %q", name, got, c.want[i])
			}
		}
		for n := range c.data {
			Keys(c.data[:n]) // no panic
			if name != "der" && n > 64 && n < len(c.data)-20 {
				if _, err := Keys(c.data[:n]); err == nil {
					t.Errorf("%s cut to %d bytes: no error", name, n)
				}
			}
		}
	}
}

// What the real programs write is read.
func TestRealStores(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Java a few times")
	}
	dir := t.TempDir()
	run := func(name string, args ...string) bool {
		if _, err := exec.LookPath(name); err != nil {
			t.Logf("%s is not installed: not tried", name)
			return false
		}
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Logf("%s does not do it here: %v\n%s", name, err, out)
		}
		return err == nil
	}
	check := func(file, alias, kind string) {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		keys, err := Keys(data)
		if err != nil || len(keys) != 1 || keys[0].Alias != alias {
			t.Errorf("%s: %+v, %v", file, keys, err)
			return
		}
		if b, _ := pem.Decode(keys[0].PEM); b == nil || b.Type != kind {
			t.Errorf("%s: not %s", file, kind)
		}
	}
	if run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "k.pem", "-out", "c.pem", "-subj", "/CN=test", "-days", "1") {
		if run("openssl", "pkcs12", "-export", "-inkey", "k.pem", "-in", "c.pem", "-out", "o.p12", "-name", "my key", "-passout", "pass:changeit") {
			check("o.p12", "my key", "ENCRYPTED PRIVATE KEY")
		}
		if run("openssl", "pkcs12", "-export", "-inkey", "k.pem", "-in", "c.pem", "-out", "n.p12", "-keypbe", "NONE", "-certpbe", "NONE", "-nomac", "-passout", "pass:") {
			check("n.p12", "", "PRIVATE KEY")
		}
		if run("openssl", "rsa", "-in", "k.pem", "-outform", "DER", "-traditional", "-out", "k1.der") {
			check("k1.der", "", "RSA PRIVATE KEY")
		}
	}
	for _, kind := range []string{"JKS", "JCEKS", "PKCS12"} {
		if run("keytool", "-genkeypair", "-alias", "mykey", "-keyalg", "RSA", "-keysize", "2048", "-dname", "CN=test", "-storetype", kind,
			"-keystore", kind, "-storepass", "changeit", "-keypass", "changeit") {
			check(kind, "mykey", "ENCRYPTED PRIVATE KEY")
		}
	}
}

func FuzzKeys(f *testing.F) {
	der := key(f)
	f.Add(jksOf(der))
	f.Add(bksOf(der))
	f.Add(der)
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, _ := Keys(data)
		for _, k := range keys {
			if len(k.PEM) > 2*len(data)+200 {
				t.Error("a key longer than the file")
			}
		}
	})
}
