package audit

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Opening is the text of a leaf's hashes, with their salts. A field that was erased is
// nil: without its salt the hash tells nothing of it, not even to who guesses.
type Opening struct {
	Actor   *Opened `json:"actor,omitempty"`
	Details *Opened `json:"details,omitempty"` // JSON of a map
}

// Opened is one text and its salt of 16 random bytes.
type Opened struct {
	Salt []byte `json:"salt"`
	Text string `json:"text"`
}

// hash is the hash of the field's text as a leaf holds it.
func (o *Opened) hash(field string) []byte {
	h := sha256.New()
	fmt.Fprintf(h, "quench audit %s\x00%d\x00", field, len(o.Salt))
	h.Write(o.Salt)
	h.Write([]byte(o.Text))
	return h.Sum(nil)
}

// salted salts a text and hashes it.
func salted(field, text string) ([]byte, *Opened) {
	o := &Opened{Salt: make([]byte, 16), Text: text}
	rand.Read(o.Salt)
	return o.hash(field), o
}

// errOpening: the text of a leaf is not what was hashed.
var errOpening = errors.New("its text is not what was written")

// opened reads the fields of a leaf from what opens it.
func (v *leaf) opened(e *Entry, open []byte) error {
	var o Opening
	if len(open) > 0 {
		if err := json.Unmarshal(open, &o); err != nil {
			return errOpening
		}
	}
	for _, f := range []struct {
		name string
		want []byte
		have *Opened
		set  func(string) error
	}{
		{"actor", v.Actor, o.Actor, func(s string) error { e.Actor = s; return nil }},
		{"details", v.Details, o.Details, func(s string) error { return json.Unmarshal([]byte(s), &e.Details) }},
	} {
		switch {
		case f.have == nil && f.want != nil:
			e.Erased = append(e.Erased, f.name)
		case f.have == nil:
		case subtle.ConstantTimeCompare(f.have.hash(f.name), f.want) != 1 || f.set(f.have.Text) != nil:
			return errOpening
		}
	}
	return nil
}

// EraseKind is the kind of the event that tells of an erasure. Its public details
// actor and details are the events of which each was erased, as ranges such as 3-5,9.
const EraseKind = "audit.erase"

// Erase erases, of each event, what want says, and appends the event e, which tells of
// what was erased and must not repeat it. It returns how many fields there were. What
// backups, exports and segments hold is not erased.
func Erase(ctx context.Context, tx *sql.Tx, now time.Time, e Event, want func(Entry) (actor, details bool)) (n int, err error) {
	var actors, details ranges
	opens := map[int64][]byte{}
	err = each(ctx, tx, 0, "", func(x Entry, _, open []byte) error {
		var o Opening
		if err := json.Unmarshal(open, &o); err != nil {
			return fmt.Errorf("%w: event %d: %w", ErrTampered, x.Index, errOpening)
		}
		a, d := want(x)
		if a = a && o.Actor != nil; a {
			o.Actor = nil
			actors.add(x.Index)
			n++
		}
		if d = d && o.Details != nil; d {
			o.Details = nil
			details.add(x.Index)
			n++
		}
		if a || d {
			opens[x.Index], err = json.Marshal(o)
		}
		return err
	})
	if err != nil || n == 0 {
		return 0, err
	}
	for idx, open := range opens {
		if _, err := tx.ExecContext(ctx, "UPDATE audit_leaves SET open = ? WHERE idx = ?", open, idx); err != nil {
			return 0, err
		}
	}
	e.Kind, e.Public = EraseKind, map[string]string{"actor": actors.String(), "details": details.String()}
	_, err = Append(ctx, tx, now, e)
	return n, err
}

// ranges are indexes in rising order.
type ranges [][2]int64

func (r *ranges) add(i int64) {
	if n := len(*r); n > 0 && (*r)[n-1][1]+1 == i {
		(*r)[n-1][1] = i
		return
	}
	*r = append(*r, [2]int64{i, i})
}

func (r ranges) String() string {
	var all []string
	for _, x := range r {
		s := strconv.FormatInt(x[0], 10)
		if x[1] > x[0] {
			s += "-" + strconv.FormatInt(x[1], 10)
		}
		all = append(all, s)
	}
	return strings.Join(all, ",")
}

// parseRanges reads what String writes.
func parseRanges(s string) (r ranges, err error) {
	for part := range strings.SplitSeq(s, ",") {
		if part == "" {
			continue
		}
		from, to, _ := strings.Cut(part, "-")
		if to == "" {
			to = from
		}
		a, err := strconv.ParseInt(from, 10, 64)
		if err != nil {
			return nil, err
		}
		b, err := strconv.ParseInt(to, 10, 64)
		if err != nil || b < a {
			return nil, fmt.Errorf("range %q", part)
		}
		r = append(r, [2]int64{a, b})
	}
	return r, nil
}

// erasures compares what is erased with what events say was.
type erasures struct {
	erased map[string][]int64 // by field, rising
	told   map[string]ranges
}

func (x *erasures) add(e Entry) error {
	if x.erased == nil {
		x.erased, x.told = map[string][]int64{}, map[string]ranges{}
	}
	for _, f := range e.Erased {
		x.erased[f] = append(x.erased[f], e.Index)
	}
	if e.Kind != EraseKind {
		return nil
	}
	for _, f := range []string{"actor", "details"} {
		r, err := parseRanges(e.Public[f])
		if err != nil {
			return fmt.Errorf("%w: event %d: %w", ErrTampered, e.Index, err)
		}
		if n := len(r); n > 0 && r[n-1][1] >= e.Index {
			return fmt.Errorf("%w: event %d tells that later ones were erased", ErrTampered, e.Index)
		}
		x.told[f] = append(x.told[f], r...)
	}
	return nil
}

// check finds what was taken away and no event tells of. n is how many fields were
// erased rightly.
func (x *erasures) check() (n int64, err error) {
	for _, f := range slices.Sorted(maps.Keys(x.erased)) { // the same error every time
		all, told := x.erased[f], x.told[f]
		slices.SortFunc(told, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
		i, end := 0, int64(-1)
		for _, idx := range all {
			for ; i < len(told) && told[i][0] <= idx; i++ {
				end = max(end, told[i][1])
			}
			if idx > end {
				return n, fmt.Errorf("%w: the %s of event %d is missing, and no event tells that it was erased", ErrTampered, f, idx)
			}
			n++
		}
	}
	return n, nil
}
