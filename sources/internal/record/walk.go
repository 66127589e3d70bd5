package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
)

// Walk is a walk as it is kept: what it counted as C, what was asked about it
// afterwards as A for each thing.
type Walk[C, A any] struct {
	State  [sha256.Size]byte // of the repository; other states have other walks
	Counts C
	// Answers are by the questions' hashes.
	Answers map[string][]A
	Entries []byte `json:"-"`
}

// maxAnswers bounds Walk.Answers: other rules have other questions.
const maxAnswers = 4

// Parse reads a walk. All its entries can be read.
func Parse[C, A any](data []byte) (w Walk[C, A], err error) {
	head, entries, ok := bytes.Cut(data, []byte{'\n'})
	if !ok {
		return w, errFormat
	}
	if err := errors.Join(json.Unmarshal(head, &w), Read(entries, func(Entry) error { return nil })); err != nil {
		return w, err
	}
	w.Entries = entries
	return w, nil
}

// Bytes are what Parse reads.
func (w Walk[C, A]) Bytes() ([]byte, error) {
	head, err := json.Marshal(w)
	return append(append(head, '\n'), w.Entries...), err
}

// Answered takes down what a question was answered.
func (w *Walk[C, A]) Answered(question string, answer []A) {
	if w.Answers == nil || len(w.Answers) >= maxAnswers {
		w.Answers = map[string][]A{}
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
