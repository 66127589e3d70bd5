package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/revoker/revokertest"
	"github.com/quench-dev/quench/scanner/secret"
)

// leaks are fakes of one vendor, one for each leaked secret, behind one address. They
// answer slowly; of some calls the answer is lost, some are refused for now; and some
// secrets' never have an answer until that is over. Own tokens have another vendor, who
// is told by webhook.
type leaks struct {
	mu     sync.Mutex
	all    map[string]*revokertest.Vendor
	ended  map[string]int       // revocations made, by secret
	silent map[string]chan bool // no call about the secret is answered; each is told here
	told   map[string]int       // webhooks, by token
	ids    map[string][]string  // their ids
	net    *revokertest.Network
	hooks  *httptest.Server
	down   bool // the vendor of own tokens
}

func newLeaks(t *testing.T) *leaks {
	l := &leaks{all: map[string]*revokertest.Vendor{}, ended: map[string]int{}, silent: map[string]chan bool{}, told: map[string]int{}, ids: map[string][]string{}}
	l.net = revokertest.Serve(t, l)
	l.hooks = httptest.NewServer(http.HandlerFunc(l.hook))
	t.Cleanup(l.hooks.Close)
	return l
}

// policy is the file of one that names both vendors.
func (l *leaks) policy(t *testing.T) (path string) {
	t.Helper()
	conf := t.TempDir()
	for name, text := range map[string]string{"ca.pem": string(l.net.CA), "policy.toml": fmt.Sprintf(
		"[[provider]]\nname = 'gitlab'\nkind = 'api'\nhost = %q\nca_file = 'ca.pem'\n[[leak]]\nprovider = ['gitlab']\ndo = 'revoke'\n"+
			"[[provider]]\nname = 'vendor'\nkind = 'webhook'\nurl = '%s/leaked'\nsecret_file = 'key'\n", l.net.Addr(), l.hooks.URL),
		"key": "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))} {
		if err := os.WriteFile(filepath.Join(conf, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(conf, "policy.toml")
}

// hook is the vendor of own tokens.
func (l *leaks) hook(w http.ResponseWriter, r *http.Request) {
	var report struct {
		Data struct {
			TokenID string `json:"token_id"`
		} `json:"data"`
	}
	if err := json.NewDecoder(r.Body).Decode(&report); err != nil {
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		http.Error(w, "", http.StatusServiceUnavailable)
		return
	}
	l.told[report.Data.TokenID]++
	if id := r.Header.Get("webhook-id"); !slices.Contains(l.ids[report.Data.TokenID], id) {
		l.ids[report.Data.TokenID] = append(l.ids[report.Data.TokenID], id)
	}
	w.WriteHeader(http.StatusAccepted)
}

// hooksDown has the vendor of own tokens take nothing, or no longer.
func (l *leaks) hooksDown(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
}

// check sees that all incidents are dead: secrets ended once, own tokens told of under
// their incident's id. It gives how many reports were repeated.
func (l *leaks) check(t *testing.T, list []killed, secrets []string) (again int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, i := range list {
		told, ids := l.told[i.Token], l.ids[i.Token]
		if again += max(0, told-1); i.State != "dead" || i.Token != "" && (told == 0 || len(ids) != 1 || ids[0] != i.ID) {
			t.Errorf("incident %+v: its vendor was told %d times, as %q", i, told, ids)
		}
	}
	for _, v := range secrets {
		if l.ended[v] != 1 || l.all[v].Alive() || !l.all[v].DecoysAlive() {
			t.Errorf("a secret was ended %d times, alive %v", l.ended[v], l.all[v].Alive())
		}
	}
	return again
}

// hush makes a secret one whose vendor does not answer; speak ends that.
func (l *leaks) hush(value string) <-chan bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent[value] = make(chan bool, 1000)
	return l.silent[value]
}

func (l *leaks) speak(value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.silent, value)
}

// add makes a vendor whose secret has leaked.
func (l *leaks) add() string {
	all := revokertest.Vendors()
	v := all[slices.IndexFunc(all, func(v *revokertest.Vendor) bool { return v.Provider == "gitlab" })]
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[v.Secret] = v
	return v.Secret
}

func (l *leaks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	value := r.Header.Get("Private-Token")
	l.mu.Lock()
	v, silent := l.all[value], l.silent[value]
	l.mu.Unlock()
	if v == nil {
		http.Error(w, "", http.StatusTeapot)
		return
	}
	if silent != nil {
		silent <- true
		<-r.Context().Done()
		return
	}
	time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond) // the vendor is slow: the kill is to fall into it
	if r.Method == http.MethodDelete && rand.IntN(6) == 0 {
		http.Error(w, "", http.StatusServiceUnavailable) // nothing is done
		return
	}
	if r.Method == http.MethodDelete {
		l.mu.Lock()
		l.ended[value]++
		l.mu.Unlock()
	}
	if r.Method == http.MethodDelete && rand.IntN(6) == 0 {
		v.ServeHTTP(discarded{}, r) // done, and the answer is lost
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			c.Close()
		}
		return
	}
	v.ServeHTTP(w, r)
}

type discarded struct{}

func (discarded) Header() http.Header         { return http.Header{} }
func (discarded) Write(b []byte) (int, error) { return len(b), nil }
func (discarded) WriteHeader(int)             {}

// Killed at any moment between a finding and its receipt, a scan leaves nothing that is
// not true: a secret without an incident was not touched; one with an incident is dead
// once a worker ran and its vendor answered, by one revocation; a token of the registry is
// refused if it has an incident, and only then its vendor told; and no value is anywhere.
// In every second registry policy holds all of it back for a second, and one leak for an
// hour, in which a person dismisses it: that one is as if nothing had been.
// QUENCH_TEST_KILLS says how often (make crash: 200 times).
func TestKilledWithSecrets(t *testing.T) {
	rounds := 36
	if testing.Short() {
		rounds = 6
	}
	if n, err := strconv.Atoi(os.Getenv("QUENCH_TEST_KILLS")); err == nil {
		rounds = n
	}
	t.Parallel()
	l := newLeaks(t)
	const perHome = 9 // below the brake
	middle := 0
	var all sync.WaitGroup
	for first := 0; first < rounds; first += perHome {
		h := newKillHome(t, l, first/perHome%2 == 0)
		whole := h.scan(t, l.add(), time.Minute)
		for range min(perHome, rounds-first) - 1 {
			h.scan(t, l.add(), time.Duration((0.2+rand.Float64())*float64(whole)))
		}
		if h.held {
			h.scanKept(t, time.Duration((0.2+rand.Float64())*float64(whole)))
		}
		if os.Getenv("QUENCH_TEST_KILLS") != "" { // a worker that was killed is noticed after half a minute
			h.scanSilent(t)
		}
		middle += h.unfinished(t)
		all.Go(func() { h.finish(t) })
	}
	all.Wait()
	t.Logf("%d kills left %d incidents between their transaction and their end", rounds, middle)
}

// killHome is one registry, and what was leaked into its scans.
type killHome struct {
	l       *leaks
	dir     string
	policy  string
	secrets []string
	held    bool            // policy holds back for a second
	kept    map[string]bool // those that a person dismisses
	silent  string          // the one whose vendor does not answer; empty for none
	tokens  []ownToken
	said    bytes.Buffer
}

// ownToken is one of the registry that leaks.
type ownToken struct{ id, value string }

func newKillHome(t *testing.T, l *leaks, held bool) *killHome {
	t.Helper()
	h := &killHome{l: l, dir: t.TempDir(), held: held, kept: map[string]bool{}}
	conf := t.TempDir()
	h.policy = filepath.Join(conf, "policy.toml")
	policy := func(grace string) string {
		return fmt.Sprintf("[[provider]]\nname = 'gitlab'\nkind = 'api'\nhost = %q\nca_file = 'ca.pem'\n[[leak]]\nprovider = ['gitlab']\ndo = 'revoke'\n%s"+
			"[[provider]]\nname = 'vendor'\nkind = 'webhook'\nurl = '%s/leaked'\nsecret_file = 'key'\n[tokens]\n%s", l.net.Addr(), grace, l.hooks.URL, grace)
	}
	now := ""
	if held {
		now = "grace = '1s'\n"
	}
	for name, text := range map[string]string{"ca.pem": string(l.net.CA), "policy.toml": policy(now), "hour.toml": policy("grace = '1h'\n"),
		"key": "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))} {
		if err := os.WriteFile(filepath.Join(conf, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, h.dir, "token", "issue", "--owner", "ann", "--purpose", "x")
	r := h.open(t)
	defer r.Close()
	for range 12 {
		value := "Zq" + rand64()
		tok, err := r.Import(t.Context(), registry.ImportRequest{Owner: "ann", Purpose: "x", Provider: "vendor", Value: secret.NewString(value)})
		if err != nil {
			t.Fatal(err)
		}
		h.tokens = append(h.tokens, ownToken{tok.ID, value})
	}
	return h
}

// rand64 is a random value of 32 letters and digits.
func rand64() string {
	b := make([]byte, 32)
	for i := range b {
		b[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"[rand.IntN(62)]
	}
	return string(b)
}

// open opens the home's registry in this process.
func (h *killHome) open(t *testing.T) *registry.Registry {
	t.Helper()
	r, err := registry.Open(t.Context(), registry.Options{Path: filepath.Join(h.dir, "state", "quench", "registry.db"),
		Pepper: registry.PepperSource{File: filepath.Join(h.dir, "config", "quench", "pepper")}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// scanSilent leaks a secret whose vendor does not answer, and kills the scan in the call.
func (h *killHome) scanSilent(t *testing.T) {
	t.Helper()
	h.silent = h.l.add()
	called := h.l.hush(h.silent)
	cmd := h.start(t, h.policy, h.silent)
	if h.held { // nobody is called before a second has passed
		cmd.Wait()
		return
	}
	select {
	case <-called:
	case <-time.After(time.Minute):
		t.Error("the vendor that does not answer was not called")
	}
	cmd.Process.Kill()
	cmd.Wait()
}

// start starts a scan of a file with a leaked secret, and a leaked token of the registry.
func (h *killHome) start(t *testing.T, policy, value string) *exec.Cmd {
	t.Helper()
	leak := filepath.Join(t.TempDir(), "leak.env")
	text := "token = \"" + value + "\"\nown = \"" + h.tokens[len(h.secrets)].value + "\"\n"
	h.secrets = append(h.secrets, value)
	if err := os.WriteFile(leak, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := quench(t, h.dir, "scan", "--revoke=auto", "--policy", policy, leak)
	cmd.Stdout, cmd.Stderr = &h.said, &h.said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// scan scans a file with a leaked secret and kills the process after a while. It gives
// how long it lived.
func (h *killHome) scan(t *testing.T, value string, after time.Duration) time.Duration {
	t.Helper()
	return h.kill(h.start(t, h.policy, value), after)
}

// scanKept scans a leak that is held back for an hour, and kills that process.
func (h *killHome) scanKept(t *testing.T, after time.Duration) {
	t.Helper()
	value := h.l.add()
	h.kept[value] = true
	h.kill(h.start(t, filepath.Join(filepath.Dir(h.policy), "hour.toml"), value), after)
}

func (h *killHome) kill(cmd *exec.Cmd, after time.Duration) time.Duration {
	begun := time.Now()
	kill := time.AfterFunc(after, func() { cmd.Process.Kill() })
	defer kill.Stop()
	cmd.Wait()
	return time.Since(begun)
}

type killed struct {
	ID      string `json:"incident_id"`
	Token   string `json:"token_id"`
	State   string `json:"state"`
	Outcome string `json:"outcome"`
	Hint    string `json:"secret"`
}

func (h *killHome) incidents(t *testing.T) map[string]killed {
	t.Helper()
	var list []killed
	if err := json.Unmarshal([]byte(run(t, h.dir, "incident", "list", "-f", "json")), &list); err != nil {
		t.Fatal(err)
	}
	out := map[string]killed{}
	for _, i := range list {
		key := i.Token
		if key == "" {
			key = i.Hint[len(i.Hint)-4:]
		}
		out[key] = i
	}
	return out
}

func (h *killHome) unfinished(t *testing.T) (n int) {
	for _, i := range h.incidents(t) {
		if i.State == "revoking" || i.State == "waiting" {
			n++
		}
	}
	return n
}

// wait lets a worker call the vendor that does not answer, kills it in the call, and
// sees that nobody says that the secret is dead.
func (h *killHome) wait(t *testing.T) {
	called := h.l.hush(h.silent)
	w := quench(t, h.dir, "worker", "--policy", h.policy)
	w.Stdout, w.Stderr = &h.said, &h.said
	if err := w.Start(); err != nil {
		t.Error(err)
		return
	}
	select {
	case <-called:
	case <-time.After(90 * time.Second):
		t.Error("no worker called the vendor that does not answer")
	}
	w.Process.Kill()
	w.Wait()
	i := h.incidents(t)[h.silent[len(h.silent)-4:]]
	h.l.mu.Lock()
	alive := h.l.all[h.silent].Alive()
	h.l.mu.Unlock()
	if i.State != "revoking" || !alive {
		t.Errorf("its vendor never answered: incident %+v, alive %v", i, alive)
	}
	h.l.speak(h.silent)
}

// finish lets a worker do what is left, and looks at all of it.
func (h *killHome) finish(t *testing.T) {
	h.dismiss(t)
	if h.silent != "" {
		h.wait(t)
	}
	out, err := quench(t, h.dir, "worker", "--drain", "--policy", h.policy).CombinedOutput()
	h.said.Write(out)
	if err != nil {
		t.Errorf("worker: %v\n%s", err, out)
	}
	list := h.incidents(t)
	for _, value := range h.secrets {
		h.l.mu.Lock()
		v, ended := h.l.all[value], h.l.ended[value]
		h.l.mu.Unlock()
		i, ok := list[value[len(value)-4:]]
		switch {
		case !v.DecoysAlive():
			t.Errorf("incident %+v: another credential was ended", i)
		case h.kept[value] && (ended > 0 || !v.Alive() || ok && i.State != "dismissed"):
			t.Errorf("incident %+v was dismissed: %d revocations, alive %v", i, ended, v.Alive())
		case h.kept[value]:
		case !ok && (ended > 0 || !v.Alive()):
			t.Errorf("a secret without an incident: %d revocations, alive %v", ended, v.Alive())
		case ok && (i.State != "dead" || v.Alive() || ended != 1):
			t.Errorf("incident %+v: %d revocations, alive %v\n%s", i, ended, v.Alive(), run(t, h.dir, "incident", "show", i.ID))
		}
		if bytes.Contains(h.said.Bytes(), []byte(value)) {
			t.Error("the output holds a secret")
		}
	}
	h.checkTokens(t, list)
	for _, value := range h.secrets {
		err := filepath.WalkDir(h.dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			if bytes.Contains(b, []byte(value)) {
				t.Errorf("%s holds a secret", strings.TrimPrefix(path, h.dir))
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	h.checkUnsealed(t)
}

// checkTokens holds what became of own tokens against what their vendor was told.
func (h *killHome) checkTokens(t *testing.T, list map[string]killed) {
	r := h.open(t)
	defer r.Close()
	for n, tok := range h.tokens {
		kept := n < len(h.secrets) && h.kept[h.secrets[n]]
		h.l.mu.Lock()
		told, ids := h.l.told[tok.id], h.l.ids[tok.id]
		h.l.mu.Unlock()
		v, err := r.Verify(t.Context(), secret.NewString(tok.value), registry.Use{})
		i, leaked := list[tok.id]
		switch {
		case err != nil:
			t.Error(err)
		case kept && (leaked && i.State != "dismissed" || !v.Valid || told > 0):
			t.Errorf("incident %+v was dismissed: valid %v, its vendor was told %d times", i, v.Valid, told)
		case kept:
		case leaked && (i.State != "dead" || v.Valid || told == 0 || !slices.Equal(ids, []string{i.ID})):
			t.Errorf("incident %+v: valid %v, its vendor was told %d times, as %q", i, v.Valid, told, ids)
		case !leaked && (!v.Valid || told > 0):
			t.Errorf("token %s has no incident: %+v, its vendor was told %d times", tok.id, v, told)
		}
		if bytes.Contains(h.said.Bytes(), []byte(tok.value)) {
			t.Error("the output holds a token")
		}
		for _, f := range []string{"registry.db", "registry.db-wal"} {
			if b, _ := os.ReadFile(filepath.Join(h.dir, "state", "quench", f)); bytes.Contains(b, []byte(tok.value)) {
				t.Errorf("%s holds a token", f)
			}
		}
	}
}

// dismiss lets a person say of what is held back for an hour that it is nothing.
func (h *killHome) dismiss(t *testing.T) {
	list := h.incidents(t)
	for n, value := range h.secrets {
		if !h.kept[value] {
			continue
		}
		for _, key := range []string{value[len(value)-4:], h.tokens[n].id} {
			if i, ok := list[key]; ok {
				run(t, h.dir, "incident", "dismiss", i.ID, "--reason", "a test", "--policy", h.policy)
			}
		}
	}
}

// checkUnsealed sees that no secret is kept.
func (h *killHome) checkUnsealed(t *testing.T) {
	s, err := store.Open(t.Context(), filepath.Join(h.dir, "state", "quench", "registry.db"), store.Options{})
	if err != nil {
		t.Error(err)
		return
	}
	defer s.Close()
	var n int
	if err := s.Reader().QueryRow("SELECT count(*) FROM sealed_secrets").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d secrets are still sealed, %v", n, err)
	}
}
