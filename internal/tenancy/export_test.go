package tenancy_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/job"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/tenancy"
)

// unpacked is an archive as a stranger reads it, held against its manifest.
type unpacked struct {
	manifest tenancy.Manifest
	lines    map[string][]string // by path
}

func (w *world) unpack(path string) (u unpacked) {
	w.t.Helper()
	f, err := os.Open(path)
	must(w.t, err)
	defer f.Close()
	u.lines = map[string][]string{}
	files := map[string]tenancy.File{}
	for r, first := tar.NewReader(f), true; ; first = false {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(w.t, err)
		raw, err := io.ReadAll(r)
		must(w.t, err)
		if first {
			must(w.t, json.Unmarshal(raw, &u.manifest))
			for _, x := range u.manifest.Files {
				files[x.Path] = x
			}
			continue
		}
		sum := sha256.Sum256(raw)
		x, known := files[h.Name]
		if !known || hex.EncodeToString(sum[:]) != x.SHA256 || int64(len(raw)) != x.Bytes {
			w.t.Errorf("%s is not as the manifest says: %+v", h.Name, x)
		}
		z, err := gzip.NewReader(bytes.NewReader(raw))
		must(w.t, err)
		text, err := io.ReadAll(z)
		must(w.t, err)
		for line := range strings.Lines(string(text)) {
			if !json.Valid([]byte(line)) {
				w.t.Fatalf("%s: %q is no JSON", h.Name, line)
			}
			u.lines[h.Name] = append(u.lines[h.Name], line)
		}
		if int64(len(u.lines[h.Name])) != x.Rows {
			w.t.Errorf("%s has %d rows, the manifest says %d", h.Name, len(u.lines[h.Name]), x.Rows)
		}
		delete(files, h.Name)
	}
	if len(files) != 0 {
		w.t.Errorf("missing: %v", files)
	}
	return u
}

func (u unpacked) rows(prefix string) (n int) {
	for path, lines := range u.lines {
		if strings.HasPrefix(path, prefix) {
			n += len(lines)
		}
	}
	return n
}

// holdsAll holds an archive against the stores.
func (w *world) holdsAll(u unpacked, id, other plant.ID) {
	w.t.Helper()
	counts, err := w.store.Count(w.t.Context(), id)
	must(w.t, err)
	for table, n := range counts {
		if table == "goose_db_version" || table == "idempotency" {
			continue
		}
		got := int64(u.rows("postgres/" + table + ".ndjson.gz"))
		if table == "events" && got == n-1 {
			got++ // that it was exported came after, unless it was exported again
		}
		if got != n {
			w.t.Errorf("%s: %d of %d rows", table, got, n)
		}
	}
	for table, n := range map[string]int{"readings": 1000, "readings_1m": 100, "readings_1h": 100, "readings_1d": 100, "line_events": 10} {
		if got := u.rows("clickhouse/" + table + "/"); got != n {
			w.t.Errorf("%s: %d of %d rows", table, got, n)
		}
	}
	secrets := append(w.keyHashes(id), canary, "password_hash", other.String())
	for path, lines := range u.lines {
		for _, line := range lines {
			for _, secret := range secrets {
				if strings.Contains(line, secret) {
					w.t.Errorf("%s holds %q: %s", path, secret, line)
				}
			}
		}
	}
}

// keyHashes gives what Postgres keeps of a tenant's API keys, as an export
// would write it.
func (w *world) keyHashes(id plant.ID) []string {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), w.places.postgres)
	must(w.t, err)
	defer conn.Close(context.WithoutCancel(w.t.Context()))
	rows, err := conn.Query(w.t.Context(), "SELECT encode(hash, 'hex') FROM "+pgx.Identifier{postgres.Schema(id), "api_keys"}.Sanitize())
	must(w.t, err)
	hashes, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(w.t, err)
	if len(hashes) == 0 || len(hashes[0]) != 64 {
		w.t.Fatalf("the tenant's API keys have the hashes %q", hashes)
	}
	return hashes
}

func TestExportHoldsAllAndNoSecret(t *testing.T) {
	w := newWorld(t, 2)
	x, other := w.tenant("acme"), w.tenant("other")
	j := w.await(w.ask(tenancy.KindExport, x).ID, "done", finished)
	var a tenancy.Archive
	must(t, json.Unmarshal(j.Result, &a))
	folder := tenancy.Folder(w.places.archives, x.ID)
	u := w.unpack(filepath.Join(folder, a.Name))
	w.holdsAll(u, x.ID, other.ID)
	w.settled(x.ID)
	if told := strings.Join(w.told(x.ID), " "); told != "TenantCreated TenantExported" {
		t.Errorf("told of the tenant: %s", told)
	}
	raw, err := os.ReadFile(filepath.Join(folder, a.Name))
	must(t, err)
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != a.SHA256 || int64(len(raw)) != a.Bytes || j.Counts["rows"] != a.Rows || a.Rows < 1310 {
		t.Errorf("archive %+v, counts %v", a, j.Counts)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
		t.Errorf("left beside the archive: %v, %v", left, err)
	}
	if u.manifest.Tenant.Key != "acme" || len(u.manifest.Withheld) != 3 {
		t.Errorf("manifest %+v", u.manifest)
	}
	t.Logf("%d files, %d rows, %d bytes", a.Files, a.Rows, a.Bytes)
}

// TestExportKilledAtEachPhase: the next process keeps the files that are whole,
// and the archive is that of one run.
func TestExportKilledAtEachPhase(t *testing.T) {
	w := newWorld(t, 0)
	other := w.tenant("other")
	x := w.tenant("acme")
	for _, point := range []string{"export.postgres:kill@3", "export.clickhouse:kill@1", "export.clickhouse:kill@4", "export.pack:kill@1", "job.tenant-export.write.done:kill@1"} {
		t.Run(point, func(t *testing.T) {
			j := w.ask(tenancy.KindExport, x)
			if out, err := w.work(j.ID, point); !killed(err) {
				t.Fatalf("the first process was not killed: %v: %s", err, out)
			}
			kept, _ := filepath.Glob(filepath.Join(tenancy.Folder(w.places.archives, x.ID), j.ID.String(), "clickhouse", "*", "*.gz"))
			w.noLeader()
			if out, err := w.work(j.ID, ""); err != nil {
				t.Fatalf("the second process: %v: %s", err, out)
			}
			j, err := w.jobs.Get(t.Context(), j.ID)
			must(t, err)
			var a tenancy.Archive
			must(t, json.Unmarshal(j.Result, &a))
			if j.State != job.Done {
				t.Fatalf("%+v", j)
			}
			w.holdsAll(w.unpack(filepath.Join(tenancy.Folder(w.places.archives, x.ID), a.Name)), x.ID, other.ID)
			t.Logf("files kept from before the kill: %d", len(kept))
		})
	}
}
