package accesslog

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

var ctx = context.Background()

func read(t testing.TB, o Options, text string) ([]Record, Stats) {
	t.Helper()
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	var all []Record
	s, err := r.Read(ctx, strings.NewReader(text), 0, func(rec Record) error { all = append(all, rec); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return all, s
}

var samples = map[string]struct {
	format, token, text string
	want                string // of the first record: ref method path status address agent time
}{
	"nginx": {"combined", "extra:1", `192.0.2.7 - - [02/Mar/2026:09:15:04 +0100] "GET /v1/items/17?page=2 HTTP/1.1" 200 1534 "https://example.com/" "curl/8.5.0" "QF3xP0aYb1"` + "\n",
		"QF3xP0aYb1 GET /v1/items/17?page=2 200 192.0.2.7 curl/8.5.0 2026-03-02T08:15:04Z"},
	"apache, by user": {"combined", "", `2001:db8::1 - QF3xP0aYb1 [02/Mar/2026:09:15:04 +0000] "POST /a \"b HTTP/1.1" 403 - "-" "Mozilla/5.0 (X; \"Y\")"` + "\n",
		`QF3xP0aYb1 POST /a 403 2001:db8::1 Mozilla/5.0 (X; \"Y\") 2026-03-02T09:15:04Z`},
	"apache, common, virtual host": {"combined", "user", `www.example.com:443 192.0.2.7 - QF3xP0aYb1 [02/Mar/2026:09:15:04 +0000] "GET / HTTP/1.0" 304 0` + "\n",
		"QF3xP0aYb1 GET / 304 192.0.2.7  2026-03-02T09:15:04Z"},
	"nginx, by query": {"combined", "query:key", `192.0.2.7 - - [02/Mar/2026:09:15:04 +0000] "GET /a?x=1&key=QF3xP0aYb1 HTTP/1.1" 200 1 "-" "-"` + "\n",
		"QF3xP0aYb1 GET /a?x=1&key=QF3xP0aYb1 200 192.0.2.7 - 2026-03-02T09:15:04Z"},
	"caddy": {"caddy", "", `{"level":"info","ts":1772442904.25,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"192.0.2.7","client_ip":"192.0.2.8","method":"GET","uri":"/v1/x","headers":{"User-Agent":["curl/8"],"Authorization":["REDACTED"]}},"user_id":"QF3xP0aYb1","status":200}` + "\n",
		"QF3xP0aYb1 GET /v1/x 200 192.0.2.8 curl/8 2026-03-02T09:15:04.25Z"},
	"envoy": {"envoy", "", `{"start_time":"2026-03-02T09:15:04.123Z","method":"GET","path":"/x","response_code":401,"downstream_remote_address":"192.0.2.7:51000","user_agent":"grpc-go/1","authorization":"Bearer QF3xP0aYb1"}` + "\n",
		"QF3xP0aYb1 GET /x 401 192.0.2.7 grpc-go/1 2026-03-02T09:15:04.123Z"},
	"traefik": {"traefik", "", `{"ClientHost":"192.0.2.7","ClientUsername":"-","DownstreamStatus":200,"RequestMethod":"GET","RequestPath":"/x","StartUTC":"2026-03-02T09:15:04.5Z","request_User-Agent":"okhttp","request_X-Token-Id":"QF3xP0aYb1"}` + "\n",
		"QF3xP0aYb1 GET /x 200 192.0.2.7 okhttp 2026-03-02T09:15:04.5Z"},
	"json, flat keys with dots": {"json", "auth.id", `{"@timestamp":"2026-03-02 09:15:04","http.request.method":"GET","url.path":"/x","http.response.status_code":"200","source.ip":"10.0.0.1, 192.0.2.7","auth":{"id":"QF3xP0aYb1"}}` + "\n",
		"QF3xP0aYb1 GET /x 200 192.0.2.7  2026-03-02T09:15:04Z"},
	"alb": {"alb", "query:key", `https 2026-03-02T09:15:04.186641Z app/lb/50dc6c495c0c9188 192.0.2.7:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 "GET https://www.example.com:443/x?key=QF3xP0aYb1 HTTP/1.1" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:x "Root=1-58337281-1d84f3d73c47ec4e58577259" "www.example.com" "-" 1 2026-03-02T09:15:04.186Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-"` + "\n",
		"QF3xP0aYb1 GET https://www.example.com:443/x?key=QF3xP0aYb1 200 192.0.2.7 curl/7.46.0 2026-03-02T09:15:04.186641Z"},
	"cloudtrail": {"cloudtrail", "", `{"Records":[{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","accessKeyId":"QF3xP0aYb1"},"eventTime":"2026-03-02T09:15:04Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","sourceIPAddress":"192.0.2.7","userAgent":"[aws-cli/2]","errorCode":"AccessDenied"},
 {"userIdentity":{"type":"AWSService"},"eventTime":"2026-03-02T09:15:05Z","eventSource":"ec2.amazonaws.com","eventName":"X","sourceIPAddress":"ec2.amazonaws.com"}]}`,
		"QF3xP0aYb1  s3.amazonaws.com/GetObject 403 192.0.2.7 [aws-cli/2] 2026-03-02T09:15:04Z"},
	"cloudtrail, a record a line": {"cloudtrail", "", `{"userIdentity":{"accessKeyId":"QF3xP0aYb1"},"eventTime":"2026-03-02T09:15:04Z","eventSource":"s3.amazonaws.com","eventName":"PutObject"}` + "\n",
		"QF3xP0aYb1  s3.amazonaws.com/PutObject 0 invalid IP  2026-03-02T09:15:04Z"},
}

func TestFormats(t *testing.T) {
	for name, c := range samples {
		for _, format := range []string{c.format, ""} { // told, and found out
			all, s := read(t, Options{Format: format, Token: c.token}, c.text)
			if len(all) != 1 || s.Bad != 0 || s.Format != c.format {
				t.Errorf("%s: %d records, %+v", name, len(all), s)
				continue
			}
			r := all[0]
			got := fmt.Sprint(r.Ref, " ", r.Method, " ", r.Path, " ", r.Status, " ", r.Address, " ", r.Agent, " ", r.At.Format(time.RFC3339Nano))
			if got != c.want {
				t.Errorf("%s:\n%s\n%s", name, got, c.want)
			}
		}
	}
}

func TestRef(t *testing.T) {
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for in, want := range map[string]string{"": "", "-": "", "REDACTED": "", "****": "", "Bearer abc": "abc", "bearer  abc ": "abc", "abc": "abc", "token abc": "abc", basic("u:p"): "p",
		basic("k:"): "k", basic("k:x-oauth-basic"): "k", "Basic ???": "", "Digest x": "Digest x"} {
		if got := ref(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// Bad lines are counted and told without what they hold; the rest is read.
func TestBadLines(t *testing.T) {
	good := samples["nginx"].text
	text := good + "nonsense SECRETWORD\n\n" + strings.Repeat("x", maxLine+10) + "\n" + `1.2.3.4 - - [02/Mar/1000:09:15:04 +0100] "GET / HTTP/1.1" 200 1 "-" "-" "a"` + "\n" + good + `192.0.2.7 - - [02/Ma`
	all, s := read(t, Options{Format: "combined", Token: "extra:1"}, text)
	if len(all) != 2 || s.Bad != 3 || len(s.Faults) != 3 || !s.Unfinished || strings.Contains(fmt.Sprint(s.Faults), "SECRETWORD") {
		t.Errorf("%d records, %+v", len(all), s)
	}
	if all[1].Line != 6 || s.End != all[1].End || s.Lines != 6 || all[1].End != int64(len(text)-len(`192.0.2.7 - - [02/Ma`)) {
		t.Errorf("%+v", all[1])
	}
	// A line without a token is no bad one.
	if all, s := read(t, Options{Format: "combined", Token: "user"}, good); len(all) != 0 || s.NoToken != 1 || s.Bad != 0 {
		t.Errorf("%+v", s)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{Format: "x"}, {Format: "combined", Token: "request.x"}, {Format: "alb"}, {Format: "combined", Token: "extra:0"}, {Fields: map[string]string{"x": "y"}},
		{Format: "combined", Fields: map[string]string{"time": "y"}}, {Format: "json", Token: "query:"}} {
		if _, err := New(o); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	all, _ := read(t, Options{Format: "json", Token: "k", Fields: map[string]string{"time": "a.b", "path": "p"}}, `{"a":{"b":1772442904123},"p":"/x","k":"id"}`)
	if len(all) != 1 || all[0].Path != "/x" || all[0].At.UnixMilli() != 1772442904123 {
		t.Errorf("%+v", all)
	}
}

func TestGzip(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, strings.Repeat(samples["nginx"].text, 100))
	z.Close()
	all, s := read(t, Options{Token: "extra:1"}, b.String())
	if len(all) != 100 || s.Format != "combined" {
		t.Errorf("%d, %+v", len(all), s)
	}
	r, _ := New(Options{Token: "extra:1"})
	if _, err := r.Read(ctx, bytes.NewReader(b.Bytes()[:b.Len()/2]), 0, func(Record) error { return nil }); err == nil {
		t.Error("half a file is read without an error")
	}
}

// A log that comes in pieces is the same log.
func TestPieces(t *testing.T) {
	for name, c := range samples {
		text := strings.Repeat(c.text, 3)
		if strings.HasPrefix(text, `{"Records"`) {
			text = c.text
		}
		whole, _ := read(t, Options{Format: c.format, Token: c.token}, text)
		r, _ := New(Options{Format: c.format, Token: c.token})
		var parts []Record
		if _, err := r.Read(ctx, iotest.OneByteReader(strings.NewReader(text)), 0, func(rec Record) error { parts = append(parts, rec); return nil }); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(whole) != fmt.Sprint(parts) {
			t.Errorf("%s:\n%v\n%v", name, whole, parts)
		}
	}
}

// FuzzRead reads hostile logs of every format: no panic, bounded fields, times that
// a database takes; and where the splitter of CloudTrail's files finds objects, a
// JSON decoder finds the same.
func FuzzRead(f *testing.F) {
	for _, c := range samples {
		f.Add(c.format, c.token, []byte(c.text))
		f.Add("", "", []byte(c.text))
	}
	f.Add("cloudtrail", "", []byte(`{"Records":[{"a":"}]{\"\\"},{}],"x":[{"y":[{}]}]}`))
	f.Fuzz(func(t *testing.T, format, token string, text []byte) {
		r, err := New(Options{Format: format, Token: token})
		if err != nil {
			return
		}
		n := int64(0)
		s, err := r.Read(ctx, bytes.NewReader(text), 0, func(rec Record) error {
			n++
			if rec.Ref == "" || len(rec.Ref) > maxField+2 || len(rec.Path) > 2*maxField+2 || len(rec.Agent) > maxField+2 || rec.At.Year() < 1989 || rec.Status < 0 || rec.Status > 999 || rec.Line < 1 {
				t.Fatalf("%+v", rec)
			}
			return nil
		})
		if err == nil && s.Records != n+s.NoToken {
			t.Fatalf("%+v, %d", s, n)
		}
		var whole struct{ Records []json.RawMessage }
		if !isArray(text) || json.Unmarshal(text, &whole) != nil || bytes.Count(text, []byte(`"Records"`)) != 1 || bytes.Count(text, []byte("[")) != 1 {
			return
		}
		r, _ = New(Options{Format: "cloudtrail"})
		s, err = r.Read(ctx, bytes.NewReader(text), 0, func(Record) error { return nil })
		objects := int64(0)
		for _, raw := range whole.Records {
			if raw = bytes.TrimSpace(raw); len(raw) > 0 && raw[0] == '{' {
				objects++
			}
		}
		if err != nil || s.Records+s.Bad != objects {
			t.Fatalf("%d objects, %+v, %v", objects, s, err)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	for _, name := range []string{"nginx", "caddy", "alb"} {
		c := samples[name]
		text := []byte(strings.Repeat(c.text, 1000))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				r, _ := New(Options{Format: c.format, Token: c.token})
				if _, err := r.Read(ctx, bytes.NewReader(text), 0, func(Record) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
