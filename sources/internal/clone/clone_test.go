package clone

import (
	"context"
	"errors"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParse(t *testing.T) {
	for target, want := range map[string]string{
		"https://example.com/a/b.git": "https://example.com/a/b.git", "HTTPS://example.com/a": "https://example.com/a",
		"https://ann:hunter22@example.com/b": "https://example.com/b", "https://tok_en@example.com:8443/b": "https://example.com:8443/b",
		"ssh://git@example.com:22/b": "ssh://git@example.com:22/b", "git@example.com:a/b.git": "git@example.com:a/b.git",
		"git@[::1]:b": "git@[::1]:b", "git://example.com/b": "git://example.com/b", "file:///srv/b.git": "file:///srv/b.git",
		"http://127.0.0.1:1/b": "http://127.0.0.1:1/b",
	} {
		r, ok, err := Parse(target)
		if !ok || err != nil || r.String() != want {
			t.Errorf("%s: %q, %v, %v", target, r, ok, err)
		}
	}
	for _, path := range []string{"", ".", "dir", "C:\\x", "a:b", "file:x", "git:x", "./a@b:c/..", "-oProxyCommand=x@h:p", "a/b@c:d", "--upload-pack=x", "dir/x://y", "git@-oProxyCommand=x:p", "a@b::c"} {
		if r, ok, _ := Parse(path); ok {
			t.Errorf("%s is read as the address %q", path, r)
		}
	}
	for _, bad := range []string{"ext::sh -c x://y", "ext://x/y", "ftp://example.com/x", "https:///x", "https://-x/y", "ssh://-oProxyCommand=x/y", "https://example.com", "https://example.com/x?token=hunter22",
		"ssh://git:hunter22@example.com/x", "https://ann:hunter 22@example.com/x", "https://example.com/a\x1b[2J", "https://ann:hunter22%@example.com/x", "git://example.com/-x", "https://example.com/x#hunter22"} {
		r, ok, err := Parse(bad)
		if bad[:5] == "ext::" { // no word before ://
			if ok && err == nil {
				t.Errorf("%s is an address", bad)
			}
			continue
		}
		if !ok || err == nil || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%q: %q, %v, %v", bad, r, ok, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"https://ann:hunter22@example.com/b", "git@example.com:b", "ext::x", "file:///x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, ok, err := Parse(s)
		if !ok || err != nil {
			return
		}
		if strings.HasPrefix(r.address, "-") || strings.ContainsAny(r.address, "\n\x00") && r.scheme != "ssh" || schemes[r.scheme] == "" {
			t.Errorf("%q becomes %q", s, r.address)
		}
	})
}

// What a server says cannot write on a terminal, and what was told it is not told on.
func TestMasked(t *testing.T) {
	r, _, err := Parse("https://ann:hun%2Fter22@example.com/b")
	if err != nil {
		t.Fatal(err)
	}
	if got := r.masked("\x1b[31mhun/ter22 and hun%2Fter22\r\n\u0085x\x00"); got != "[31m**** and ****\nx" {
		t.Errorf("%q", got)
	}
	var noted []string
	l := &lines{note: func(s string) { noted = append(noted, s) }}
	for _, s := range []string{"Cloning into 'x'...\nReceiving objects:  10% (1/10)\rReceiving ", "objects: 100% (10/10), done.\n", "remote: no\nfatal: it failed\nbecause", strings.Repeat("x", 5000)} {
		l.Write([]byte(s))
	}
	if got := l.last(); got != "fatal: it failed" || len(noted) != 5 || noted[2] != "Receiving objects: 100% (10/10), done." {
		t.Errorf("%q, %q", got, noted)
	}
}

func gitAt(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// origin makes a folder with repositories x.git, of a branch, a tag and a ref that a
// plain clone would leave, and empty.git.
func origin(t testing.TB) (root string) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	root = t.TempDir()
	work := filepath.Join(root, "work")
	gitAt(t, root, "init", "-q", "-b", "main", "work")
	if err := os.WriteFile(filepath.Join(work, "f"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	gitAt(t, work, "add", "f")
	gitAt(t, work, "commit", "-q", "-m", "one")
	gitAt(t, work, "tag", "-a", "-m", "v1", "v1")
	gitAt(t, work, "update-ref", "refs/pull/1/head", gitAt(t, work, "commit-tree", "-m", "pull", "HEAD^{tree}"))
	gitAt(t, root, "clone", "-q", "--mirror", "work", "x.git")
	gitAt(t, root, "init", "-q", "--bare", "empty.git")
	return root
}

// server serves root as git does over HTTP. With a password, only to who has it.
func server(t testing.TB, root, password string) *httptest.Server {
	t.Helper()
	backend := filepath.Join(gitAt(t, root, "--exec-path"), "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		t.Skip("git http-backend is not installed")
	}
	h := &cgi.Handler{Path: backend, Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"}, Stderr: os.Stderr, InheritEnv: []string{"PATH"}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, got, _ := r.BasicAuth(); password != "" && (user != "ann" || got != password) {
			w.Header().Set("WWW-Authenticate", "Basic realm=x")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// ways are git, through a wrapper that records its command line, and go-git.
func ways(t *testing.T, f func(t *testing.T, o Options, said func() string)) {
	binary, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not installed")
	}
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	for _, way := range []string{"git", "go-git"} {
		t.Run(way, func(t *testing.T) {
			var mu sync.Mutex
			var said strings.Builder
			o := Options{Note: func(s string) { mu.Lock(); said.WriteString(s + "\n"); mu.Unlock() }}
			args := filepath.Join(t.TempDir(), "args")
			if way == "git" && runtime.GOOS != "windows" {
				o.Git = filepath.Join(t.TempDir(), "git")
				script := "#!/bin/sh\nprintf '%s\\n' \"$@\" >> '" + args + "'\nexec '" + binary + "' \"$@\"\n"
				if err := os.WriteFile(o.Git, []byte(script), 0o755); err != nil {
					t.Fatal(err)
				}
			} else if way == "git" {
				o.Git = binary
			}
			f(t, o, func() string {
				b, _ := os.ReadFile(args)
				mu.Lock()
				defer mu.Unlock()
				return said.String() + string(b)
			})
		})
	}
}

func cloned(t *testing.T, target string, o Options) (dir string, err error) {
	t.Helper()
	r, ok, err := Parse(target)
	if err != nil || !ok {
		t.Fatal(target, ok, err)
	}
	dir = filepath.Join(t.TempDir(), "clone")
	return dir, r.Clone(t.Context(), dir, o)
}

func TestClone(t *testing.T) {
	root := origin(t)
	const password = "hunter22/x"
	s := server(t, root, password)
	address := strings.Replace(s.URL, "http://", "http://ann:hunter22%2Fx@", 1)
	ways(t, func(t *testing.T, o Options, said func() string) {
		dir, err := cloned(t, address+"/x.git", o)
		if err != nil {
			t.Fatal(err)
		}
		refs := gitAt(t, dir, "for-each-ref", "--format=%(objectname) %(refname)")
		if want := gitAt(t, filepath.Join(root, "x.git"), "for-each-ref", "--format=%(objectname) %(refname)"); refs != want {
			t.Errorf("refs\n%s\nwant\n%s", refs, want)
		}
		if gitAt(t, dir, "cat-file", "-p", "v1:f") != "content" {
			t.Error("no content")
		}
		if _, err := cloned(t, address+"/empty.git", o); err != nil {
			t.Error("an empty repository:", err)
		}
		for target, say := range map[string]string{
			address + "/none.git": "not found",
			strings.Replace(address, "hunter22%2Fx", "hunter23%2Fx", 1) + "/x.git": "uthenti",
			s.URL + "/x.git": "", // none given, and nobody is asked
		} {
			_, err := cloned(t, target, o)
			if err == nil || !strings.Contains(err.Error(), say) || strings.Contains(err.Error(), "hunter") || !strings.Contains(err.Error(), "cloning http://127.0.0.1") {
				t.Errorf("error %v", err)
			}
		}
		if strings.Contains(said(), "hunter") {
			t.Errorf("the password is told:\n%s", said())
		}
	})
}

// By ssh: a stand-in for it runs what it is told on this machine.
func TestCloneBySSH(t *testing.T) {
	root := origin(t)
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in is a shell script")
	}
	ssh := filepath.Join(t.TempDir(), "ssh")
	if err := os.WriteFile(ssh, []byte("#!/bin/sh\nfor last; do :; done\nexec sh -c \"$last\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GIT_SSH", ssh)
	t.Setenv("GIT_SSH_VARIANT", "ssh")
	// A repository that this process is in is none of the clone's business.
	t.Setenv("GIT_DIR", "/nowhere")
	ways(t, func(t *testing.T, o Options, _ func() string) {
		if o.Git == "" {
			t.Skip("go-git takes no stand-in")
		}
		os.Unsetenv("GIT_DIR")
		for _, target := range []string{"git@example.com:" + root + "/x.git", "ssh://git@example.com" + root + "/x.git", "file://" + root + "/x.git"} {
			os.Setenv("GIT_DIR", "/nowhere")
			dir, err := cloned(t, target, o)
			os.Unsetenv("GIT_DIR")
			if err != nil {
				t.Fatal(err)
			}
			if gitAt(t, dir, "cat-file", "-p", "refs/pull/1/head:f") != "content" {
				t.Error("no content")
			}
		}
	})
}

// A server that says nothing is given up when the context ends.
func TestCloneInterrupted(t *testing.T) {
	ways(t, func(t *testing.T, o Options, _ func() string) {
		ctx, cancel := context.WithCancel(t.Context())
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		}))
		defer s.Close()
		r, _, err := Parse(s.URL + "/x.git")
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Clone(ctx, filepath.Join(t.TempDir(), "clone"), o); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

func TestGoGitNeedsGitForFolders(t *testing.T) {
	if _, err := cloned(t, "file:///x", Options{}); err == nil || !strings.Contains(err.Error(), "name the folder itself") {
		t.Errorf("error %v", err)
	}
}
