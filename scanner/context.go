package scanner

import (
	"github.com/quench-dev/quench/scanner/internal/near"
)

// decideContext calls add with each value near the keyword that the rule accepts,
// and refused, where it is not nil, with why others were not.
func (e *Engine) decideContext(buf []byte, a anchor, add func(raw), refused func(refusal string)) {
	c := a.rule
	if c.Compile() != nil {
		return
	}
	c.Near.Values(buf, a.start, a.end, func(start, end int, name [2]int) {
		m, refusal := e.judge(c.Rule, buf, start, end)
		if refusal == "" && near.Wordy(buf, name, start, end) {
			refusal = "it reads like a name, not like a key"
		}
		if refusal != "" {
			if refused != nil {
				refused(refusal)
			}
			return
		}
		m.key = string(buf[name[0]:name[1]])
		m.why = append(m.why, "near the name of "+c.Rule.ProviderName)
		add(m)
	})
}
