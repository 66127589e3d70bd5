package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/quench-dev/quench/sources/internal/item"
)

// Walk is a walk as it is kept: what it counted as C, and what was asked about it
// afterwards.
type Walk[C any] struct {
	State  [sha256.Size]byte // of the repository; other states have other walks
	Counts C
	// Answers are by the questions' hashes.
	Answers map[string][]item.Attribution
	Entries []byte
}

// maxAnswers bounds Walk.Answers: other rules have other questions.
const maxAnswers = 4

// errOther says that what is kept is of another state, or not whole.
var errOther = errors.New("it is of another state of the repository")

// Open reads a walk that Seal made of a repository in this state.
//
// A walk tells paths, authors and names of refs, and any of these can hold a secret.
// So it is sealed with a key that is made of the repository's state and kept nowhere:
// who has the repository as it is can read there what the walk tells, and nobody can
// read it once that changed, as when a secret is purged from a history.
func Open[C any](data []byte, state, key [sha256.Size]byte) (w Walk[C], err error) {
	sealed, ok := bytes.CutPrefix(data, state[:])
	if !ok {
		return w, errOther
	}
	plain, err := OpenBox(state[:], sealed, key)
	if err != nil {
		return w, err
	}
	head, rest, ok := bytes.Cut(plain, []byte{'\n'})
	if !ok {
		return w, errFormat
	}
	if err := json.Unmarshal(head, &w.Counts); err != nil {
		return w, err
	}
	w.State = state
	w.Answers, w.Entries, err = readAnswers(rest)
	return w, err
}

// Seal gives what Open reads.
func (w Walk[C]) Seal(key [sha256.Size]byte) ([]byte, error) {
	plain, err := json.Marshal(w.Counts)
	if err != nil {
		return nil, err
	}
	return SealBox(w.State[:], slices.Concat(plain, []byte{'\n'}, w.answers(), w.Entries), key)
}

// answers writes the answers: how many bytes they take, and for each its question and
// what was answered.
func (w Walk[C]) answers() []byte {
	var body Writer
	for _, q := range slices.Sorted(maps.Keys(w.Answers)) {
		body.text(q)
		body.number(uint64(len(w.Answers[q])))
		for _, a := range w.Answers[q] {
			body.number(uint64(a.Of))
			body.number(uint64(len(a.Refs)))
			for _, name := range a.Refs {
				body.text(name)
			}
			body.number(uint64(a.RefCount))
		}
	}
	var out Writer
	out.number(uint64(len(body.b)))
	return append(out.b, body.b...)
}

// readAnswers gives what lies behind the answers, too.
func readAnswers(data []byte) (all map[string][]item.Attribution, rest []byte, err error) {
	r := reader{rest: data}
	body := r.bytes(r.number(len(r.rest)))
	rest = r.rest
	if r.failed {
		return nil, nil, errFormat
	}
	for r.rest = body; len(r.rest) > 0 && !r.failed; {
		q, n := r.text(), r.number(len(r.rest)/3) // three numbers each at least
		answer := make([]item.Attribution, 0, n)
		for ; n > 0 && !r.failed; n-- {
			a := item.Attribution{Of: r.number(1 << 40)}
			if k := r.number(len(r.rest)); k > 0 {
				a.Refs = make([]string, 0, k)
				for ; k > 0 && !r.failed; k-- {
					a.Refs = append(a.Refs, r.text())
				}
			}
			a.RefCount = r.number(1 << 40)
			answer = append(answer, a)
		}
		if all == nil {
			all = map[string][]item.Attribution{}
		}
		all[q] = answer
	}
	if r.failed {
		return nil, nil, errFormat
	}
	return all, rest, nil
}

// Answered takes down what a question was answered.
func (w *Walk[C]) Answered(question string, answer []item.Attribution) {
	if w.Answers == nil || len(w.Answers) >= maxAnswers {
		w.Answers = map[string][]item.Attribution{}
	}
	w.Answers[question] = answer
}

// Question names what was asked by a hash.
func Question(asked any) string {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(asked); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}
