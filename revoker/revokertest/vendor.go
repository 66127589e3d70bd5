package revokertest

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Vendor is a fake of a provider with one leaked credential, some that must not
// be touched, and an operator's credentials.
type Vendor struct {
	Provider string // the name it has in quench
	Docs     string // the page it was written from
	// Host is what an operator would pin; empty where the vendor has its own.
	Host string
	// Secret is the leaked one; Parts belong to it, Credentials are the operator's.
	Secret             string
	Parts, Credentials map[string]string
	// Tells: the vendor says so when the credential is dead already.
	Tells bool
	// Slow: the vendor takes the request and ends the credential later.
	Slow bool
	// InURL: the leaked value may be in an address, being no secret or, by the
	// vendor's own interface, nowhere else.
	InURL bool

	// Bare: the vendor's yes is a status and an empty body, so that a strange body
	// under it cannot be told from a yes.
	Bare bool
	// Keeps: what is deleted can be had back for a while, and no call ends it sooner.
	Keeps bool
	// Mute: the vendor refuses a dead credential as it does one without a right.
	Mute bool

	id     string // of the leaked one; empty is its part, or leaked
	handle func(a *account, w http.ResponseWriter, r *http.Request)
	acct   account
}

// account is what a vendor knows.
type account struct {
	mu    sync.Mutex
	v     *Vendor
	creds []*cred
}

// cred is one credential: its id, its value, and whether the vendor takes it.
type cred struct {
	id, value string
	alive     bool
	gone      bool // deleted: what is not alive can be resumed otherwise, by vendors that can
}

// leaked is the id of the leaked credential.
const leaked = "id-of-the-leaked"

func (v *Vendor) init() *Vendor {
	id := cmp.Or(v.id, leaked)
	for _, p := range []string{"key_id", "token_id", "accessor", "lease_id", "authorization_id", "pat_id"} {
		if v.Parts[p] != "" {
			id = v.Parts[p]
		}
	}
	// Decoys stand before and after it, and end in other characters.
	flip := func(c string) string { return v.Secret[:len(v.Secret)-6] + c + v.Secret[len(v.Secret)-2:] }
	v.acct = account{v: v, creds: []*cred{{"id-1", flip("AAAA"), true, false}, {id, v.Secret, true, false}, {"id-3", v.Secret + "x", true, false}, {"id-4", "x" + v.Secret, true, false}}}
	return v
}

// ServeHTTP answers as the vendor does.
func (v *Vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.acct.mu.Lock()
	defer v.acct.mu.Unlock()
	v.handle(&v.acct, w, r)
}

// Alive reports whether the vendor takes the leaked credential.
func (v *Vendor) Alive() bool {
	v.acct.mu.Lock()
	defer v.acct.mu.Unlock()
	return v.acct.creds[1].alive
}

// Kill ends the leaked credential, as its owner could have before.
func (v *Vendor) Kill() {
	v.acct.mu.Lock()
	defer v.acct.mu.Unlock()
	v.acct.creds[1].alive, v.acct.creds[1].gone = false, true
}

// Gone reports whether the leaked credential was deleted, of vendors that suspend.
func (v *Vendor) Gone() bool {
	v.acct.mu.Lock()
	defer v.acct.mu.Unlock()
	return v.acct.creds[1].gone
}

// DecoysAlive reports whether no other credential was touched.
func (v *Vendor) DecoysAlive() bool {
	v.acct.mu.Lock()
	defer v.acct.mu.Unlock()
	for i, c := range v.acct.creds {
		if i != 1 && !c.alive {
			return false
		}
	}
	return true
}

// byValue is the live credential of that value.
func (a *account) byValue(value string) *cred {
	for _, c := range a.creds {
		if c.value == value && c.alive {
			return c
		}
	}
	return nil
}

// byID is the live credential of that id.
func (a *account) byID(id string) *cred {
	for _, c := range a.creds {
		if c.id == id && c.alive {
			return c
		}
	}
	return nil
}

// kept is the credential of that id that was not deleted, alive or not.
func (a *account) kept(id string) *cred {
	for _, c := range a.creds {
		if c.id == id && !c.gone {
			return c
		}
	}
	return nil
}

// any is the credential of that id, whatever became of it.
func (a *account) any(id string) *cred {
	for _, c := range a.creds {
		if c.id == id {
			return c
		}
	}
	return nil
}

// end ends a credential and reports whether there was one.
func (a *account) end(c *cred) bool {
	if c == nil {
		return false
	}
	c.alive = false
	return true
}

// is reports whether a value is the operator's credential of that name.
func (a *account) is(name, value string) bool {
	return value != "" && a.v.Credentials[name] == value
}

func bearer(r *http.Request) string {
	s, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return ""
	}
	return s
}

// route is the method and path of a request, as most vendors are told apart by.
func route(r *http.Request) string { return r.Method + " " + r.URL.EscapedPath() }

// tail is the last segment of a path below a prefix; ok is false if there are more.
func tail(r *http.Request, prefix string) (string, bool) {
	s, ok := strings.CutPrefix(r.Method+" "+r.URL.Path, prefix)
	return s, ok && s != "" && !strings.Contains(s, "/")
}

func body(r *http.Request) map[string]any {
	b, _ := io.ReadAll(r.Body)
	var m map[string]any
	json.Unmarshal(b, &m)
	return m
}

func reply(w http.ResponseWriter, status int, v any) {
	if v == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// obj is a JSON object.
type obj = map[string]any

// redacted is how lists show a value: its first and last few characters.
func redacted(s string, head, tail int) string { return s[:head] + "..." + s[len(s)-tail:] }
