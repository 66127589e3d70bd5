package otlpin

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/slim/otlp/logs/v1"
	resourcepb "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/quench-dev/quench/cmd/internal/intake/intaketest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

func text(s string) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: s}}
}

func pairs(kv ...string) (list []*commonpb.KeyValue) {
	for i := 0; i < len(kv); i += 2 {
		list = append(list, &commonpb.KeyValue{Key: kv[i], Value: text(kv[i+1])})
	}
	return list
}

// logs is a request of the service shop, of records with these bodies.
func logs(bodies ...*commonpb.AnyValue) *logspb.LogsData {
	var list []*logspb.LogRecord
	for i, b := range bodies {
		list = append(list, &logspb.LogRecord{TimeUnixNano: 1.7e18 + uint64(i), SeverityNumber: logspb.SeverityNumber_SEVERITY_NUMBER_INFO, Body: b, TraceId: bytes.Repeat([]byte{1}, 16)})
	}
	return &logspb.LogsData{ResourceLogs: []*logspb.ResourceLogs{{Resource: &resourcepb.Resource{Attributes: pairs("service.name", "shop")},
		ScopeLogs: []*logspb.ScopeLogs{{LogRecords: list}}}}}
}

func start(t *testing.T) (url string, c *intaketest.Sink) {
	t.Helper()
	c = intaketest.New(t, "otlp")
	s, err := Listen(Options{Address: "127.0.0.1:0", Sink: c.Sink, Trouble: func(what string, err error) { t.Logf("%s: %v", what, err) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + s.Addr().String() + "/v1/logs", c
}

func post(t *testing.T, url, kind, encoding string, body []byte) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	if encoding != "" {
		r.Header.Set("Content-Encoding", encoding)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func packed(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func marshal(t testing.TB, d *logspb.LogsData, asJSON bool) []byte {
	t.Helper()
	f := proto.Marshal
	if asJSON {
		f = protojson.Marshal
	}
	b, err := f(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const protobuf, jsonType = "application/x-protobuf", "application/json"

// TestConformance has what a client of the library makes answered, in each encoding, with
// what was found recorded before the answer.
func TestConformance(t *testing.T) {
	url, c := start(t)
	for i, kind := range []string{protobuf, jsonType, jsonType + "; charset=utf-8"} {
		for _, gz := range []bool{false, true} {
			d := logs(text("hello"), text("token "+intaketest.Token(uint64(i))), &commonpb.AnyValue{Value: &commonpb.AnyValue_KvlistValue{KvlistValue: &commonpb.KeyValueList{Values: pairs("msg", "hi", "key", intaketest.Token(9))}}})
			d.ResourceLogs[0].ScopeLogs[0].LogRecords[0].Attributes = pairs("http.auth", "Bearer "+intaketest.Token(8))
			body, encoding := marshal(t, d, i > 0), ""
			if gz {
				body, encoding = packed(t, body), "gzip"
			}
			resp, b := post(t, url, kind, encoding, body)
			if resp.StatusCode != 200 || i == 0 && b != "" || i > 0 && b != "{}" || !strings.HasPrefix(kind, resp.Header.Get("Content-Type")) {
				t.Errorf("%s: %s %q", kind, resp.Status, b)
			}
			places := map[string]int{}
			for _, f := range c.Found() {
				places[f.Origin.Path]++
			}
			if places["shop"] != 2 || places["shop (attributes)"] != 1 || len(places) != 2 {
				t.Errorf("%s: %v", kind, places)
			}
		}
	}
}

// TestJSONOfSpecification reads JSON as the specification has it: identifiers in hex,
// numbers of 64 bits as text, enumerations as numbers, and fields nobody knows.
func TestJSONOfSpecification(t *testing.T) {
	url, c := start(t)
	body := `{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"my.service"}}]},"scopeLogs":[{"scope":{"name":"my.library"},
		"logRecords":[{"timeUnixNano":"1544712660300000000","severityNumber":10,"severityText":"Information","traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174",
		"body":{"stringValue":"token ` + intaketest.Token(1) + `"},"attributes":[{"key":"n","value":{"intValue":"637704"}}],"new":{"a":1}}]}]}]}`
	if resp, b := post(t, url, jsonType, "", []byte(body)); resp.StatusCode != 200 || b != "{}" {
		t.Errorf("%s %q", resp.Status, b)
	}
	if f := c.Found(); len(f) != 1 || f[0].Origin.Path != "my.service" {
		t.Errorf("%v", f)
	}
}

// nested is a value nested so deep.
func nested(n int) *commonpb.AnyValue {
	v := text("x")
	for range n {
		v = &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: &commonpb.ArrayValue{Values: []*commonpb.AnyValue{v}}}}
	}
	return v
}

// TestPartialSuccess takes the records that can be read, and says how many cannot.
func TestPartialSuccess(t *testing.T) {
	url, c := start(t)
	d := logs(text(intaketest.Token(1)), nested(40), nested(50))
	resp, b := post(t, url, jsonType, "", marshal(t, d, true))
	var got struct {
		PartialSuccess struct{ RejectedLogRecords, ErrorMessage string }
	}
	if err := json.Unmarshal([]byte(b), &got); err != nil || resp.StatusCode != 200 || got.PartialSuccess.RejectedLogRecords != "2" || got.PartialSuccess.ErrorMessage != errDeep.Error() {
		t.Errorf("%s %q %v", resp.Status, b, err)
	}
	c.Want(t, "github-pat shop:1")
	resp, b = post(t, url, protobuf, "", marshal(t, d, false))
	if want := "\x0a" + string(rune(4+len(errDeep.Error()))) + "\x08\x02\x12" + string(rune(len(errDeep.Error()))) + errDeep.Error(); resp.StatusCode != 200 || b != want {
		t.Errorf("%s %q, want %q", resp.Status, b, want)
	}
}

// TestAway tells senders to come again while nothing can be recorded, scans nothing then,
// and finds what they send again at the same place.
func TestAway(t *testing.T) {
	url, c := start(t)
	c.Fail(errors.New("the database at secret.example.com is away"))
	body := marshal(t, logs(text(intaketest.Token(1))), false)
	for range 3 {
		resp, b := post(t, url, protobuf, "", body)
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || strings.Contains(b, "secret.example.com") || !strings.Contains(b, "cannot be recorded") {
			t.Errorf("%s %v %q", resp.Status, resp.Header, b)
		}
	}
	c.Fail(nil)
	if resp, _ := post(t, url, protobuf, "", body); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
	f := c.Found()
	if len(f) != 2 || f[0].Start != f[1].Start || f[0].ID != f[1].ID {
		t.Errorf("%v", f)
	}
}

func TestRefused(t *testing.T) {
	url, _ := start(t)
	good := marshal(t, logs(text("x")), false)
	for _, x := range []struct {
		name, kind, encoding string
		body                 []byte
		want                 int
	}{
		{"another type", "text/plain", "", good, 415},
		{"another encoding", protobuf, "zstd", good, 415},
		{"no gzip", protobuf, "gzip", good, 400},
		{"cut gzip", protobuf, "gzip", packed(t, good)[:20], 400},
		{"no protobuf", protobuf, "", []byte("\xff\xff"), 400},
		{"no JSON", jsonType, "", []byte("{"), 400},
		{"a bomb", protobuf, "gzip", packed(t, make([]byte, 20<<20)), 400},
		{"too long", protobuf, "", make([]byte, maxBody+1), 413},
	} {
		resp, b := post(t, url, x.kind, x.encoding, x.body)
		if resp.StatusCode != x.want || b == "" {
			t.Errorf("%s: %s %q, want %d", x.name, resp.Status, b, x.want)
		}
	}
	if resp, err := http.Get(url); err != nil || resp.StatusCode != 405 {
		t.Errorf("GET: %v", err)
	} else {
		resp.Body.Close()
	}
	if _, err := Listen(Options{Address: "0.0.0.0:0"}); err == nil || !strings.Contains(err.Error(), "--listen-remote") {
		t.Error(err)
	}
}

// FuzzOTLP reads what anybody sends, and writes no more text than it was sent, but for
// the names of nested values.
func FuzzOTLP(f *testing.F) {
	f.Add(marshal(f, logs(text("x"), nested(3)), false), false)
	f.Add(marshal(f, logs(text("x"), nested(3)), true), true)
	f.Fuzz(func(t *testing.T, body []byte, asJSON bool) {
		d, err := decode(body, asJSON)
		if err != nil {
			return
		}
		list, rejected, reason := records(d)
		if rejected > 0 && reason == nil {
			t.Fatal("rejected without a reason")
		}
		for _, r := range list {
			if r.Place < 0 || r.Sender == "" || len(r.Text) > (maxDepth+4)*(len(body)+100) {
				t.Fatalf("%d bytes by %q at %d of %d", len(r.Text), r.Sender, r.Place, len(body))
			}
		}
		answer(rejected, fmt.Errorf("x"), asJSON)
	})
}
