// Package envelope takes the lines of containers out of what runtimes write around
// them: Docker's json-file and the format of the Kubernetes CRI.
//
// Line n of what it gives is record n of the log: a line that was split over records
// stands whole where it began, and its other records are empty lines. What is no
// record stays as it is, so nothing is lost. It knows nothing of secrets. Start
// reading at New.
package envelope

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"unicode/utf8"
)

// Formats are the values of --log-format.
const Formats = "auto, plain, docker, cri"

// maxHeld is how much is held of lines whose last record did not come: 64 times what
// Docker and containerd put into one. A line of more is given in parts.
const maxHeld = 1 << 20

// maxWaiting bounds the records that wait behind a line that is not whole.
const maxWaiting = 4096

// New gives the log in r in a format of Formats; auto tells it by the first line.
func New(r io.Reader, format string) (io.Reader, error) {
	switch format {
	case "plain":
		return r, nil
	case "auto":
		if head, ok := peek(r); ok && !mayBegin(head) {
			return r, nil // a file is read faster as one
		}
	case "docker", "cri":
	default:
		return nil, fmt.Errorf("--log-format %q: want one of %s", format, Formats)
	}
	return &reader{in: r, format: format}, nil
}

// peek gives the first bytes of a regular file.
func peek(r io.Reader) (head []byte, ok bool) {
	f, isFile := r.(*os.File)
	if !isFile {
		return nil, false
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, false
	}
	head = make([]byte, len(docker))
	n, err := f.ReadAt(head, at)
	return head[:n], err == nil || err == io.EOF
}

const docker = `{"log":"`

// mayBegin reports whether a log that begins with head can be in a format.
func mayBegin(head []byte) bool {
	n := min(len(head), len(docker))
	return n == 0 || string(head[:n]) == docker[:n] || head[0] >= '0' && head[0] <= '9'
}

type reader struct {
	in     io.Reader
	format string // auto until the first line tells
	line   []byte // begun
	raw    bool   // the rest of line is given as it is
	queue  []*record
	open   map[string]*record // of each stream, the line that is not whole
	held   int
	out    []byte
	err    error
	chunk  [32 << 10]byte
}

// record is what stands on one line of the output.
type record struct {
	text []byte
	part bool // more of it may come
}

// Read gives what is decided.
func (r *reader) Read(p []byte) (int, error) {
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		var n int
		n, r.err = r.in.Read(r.chunk[:])
		r.take(r.chunk[:n])
		if r.err != nil {
			r.end()
		}
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

func (r *reader) take(b []byte) {
	if r.format == "auto" && !mayBegin(append(r.line, b...)) {
		r.format = "plain"
	}
	for len(b) > 0 && r.format != "plain" {
		i := bytes.IndexByte(b, '\n')
		r.line = append(r.line, b[:i+1]...)
		if i < 0 {
			r.line = append(r.line, b...)
			if len(r.line) > maxHeld {
				r.flush()
				r.raw, r.out, r.line = true, append(r.out, r.line...), r.line[:0]
			}
			return
		}
		b = b[i+1:]
		if r.raw {
			r.raw, r.out = false, append(r.out, r.line...)
		} else {
			r.add(r.line)
		}
		r.line = r.line[:0]
	}
	if len(b) > 0 {
		r.out, r.line = append(append(r.out, r.line...), b...), nil
	}
}

// add takes a line with its line feed.
func (r *reader) add(line []byte) {
	stream, text, part, ok := r.parse(line)
	if r.format == "auto" { // the first line is of no format
		r.format, r.out = "plain", append(r.out, line...)
		return
	}
	switch first := r.open[stream]; {
	case !ok:
		r.queue = append(r.queue, &record{text: bytes.Clone(line[:len(line)-1])})
	case first != nil:
		first.text, first.part = append(first.text, text...), part
		r.queue = append(r.queue, &record{})
		if !part {
			delete(r.open, stream)
		}
	default:
		rec := &record{text: bytes.Clone(text), part: part}
		r.queue = append(r.queue, rec)
		if part {
			if r.open == nil {
				r.open = map[string]*record{}
			}
			r.open[stream] = rec
		}
	}
	r.held += len(line)
	if r.held > maxHeld || len(r.queue) > maxWaiting {
		r.flush()
		return
	}
	for len(r.queue) > 0 && !r.queue[0].part {
		r.give()
	}
	if len(r.queue) == 0 {
		r.held = 0
	}
}

// give puts the first record out.
func (r *reader) give() {
	r.out = append(append(r.out, r.queue[0].text...), '\n')
	r.queue = r.queue[1:]
}

// flush gives all records as far as they are known.
func (r *reader) flush() {
	for len(r.queue) > 0 {
		r.give()
	}
	clear(r.open)
	r.held = 0
}

func (r *reader) end() {
	r.flush()
	r.out = append(r.out, r.line...)
	r.line = nil
}

// parse opens a record, and tells the format by it while that is not known.
func (r *reader) parse(line []byte) (stream string, text []byte, part, ok bool) {
	if r.format != "cri" {
		if stream, text, part, ok = parseDocker(line); ok {
			r.format = "docker"
			return stream, text, part, true
		}
	}
	if r.format != "docker" {
		if stream, text, part, ok = parseCRI(line); ok {
			r.format = "cri"
		}
	}
	return stream, text, part, ok
}

// parseDocker opens {"log":"…\n","stream":"stdout","time":"…"}, whose line goes on in
// the next record of the stream where it has no line feed. A record that holds more,
// such as labels, or bytes that JSON cannot, stays as it is.
func parseDocker(line []byte) (stream string, text []byte, part, ok bool) {
	if !bytes.HasPrefix(line, []byte(docker)) || !utf8.Valid(line) {
		return "", nil, false, false
	}
	var rec struct {
		Log    string `json:"log"`
		Stream string `json:"stream"`
		Time   string `json:"time"`
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if d.Decode(&rec) != nil || len(bytes.TrimSpace(line[d.InputOffset():])) > 0 || !isStream(rec.Stream) || len(rec.Time) > len("2026-01-02T03:04:05.123456789+00:00") {
		return "", nil, false, false
	}
	text, whole := bytes.CutSuffix([]byte(rec.Log), []byte{'\n'})
	if bytes.IndexByte(text, '\n') >= 0 {
		return "", nil, false, false
	}
	return rec.Stream, text, !whole, true
}

// parseCRI opens "TIME stdout F text", where P says that the line goes on.
// Nothing else is one.
func parseCRI(line []byte) (stream string, text []byte, part, ok bool) {
	f := bytes.SplitN(line[:len(line)-1], []byte{' '}, 4)
	if len(f) != 4 || len(f[0]) < len("2026-01-02T03:04:05Z") || len(f[0]) > len("2026-01-02T03:04:05.123456789+00:00") || f[0][4] != '-' || f[0][10] != 'T' || !isStream(string(f[1])) {
		return "", nil, false, false
	}
	if k := string(f[2]); k != "P" && k != "F" {
		return "", nil, false, false
	}
	return string(f[1]), f[3], f[2][0] == 'P', true
}

func isStream(s string) bool { return s == "stdout" || s == "stderr" }
