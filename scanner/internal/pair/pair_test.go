package pair

import (
	"slices"
	"testing"
)

func TestUp(t *testing.T) {
	id := func(line int) Half { return Half{Rule: "id", Text: "a", Line: line} }
	secret := func(line int) Half { return Half{Rule: "secret", Partner: "id", Text: "a", Line: line} }
	elsewhere := id(2)
	elsewhere.Text = "b"
	row := func(rule, partner string, column int) Half {
		return Half{Rule: rule, Partner: partner, Text: "a", Line: 1, Column: column}
	}
	for name, c := range map[string]struct {
		halves []Half
		want   []int
	}{
		"next line":         {[]Half{id(1), secret(2)}, []int{-1, 0}},
		"secret first":      {[]Half{secret(1), id(2)}, []int{1, -1}},
		"far":               {[]Half{id(1), secret(12)}, []int{-1, -1}},
		"as far as may be":  {[]Half{id(1), secret(11)}, []int{-1, 0}},
		"another text":      {[]Half{elsewhere, secret(2)}, []int{-1, -1}},
		"two entries":       {[]Half{id(1), secret(2), id(4), secret(5)}, []int{-1, 0, -1, 2}},
		"two, secret first": {[]Half{secret(1), id(2), secret(4), id(5)}, []int{1, -1, 3, -1}},
		"one id, two":       {[]Half{id(1), secret(2), secret(3)}, []int{-1, 0, -1}},
		"one line":          {[]Half{row("id", "", 1), row("secret", "id", 30), row("id", "", 80)}, []int{-1, 0, -1}},
		"none":              {nil, []int{}},
	} {
		if got := Up(c.halves); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
