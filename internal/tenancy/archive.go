package tenancy

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Archive is a whole export.
type Archive struct {
	Name   string `json:"name" doc:"of the file" example:"acme-01937b5e-8a0c-7c3e-9a53-1f0c2b7d4e60.tar"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256" doc:"of the archive, hexadecimal"`
	Files  int    `json:"files"`
	Rows   int64  `json:"rows"`
}

// pack puts the parts and the manifest into one tar beside them. The manifest
// comes first, so that a reader knows what follows.
func pack(dir, name string, m *Manifest) (a Archive, err error) {
	path := filepath.Join(filepath.Dir(dir), name)
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return a, fmt.Errorf("packing export: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	var n counter
	w := tar.NewWriter(io.MultiWriter(f, sum, &n))
	if err := save(filepath.Join(dir, manifestName), m); err != nil {
		return a, err
	}
	a = Archive{Name: name, Files: len(m.Files)}
	if err := add(w, dir, manifestName, m.At); err != nil {
		return a, err
	}
	for _, x := range m.Files {
		if err := add(w, dir, x.Path, m.At); err != nil {
			return a, err
		}
		a.Rows += x.Rows
	}
	if err := errors.Join(w.Close(), f.Sync()); err != nil {
		return a, fmt.Errorf("packing export: %w", err)
	}
	if err := os.Rename(path+".part", path); err != nil {
		return a, fmt.Errorf("packing export: %w", err)
	}
	a.Bytes, a.SHA256 = int64(n), hex.EncodeToString(sum.Sum(nil))
	return a, nil
}

func add(w *tar.Writer, dir, name string, at time.Time) error {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return fmt.Errorf("packing export: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("packing export: %w", err)
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: info.Size(), ModTime: at, Format: tar.FormatPAX}); err != nil {
		return fmt.Errorf("packing %s: %w", name, err)
	}
	if _, err := io.Copy(w, f); err != nil {
		return fmt.Errorf("packing %s: %w", name, err)
	}
	return nil
}
