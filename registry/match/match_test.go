package match_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/quench-dev/quench/registry/match"
	"github.com/quench-dev/quench/scanner"
)

// The scanner's library of workers runs two goroutines from the start.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// sipPlain is SipHash-c-d as its paper has it, byte by byte.
func sipPlain(c, d int, key [16]byte, b []byte) uint64 {
	k0, k1 := binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])
	v := [4]uint64{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573}
	rounds := func(n int) {
		for range n {
			v[0] += v[1]
			v[2] += v[3]
			v[1] = bits.RotateLeft64(v[1], 13) ^ v[0]
			v[3] = bits.RotateLeft64(v[3], 16) ^ v[2]
			v[0] = bits.RotateLeft64(v[0], 32)
			v[2] += v[1]
			v[0] += v[3]
			v[1] = bits.RotateLeft64(v[1], 17) ^ v[2]
			v[3] = bits.RotateLeft64(v[3], 21) ^ v[0]
			v[2] = bits.RotateLeft64(v[2], 32)
		}
	}
	padded := slices.Clone(b)
	for len(padded)%8 != 7 {
		padded = append(padded, 0)
	}
	padded = append(padded, byte(len(b)))
	for ; len(padded) > 0; padded = padded[8:] {
		m := binary.LittleEndian.Uint64(padded)
		v[3] ^= m
		rounds(c)
		v[0] ^= m
	}
	v[2] ^= 0xff
	rounds(d)
	return v[0] ^ v[1] ^ v[2] ^ v[3]
}

// The plain form gives the vectors of the SipHash paper (2-4), and Fingerprint
// agrees with the plain form (1-3).
func TestFingerprint(t *testing.T) {
	var key [16]byte
	var msg []byte
	for i := range key {
		key[i] = byte(i)
	}
	for i := range 15 {
		msg = append(msg, byte(i))
	}
	if got := sipPlain(2, 4, key, msg); got != 0xa129ca6149be45e5 {
		t.Fatalf("SipHash-2-4 of the paper's message is %#x", got)
	}
	if got := sipPlain(2, 4, key, nil); got != 0x726fdb47dd0e0e31 {
		t.Fatalf("SipHash-2-4 of nothing is %#x", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		copy(key[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key"))
		b := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "text")
		if got, want := match.Fingerprint(match.NewKey(key), b), sipPlain(1, 3, key, b); got != want {
			t.Fatalf("Fingerprint %#x, want %#x", got, want)
		}
	})
}

// table is a match.Source in memory.
type table struct {
	key match.Key

	mu     sync.Mutex
	tokens []string
	finds  int
	err    error
}

func (s *table) Version(context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(len(s.tokens)), s.err
}

func (s *table) After(_ context.Context, seq int64, f func(uint64)) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens[seq:] {
		f(match.Fingerprint(s.key, []byte(t)))
	}
	return int64(len(s.tokens)), s.err
}

func (s *table) Keys(context.Context) ([]match.Key, error) { return []match.Key{s.key}, s.err }

func (s *table) Shapes(context.Context) (all []scanner.Shape, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens {
		if shape := (scanner.Shape{Len: len(t)}); !slices.Contains(all, shape) {
			all = append(all, shape)
		}
	}
	return all, s.err
}

func (s *table) Find(_ context.Context, c []byte) (scanner.KnownToken, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finds++
	i := slices.Index(s.tokens, string(c))
	return scanner.KnownToken{ID: fmt.Sprint(i)}, i >= 0, s.err
}

func (s *table) Own(c []byte) bool { return len(c) > 3 && string(c[:3]) == "own" }

func (s *table) OwnShapes() []scanner.Shape { return []scanner.Shape{{Len: 7, Extra: "_"}} }

func (s *table) add(tokens ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = append(s.tokens, tokens...)
}

func newSet(t testing.TB, s *table) *match.Set {
	t.Helper()
	set, err := match.New(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(set.Close)
	return set
}

func TestSet(t *testing.T) {
	s := &table{key: match.NewKey([16]byte{1, 2, 3})}
	s.add("alpha", "beta")
	set := newSet(t, s)
	ask := func(c string, want bool) {
		t.Helper()
		if k, ok := set.Lookup([]byte(c)); ok != want || ok && k.ID == "" {
			t.Errorf("Lookup(%q) = %v, %v; want %v", c, k, ok, want)
		}
	}
	ask("alpha", true)
	ask("gamma", false)
	if s.finds != 1 {
		t.Errorf("%d queries; a miss must not ask the database", s.finds)
	}
	s.add("gamma", "own_one")
	ask("gamma", false) // not loaded yet
	ask("own_one", true)
	if err := set.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	ask("gamma", true)
	want := []scanner.Shape{{Len: 4}, {Len: 5}, {Len: 7}, {Len: 7, Extra: "_"}}
	if got := set.Shapes(); !slices.Equal(got, want) {
		t.Errorf("shapes %v, want %v", got, want)
	}
}

// What changes in the registry reaches the set by itself within a second.
func TestSetFollows(t *testing.T) {
	s := &table{}
	set := newSet(t, s)
	s.add("delta")
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, ok := set.Lookup([]byte("delta")); ok {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a new token was not seen in 10 s")
		}
		<-time.After(time.Millisecond)
	}
}

// A registry that stops answering makes the set say so.
func TestSetErr(t *testing.T) {
	s := &table{}
	s.add("alpha")
	set := newSet(t, s)
	boom := errors.New("boom")
	s.mu.Lock()
	s.err = boom
	s.mu.Unlock()
	if _, ok := set.Lookup([]byte("alpha")); ok || !errors.Is(set.Err(), boom) {
		t.Errorf("Lookup found %v, Err %v; want nothing and boom", ok, set.Err())
	}
	if err := set.Refresh(context.Background()); !errors.Is(err, boom) {
		t.Errorf("Refresh: %v, want boom", err)
	}
	if _, err := match.New(context.Background(), s); !errors.Is(err, boom) {
		t.Errorf("New: %v, want boom", err)
	}
}

// However tokens arrive, few or many at once, the set holds all of them, and while it
// takes them in it answers and misses nothing of what it knew.
func TestSetGrows(t *testing.T) {
	s := &table{}
	s.add("token00000")
	set := newSet(t, s)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if _, ok := set.Lookup([]byte("token00000")); !ok {
						t.Error("a token is not found while others are added")
						return
					}
					set.Shapes()
				}
			}
		})
	}
	n := 1
	for _, step := range []int{1, 10, 1500, 1, 600, 600, 3000, 200} {
		for range step {
			s.add(fmt.Sprintf("token%05d", n))
			n++
		}
		if err := set.Refresh(context.Background()); err != nil {
			t.Fatal(err)
		}
		if set.Len() != n {
			t.Errorf("%d fingerprints, want %d", set.Len(), n)
		}
	}
	close(stop)
	wg.Wait()
	for i := range n {
		if _, ok := set.Lookup(fmt.Appendf(nil, "token%05d", i)); !ok {
			t.Fatalf("token %d is not found", i)
		}
	}
}

func BenchmarkLookupNegative(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := &table{}
			for i := range n {
				s.tokens = append(s.tokens, fmt.Sprintf("a token of forty characters or so, %06d", i))
			}
			set := newSet(b, s)
			c := []byte("a text of forty characters or so, 000000")
			b.ResetTimer()
			for i := range b.N {
				binary.LittleEndian.PutUint32(c[30:], uint32(i)|1<<31)
				set.Lookup(c)
			}
		})
	}
}

// A Set that waits answers when its source is back, with all that was changed meanwhile;
// it fails when waiting is in vain.
func TestWait(t *testing.T) {
	s := &table{}
	s.add("token-one")
	set := newSet(t, s)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	gone, odd := errors.New("gone"), errors.New("odd")
	failed, over := make(chan error, 1000), make(chan bool, 1000)
	set.Wait(ctx, func(err error) bool {
		if err == nil {
			over <- true
		} else {
			failed <- err
		}
		return errors.Is(err, gone)
	})
	fail := func(err error) { s.mu.Lock(); defer s.mu.Unlock(); s.err = err }
	look := func(text string) <-chan bool {
		got := make(chan bool, 1)
		go func() { _, ok := set.Lookup([]byte(text)); got <- ok }()
		return got
	}
	fail(gone)
	got := look("token-one")
	if err := <-failed; !errors.Is(err, gone) {
		t.Error(err)
	}
	s.add("token-two")
	for set.Refresh(t.Context()) == nil { // and the set's own refreshing fails, too
		time.Sleep(time.Millisecond)
	}
	select {
	case ok := <-got:
		t.Errorf("answered %v without a source", ok)
	case <-failed: // it asks on
	}
	fail(nil)
	if !<-got || !<-over || !<-look("token-two") || <-look("no-token") || set.Err() != nil {
		t.Errorf("not all is known again: %v", set.Err())
	}
	fail(gone)
	got = look("token-one")
	for len(failed) > 0 {
		<-failed
	}
	<-failed
	stop()
	if <-got || !errors.Is(set.Err(), gone) {
		t.Errorf("after its end: %v", set.Err())
	}
	fail(odd)
	if <-look("token-one") { // in vain: at once
		t.Error("answered without a source")
	}
}
