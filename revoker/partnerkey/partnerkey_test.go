package partnerkey

import (
	"bytes"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// Of several processes that need the first key at once, all sign with the same one.
func TestFirstKeyIsOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", File)
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() { ids[i], _, _ = At(path, nil).Sign([]byte("body")) })
	}
	wg.Wait()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Fatalf("keys %q", ids)
		}
	}
	if st, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
}

// A new key is published before it signs, and the old ones for a while after.
func TestRotate(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	k := At(filepath.Join(t.TempDir(), File), func() time.Time { return now })
	first, _, err := k.Sign(nil)
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(settle)
	if err := k.Rotate(); err != nil {
		t.Fatal(err)
	}
	if k.Rotate() == nil {
		t.Error("a key that does not sign yet is replaced")
	}
	all, err := k.Public()
	if id, _, _ := k.Sign(nil); err != nil || len(all) != 2 || id != first || all[0].Current || !all[1].Current {
		t.Errorf("%v, %+v: signs %s, first %s", err, all, id, first)
	}
	now = now.Add(settle)
	if id, _, err := k.Sign(nil); err != nil || id != all[0].ID {
		t.Errorf("signs %s, %v", id, err)
	}
	for range keep {
		now = now.Add(settle)
		if err := k.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	if all, err = k.Public(); err != nil || len(all) != keep {
		t.Errorf("%d keys, %v", len(all), err)
	}
}

// A file that others can read, or that holds something else, signs nothing.
func TestBadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), File)
	for _, text := range []string{"", "no PEM", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := At(path, nil).Sign(nil); !errors.Is(err, ErrKey) {
			t.Errorf("%q: %v", text, err)
		}
		w := httptest.NewRecorder()
		At(path, nil).ServeHTTP(w, httptest.NewRequest("GET", Path, nil))
		if w.Code != 503 || bytes.Contains(w.Body.Bytes(), []byte(path)) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	if runtime.GOOS == "windows" {
		return
	}
	os.Remove(path)
	if _, err := At(path, nil).Public(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := At(path, nil).Sign(nil); !errors.Is(err, ErrKey) {
		t.Errorf("others can read it: %v", err)
	}
}

// The document is sent again only when it has changed, and holds nothing private.
func TestDocument(t *testing.T) {
	path := filepath.Join(t.TempDir(), File)
	k := At(path, nil)
	w := httptest.NewRecorder()
	k.ServeHTTP(w, httptest.NewRequest("GET", Path, nil))
	if w.Code != 200 || bytes.Contains(w.Body.Bytes(), []byte("PRIVATE")) || !bytes.Contains(w.Body.Bytes(), []byte(`"is_current":true`)) {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	r := httptest.NewRequest("GET", Path, nil)
	r.Header.Set("If-None-Match", `"other", W/`+w.Header().Get("Etag"))
	w = httptest.NewRecorder()
	k.ServeHTTP(w, r)
	if w.Code != 304 || w.Body.Len() != 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
