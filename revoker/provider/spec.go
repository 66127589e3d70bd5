package provider

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/quench-dev/quench/revoker/internal/strict"
)

// spec is a provider as a TOML file tells it. docs/providers.md describes the
// format; every key is checked when it is read.
type spec struct {
	Name   string   `toml:"name"`
	Title  string   `toml:"title"`
	Docs   string   `toml:"docs"`
	Manual string   `toml:"manual"`
	Rules  []string `toml:"rules"`
	// Host is the default of {{host}}; Hosts are the others that urls name.
	Host  string   `toml:"host"`
	Hosts []string `toml:"hosts"`
	// HostFrom says whose configuration has {{host}} where nothing else names it: "npmrc".
	HostFrom string   `toml:"host_from"`
	Undo     string   `toml:"undo"`
	Note     string   `toml:"note"`
	Needs    []Need   `toml:"need"`
	Parts    []string `toml:"parts"`
	// Fields are parts of the secret itself: the first group of a pattern.
	Fields map[string]string `toml:"fields"`
	Check  *call             `toml:"check"`
	// Revoke are ways to end it, tried in this order until one does.
	Revoke []call `toml:"revoke"`
	// Resume takes a revocation back, and Delete ends for good what can be resumed: ways
	// as those of Revoke. A provider has both or neither.
	Resume []call `toml:"resume"`
	Delete []call `toml:"delete"`
	// Report is instead of calls: see report.go.
	Report *report `toml:"report"`

	patterns func() map[string]*regexp.Regexp
}

// call is a sequence of requests; the last one decides.
type call struct {
	// Needs are names of the operator's credentials without which this call is
	// not made.
	Needs []string `toml:"needs"`
	Steps []step   `toml:"step"`
}

// placeholders are the names that any step of the call puts somewhere.
func (c call) placeholders() map[string]bool {
	all := map[string]bool{}
	for _, st := range c.Steps {
		for _, t := range st.templates() {
			for _, name := range placeholders(t) {
				all[name] = true
			}
		}
	}
	return all
}

// step is one request and what its answer means.
type step struct {
	Method  string            `toml:"method"`
	URL     string            `toml:"url"`
	Query   map[string]string `toml:"query"`
	Headers map[string]string `toml:"headers"`
	Bearer  string            `toml:"bearer"`
	Basic   []string          `toml:"basic"` // user and password
	Form    map[string]string `toml:"form"`
	JSON    any               `toml:"json"`
	// Reads: the request changes nothing although its method could.
	Reads bool   `toml:"reads"`
	When  []when `toml:"when"`
	// Take are values of the answer for later steps, by their path in its JSON.
	Take map[string]string `toml:"take"`
	Find *find             `toml:"find"`
}

// find looks the one entry up in a list that is the leaked credential.
type find struct {
	List  string            `toml:"list"`  // path of the list; empty is the answer itself
	Where map[string]string `toml:"where"` // paths in an entry that must equal these
	// Hint is a path in an entry that shows the secret's ends around "..." or "*".
	Hint string            `toml:"hint"`
	Take map[string]string `toml:"take"`
	// None is the outcome when no entry of the whole list is it.
	None Outcome `toml:"none"`
	Page *page   `toml:"page"`
}

// page says how the rest of a list is read: the next request repeats the step
// with Query set to the value at From, as long as there is one and More, if
// given, is true.
type page struct {
	Query string `toml:"query"`
	From  string `toml:"from"`
	More  string `toml:"more"`
}

// when is a condition on an answer; the first that holds decides.
type when struct {
	Status []int          `toml:"status"`
	JSON   map[string]any `toml:"json"` // paths that must have these values; "*" is any, none at all any object
	// Has are paths whose text, or one text of the list there, holds these words: for
	// vendors that tell in sentences.
	Has map[string]string `toml:"has"`
	// Without are paths that must not be there, such as error.
	Without []string `toml:"without"`
	Is      Outcome  `toml:"is"` // "next" goes to the next step
	Say     string   `toml:"say"`
}

// next is the outcome of a step after which the following one is made.
const next Outcome = "next"

// maxSpec bounds a provider's file in bytes: the longest built-in one has 3 kB.
const maxSpec = 64 << 10

var errSpec = errors.New("invalid provider")

// parse reads one provider's file and checks all that can be checked before a
// call is made.
func parse(b []byte) (*spec, error) {
	if len(b) > maxSpec {
		return nil, fmt.Errorf("%w: the file is larger than %d bytes", errSpec, maxSpec)
	}
	var s spec
	if err := strict.Decode(b, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", errSpec, err)
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("%w %q: %w", errSpec, s.Name, err)
	}
	s.patterns = sync.OnceValue(func() map[string]*regexp.Regexp {
		all := map[string]*regexp.Regexp{}
		for name, p := range s.Fields {
			all[name] = regexp.MustCompile(p) // checked
		}
		return all
	})
	return &s, nil
}

// nameForm is that of providers, needs, parts, fields and taken values.
func nameOK(s string) bool {
	return s != "" && len(s) <= 40 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

func (s *spec) check() error {
	switch {
	case !nameOK(s.Name):
		return errors.New("name: want lower-case letters, digits, - and _")
	case s.Title == "" || s.Docs == "":
		return errors.New("title and docs are required: what people call it, and the page the calls are documented at")
	case s.Report != nil:
		if err := s.Report.check(s); err != nil {
			return err
		}
	case s.Check == nil && len(s.Revoke) == 0 && s.Manual == "":
		return errors.New("want a check, a revoke, a report, or at least the manual page")
	}
	for key, u := range map[string]string{"docs": s.Docs, "manual": s.Manual} {
		if p, err := url.Parse(strings.Replace(u, "{{host}}", "host", 1)); u != "" && (err != nil || p.Scheme != "https" || p.Host == "") {
			return fmt.Errorf("%s: %q is no https address", key, u)
		}
	}
	for _, h := range append(slices.Clone(s.Hosts), s.Host) {
		if h != "" && !HostOK(h) {
			return fmt.Errorf("host %q: want a name, or a name:port", h)
		}
	}
	if s.HostFrom != "" && (s.HostFrom != Npmrc || s.Host != "") {
		return fmt.Errorf("host_from %q: want %s, and no host beside it", s.HostFrom, Npmrc)
	}
	known := map[string]bool{"secret": true, "host": true}
	for name, p := range s.Fields {
		re, err := regexp.Compile(p)
		if !nameOK(name) || err != nil || re.NumSubexp() != 1 {
			return fmt.Errorf("fields.%s: want a pattern with one group (%v)", name, err)
		}
		known[name] = true
	}
	for _, n := range s.Needs {
		if !nameOK(n.Name) || n.Ask == "" || known[n.Name] {
			return fmt.Errorf("need %q: want a name of its own and what to ask for", n.Name)
		}
		known[n.Name] = true
	}
	for _, p := range s.Parts {
		if !nameOK(p) || known[p] {
			return fmt.Errorf("parts: %q is no name, or taken", p)
		}
		known[p] = true
	}
	if s.Check != nil {
		if err := s.checkCall(*s.Check, known, []Outcome{Live, Dead}); err != nil {
			return fmt.Errorf("check: %w", err)
		}
	}
	if has := len(s.Resume) > 0; has != (len(s.Delete) > 0) || has && (len(s.Revoke) == 0 || s.Undo == "") {
		return errors.New("want resume, delete, revoke and undo together: a revocation that can be taken back, until it is made final")
	}
	for _, w := range []struct {
		name string
		ways []call
		ends []Outcome
	}{{"revoke", s.Revoke, []Outcome{Revoked, Accepted, AlreadyDead}}, {"resume", s.Resume, []Outcome{Resumed, AlreadyDead}}, {"delete", s.Delete, []Outcome{Revoked, AlreadyDead}}} {
		for i, c := range w.ways {
			if err := s.checkCall(c, known, w.ends); err != nil {
				return fmt.Errorf("%s %d: %w", w.name, i+1, err)
			}
		}
	}
	return nil
}

// maxSteps bounds a call: with one timeout each they end within a job's time.
const maxSteps = 3

func (s *spec) checkCall(c call, known map[string]bool, ends []Outcome) error {
	if len(c.Steps) == 0 || len(c.Steps) > maxSteps {
		return fmt.Errorf("want one to %d steps", maxSteps)
	}
	names := map[string]bool{}
	for k := range known {
		names[k] = true
	}
	for _, n := range s.Needs { // only those this call says it needs
		names[n.Name] = slices.Contains(c.Needs, n.Name)
	}
	for _, n := range c.Needs {
		if !slices.ContainsFunc(s.Needs, func(have Need) bool { return have.Name == n }) {
			return fmt.Errorf("needs %q, which no [[need]] describes", n)
		}
	}
	for i, st := range c.Steps {
		if err := s.checkStep(st, names, ends, i == len(c.Steps)-1); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
		for name := range st.Take {
			names[name] = true
		}
		if st.Find != nil {
			for name := range st.Find.Take {
				names[name] = true
			}
		}
	}
	return nil
}

func (s *spec) checkStep(st step, names map[string]bool, ends []Outcome, last bool) error {
	if !slices.Contains([]string{"GET", "POST", "PUT", "PATCH", "DELETE"}, st.Method) {
		return fmt.Errorf("method %q: want GET, POST, PUT, PATCH or DELETE", st.Method)
	}
	if err := s.checkURL(st.URL); err != nil {
		return err
	}
	if st.Form != nil && st.JSON != nil {
		return errors.New("want a form or json, not both")
	}
	if len(st.Basic) != 0 && len(st.Basic) != 2 || len(st.Basic) == 2 && st.Bearer != "" {
		return errors.New("basic: want user and password, and no bearer beside them")
	}
	for h := range st.Headers {
		if !headerOK(h) {
			return fmt.Errorf("header %q may not be set", h)
		}
	}
	for _, t := range st.templates() {
		if t != st.URL && strings.Contains(t, "/}}") {
			return fmt.Errorf("%q: a path of several segments stands in a url alone", t)
		}
		for _, name := range placeholders(t) {
			if !names[name] {
				return fmt.Errorf("{{%s}} is not known here: want secret, host, a field, a part, a need of this call, or a value taken before", name)
			}
		}
		if strings.Count(t, "{{") != len(placeholders(t)) {
			return fmt.Errorf("%q: want {{name}}", t)
		}
	}
	ok := append(slices.Clone(ends), Denied, NeedsAdmin, Unsupported, Unknown, Failed)
	if !last {
		ok = append(ok, next)
	}
	for _, w := range st.When {
		if len(w.Status) == 0 || !slices.Contains(ok, w.Is) {
			return fmt.Errorf("when: want a status, and is one of %q", ok)
		}
		for path, words := range w.Has {
			if words == "" {
				return fmt.Errorf("when.has.%s: want words", path)
			}
		}
	}
	if last && !slices.ContainsFunc(st.When, func(w when) bool { return slices.Contains(ends, w.Is) }) {
		return fmt.Errorf("no answer of the last step means one of %q", ends)
	}
	for name, path := range st.Take {
		if !nameOK(name) || path == "" || names[name] {
			return fmt.Errorf("take.%s: want a new name and a path", name)
		}
	}
	return s.checkFind(st, names, ok)
}

func (s *spec) checkFind(st step, names map[string]bool, ok []Outcome) error {
	f := st.Find
	if f == nil {
		return nil
	}
	if len(f.Where) == 0 && f.Hint == "" || len(f.Take) == 0 {
		return errors.New("find: want where or hint, which tell the one entry, and what to take of it; never its place in the list")
	}
	for name, path := range f.Take {
		if !nameOK(name) || path == "" || names[name] {
			return fmt.Errorf("find.take.%s: want a new name and a path", name)
		}
	}
	if f.None != "" && !slices.Contains(ok, f.None) {
		return fmt.Errorf("find.none: want one of %q", ok)
	}
	if f.Page != nil && (f.Page.Query == "" || f.Page.From == "") {
		return errors.New("find.page: want query and from")
	}
	return nil
}

// checkURL holds urls to https at a listed host: no placeholder can name another.
func (s *spec) checkURL(raw string) error {
	rest, ok := strings.CutPrefix(raw, "https://")
	if !ok {
		return fmt.Errorf("url %q: want https://", raw)
	}
	host, path, _ := strings.Cut(rest, "/")
	if host != "{{host}}" && (!HostOK(host) || host != s.Host && !slices.Contains(s.Hosts, host)) {
		return fmt.Errorf("url %q: its host must be {{host}} or one of hosts", raw)
	}
	if strings.ContainsAny(path, "?#% \\") || strings.Contains("/"+path, "/.") {
		return fmt.Errorf("url %q: want a plain path; give query for the rest", raw)
	}
	return nil
}

// HostOK is a lower-case name or literal address, with or without a port.
func HostOK(h string) bool {
	u, err := url.Parse("https://" + h)
	return err == nil && h != "" && u.Host == h && u.Hostname() != "" && h == strings.ToLower(h) && !strings.ContainsAny(h, "@/?#{}% \\")
}

// headerOK keeps what the connection itself decides out of a provider's hands.
func headerOK(h string) bool {
	for _, c := range []byte(h) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return h != "" && !slices.Contains([]string{"host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "cookie",
		"proxy-authorization", "user-agent"}, strings.ToLower(h))
}

// templates are all texts of a step that may hold placeholders.
func (st step) templates() []string {
	all := append([]string{st.URL, st.Bearer}, st.Basic...)
	for _, m := range []map[string]string{st.Query, st.Headers, st.Form} {
		for _, v := range m {
			all = append(all, v)
		}
	}
	if st.Find != nil {
		for _, v := range st.Find.Where {
			all = append(all, v)
		}
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			all = append(all, v)
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(st.JSON)
	return all
}
