package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/report"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

// hostile is what a scanned tree may try on the reader of a page.
const hostile = `</script><script>document.title="owned"</script><img src=x onerror="document.title='owned'">{{.}}`

// manyFindings are of two rules, in three files; the second secret stands twice.
func manyFindings(n int) (out []scanner.Finding) {
	a := &rules.Rule{ID: "acme-key", Description: "Acme key", Confidence: rules.High}
	b := &rules.Rule{ID: "beta-key", Description: "Beta key", Confidence: rules.Medium}
	for i := range n {
		f := scanner.Finding{ID: fmt.Sprintf("%016x", i), Hit: scanner.Hit{
			Match:  scanner.Match{Rule: a, Line: i + 1, EndLine: i + 1, Column: 1, EndColumn: 8, Secret: secret.NewString(fmt.Sprintf("secret-number-%d", i)), Confidence: rules.High, Masked: "key = ****"},
			Origin: sources.Origin{Source: "file", Path: fmt.Sprintf("src/file%d.env", i)},
		}}
		switch i {
		case 1:
			f.Rule, f.Confidence, f.Origin.Path, f.Masked = b, rules.Medium, "docs/"+hostile, hostile
		case 2:
			f.Secret = secret.NewString("secret-number-1")
		case 3:
			f.Also = []string{"gamma-key", "delta-key"}
			f.Pair = &scanner.Half{Rule: &rules.Rule{ID: "acme-id"}, Line: 2, Column: 5, Secret: secret.NewString("secret-number-of-the-id")}
			f.MovedTo, f.Ignored = []string{"conf/file3.env"}, "mark: a mark on its line"
		}
		out = append(out, f)
	}
	return out
}

func page(t *testing.T, fs []scanner.Finding, o report.Options) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := report.New("html", &b, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fs {
		if err := w.Finding(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(scanner.Coverage{Items: 1, Files: 3}, report.Totals{Findings: len(fs)}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// chromium is the browser's path. Without one the test is skipped, except where
// QUENCH_BROWSER_TESTS says that there must be one, as in CI.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			return p
		}
	}
	if os.Getenv("QUENCH_BROWSER_TESTS") != "" {
		t.Fatal("QUENCH_BROWSER_TESTS is set and there is no Chromium")
	}
	t.Skip("there is no Chromium; the page is tested without a browser only")
	return ""
}

func do[T any](t *testing.T, ctx context.Context, a chromedp.Action[T]) T {
	t.Helper()
	x, err := chromedp.Run(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// The page in a real browser: it filters, groups and searches, obeys nothing that
// it shows, asks nobody for anything, and shows no secret.
func TestPageInBrowser(t *testing.T) {
	bin := chromium(t)
	html := page(t, manyFindings(250), report.Options{Version: "1.2.3"})
	var asked []string
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/favicon.ico" { // which the browser asks for by itself
			asked = append(asked, r.URL.Path)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if _, err := w.Write(html); err != nil {
			t.Error(err)
		}
	}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv.Listener = l
	srv.Start()
	defer srv.Close()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(bin), chromedp.NoSandbox, chromedp.Flag("disable-quic", true), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1100, 900))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()

	cards := func() int { return do(t, ctx, chromedp.Evaluate[int](`document.querySelectorAll("article").length`)) }
	set := func(id, value string) {
		js := fmt.Sprintf(`(() => { const n = document.getElementById(%q); n.value = %q; n.dispatchEvent(new Event("input", {bubbles: true})); return true })()`, id, value)
		do(t, ctx, chromedp.Evaluate[bool](js))
	}
	text := func(js string) string { return do(t, ctx, chromedp.Evaluate[string](js)) }
	do(t, ctx, chromedp.Navigate(srv.URL))
	do(t, ctx, chromedp.WaitVisible(chromedp.CSS("#search")))
	shot := do(t, ctx, chromedp.CaptureScreenshot())
	if dir := os.Getenv("QUENCH_SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, "report.png"), shot, 0o644); err != nil {
			t.Error(err)
		}
	}
	if n := cards(); n != 200 {
		t.Errorf("%d findings are drawn at first, want 200", n)
	}
	do(t, ctx, chromedp.Click(chromedp.CSS("#more")))
	if n := cards(); n != 250 {
		t.Errorf("%d findings after asking for more, want 250", n)
	}
	for _, c := range []struct {
		id, value string
		want      int
	}{
		{"search", "file17.env acme", 1}, {"search", "no such thing", 0}, {"path", "docs/", 1}, {"path", "src/*7.env", 25}, {"rule", "beta-key", 1},
		{"rule", "gamma-key", 1}, {"rule", "acme-id", 1}, {"search", "delta-key", 1},
	} {
		set(c.id, c.value)
		if n := cards(); n != c.want {
			t.Errorf("%s %q: %d findings, want %d", c.id, c.value, n, c.want)
		}
		set(c.id, "")
	}
	set("search", "delta-key")
	for _, want := range []string{"its public half: acme-id at 2:5", "matched by gamma-key, delta-key too", "moved to conf/file3.env", "ignored by mark: a mark on its line"} {
		if s := text(`document.querySelector("article").innerText`); !strings.Contains(strings.ReplaceAll(s, "\n", " "), want) {
			t.Errorf("%q does not say %q", s, want)
		}
	}
	if dir := os.Getenv("QUENCH_SCREENSHOTS"); dir != "" {
		shot := do(t, ctx, chromedp.CaptureScreenshot())
		if err := os.WriteFile(filepath.Join(dir, "report-pair.png"), shot, 0o644); err != nil {
			t.Error(err)
		}
	}
	set("search", "")
	do(t, ctx, chromedp.Click(chromedp.CSS(`[name=confidence][value=high]`)))
	if n := cards(); n != 1 {
		t.Errorf("without high confidence: %d findings, want 1", n)
	}
	do(t, ctx, chromedp.Click(chromedp.CSS(`[name=confidence][value=high]`)))
	set("group", "secret")
	if s := text(`document.querySelector("main h2").textContent`); !strings.HasSuffix(s, "2 findings") {
		t.Errorf("the first group by secret is %q", s)
	}
	if s := text(`document.title`); s != "Quench report" {
		t.Errorf("the title is %q: the page ran what it shows", s)
	}
	if s := text(`document.documentElement.outerHTML`); strings.Contains(s, "secret-number") {
		t.Error("the page holds a secret")
	}
	if len(asked) != 1 {
		t.Errorf("the page asked for %q", asked)
	}
}

// The data of a page is whole, whatever it holds, and nothing in it ends the script
// element that it stands in.
func TestPageData(t *testing.T) {
	html := string(page(t, manyFindings(3), report.Options{}))
	_, rest, ok := strings.Cut(html, `<script type="application/json" id="data">`)
	data, _, _ := strings.Cut(rest, "</script>")
	var doc struct {
		Findings []report.Record
		Coverage report.CoverageRecord
	}
	if err := json.Unmarshal([]byte(data), &doc); !ok || err != nil || len(doc.Findings) != 3 || doc.Findings[1].Masked != hostile || !doc.Coverage.Complete {
		t.Errorf("%v %v: %s", ok, err, data)
	}
	if n := strings.Count(html, "<script"); n != 2 {
		t.Errorf("%d script elements, want 2", n)
	}
	if strings.Contains(html, "http://") || strings.Contains(html, "https://") {
		t.Error("the page names an address")
	}
}
