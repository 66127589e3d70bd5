package gitleaks

import (
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// places holds the lines of rules and allow lists, for errors.
type places struct {
	rules     []int
	ruleLists [][]int
	lists     []int
}

// linesOf reads data once more for its lines only; data has decoded.
func linesOf(data []byte) (ps places) {
	p := unstable.Parser{}
	p.Reset(data)
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind != unstable.ArrayTable && e.Kind != unstable.Table {
			continue
		}
		var parts []string
		line := 0
		for it := e.Key(); it.Next(); {
			parts = append(parts, strings.ToLower(string(it.Node().Data)))
			if line == 0 {
				line = p.Shape(it.Node().Raw).Start.Line
			}
		}
		switch name := strings.Join(parts, "."); name {
		case "rules":
			ps.rules = append(ps.rules, line)
			ps.ruleLists = append(ps.ruleLists, nil)
		case "rules.allowlist", "rules.allowlists":
			if n := len(ps.ruleLists); n > 0 {
				ps.ruleLists[n-1] = append(ps.ruleLists[n-1], line)
			}
		case "allowlist", "allowlists":
			ps.lists = append(ps.lists, line)
		}
	}
	return ps
}

func at(lines []int, i, otherwise int) int {
	if i < len(lines) {
		return lines[i]
	}
	return otherwise
}

func (p places) rule(i int) int { return at(p.rules, i, 1) }
func (p places) list(i int) int { return at(p.lists, i, 1) }

func (p places) ruleList(i, k, otherwise int) int {
	if i < len(p.ruleLists) {
		return at(p.ruleLists[i], k, otherwise)
	}
	return otherwise
}
