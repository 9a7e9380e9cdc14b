package api

import (
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// aboutText is what the document and its pages begin with.
const aboutText = `Master data, events, alarms, readings, anomalies, OEE and stops of food plants, and what happens there live.

**Credentials.** ` + "`POST /api/v1/auth/login`" + ` answers an e-mail address and a password with an access token, which every other route takes as ` + "`Authorization: Bearer …`" + ` for 30 minutes, and a refresh token for the next one. Programs send an API key as ` + "`X-API-Key`" + ` instead. Both belong to one tenant, and what is another tenant's isn't found.

**Changes** name the version they change: ` + "`If-Match`" + ` with the ETag that reading gave, or ` + "`*`" + `. A POST with an ` + "`Idempotency-Key`" + ` can be sent again.

**Lists** come in pages: ` + "`next_cursor`" + `, where there is one, is the next page's ` + "`cursor`" + `, under the same filters and sort.

**Errors** are problems of RFC 9457; ` + "`errors`" + ` names each field and the rule it breaks.`

// tags are the document's chapters, in the order in which a plant is set up.
func tags() []*huma.Tag {
	var out []*huma.Tag
	for _, t := range [][2]string{
		{"info", "What this is, and whether it works."},
		{"auth", "Log-in, the tokens it gives, and who the caller is."},
		{"users", "People who log in, and what their roles may do."},
		{"api keys", "Keys of gateways and programs: scoped, expiring, revocable within a second."},
		{"calendars", "Shifts in a time zone of their own, with breaks and exceptions."},
		{"products", "What lines make."},
		{"lines", "Production lines: ideal rates, calendar, and what they are doing."},
		{"stop reasons", "Why lines stop, as a tree."},
		{"sensors", "Sensors, their limits and how they are watched."},
		{"readings", "What sensors read: recorded through the API, and read back raw or rolled up."},
		{"batches", "A product's runs on a line, from plan to completion, with lots, costs and yield."},
		{"oee", "OEE, losses, time ledger and stops of lines and batches."},
		{"anomalies", "What the detector found in readings."},
		{"alarms", "Limits that were passed: raised, acknowledged, shelved, cleared (ISA-18.2)."},
		{"live", "What happens, as it happens."},
		{"events", "The event store: every change, with its data."},
		{"audit", "Who changed what, in a chain of hashes."},
		{"jobs", "Long work and how far it is."},
		{"tenants", "The customers of the installation."},
	} {
		out = append(out, &huma.Tag{Name: t[0], Description: t[1]})
	}
	return out
}

// forWhom says in words who may call a route.
func (r Roles) forWhom() string {
	switch {
	case r == nil:
		return "Needs no credentials."
	case len(r) == 1:
		return "For the role " + r[0] + "."
	case len(r) == len(anyone()):
		return "For every role."
	}
	return "For the roles " + strings.Join(r[:len(r)-1], ", ") + " and " + r[len(r)-1] + "."
}

// one is a thing in words, with its article: an API key.
func one(noun string) string {
	noun = strings.ReplaceAll(strings.ReplaceAll(noun, "-", " "), "api", "API")
	if strings.ContainsRune("aeioA", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}
