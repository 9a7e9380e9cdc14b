package tenancy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/job"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
)

// KindExport writes out all that is kept of a tenant.
const KindExport = "tenant-export"

// manifestName is the first file of an archive.
const manifestName = "manifest.json"

// Manifest says what an archive holds.
type Manifest struct {
	Format   int               `json:"format"`
	Tenant   masterdata.Tenant `json:"tenant"`
	At       time.Time         `json:"at"` // when it was begun
	Files    []File            `json:"files"`
	Withheld []string          `json:"withheld"` // columns and tables that are not in it
}

// manifestFormat counts the changes of an archive's form.
const manifestFormat = 1

// Rows are the rows of tenants in ClickHouse; clickhouse/tenant.Rows is one.
type Rows interface {
	Database() string
	Tables(ctx context.Context) ([]string, error)
	Partitions(ctx context.Context, table string, tenant plant.ID) ([]string, error)
	// Count counts rows once each, Left every copy of them on whatever server.
	Count(ctx context.Context, table string, tenant plant.ID) (int64, error)
	Left(ctx context.Context, table string, tenant plant.ID) (int64, error)
	Write(ctx context.Context, table, partition string, tenant plant.ID, w io.Writer) (int64, error)
	Delete(ctx context.Context, table string, tenant plant.ID) error
}

// Exporter writes archives.
type Exporter struct {
	Store *masterdata.Store
	Rows  Rows
	Now   func() time.Time
}

// Export writes a tenant's archive into dir under the name KEY-WORK.tar, by way
// of a folder named after the work, which it removes in the end. Called again for
// the same work it goes on. show is called with the share of the files written.
func (x *Exporter) Export(ctx context.Context, idOrKey, dir, work string, show func(done float64, rows int64)) (Archive, error) {
	t, err := x.Store.Tenant(ctx, idOrKey)
	if err != nil {
		return Archive{}, err
	}
	e := &export{Exporter: x, dir: filepath.Join(dir, work), show: show}
	if err := os.MkdirAll(e.dir, 0o700); err != nil {
		return Archive{}, fmt.Errorf("making folder of the export: %w", err)
	}
	if err := e.resume(t); err != nil {
		return Archive{}, err
	}
	if err := e.postgres(ctx); err != nil {
		return Archive{}, err
	}
	if err := e.clickhouse(ctx); err != nil {
		return Archive{}, err
	}
	if err := fault.Point("export.pack"); err != nil {
		return Archive{}, err
	}
	a, err := pack(e.dir, t.Key+"-"+work+".tar", &e.m)
	if err != nil {
		return a, err
	}
	if err := os.RemoveAll(e.dir); err != nil {
		return a, fmt.Errorf("clearing up after the export: %w", err)
	}
	return a, nil
}

// export is one work under way.
type export struct {
	*Exporter
	dir  string
	m    Manifest
	show func(float64, int64)
	rows int64
}

// resume reads what an earlier attempt has written, and drops what is not whole.
func (e *export) resume(t *masterdata.Tenant) error {
	text, err := os.ReadFile(filepath.Join(e.dir, manifestName))
	if err == nil {
		err = json.Unmarshal(text, &e.m)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reading what an earlier attempt exported: %w", err)
	}
	if e.m.Tenant.ID != t.ID {
		e.m = Manifest{Format: manifestFormat, Tenant: *t, At: e.Now().UTC().Truncate(time.Second), Withheld: masterdata.Withheld()}
	}
	e.m.Files = slices.DeleteFunc(e.m.Files, func(f File) bool { return !whole(e.dir, f) })
	for _, f := range e.m.Files {
		e.rows += f.Rows
	}
	return nil
}

func (e *export) has(store, path string) bool {
	return slices.ContainsFunc(e.m.Files, func(f File) bool { return f.Store == store && (path == "" || f.Path == path) })
}

// keep notes files as whole.
func (e *export) keep(files ...File) error {
	e.m.Files = append(e.m.Files, files...)
	for _, f := range files {
		e.rows += f.Rows
	}
	return save(filepath.Join(e.dir, manifestName), &e.m)
}

// postgres dumps all tables at once, so that they fit one another.
func (e *export) postgres(ctx context.Context) error {
	if e.has("postgres", "") {
		return nil
	}
	var files []File
	var open *part
	end := func() error {
		if open == nil {
			return nil
		}
		f, err := open.end()
		files, open = append(files, f), nil
		return err
	}
	err := e.Store.Dump(ctx, e.m.Tenant.ID, func(table string) (func([]byte) error, error) {
		if err := end(); err != nil {
			return nil, err
		}
		var err error
		if open, err = beginPart(e.dir, File{Path: "postgres/" + table + ".ndjson.gz", Store: "postgres", Table: table}); err != nil {
			return nil, err
		}
		return open.line, fault.Point("export.postgres")
	})
	if err != nil {
		if open != nil {
			open.drop()
		}
		return err
	}
	if err := end(); err != nil {
		return err
	}
	return e.keep(files...)
}

// clickhouse writes a file for each partition of each table.
func (e *export) clickhouse(ctx context.Context) error {
	tables, err := e.Rows.Tables(ctx)
	if err != nil {
		return err
	}
	for i, table := range tables {
		parts, err := e.Rows.Partitions(ctx, table, e.m.Tenant.ID)
		if err != nil {
			return err
		}
		for k, p := range parts {
			e.show((float64(i)+float64(k)/float64(len(parts)))/float64(len(tables)), e.rows)
			path := "clickhouse/" + table + "/" + p + ".ndjson.gz"
			if e.has("clickhouse", path) {
				continue
			}
			if err := e.partition(ctx, table, p, path); err != nil {
				return err
			}
		}
	}
	e.show(1, e.rows)
	return nil
}

func (e *export) partition(ctx context.Context, table, partition, path string) error {
	p, err := beginPart(e.dir, File{Path: path, Store: "clickhouse", Table: table})
	if err != nil {
		return err
	}
	p.file.Rows, err = e.Rows.Write(ctx, table, partition, e.m.Tenant.ID, p)
	if err == nil {
		err = fault.Point("export.clickhouse")
	}
	if err != nil {
		p.drop()
		return err
	}
	f, err := p.end()
	if err != nil {
		return err
	}
	return e.keep(f)
}

// ExportKind is the work of KindExport. Archives lie in dir, in a folder a
// tenant; several processes share it, or one of them does this work.
func ExportKind(x *Exporter, dir string) job.Kind {
	return job.Kind{Name: KindExport, Steps: []job.Step{{Name: "write", Do: func(ctx context.Context, r *job.Run) error {
		a, err := x.Export(ctx, r.Job.TenantID.String(), Folder(dir, *r.Job.TenantID), r.Job.ID.String(), func(done float64, rows int64) {
			r.Count("rows", rows)
			r.Show(ctx, done)
		})
		if err != nil {
			return err
		}
		r.Count("rows", a.Rows)
		// Nothing changed, but a copy of everything is out: whoever follows the
		// events should know. Named by the job, so a repetition is the same event.
		if _, err := x.Store.Raise(ctx, *r.Job.TenantID, masterdata.Fact{
			ID: plant.NameID(r.Job.ID, "TenantExported"), Type: "TenantExported", AggregateType: directory.KindTenant, Aggregate: *r.Job.TenantID, TS: x.Now().UTC(),
			Data: map[string]any{"job_id": r.Job.ID, "requested_by": r.Job.Actor, "rows": a.Rows, "sha256": a.SHA256},
		}); err != nil {
			return err
		}
		r.Result(a)
		return nil
	}}}}
}

// Folder is where a tenant's archives lie.
func Folder(dir string, tenant plant.ID) string { return filepath.Join(dir, tenant.String()) }
