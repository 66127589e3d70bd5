package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The old token ends when GitHub has the new one. Where nobody can tell, both are
// alive and it is said so.
func TestRotateToGitHub(t *testing.T) {
	for _, lost := range []bool{false, true} {
		home := t.TempDir()
		put := false
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/public-key"):
				w.Write([]byte(`{"key_id": "1", "key": "CUpRXGdyfYiTnqm0v8rV4Ov2AQwXIi04Q05ZZG96hRo="}`))
			case r.Method == http.MethodPut && lost:
				put = true
				panic(http.ErrAbortHandler)
			case r.Method == http.MethodPut:
				w.WriteHeader(http.StatusCreated)
			case put:
				w.WriteHeader(http.StatusServiceUnavailable)
			default:
				w.WriteHeader(http.StatusNotFound)
			}
		}))
		defer srv.Close()
		old := filepath.Join(home, "old")
		if err := os.WriteFile(old, []byte(run(t, home, "token", "issue", "--owner", "ann", "--purpose", "x")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		var list []struct{ ID, State string }
		if err := json.Unmarshal([]byte(run(t, home, "token", "list", "--format", "json")), &list); err != nil {
			t.Fatal(err)
		}
		cmd := quench(t, home, "token", "rotate", list[0].ID, "--now", "--to-github", "acme/shop", "--github-api", srv.URL, "--github-token-file", "-")
		cmd.Stdin = strings.NewReader("anything\n")
		out, err := cmd.CombinedOutput()
		if err := json.Unmarshal([]byte(run(t, home, "token", "list", "--format", "json")), &list); err != nil || len(list) != 2 {
			t.Fatal(list, err)
		}
		want := [2]string{"revoked", "live"}
		if lost {
			want[0] = "live"
		}
		if (err == nil) == lost || [2]string{list[0].State, list[1].State} != want || lost && !strings.Contains(string(out), "are both alive") {
			t.Errorf("lost %v: %v, %v: %s", lost, list, err, out)
		}
		if strings.Contains(string(out), "qnk_live") || strings.Contains(string(out), "anything") {
			t.Errorf("a secret is printed: %s", out)
		}
	}
}
