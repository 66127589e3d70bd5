package accesslog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// fieldNames are what Options.Fields may place.
var fieldNames = []string{"time", "method", "path", "status", "address", "agent"}

// presets are where a format has each field, in the order they are tried. A path
// goes into objects by '.'; a key that holds dots itself is found, too.
var presets = map[string]map[string][]string{
	"json": {
		"time": {"time", "timestamp", "@timestamp", "ts", "date", "msec"}, "method": {"method", "request_method", "http.request.method", "verb"},
		"path": {"path", "uri", "url", "request_uri", "url.path", "http.route"}, "status": {"status", "status_code", "http.response.status_code", "response_status", "code"},
		"address": {"remote_addr", "client_ip", "remote_ip", "source.ip", "client.address", "ip"}, "agent": {"user_agent", "http_user_agent", "user_agent.original", "agent"},
		"token": {"token_id", "key_id", "token", "authorization", "headers.authorization"},
	},
	"caddy": {
		"time": {"ts"}, "method": {"request.method"}, "path": {"request.uri"}, "status": {"status"}, "address": {"request.client_ip", "request.remote_ip"},
		"agent": {"request.headers.User-Agent"}, "token": {"token_id", "user_id", "request.headers.Authorization"},
	},
	"envoy": {
		"time": {"start_time"}, "method": {"method"}, "path": {"path", "x_envoy_original_path"}, "status": {"response_code"},
		"address": {"downstream_remote_address", "downstream_direct_remote_address", "x_forwarded_for"}, "agent": {"user_agent"}, "token": {"token_id", "authorization"},
	},
	"traefik": {
		"time": {"StartUTC", "time"}, "method": {"RequestMethod"}, "path": {"RequestPath"}, "status": {"DownstreamStatus", "OriginStatus"}, "address": {"ClientHost", "ClientAddr"},
		"agent": {"request_User-Agent"}, "token": {"token_id", "request_X-Token-Id", "ClientUsername", "request_Authorization"},
	},
	"cloudtrail": {
		"time": {"eventTime"}, "path": {"eventName"}, "status": {"errorCode"}, "address": {"sourceIPAddress"}, "agent": {"userAgent"}, "token": {"userIdentity.accessKeyId"},
	},
}

// newJSON reads lines of JSON, one object each.
func newJSON(format string, o Options) (func([]byte) (Record, error), error) {
	where := map[string][]string{}
	for k, v := range presets[format] {
		where[k] = v
	}
	for k, v := range o.Fields {
		where[k] = []string{v}
	}
	inQuery, ok := strings.CutPrefix(o.Token, "query:")
	switch {
	case ok && inQuery == "":
		return nil, errors.New("query: names no parameter")
	case !ok && o.Token != "":
		where["token"] = []string{o.Token}
	}
	return func(line []byte) (Record, error) {
		if !gjson.ValidBytes(line) || line[0] != '{' {
			return Record{}, errors.New("not an object of JSON")
		}
		m := object(gjson.ParseBytes(line))
		r, err := fromObject(m, where)
		if err != nil {
			return Record{}, err
		}
		if format == "cloudtrail" {
			r.Path = bounded(text(find(m, "eventSource"))) + "/" + r.Path
		}
		if ok {
			r.Ref = ref(query(r.Path, inQuery))
		}
		return r, nil
	}, nil
}

// object is an object's values by key; of a key that is there twice, the first.
func object(v gjson.Result) map[string]gjson.Result {
	m := make(map[string]gjson.Result, 24)
	v.ForEach(func(key, value gjson.Result) bool {
		if _, ok := m[key.Str]; !ok {
			m[key.Str] = value
		}
		return true
	})
	return m
}

func fromObject(m map[string]gjson.Result, where map[string][]string) (r Record, err error) {
	get := func(field string) gjson.Result {
		for _, path := range where[field] {
			if v := find(m, path); v.Type != gjson.Null && v.Str != "-" && (v.Type != gjson.String || v.Str != "") {
				return v
			}
		}
		return gjson.Result{}
	}
	switch v := get("time"); v.Type {
	case gjson.Null:
		return r, fmt.Errorf("no time at %s", strings.Join(where["time"], " or "))
	case gjson.Number:
		r.At, err = epoch(v.Num)
	case gjson.String:
		if r.At, err = parseTime(v.Str); err != nil {
			if f, ferr := strconv.ParseFloat(v.Str, 64); ferr == nil {
				r.At, err = epoch(f)
			}
		}
	default:
		err = errTime
	}
	if err != nil {
		return r, err
	}
	r.Method, r.Path, r.Agent = bounded(text(get("method"))), bounded(text(get("path"))), bounded(text(get("agent")))
	if m, p := request(r.Path); m != "" { // "GET /x HTTP/1.1", as some log it
		r.Method, r.Path = m, p
	}
	r.Address = address(text(get("address")))
	for _, path := range where["token"] {
		if r.Ref = ref(text(find(m, path))); r.Ref != "" {
			break
		}
	}
	r.Status = statusOf(get("status"))
	return r, nil
}

// statusOf reads a status of HTTP, or what CloudTrail says went wrong.
func statusOf(v gjson.Result) int {
	switch v.Type {
	case gjson.Number:
		if v.Num >= 0 && v.Num <= 999 {
			return int(v.Num)
		}
	case gjson.String:
		if n, err := status(v.Str); err == nil {
			return n
		}
		switch v := strings.ToLower(v.Str); {
		case strings.Contains(v, "denied"), strings.Contains(v, "unauthorizedoperation"):
			return 403
		case strings.Contains(v, "invalidclienttokenid"), strings.Contains(v, "expired"), strings.Contains(v, "invalidaccesskeyid"):
			return 401
		}
		return 400
	}
	return 0
}

// find follows a path, and gives the first of a list, as headers are logged. Where a
// key holds dots itself, the longest that is there counts.
func find(m map[string]gjson.Result, path string) gjson.Result {
	if v, ok := m[path]; ok {
		return first(v)
	}
	for i := len(path) - 1; i > 0; i-- {
		if path[i] != '.' {
			continue
		}
		if in, ok := m[path[:i]]; ok {
			if in = first(in); in.IsObject() {
				return within(in, path[i+1:])
			}
		}
	}
	return gjson.Result{}
}

// within is find in an object that is not worth a map.
func within(v gjson.Result, path string) (out gjson.Result) {
	v.ForEach(func(key, value gjson.Result) bool {
		if key.Str == path {
			out = first(value)
			return false
		}
		if rest, ok := strings.CutPrefix(path, key.Str+"."); ok && key.Str != "" {
			if value = first(value); value.IsObject() {
				out = within(value, rest)
			}
		}
		return out.Type == gjson.Null
	})
	return out
}

// first is the first of a list, or v itself. A list in a list is none that a log has.
func first(v gjson.Result) gjson.Result {
	if !v.IsArray() {
		return v
	}
	var out gjson.Result
	v.ForEach(func(_, value gjson.Result) bool { out = value; return false })
	return out
}

func text(v gjson.Result) string {
	switch v.Type {
	case gjson.String:
		return v.Str
	case gjson.Number:
		return v.Raw
	}
	return ""
}

// isArray reports whether CloudTrail's file is one object with a list of records,
// as it is delivered to a bucket, rather than a record a line.
func isArray(head []byte) bool {
	head = bytes.TrimLeft(head, " \t\r\n\ufeff")
	head, ok := bytes.CutPrefix(head, []byte("{"))
	if !ok {
		return false
	}
	return bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte(`"Records"`))
}

// objects splits {"Records":[{…},{…}]} into its objects, each bounded, without
// reading the whole file.
type objects struct {
	b     *bufio.Reader
	n, at int64 // line, offset
	depth int
	buf   []byte
}

func (o *objects) next() (p piece, err error) {
	o.buf = o.buf[:0]
	in, quoted, escaped := false, false, false
	for {
		c, err := o.b.ReadByte()
		if err != nil {
			p.n, p.end = o.n, o.at
			if in && err == io.EOF { // cut in the middle
				p.text = o.buf
			}
			return p, err
		}
		o.at++
		if c == '\n' {
			o.n++
		}
		if in && !p.long {
			o.buf = append(o.buf, c)
			if p.long = len(o.buf) > maxLine; p.long {
				o.buf = o.buf[:0]
			}
		}
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			o.depth++
			// Depth 1 is the file's object, 2 its list, 3 a record of it.
			if c == '{' && o.depth == 3 && !in {
				in = true
				o.buf = append(o.buf[:0], c)
			}
		case c == '}' || c == ']':
			o.depth = max(0, o.depth-1)
			if in && o.depth == 2 {
				p.text, p.n, p.end = o.buf, o.n, o.at
				return p, nil
			}
		}
	}
}
