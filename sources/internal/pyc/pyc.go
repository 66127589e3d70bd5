// Package pyc reads the string constants of compiled Python modules, under the
// names they are assigned to where the code says so.
//
// A .pyc keeps every literal of its source, which is often gone or never was in the
// repository. The package knows the marshal format and the few instructions that
// store a constant, of CPython 2.7 and 3.x; nothing is run. What it reads is
// hostile: nothing is taken that is longer than what is there, references are not
// followed twice, and depth is bounded. Start reading at Text.
package pyc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// ErrMalformed says that a file begins as a compiled module and is none.
var ErrMalformed = errors.New("malformed compiled module")

const (
	// maxDepth bounds nesting: marshal itself refuses more than 2,000, and code
	// within code of real modules has a dozen.
	maxDepth = 500
	// minString is the shortest constant told: shorter ones are keys and flags.
	minString = 4
	// maxName keeps a long name from being told with each of many values.
	maxName = 100
)

// Is reports whether a file that begins with head is read by Text.
func Is(head []byte) bool {
	if len(head) < 24 || head[2] != '\r' || head[3] != '\n' {
		return false
	}
	n := headerLen(version(head))
	return n > 0 && head[n]&^refFlag == 'c'
}

func version(head []byte) int { return int(binary.LittleEndian.Uint16(head)) }

// headerLen is what precedes the code, by the magic number, which grows with each
// change of the format (Lib/importlib/_bootstrap_external.py).
func headerLen(v int) int {
	switch {
	case v >= 62000 && v < 63000: // 2.5 to 2.7
		return 8
	case v < 3000 || v >= 4000:
		return 0
	case v < 3200: // to 3.2
		return 8
	case v < 3390: // to 3.6
		return 12
	}
	return 16
}

// Text gives the constants, a line each: name = "value" where one is assigned,
// "value" where it is not, the value below its name where it has lines or quotes of
// its own. What was read before a malformed place is given with the error.
func Text(data []byte) ([]byte, error) {
	if !Is(data) {
		return nil, ErrMalformed
	}
	r := &reader{version: version(data)}
	r.rest = data[headerLen(r.version):]
	top := r.object(0)
	w := writer{version: r.version, told: map[*object]bool{}}
	w.object(top)
	for _, c := range r.codes { // of a module that is cut: what is whole in it
		w.object(c)
	}
	for _, s := range r.strings {
		if r.err != nil {
			w.object(s)
		}
	}
	return w.out.Bytes(), r.err
}

// object is what is of interest of a marshalled object: a string, what contains
// others, or code. All else is an empty one.
type object struct {
	text  []byte // of a string
	items []*object
	code  *code
}

type code struct {
	ops           []byte
	consts        *object
	names, locals *object
}

// refFlag marks an object that later ones refer to.
const refFlag = 0x80

type reader struct {
	version  int
	rest     []byte
	refs     []*object
	interned []*object // of Python 2
	codes    []*object
	strings  []*object
	err      error
}

func (r *reader) fail(why string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrMalformed, why)
	}
	r.rest = nil
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.fail("it is cut")
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) u8() int {
	if b := r.take(1); b != nil {
		return int(b[0])
	}
	return 0
}

func (r *reader) i32() int {
	if b := r.take(4); b != nil {
		return int(int32(binary.LittleEndian.Uint32(b)))
	}
	return 0
}

// object reads one; nil stands for the end of a dictionary.
func (r *reader) object(depth int) *object {
	if depth > maxDepth {
		r.fail("nested too deep")
	}
	kind := r.u8()
	if r.err != nil {
		return nil
	}
	o := &object{}
	if kind&refFlag != 0 {
		r.refs = append(r.refs, o) // before what is in it, which may refer to it
	}
	switch kind &^ refFlag {
	case '0':
		return nil
	case 'N', 'F', 'T', 'S', '.':
	case 'i':
		r.take(4)
	case 'I', 'g':
		r.take(8)
	case 'y':
		r.take(16)
	case 'f':
		r.take(r.u8())
	case 'x':
		r.take(r.u8())
		r.take(r.u8())
	case 'l':
		n := r.i32()
		r.take(2 * max(n, -n))
	case 's', 'u', 'a', 'A':
		r.text(o, r.i32())
	case 't':
		if r.text(o, r.i32()); r.version >= 62000 {
			r.interned = append(r.interned, o)
		}
	case 'z', 'Z':
		r.text(o, r.u8())
	case 'R':
		return r.reference(r.interned)
	case 'r':
		return r.reference(r.refs)
	case '(', '[', '<', '>':
		r.list(o, r.i32(), depth)
	case ')':
		r.list(o, r.u8(), depth)
	case ':':
		r.list(o, 3, depth)
	case '{':
		for r.err == nil {
			k := r.object(depth + 1)
			if k == nil {
				break
			}
			o.items = append(o.items, k)
			if v := r.object(depth + 1); v != nil {
				o.items = append(o.items, v)
			}
		}
	case 'c':
		r.code(o, depth)
	default:
		r.fail(fmt.Sprintf("an object of kind %d", kind))
	}
	return o
}

func (r *reader) text(o *object, n int) {
	o.text = r.take(n)
	r.strings = append(r.strings, o)
}

func (r *reader) reference(to []*object) *object {
	if n := r.i32(); n >= 0 && n < len(to) {
		return to[n]
	}
	r.fail("a reference to nothing")
	return nil
}

func (r *reader) list(o *object, n, depth int) {
	if n < 0 || n > len(r.rest) { // an object takes a byte at least
		r.fail("a list longer than what is there")
		return
	}
	for range n {
		if r.err != nil {
			return
		}
		if x := r.object(depth + 1); x != nil {
			o.items = append(o.items, x)
		}
	}
}

// code reads a code object, whose fields depend on the version.
func (r *reader) code(o *object, depth int) {
	ints := 5
	switch v := r.version; {
	case v >= 62000:
		ints = 4
	case v >= 3400 && v < 3450: // 3.8 to 3.10: positional-only arguments
		ints = 6
	}
	r.take(4 * ints)
	c := &code{}
	sub := func() *object {
		if r.err != nil {
			return nil
		}
		return r.object(depth + 1)
	}
	if ops := sub(); ops != nil {
		c.ops = ops.text
	}
	c.consts, c.names, c.locals = sub(), sub(), sub()
	o.code = c
	r.codes = append(r.codes, o)
	if r.version >= 3450 && r.version < 62000 { // 3.11: kinds of locals; file, name, qualified name
		for range 4 {
			sub()
		}
		r.take(4) // first line
		sub()     // lines
		sub()     // exceptions
		return
	}
	for range 4 { // free and cell variables, file, name
		sub()
	}
	r.take(4)
	sub()
}

// opcodes are those that put a constant into a name (Include/opcode.h), and the
// first that has an argument where others have none.
type opcodes struct {
	loadConst, loadName, loadFast, storeName, storeGlobal, storeAttr, storeFast, extended byte
	argument                                                                              byte
}

func opcodesOf(version int) (o opcodes, known bool) {
	switch {
	case version >= 62000: // 2.7
		return opcodes{100, 101, 124, 90, 97, 95, 125, 145, 90}, true
	case version >= 3370 && version < 3550: // 3.6 to 3.12
		return opcodes{100, 101, 124, 90, 97, 95, 125, 144, 0}, true
	case version >= 3550 && version < 3600: // 3.13
		return opcodes{83, 92, 85, 114, 113, 108, 110, 71, 0}, true
	}
	return o, false
}

type writer struct {
	version int
	out     bytes.Buffer
	told    map[*object]bool
}

// object tells of all strings in o that were not told, each once.
func (w *writer) object(o *object) {
	if o == nil || w.told[o] {
		return
	}
	if o.code != nil {
		w.assignments(o.code)
		w.told[o] = true
		w.object(o.code.consts)
		return
	}
	w.told[o] = true
	if o.text != nil {
		w.line("", o.text)
	}
	for _, x := range o.items {
		w.object(x)
	}
}

// assignments tells of the constants that are stored as they are loaded, and not
// passed to anything before.
func (w *writer) assignments(c *code) {
	op, known := opcodesOf(w.version)
	if !known || c.consts == nil {
		return
	}
	var loaded, waiting *object // waiting is loaded, one instruction ago, for an attribute
	for ins, arg := range w.instructions(c.ops, op) {
		var names *object
		value := loaded
		switch ins {
		case op.loadConst:
			loaded, waiting = at(c.consts, arg), nil
			continue
		case op.loadName, op.loadFast: // self, of self.password = "…"
			loaded, waiting = nil, loaded
			continue
		case op.storeName, op.storeGlobal:
			names = c.names
		case op.storeAttr:
			names, value = c.names, waiting
		case op.storeFast:
			names = c.locals
		}
		loaded, waiting = nil, nil
		if name := at(names, arg); name != nil && name.text != nil && value != nil && value.text != nil && !w.told[value] {
			w.told[value] = true
			w.line(string(name.text), value.text)
		}
	}
}

// instructions gives those of a code object with their whole arguments.
func (w *writer) instructions(ops []byte, op opcodes) iter.Seq2[byte, int] {
	return func(yield func(byte, int) bool) {
		for arg, i := 0, 0; i < len(ops); {
			ins, width := ops[i], 2
			switch {
			case w.version >= 62000 && ins < op.argument:
				width = 1
			case w.version >= 62000:
				width = 3
			}
			if i+width > len(ops) || arg > 1<<24 {
				return
			}
			switch width {
			case 2:
				arg = arg<<8 | int(ops[i+1])
			case 3:
				arg = arg<<16 | int(ops[i+1]) | int(ops[i+2])<<8
			}
			i += width
			if ins == op.extended {
				continue
			}
			if !yield(ins, arg) {
				return
			}
			arg = 0
		}
	}
}

func at(list *object, i int) *object {
	if list == nil || i >= len(list.items) {
		return nil
	}
	return list.items[i]
}

// line tells of one string, unless it is bytes of no text.
func (w *writer) line(name string, text []byte) {
	if len(text) < minString || bytes.IndexByte(text, 0) >= 0 {
		return
	}
	name = name[:min(len(name), maxName)]
	quote := !bytes.ContainsAny(text, "\n\"")
	switch {
	case name != "" && quote:
		fmt.Fprintf(&w.out, "%s = \"%s\"\n", name, text)
	case name != "":
		fmt.Fprintf(&w.out, "%s =\n%s\n", name, text)
	case quote:
		fmt.Fprintf(&w.out, "\"%s\"\n", text)
	default:
		fmt.Fprintf(&w.out, "%s\n", text)
	}
}
