package tenancy

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
)

// File is one file of an archive.
type File struct {
	Path   string `json:"path" example:"postgres/lines.ndjson.gz"`
	Store  string `json:"store" enum:"postgres,clickhouse"`
	Table  string `json:"table"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes" doc:"as it is in the archive"`
	SHA256 string `json:"sha256" doc:"of the file as it is in the archive, hexadecimal"`
}

// part is a file being written. It gets its name when it is whole, so a file
// that is there is whole.
type part struct {
	file File
	dir  string
	f    *os.File
	sum  hash.Hash
	gz   *gzip.Writer
	n    int64
}

// beginPart starts a file below dir.
func beginPart(dir string, file File) (*part, error) {
	path := filepath.Join(dir, filepath.FromSlash(file.Path))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making folder of the export: %w", err)
	}
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("writing export: %w", err)
	}
	p := &part{file: file, dir: dir, f: f, sum: sha256.New()}
	p.gz = gzip.NewWriter(io.MultiWriter(f, p.sum, (*counter)(&p.n)))
	return p, nil
}

// counter counts bytes.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// Write takes rows, each with its line break.
func (p *part) Write(b []byte) (int, error) { return p.gz.Write(b) }

// line takes one row.
func (p *part) line(text []byte) error {
	p.file.Rows++
	if _, err := p.gz.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("writing export: %w", err)
	}
	return nil
}

// end makes the file whole and durable, and describes it.
func (p *part) end() (File, error) {
	path := filepath.Join(p.dir, filepath.FromSlash(p.file.Path))
	err := errors.Join(p.gz.Close(), p.f.Sync(), p.f.Close())
	if err == nil {
		err = os.Rename(path+".part", path)
	}
	if err != nil {
		return File{}, fmt.Errorf("writing export: %w", err)
	}
	p.file.Bytes, p.file.SHA256 = p.n, hex.EncodeToString(p.sum.Sum(nil))
	return p.file, nil
}

// drop gives up what was begun.
func (p *part) drop() {
	_ = p.f.Close() // whatever came of it, the file goes
	_ = os.Remove(p.f.Name())
}

// whole says whether a file is there as it was described.
func whole(dir string, f File) bool {
	r, err := os.Open(filepath.Join(dir, filepath.FromSlash(f.Path)))
	if err != nil {
		return false
	}
	defer r.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, r)
	return err == nil && n == f.Bytes && hex.EncodeToString(sum.Sum(nil)) == f.SHA256
}

// save writes a small file as a whole or not at all.
func save(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", filepath.Base(path), err)
	}
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), err)
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(path+".part", path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), err)
	}
	return nil
}
