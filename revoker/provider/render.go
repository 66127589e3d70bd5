package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/quench-dev/quench/scanner/secret"
)

// escaper makes a value fit the place it is put in.
type escaper func(value string) (string, error)

// vars are the values of placeholders by name.
type vars map[string]secret.Secret

// placeholders are the names in the {{name}} of a text; in a url, {{name/}} is a
// path of several segments.
func placeholders(t string) []string {
	var names []string
	for {
		_, rest, ok := strings.Cut(t, "{{")
		if !ok {
			return names
		}
		name, after, ok := strings.Cut(rest, "}}")
		if !ok {
			return names
		}
		names, t = append(names, strings.TrimSuffix(name, "/")), after
	}
}

// fill puts values in place, each through escape, which knows where it goes.
func (v vars) fill(t string, escape escaper) (string, error) {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(t, "{{")
		b.WriteString(before)
		if !ok {
			return b.String(), nil
		}
		name, after, _ := strings.Cut(rest, "}}")
		escape := escape
		if own, many := strings.CutSuffix(name, "/"); many {
			name, escape = own, walk
		}
		s, known := v[name]
		if !known || s.IsZero() {
			return "", fmt.Errorf("no value for %s", name)
		}
		e, err := escape(string(s.Reveal()))
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		b.WriteString(e)
		t = after
	}
}

var errForm = errors.New("the value cannot stand there")

// plain takes a value as it is: the encoder behind it escapes.
func plain(s string) (string, error) { return s, nil }

// segment escapes a value for a path, where it is one segment or part of one.
func segment(s string) (string, error) {
	if strings.Trim(s, ".") == "" {
		return "", errForm // "." and ".." would walk
	}
	return url.PathEscape(s), nil
}

// walk takes a path of segments, as a provider or the operator named a resource;
// none of them walks up.
func walk(s string) (string, error) {
	segments := strings.Split(strings.TrimPrefix(s, "/"), "/")
	for i, p := range segments {
		e, err := segment(p)
		if err != nil {
			return "", err
		}
		segments[i] = e
	}
	return strings.Join(segments, "/"), nil
}

// field takes what a header may hold: visible ASCII.
func field(s string) (string, error) {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f {
			return "", errForm
		}
	}
	return s, nil
}

// request makes the request of a step. Errors name places, never values.
func (st step) request(ctx context.Context, v vars, host string) (*http.Request, error) {
	path := strings.Replace(st.URL, "https://{{host}}", "https://"+host, 1)
	path, err := v.fill(path, segment)
	if err != nil {
		return nil, fmt.Errorf("the path: %w", err)
	}
	u, err := url.Parse(path)
	if err != nil {
		return nil, errors.New("the path cannot be parsed")
	}
	q := url.Values{}
	for k, t := range st.Query {
		if q[k], err = one(v.fill(t, plain)); err != nil {
			return nil, fmt.Errorf("query %s: %w", k, err)
		}
	}
	u.RawQuery = q.Encode()
	body, kind, err := st.body(v)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, st.Method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the request cannot be made")
	}
	req.Header.Set("User-Agent", "quench")
	req.Header.Set("Accept", "application/json")
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	for k, t := range st.Headers {
		value, err := v.fill(t, field)
		if err != nil {
			return nil, fmt.Errorf("header %s: %w", k, err)
		}
		req.Header.Set(k, value)
	}
	return req, st.authorize(req, v)
}

func (st step) authorize(req *http.Request, v vars) error {
	if st.Bearer != "" {
		value, err := v.fill(st.Bearer, field)
		if err != nil {
			return fmt.Errorf("bearer: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+value)
	}
	if len(st.Basic) == 2 {
		user, err := v.fill(st.Basic[0], plain)
		if err == nil && strings.Contains(user, ":") {
			err = errForm // RFC 7617: it would end there
		}
		if err != nil {
			return fmt.Errorf("basic user: %w", err)
		}
		password, err := v.fill(st.Basic[1], plain)
		if err != nil {
			return fmt.Errorf("basic password: %w", err)
		}
		req.SetBasicAuth(user, password)
	}
	return nil
}

// body is the encoded form or JSON, and its type.
func (st step) body(v vars) ([]byte, string, error) {
	switch {
	case st.Form != nil:
		form := url.Values{}
		for k, t := range st.Form {
			var err error
			if form[k], err = one(v.fill(t, plain)); err != nil {
				return nil, "", fmt.Errorf("form %s: %w", k, err)
			}
		}
		return []byte(form.Encode()), "application/x-www-form-urlencoded", nil
	case st.JSON != nil:
		filled, err := v.fillJSON(st.JSON)
		if err != nil {
			return nil, "", fmt.Errorf("json: %w", err)
		}
		b, err := json.Marshal(filled)
		return b, "application/json", err
	}
	return nil, "", nil
}

func one(s string, err error) ([]string, error) { return []string{s}, err }

// fillJSON fills the strings of a value; the encoder quotes them.
func (v vars) fillJSON(x any) (any, error) {
	switch x := x.(type) {
	case string:
		return v.fill(x, plain)
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			var err error
			if out[i], err = v.fillJSON(e); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, e := range x {
			var err error
			if out[k], err = v.fillJSON(e); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return x, nil
}
