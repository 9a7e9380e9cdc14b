package telemetry

import "regexp"

// What an error's text may carry that is nobody else's business.
var (
	schemes  = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[^\s"',;]+`)
	apiKeys  = regexp.MustCompile(`\bff_[A-Za-z0-9]+_[A-Za-z0-9_-]+`)
	tokens   = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*)*`)
	userinfo = regexp.MustCompile(`://[^/\s@"']*@`)
	named    = regexp.MustCompile(`(?i)\b([a-z_.-]*(password|passwd|secret|token|api[-_]?key|authorization|cookie|dsn))(["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s&,;"']+)`)
	// Quoted is what somebody sent: a value that can't be read, a key twice.
	quoted   = regexp.MustCompile(`"(\\.|[^"\\])*"?`)
	ticked   = regexp.MustCompile("`[^`]*`?")
	mailbox  = regexp.MustCompile(`\b[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}\b`)
	longWord = regexp.MustCompile(`\b[A-Za-z0-9+/_-]{40,}={0,2}`)
)

// maxText bounds a text that is told.
const maxText = 500

// Scrub takes keys, tokens, passwords, addresses of people and quoted input out
// of an error's text, and cuts it short.
func Scrub(text string) string {
	text = text[:min(len(text), 8*maxText)]
	for _, s := range []struct {
		what *regexp.Regexp
		with string
	}{
		{schemes, "$1 …"},
		{apiKeys, "ff_…"},
		{tokens, "eyJ…"},
		{userinfo, "://…@"},
		{named, "$1$3…"},
		{quoted, `"…"`},
		{ticked, "`…`"},
		{mailbox, "…@…"},
		{longWord, "…"},
	} {
		text = s.what.ReplaceAllString(text, s.with)
	}
	return text[:min(len(text), maxText)]
}
