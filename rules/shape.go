package rules

import (
	"sort"

	"github.com/quench-dev/quench/rules/internal/shape"
)

// ShapeState is what an offline check found.
type ShapeState = shape.State

// The outcomes of a shape; package shape says what each means.
const (
	ShapeUnknown  = shape.Unknown
	ShapeValid    = shape.Valid
	ShapeInvalid  = shape.Invalid
	ShapeHarmless = shape.Harmless
)

// ShapeResult is the answer of a shape: a state and, in words that fit after
// "because", what it rests on. Why never holds bytes of the secret.
type ShapeResult = shape.Result

// quenchName is the shape of this program's own tokens, which ParseToken knows.
const quenchName = "quench"

var quenchShape = shape.Shape{Doc: "a token of a Quench registry: see ParseToken", Checksum: true, Check: func(s []byte) ShapeResult {
	if _, ok := ParseToken(s); !ok {
		return shape.No("wrong checksum")
	}
	return shape.Yes("right checksum")
}}

func shapeNamed(name string) (shape.Shape, bool) {
	if name == quenchName {
		return quenchShape, true
	}
	return shape.Named(name)
}

// CheckShape runs the shape called name on secret. A name that the loader would
// refuse is Unknown.
func CheckShape(name string, secret []byte) ShapeResult {
	s, ok := shapeNamed(name)
	if !ok {
		return shape.Perhaps("no such shape")
	}
	return s.Check(secret)
}

// ShapeNames lists the shapes a rule can name, sorted.
func ShapeNames() []string {
	names := append(shape.Names(), quenchName)
	sort.Strings(names)
	return names
}

// ShapeDoc says in a phrase what the shape called name checks.
func ShapeDoc(name string) string {
	s, _ := shapeNamed(name)
	return s.Doc
}

// ShapeChecksum reports whether the shape called name is a checksum: a wrong one
// proves that a text is no such secret.
func ShapeChecksum(name string) bool {
	s, _ := shapeNamed(name)
	return s.Checksum
}
