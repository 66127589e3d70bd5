package accesslog

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// fields splits a line at spaces, but not within quotes or brackets, whose contents
// it gives without them. A backslash takes the next byte as it is.
func fields(line string, max int) (out []string, quoted []bool, err error) {
	for i := 0; i < len(line) && len(out) < max; {
		if line[i] == ' ' || line[i] == '\t' {
			i++
			continue
		}
		end := byte(0)
		switch line[i] {
		case '"':
			end = '"'
		case '[':
			end = ']'
		}
		if end == 0 {
			j := i
			for j < len(line) && line[j] != ' ' && line[j] != '\t' {
				j++
			}
			out, quoted = append(out, line[i:j]), append(quoted, false)
			i = j
			continue
		}
		j := i + 1
		for j < len(line) && line[j] != end {
			if line[j] == '\\' && end == '"' {
				j++
			}
			j++
		}
		if j >= len(line) {
			return nil, nil, errors.New("a quote or bracket without an end")
		}
		out, quoted = append(out, line[i+1:j]), append(quoted, true)
		i = j + 1
	}
	return out, quoted, nil
}

// maxFields bounds the fields of a line: a format of nginx with every variable there
// is has fewer.
const maxFields = 200

// place is where a format of text names the token.
type place struct {
	user  bool
	extra int // from 1, after the agent
	query string
}

func newPlace(s string) (p place, err error) {
	if n, ok := strings.CutPrefix(s, "extra:"); ok {
		p.extra, err = strconv.Atoi(n)
		if err != nil || p.extra < 1 || p.extra > maxFields {
			return p, fmt.Errorf("token place %q: N of extra:N counts the fields after the agent, from 1", s)
		}
		return p, nil
	}
	if n, ok := strings.CutPrefix(s, "query:"); ok && n != "" {
		return place{query: n}, nil
	}
	if s != "user" {
		return p, fmt.Errorf("token place %q: it is user, extra:N (the Nth field after the agent) or query:NAME", s)
	}
	return place{user: true}, nil
}

// newCombined reads the combined and the common log format, with or without the
// virtual host before, and with further fields behind.
func newCombined(token string) (func([]byte) (Record, error), error) {
	if token == "" {
		token = "user"
	}
	p, err := newPlace(token)
	if err != nil {
		return nil, err
	}
	return func(line []byte) (Record, error) {
		f, quoted, err := fields(string(line), maxFields)
		if err != nil {
			return Record{}, err
		}
		// The user may hold spaces: the time is the first in brackets.
		at := 0
		for at < len(f) && !(quoted[at] && len(f[at]) > 0 && f[at][0] >= '0' && f[at][0] <= '9') {
			at++
		}
		if at < 3 || len(f) < at+4 {
			return Record{}, errors.New("not of the combined format: want address, identity, user, [time], \"request\", status, bytes")
		}
		var r Record
		if r.At, err = parseTime(f[at]); err != nil {
			return Record{}, err
		}
		if r.Status, err = status(f[at+2]); err != nil {
			return Record{}, err
		}
		user := 2
		if r.Address = address(f[0]); !r.Address.IsValid() && at > 3 {
			if r.Address = address(f[1]); r.Address.IsValid() { // a virtual host before
				user = 3
			}
		}
		r.Method, r.Path = request(f[at+1])
		if len(f) > at+5 {
			r.Agent = bounded(f[at+5])
		}
		switch {
		case p.user && user < at:
			r.Ref = ref(strings.Join(f[user:at], " "))
		case p.query != "":
			r.Ref = ref(query(r.Path, p.query))
		case p.extra > 0 && at+5+p.extra < len(f):
			r.Ref = ref(f[at+5+p.extra])
		}
		return r, nil
	}, nil
}

// newALB reads the access log of an AWS Application Load Balancer.
func newALB(token string) (func([]byte) (Record, error), error) {
	p, err := newPlace(token)
	if err != nil || p.query == "" {
		return nil, errors.New("a load balancer logs no header: name the parameter of the query that holds the token, such as --token query:key")
	}
	return func(line []byte) (Record, error) {
		f, _, err := fields(string(line), maxFields)
		if err != nil {
			return Record{}, err
		}
		if len(f) < 14 {
			return Record{}, errors.New("not of the format of a load balancer: fewer than 14 fields")
		}
		var r Record
		if r.At, err = parseTime(f[1]); err != nil {
			return Record{}, err
		}
		if r.Status, err = status(f[8]); err != nil {
			return Record{}, err
		}
		r.Address = address(f[3])
		r.Method, r.Path = request(f[12])
		r.Agent = bounded(f[13])
		r.Ref = ref(query(r.Path, p.query))
		return r, nil
	}, nil
}

func status(s string) (int, error) {
	if s == "-" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 999 {
		return 0, errors.New("the status is no number of three digits")
	}
	return n, nil
}

// request splits a request line; what is none, as scanners send it, has no method.
func request(s string) (method, path string) {
	method, rest, ok := strings.Cut(s, " ")
	if !ok || method == "" || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") != "" {
		return "", ""
	}
	path, _, _ = strings.Cut(rest, " ")
	return bounded(method), bounded(path)
}
