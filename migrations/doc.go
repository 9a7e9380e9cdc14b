// Package migrations holds the Postgres schema as numbered, embedded files.
//
// shared/ is the installation's own schema, foodflow: tenants, the index from
// log-in to tenant, refresh tokens, signing keys, the outbox. tenant/ is the
// schema that each tenant has of its own: its plant, its people, its events.
//
// A merged migration never changes; a change is a new file. internal/migrate
// runs them. Files of tenant/ name no schema: search_path decides, so the same
// file makes every tenant's tables, and a file that named a schema would write
// into another's.
package migrations

import (
	"embed"
	"io/fs"
)

//go:embed shared/*.sql tenant/*.sql
var files embed.FS

// Shared gives the migrations of the installation's schema.
func Shared() fs.FS { return sub("shared") }

// Tenant gives the migrations of a tenant's schema.
func Tenant() fs.FS { return sub("tenant") }

// sub can't fail: the directories are embedded under these names.
func sub(dir string) fs.FS {
	f, err := fs.Sub(files, dir)
	if err != nil {
		panic(err)
	}
	return f
}
