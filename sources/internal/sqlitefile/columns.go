package sqlitefile

import "strings"

// columnsOf reads the names of the stored columns off a CREATE TABLE statement, as
// SQLite keeps it, and whether its rows lie in the order of them: rows of tables
// WITHOUT ROWID begin with the key. It is no parser of SQL: a name that it reads
// wrong is a name shown wrong.
func columnsOf(sql string) (columns []string, rowid bool) {
	open := strings.IndexByte(sql, '(')
	if open < 0 {
		return nil, true
	}
	parts, tail := split(sql[open+1:])
	for _, part := range parts {
		name, rest := identifier(part)
		switch strings.ToUpper(name) {
		case "CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN":
			if !strings.ContainsAny(part[:1], "\"`[") {
				continue
			}
		}
		if up := strings.ToUpper(rest); strings.Contains(up, " AS ") && strings.Contains(up, "(") && !strings.Contains(up, "STORED") {
			continue // generated when it is read: no row has it
		}
		columns = append(columns, name)
	}
	return columns, !strings.Contains(strings.ToUpper(tail), "WITHOUT")
}

// split cuts what lies in parentheses at its commas and gives what follows.
func split(s string) (parts []string, tail string) {
	depth, from := 0, 0
	add := func(end int) {
		if p := strings.TrimSpace(s[from:end]); p != "" {
			parts = append(parts, p)
		}
		from = end + 1
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '\'', '"', '`', '[':
			if c == '[' {
				c = ']'
			}
			n := strings.IndexByte(s[i+1:], c)
			if n < 0 {
				return parts, ""
			}
			i += n + 1
		case '(':
			depth++
		case ')':
			if depth == 0 {
				add(i)
				return parts, s[i+1:]
			}
			depth--
		case ',':
			if depth == 0 {
				add(i)
			}
		case '-':
			if strings.HasPrefix(s[i:], "--") {
				n := strings.IndexByte(s[i:], '\n')
				if n < 0 {
					return parts, ""
				}
				s = s[:i] + strings.Repeat(" ", n) + s[i+n:]
			}
		}
	}
	return parts, ""
}

// identifier reads the name that s begins with.
func identifier(s string) (name, rest string) {
	for _, q := range []string{`""`, "``", "[]", "''"} {
		if s[0] == q[0] {
			if n := strings.IndexByte(s[1:], q[1]); n >= 0 {
				return s[1 : 1+n], s[2+n:]
			}
		}
	}
	if i := strings.IndexAny(s, " \t\r\n("); i > 0 {
		return s[:i], s[i:]
	}
	return s, ""
}
