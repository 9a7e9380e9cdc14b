package fault

import (
	"fmt"
	"html/template"
	"net/http"
	"path"
)

// TypePath is where the pages of the problem types lie, on every port that
// answers with problems: a type is a reference to its page.
const TypePath = "/api/problems/"

// about says when a kind comes and what a client does about it.
func about(k Kind) (when, remedy string) {
	switch k {
	case BadRequest:
		return "The request could not be read: broken JSON, a header that makes no sense, a cursor of another list.", "Correct the request. Sending it again unchanged gives the same answer."
	case Unauthenticated:
		return "There is no token or API key, or it is malformed, expired or revoked.", "Log in or refresh the token, or use another key; then send the request again."
	case Forbidden:
		return "The credentials are good, but their role or scope does not allow this, or a browser's origin is not on the list.", "Use credentials of a role that may; the document names each route's roles as x-roles."
	case NotFound:
		return "There is no such route, or the tenant of the credentials has no such thing. Another tenant's things are not found either.", "Check the id or key."
	case MethodNotAllowed:
		return "The route exists, but not with this method.", "See the document for its methods."
	case Conflict:
		return "The state of the thing does not allow this: a key that is taken, a batch that already runs, a thing that is still in use, a request with the same Idempotency-Key that is still running.", "Read the thing and decide anew; detail gives the reason."
	case PreconditionFailed:
		return "The thing has changed since the version that If-Match names.", "Read it again, look at what changed, and repeat the change with the new ETag."
	case TooLarge:
		return "The body, or what it unpacks to, is larger than the limit, or it holds too many items.", "Send it in parts."
	case UnsupportedMedia:
		return "The Content-Type or Content-Encoding is none that the route takes.", "Use one that the document names."
	case Invalid:
		return "The request can be read, but a part of it breaks a rule. errors names each: location (item and field), rule (stable, for programs) and message (for people). errors_total counts them when the list is cut short, rejected the items concerned.", "Correct what errors names."
	case PreconditionRequired:
		return "A change needs the header If-Match, so that nobody overwrites what they have not seen.", "Send the ETag that reading gave, or * for whichever version holds."
	case RateLimited:
		return "The caller, its tenant or its address has sent more than is allowed. The RateLimit headers say how much that is.", "Wait as long as Retry-After says."
	case Unavailable:
		return "A part of the service is away (its checks are at /health) or full. What was sent may or may not be stored; sending it again is safe where the route says so.", "Wait as long as Retry-After says and send it again, with the same Idempotency-Key if it had one."
	case Timeout:
		return "The request took too long to arrive.", "Send it again over a better connection, or in smaller parts."
	case Internal:
	}
	return "The service made an error. What it was stands in its log under the answer's X-Request-Id and is told to nobody outside.", "Tell the operator the X-Request-Id. Trying again may help."
}

var pageForm = template.Must(template.New("problem").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Title}}</title><meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body><h1>{{.Title}}</h1><p>Problem type <code>{{.Type}}</code>, status {{.Status}}.</p><h2>When</h2><p>{{.When}}</p><h2>What to do</h2><p>{{.Remedy}}</p></body></html>
`))

// Kinds lists all kinds.
func Kinds() []Kind {
	var out []Kind
	for k := Internal; k <= Timeout; k++ {
		out = append(out, k)
	}
	return out
}

// Type is the reference to a kind's page, as problems carry it.
func (k Kind) Type() string { return TypePath + shapeOf(k).slug }

// ServePage shows the page of the problem type that the URL names.
func ServePage(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	for _, k := range Kinds() {
		s := shapeOf(k)
		if s.slug != name {
			continue
		}
		when, remedy := about(k)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "public, max-age=3600")
		// An error here means that the client is gone.
		_ = pageForm.Execute(w, map[string]string{"Title": s.title, "Type": k.Type(), "Status": fmt.Sprint(s.status), "When": when, "Remedy": remedy})
		return
	}
	Problem(w, New(NotFound, "there is no such problem type"))
}
