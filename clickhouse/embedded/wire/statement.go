package wire

import (
	"strings"

	"github.com/foodflow/foodflow/clickhouse/embedded/chdb"
)

// Kind is what a request's text asks for.
type Kind uint8

// Kinds of statements.
const (
	Rows   Kind = iota // answers with rows, streamed
	Show               // answers with few rows, taken whole
	Action             // DDL, SET, INSERT … SELECT, INSERT … VALUES (…)
	Insert             // INSERT with data in some format
)

// Statement is a request's text, taken apart as far as HTTP needs it.
type Statement struct {
	Kind   Kind
	Text   string // without inline data and, for inserts, without FORMAT
	Format string // the FORMAT clause, "" without one
	Data   string // what follows an insert's FORMAT clause

	cut int // where a SELECT's FORMAT clause begins, or its text ends
}

// Parse classifies text. bodyFollows says that more data comes behind text, as
// with INSERT … VALUES in the URL and rows in the body.
func Parse(text string, bodyFollows bool) (Statement, error) {
	sc := scanner{s: text}
	head, _ := sc.word()
	kind := Action
	switch strings.ToUpper(head) {
	case "INSERT":
		return parseInsert(text, &sc, bodyFollows)
	case "SELECT", "WITH", "FROM", "(":
		kind = Rows
	case "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "CHECK":
		kind = Show
	}
	return parseOther(kind, text, &sc)
}

// parseOther finds the FORMAT clause on the top level, which is the last one,
// and refuses what ClickHouse refuses over HTTP.
func parseOther(kind Kind, text string, sc *scanner) (Statement, error) {
	st := Statement{Kind: kind, Text: text, cut: len(text)}
	last := ""
	for {
		w, ok := sc.word()
		if !ok {
			return st, nil
		}
		if sc.depth > 0 {
			continue
		}
		start := sc.pos - len(w)
		switch strings.ToUpper(w) {
		case ";":
			if _, more := sc.word(); more {
				return st, chdb.Raise(62, "SYNTAX_ERROR", "Multi-statements are not allowed")
			}
			st.Text = text[:start]
			st.cut = min(st.cut, start)
			return st, nil
		case "OUTFILE":
			if strings.EqualFold(last, "INTO") {
				return st, chdb.Raise(358, "INTO_OUTFILE_NOT_ALLOWED", "INTO OUTFILE is not allowed")
			}
		case "FORMAT":
			if name, ok := sc.word(); ok && isName(name) {
				st.Format, st.cut = name, start
			}
		case "INSERT":
			if kind == Rows { // WITH … INSERT INTO … SELECT begins as a SELECT does
				st.Kind = Action
			}
		}
		last = w
	}
}

// Around gives the text on both sides of the place of INTO OUTFILE, which comes
// before FORMAT; the second part holds a FORMAT clause.
func (st Statement) Around(format string) (before, after string) {
	before, after = st.Text[:st.cut], st.Text[st.cut:]
	if st.Format == "" {
		after = "FORMAT " + format + "\n" + after
	}
	return before, after
}

// Head gives the statement's first two words in capitals.
func (st Statement) Head() (first, second string) {
	sc := scanner{s: st.Text}
	first, _ = sc.word()
	second, _ = sc.word()
	return strings.ToUpper(first), strings.ToUpper(second)
}

// ReadOnly refuses what changes data: a GET request must not, as in ClickHouse.
func (st Statement) ReadOnly() error {
	head, _ := st.Head()
	if st.Kind == Rows || st.Kind == Show || head == "SET" || head == "USE" {
		return nil
	}
	return chdb.Raise(164, "READONLY", "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. You should use method POST for modifying queries")
}

// LeavesTraces says whether a statement leaves something behind on its
// connection that can't be taken back one by one.
func (st Statement) LeavesTraces() bool {
	if st.Kind != Action {
		return false
	}
	head, second := st.Head()
	return head == "SET" || head == "USE" || head == "EXECUTE" || head == "CREATE" && second == "TEMPORARY"
}

// MapTexts replaces the quoted texts of a statement that replace knows; it is
// given each without its quotes and gives SQL.
func (st Statement) MapTexts(replace func(inner string) (sql string, ok bool, err error)) (Statement, error) {
	var out strings.Builder
	done, cut := 0, st.cut
	for sc := (scanner{s: st.Text}); ; {
		w, ok := sc.word()
		if !ok {
			break
		}
		if w[0] != '\'' || len(w) < 2 {
			continue
		}
		sql, ok, err := replace(w[1 : len(w)-1])
		if err != nil {
			return st, err
		}
		if !ok {
			continue
		}
		out.WriteString(st.Text[done : sc.pos-len(w)])
		out.WriteString(sql)
		done = sc.pos
		if sc.pos <= st.cut {
			cut += len(sql) - len(w)
		}
	}
	out.WriteString(st.Text[done:])
	st.Text, st.cut = out.String(), cut
	return st, nil
}

func parseInsert(text string, sc *scanner, bodyFollows bool) (Statement, error) {
	last := ""
	for {
		start := sc.pos
		w, ok := sc.word()
		if !ok {
			if bodyFollows { // ClickHouse's default for data without a format
				return Statement{Kind: Insert, Text: text, Format: "Values"}, nil
			}
			return Statement{Kind: Action, Text: text}, nil
		}
		if sc.depth > 0 {
			continue
		}
		switch strings.ToUpper(w) {
		case "INFILE":
			if strings.EqualFold(last, "FROM") {
				return Statement{}, chdb.Raise(78, "UNKNOWN_TYPE_OF_QUERY", "FROM INFILE is for clients: send the data in the body")
			}
		case "SELECT", "WITH":
			return Statement{Kind: Action, Text: text}, nil
		case "VALUES":
			if rest := strings.TrimSpace(text[sc.pos:]); rest != "" && !bodyFollows {
				return Statement{Kind: Action, Text: text}, nil
			}
			return Statement{Kind: Insert, Text: text[:start], Format: "Values", Data: text[sc.pos:]}, nil
		case "FORMAT":
			name, ok := sc.word()
			if !ok || !isName(name) {
				return Statement{Kind: Action, Text: text}, nil
			}
			return Statement{Kind: Insert, Text: text[:start], Format: name, Data: inlineData(text[sc.pos:])}, nil
		}
		last = w
	}
}

// inlineData drops what separates data from FORMAT Name: blanks and at most one
// line break.
func inlineData(s string) string {
	s = strings.TrimLeft(s, " \t\r;")
	return strings.TrimPrefix(s, "\n")
}

func isName(s string) bool {
	for i := range len(s) {
		if !isWordByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isWordByte(b byte) bool {
	return b == '_' || b == '$' || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}
