package scanner_test

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/cache"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

// keyed is a knownSet whose answers can be remembered.
type keyed struct {
	knownSet
	key string
	err error
}

var mapSeed = maphash.MakeSeed()

func (k keyed) Fingerprint(candidate []byte) uint64 {
	return maphash.String(mapSeed, k.key+string(candidate))
}

func (k keyed) Snapshot() cache.Registry { return snapshot{k, maps.Clone(k.knownSet)} }
func (k keyed) Err() error               { return k.err }

type snapshot struct {
	keyed
	tokens knownSet
}

func (s snapshot) Key() []byte           { return []byte(s.key) }
func (s snapshot) Len() int              { return len(s.tokens) }
func (s snapshot) Shapes() []cache.Shape { return s.tokens.Shapes() }
func (s snapshot) All(f func(uint64) bool) {
	for tok := range s.tokens {
		if !f(s.Fingerprint([]byte(tok))) {
			return
		}
	}
}
func (s snapshot) Has(fp uint64) (has bool) {
	s.All(func(f uint64) bool { has = f == fp; return !has })
	return has
}

// object is an item of a repository whose id is that of its content; of a kind not
// to be read where it holds a NUL.
func object(o sources.Origin, content string, opened map[string]int, mu *sync.Mutex) sources.Item {
	it := text(o, content)
	it.Object = sha1.Sum([]byte(content))
	if o.Blob != "" {
		it.Origin.Blob = fmt.Sprintf("%x", it.Object)
	}
	it.Open = func(context.Context) (io.ReadCloser, error) {
		mu.Lock()
		opened[content]++
		mu.Unlock()
		if strings.Contains(content, "\x00") {
			return nil, &sources.SkipError{Reason: sources.SkipBinary, Err: sources.ErrBinary}
		}
		return io.NopCloser(strings.NewReader(content)), nil
	}
	return it
}

// told is all that a Run tells.
type told struct {
	Findings []scanner.Finding
	Secrets  [][32]byte
	Tokens   []string // of hits, with their paths
	Cov      scanner.Coverage
}

func tell(t interface{ Fatal(...any) }, e *scanner.Engine, src sources.Source, m *scanner.Memory) (out told) {
	var mu sync.Mutex
	seen := map[string]bool{}
	cov, err := e.Run(context.Background(), src, scanner.RunOptions{Workers: 2, Memory: m,
		Hit: func(h scanner.Hit) {
			mu.Lock()
			defer mu.Unlock()
			if h.Token != nil {
				seen[h.Token.ID+" "+h.Origin.Path] = true
			}
		},
		Finding: func(f scanner.Finding) {
			out.Findings = append(out.Findings, f)
			out.Secrets = append(out.Secrets, f.Secret.MAC(nil))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	out.Tokens, out.Cov = slices.Sorted(maps.Keys(seen)), cov
	return out
}

// same are the options to compare what Runs tell with: of when, and what is cached,
// it says nothing; what is masked besides depends on the order of decisions.
var same = cmp.Options{
	cmpopts.IgnoreFields(scanner.Coverage{}, "Elapsed", "Cached"), cmpopts.IgnoreFields(scanner.Hit{}, "FoundAt"), cmpopts.IgnoreFields(scanner.Finding{}, "OtherIDs"), // kept of what was read alone
	cmpopts.IgnoreTypes(secret.Secret{}), cmpopts.IgnoreUnexported(rules.Rule{}),
	cmp.Transformer("score", func(m scanner.Match) string {
		return fmt.Sprint(m.Rule.ID, m.Start, m.End, m.Line, m.Column, m.EndLine, m.EndColumn, m.Column16, m.Entropy, m.DecodedVia, m.Key, m.Masked, m.Context, m.Token, m.Why, m.Confidence)
	}),
}

// knower is a list that keeps what is known of it, by what it holds.
type knower struct {
	list
	kept  map[string][]byte
	known *sources.Known
	state string
	told  bool
}

func (k *knower) close() {
	if k.known != nil && k.known.Kept() != nil {
		k.kept[k.state] = k.known.Kept()
	}
}

func (k *knower) Know(known *sources.Known) { k.known = known }

func (k *knower) Visit(_ context.Context, items []sources.Item, _ int, _ func(*sources.Content) any) (left []int, err error) {
	for i := range items {
		left = append(left, i)
	}
	return left, nil
}

func (k *knower) Items(ctx context.Context, yield func(sources.Item) error) error {
	h := sha256.New()
	byID := map[sources.ObjectID]func(context.Context) (io.ReadCloser, error){}
	for _, it := range k.list {
		fmt.Fprintf(h, "%x %q %q %v %v\n", it.Object, it.Origin.Path, it.Origin.Commit, *it.Origin.InHead, it.Origin.Before)
		byID[it.Object] = it.Open
	}
	if k.known == nil {
		return k.list.Items(ctx, yield)
	}
	k.state = fmt.Sprintf("%s %x", k.known.Name, h.Sum(nil))
	if kept, ok := k.kept[k.state]; ok {
		_, k.told = k.known.Use(kept, func(it sources.Item) func(context.Context) (io.ReadCloser, error) { return byID[it.Object] })
		if k.told {
			return nil
		}
	}
	return k.list.Items(ctx, yield)
}

// A Run with the Memory of earlier ones tells what one without tells, whatever was
// added and removed between, in the history and in the registry; and it reads
// nothing again but what it must.
func TestMemory(t *testing.T) {
	pool := []string{tst(1), tst(2), tst(3), "acme: " + hex + hex, "password = \"" + hex[1:] + "Zq" + "\"", base64.StdEncoding.EncodeToString([]byte("x " + tst(4))),
		"known-" + hex[:12], "KnOwN/Tok+" + hex[:10], "known-" + hex[4:16], "words", "\x00"}
	tb, told := t, 0
	defer func() {
		if told < 10 {
			tb.Errorf("only %d scans were told again", told)
		}
	}()
	rapid.Check(t, func(t *rapid.T) {
		var mu sync.Mutex
		opened := map[string]int{}
		var src list
		m := &scanner.Memory{Cache: &cache.Cache{}, Name: "these rules"}
		kept := map[string][]byte{}
		tokens := knownSet{}
		key := "one"
		for range rapid.IntRange(1, 5).Draw(t, "scans") {
			for range rapid.IntRange(0, 5).Draw(t, "new") {
				content := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pool), 0, 4).Draw(t, "content"), rapid.SampledFrom([]string{"\n", ";\n", " "}).Draw(t, "between"))
				yes := rapid.Bool().Draw(t, "head")
				o := sources.Origin{Source: "git", Path: rapid.SampledFrom([]string{"a", "b/c.env", "d_test.go"}).Draw(t, "path"), Blob: "x", Commit: fmt.Sprint(len(src)), InHead: &yes}
				if rapid.IntRange(0, 5).Draw(t, "message") == 0 {
					o.Path, o.Blob, o.Labels = "", "", []string{"commit-message"}
				}
				o.Before = rapid.IntRange(0, 9).Draw(t, "before") == 0
				src = slices.Insert(slices.Clone(src), rapid.IntRange(0, len(src)).Draw(t, "at"), object(o, content, opened, &mu))
			}
			if len(src) > 0 && rapid.Bool().Draw(t, "less") {
				src = slices.Delete(slices.Clone(src), 0, rapid.IntRange(0, len(src)).Draw(t, "gone"))
			}
			switch rapid.IntRange(0, 4).Draw(t, "registry") {
			case 0:
				tok := rapid.SampledFrom(pool[6:9]).Draw(t, "token")
				tokens[tok] = "id of " + tok
			case 1:
				clear(tokens)
				key = rapid.SampledFrom([]string{"one", "two"}).Draw(t, "key")
			}
			var k scanner.Known
			if rapid.IntRange(0, 3).Draw(t, "asked") > 0 {
				k = keyed{knownSet: tokens, key: key}
			}
			fresh := tell(t, testEngine(tb, scanner.Options{Known: k}), src, nil)
			clear(opened)
			first := &knower{list: src, kept: kept}
			again := tell(t, testEngine(tb, scanner.Options{Known: k}), first, m)
			first.close()
			if d := cmp.Diff(fresh, again, same); d != "" {
				t.Fatal(d)
			}
			if m.Failed {
				t.Fatal("the memory is wrong")
			}
			var err error
			if m.Cache, err = cache.Parse(m.Cache.Bytes()); err != nil {
				t.Fatal(err)
			}
			clear(opened)
			once := &knower{list: src, kept: kept}
			third := tell(t, testEngine(tb, scanner.Options{Known: k}), once, m)
			once.close()
			if once.told {
				told++
			}
			objects := map[sources.ObjectID]bool{}
			for _, it := range src {
				objects[it.Object] = true
			}
			if k == nil && !once.told && len(objects) == len(src) || len(third.Tokens) > 0 && once.told {
				t.Fatalf("it is told again: %v", once.told)
			}
			if d := cmp.Diff(fresh, third, same); d != "" {
				t.Fatal(d)
			}
			most := 0
			for _, it := range src {
				if it.Origin.Before {
					most++
				}
			}
			for content := range opened {
				if slices.ContainsFunc(slices.Collect(maps.Keys(tokens)), func(tok string) bool { return strings.Contains(content, tok) }) {
					most += len(src)
				}
			}
			total := 0
			for _, n := range opened {
				total += n
			}
			// Each scan numbers secrets anew, and so may each read one again.
			if total > most+10*(len(fresh.Findings)+int(fresh.Cov.Earlier)) {
				t.Fatalf("%d objects were read again for %d findings", total, len(fresh.Findings))
			}
		}
	})
}

// What a Memory says wrong is found out, and all is read again.
func TestWrongMemory(t *testing.T) {
	var mu sync.Mutex
	opened := map[string]int{}
	src := list{object(sources.Origin{Source: "git", Path: "a", Blob: "x"}, "say "+tst(1), opened, &mu), object(sources.Origin{Source: "git", Path: "b", Blob: "x"}, "say "+tst(2), opened, &mu)}
	e := testEngine(t, scanner.Options{})
	fresh := tell(t, e, src, nil)
	for name, wrong := range map[string][]cache.Match{
		"another place":  {{Rule: "test-prefixed", Start: 3, End: 20}},
		"another rule":   {{Rule: "test-inner", Start: 4, End: 24}},
		"no such rule":   {{Rule: "gone", Start: 4, End: 24}},
		"one too many":   {{Rule: "test-prefixed", Start: 4, End: 24}, {Rule: "test-prefixed", Start: 4, End: 23}},
		"another secret": {{Rule: "test-prefixed", Start: 4, End: 24}},
		"decoded":        {{Rule: "test-prefixed", Start: 4, End: 24, Via: []string{"hex"}}},
	} {
		l := cache.NewLog(nil)
		for _, it := range src { // in "another secret", two have the number of one
			l.Add(cache.ID(it.Object), cache.Result{Size: 24, Matches: wrong})
		}
		m := &scanner.Memory{Cache: (&cache.Cache{}).With(l)}
		got := tell(t, e, src, m)
		if d := cmp.Diff(fresh, got, same); d != "" || !m.Failed || got.Cov.Cached != 0 {
			t.Errorf("%s: failed %v, cached %d: %s", name, m.Failed, got.Cov.Cached, d)
		}
		m.Failed = false
		if got = tell(t, e, src, m); m.Failed || got.Cov.Cached != 2 {
			t.Errorf("%s: the memory is not made anew", name)
		}
	}
}

// What could not be read to its end, and what was found while the registry could
// not answer, is not remembered.
func TestNotRemembered(t *testing.T) {
	var mu sync.Mutex
	opened := map[string]int{}
	broken := object(sources.Origin{Source: "git", Path: "a", Blob: "x"}, "words", opened, &mu)
	broken.Open = func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("words"), badReader{errors.New("broken")})), nil
	}
	m := &scanner.Memory{Cache: &cache.Cache{}}
	for range 2 {
		if got := tell(t, testEngine(t, scanner.Options{}), list{broken}, m); got.Cov.Skipped[sources.SkipUnreadable] != 1 || got.Cov.Cached != 0 || m.Grown {
			t.Errorf("coverage %+v, grown %v", got.Cov, m.Grown)
		}
	}
	good := list{object(sources.Origin{Source: "git", Path: "a", Blob: "x"}, "words", opened, &mu)}
	failing := testEngine(t, scanner.Options{Known: keyed{knownSet: knownSet{}, err: errors.New("the database is gone")}})
	if tell(t, failing, good, m); m.Grown {
		t.Error("a scan whose registry failed is remembered")
	}
	if tell(t, testEngine(t, scanner.Options{Known: known}), good, m); m.Grown {
		t.Error("a scan is remembered whose registry cannot tell what it was asked")
	}
}

// What is read again by the lines that hold matches is told as it was when all was
// read, and what was remembered stays true.
func TestReadAgainByLines(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a repository each time")
	}
	e := testEngine(t, scanner.Options{})
	rapid.Check(t, func(rt *rapid.T) {
		r := newGitRepo(t)
		block := "-----BEGIN TEST-----\n" + strings.Repeat("Ab3\n", 12) + "-----END TEST-----\n"
		line := rapid.SampledFrom([]string{"\n", "a line of text\n", "\r\n", strings.Repeat("wide ", 300) + "\n", block, "v = " + tst(7) + " " + tst(8) + "\n",
			"Q = \"" + base64.StdEncoding.EncodeToString([]byte("data: "+tst(9))) + "\"\n", strings.Repeat("words\n", 200)})
		for i := range 70 { // of fewer, none is visited
			text := strings.Join(rapid.SliceOfN(line, 0, 6).Draw(rt, "before"), "") + "key = " + tst(20+i) + ";" + strings.Join(rapid.SliceOfN(line, 0, 6).Draw(rt, "after"), "")
			r.write(fmt.Sprint("f", i), text)
		}
		r.commit()
		r.git("repack", "-q", "-a", "-d")
		m := &scanner.Memory{Cache: &cache.Cache{}}
		src := func() sources.Source {
			return sources.Git(r.dir, sources.GitOptions{History: true, Unreachable: true})
		}
		first := tell(rt, e, src(), m)
		again := tell(rt, e, src(), m)
		if m.Failed {
			rt.Fatal("what was remembered proved wrong")
		}
		if len(first.Findings) < 70 || again.Cov.Cached < 70 {
			rt.Fatalf("%d findings, %d of what is remembered", len(first.Findings), again.Cov.Cached)
		}
		if d := cmp.Diff(first, again, same); d != "" {
			rt.Fatal(d)
		}
	})
}
