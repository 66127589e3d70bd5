package provider

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// decode reads an answer's JSON; nil when it is none.
func decode(body []byte) any {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // ids are larger than a float64 holds
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	return v
}

// at is the value at a dotted path of keys; empty is v itself.
func at(v any, path string) (any, bool) {
	if path == "" {
		return v, v != nil
	}
	for _, key := range strings.Split(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[key]; !ok {
			return nil, false
		}
	}
	return v, true
}

// text is a scalar as the text it was.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, v != ""
	case json.Number:
		return v.String(), true
	case bool:
		return fmt.Sprint(v), true
	}
	return "", false
}

// holds reports whether an answer is what the condition describes.
func (w when) holds(status int, answer any) bool {
	if !slices.Contains(w.Status, status) {
		return false
	}
	if _, isObject := answer.(map[string]any); w.JSON != nil && !isObject {
		return false
	}
	for _, path := range w.Without {
		if _, ok := at(answer, path); ok {
			return false
		}
	}
	for path, words := range w.Has {
		v, _ := at(answer, path)
		list, many := v.([]any)
		if !many {
			list = []any{v}
		}
		if !slices.ContainsFunc(list, func(e any) bool { t, _ := text(e); return strings.Contains(t, words) }) {
			return false
		}
	}
	for path, want := range w.JSON {
		v, ok := at(answer, path)
		if !ok {
			return false
		}
		if want == "*" {
			continue
		}
		got, ok := text(v)
		if !ok || got != fmt.Sprint(want) {
			return false
		}
	}
	return true
}

// matches reports whether an entry of a list is the leaked credential.
func (f *find) matches(v vars, entry any) bool {
	for path, t := range f.Where {
		want, err := v.fill(t, plain)
		if err != nil {
			return false
		}
		x, _ := at(entry, path)
		if got, ok := text(x); !ok || got != want {
			return false
		}
	}
	if f.Hint == "" {
		return true
	}
	x, _ := at(entry, f.Hint)
	hint, ok := text(x)
	return ok && hinted(hint, string(v["secret"].Reveal()))
}

// minHint is how many characters of a secret a redacted form must show at its
// end. Two keys of one account agree in four of 62 with a chance of 1 in 15
// million; that there are several is found out and refused as well.
const minHint = 4

// hinted reports whether a redacted form, its middle left out as dots or stars,
// is one of s.
func hinted(hint, s string) bool {
	i := strings.IndexAny(hint, ".*\u2026")
	j := strings.LastIndexAny(hint, ".*\u2026")
	if i < 0 {
		return false
	}
	head, tail := hint[:i], strings.TrimLeft(hint[j:], ".*\u2026")
	return len(tail) >= minHint && len(head)+len(tail) < len(s) && strings.HasPrefix(s, head) && strings.HasSuffix(s, tail)
}
