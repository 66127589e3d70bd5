package main

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/quench-dev/quench/revoker/revokertest"
)

func init() {
	scriptCmds["vendor"] = scriptVendor
	scriptCmds["alive"] = scriptAlive
}

// vendors are the fakes of running scripts, by their address.
var (
	vendorsMu sync.Mutex
	vendors   = map[string]*revokertest.Vendor{}
)

// scriptVendor is "vendor NAME [refuse]": a fake of that provider, its host in
// $VENDOR and policy.toml (in limit.toml with six calls an hour, and in check.toml, ask.toml and revoke.toml, which say that
// of secrets in *.env), the leaked secret in the file secret, the authority of
// its certificate in ca.pem, and what else a call takes in files of their names.
func scriptVendor(ts *testscript.TestScript, _ bool, args []string) {
	all := revokertest.Vendors()
	i := slices.IndexFunc(all, func(v *revokertest.Vendor) bool { return v.Provider == args[0] })
	if i < 0 {
		ts.Fatalf("no vendor %s", args[0])
	}
	v := all[i]
	var h http.Handler = v
	if len(args) > 1 {
		h = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "secret words", http.StatusInternalServerError)
		})
	}
	n, err := revokertest.Listen(h)
	ts.Check(err)
	ts.Defer(n.Close)
	vendorsMu.Lock()
	vendors[n.Addr()] = v
	vendorsMu.Unlock()
	ts.Setenv("VENDOR", n.Addr())
	write := func(name, value string) { ts.Check(os.WriteFile(ts.MkAbs(name), []byte(value), 0o600)) }
	write("secret", v.Secret)
	write("ca.pem", string(n.CA))
	policy := fmt.Sprintf("[[provider]]\nname = %q\nkind = \"api\"\nhost = %q\nca_file = \"ca.pem\"\n", v.Provider, n.Addr())
	write("policy.toml", policy)
	write("limit.toml", policy+"calls_per_hour = 6\n")
	for _, do := range []string{"check", "ask", "revoke"} {
		write(do+".toml", policy+fmt.Sprintf("[[leak]]\nprovider = [%q]\npath = [\"**/*.env\"]\ndo = %q\n", v.Provider, do))
	}
	for name, value := range v.Credentials {
		write(name, value)
	}
	for name, value := range v.Parts {
		ts.Setenv(strings.ToUpper(name), value)
	}
}

// scriptAlive is "[!] alive ADDRESS": the vendor there takes the leaked secret, and
// all others.
func scriptAlive(ts *testscript.TestScript, neg bool, args []string) {
	vendorsMu.Lock()
	v := vendors[args[0]]
	vendorsMu.Unlock()
	if v.Alive() == neg {
		ts.Fatalf("alive is %v", !neg)
	}
	if !v.DecoysAlive() {
		ts.Fatalf("another credential was ended")
	}
}
