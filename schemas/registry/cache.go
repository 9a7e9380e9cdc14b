package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// cacheFormat is the version of the cache file; a file of another is ignored.
const cacheFormat = 1

// maxCached bounds the schemas remembered, maxCacheFile what is read of a file.
const (
	maxCached    = 4096
	maxCacheFile = 64 << 20
)

// content is what the cache file holds.
type content struct {
	// IDs is by subject, then by the SHA-256 of the schema's text in hex.
	IDs map[string]map[string]int `json:"ids"`
	// Schemas is by id.
	Schemas map[int]string `json:"schemas"`
}

// envelope guards the content against a torn or rotten file: a schema with one
// letter changed would decode records to wrong values.
type envelope struct {
	Format  int             `json:"format"`
	SHA256  string          `json:"sha256"`
	Content json.RawMessage `json:"content"`
}

// cache is what the registry said, in memory and on disk.
type cache struct {
	path string

	mu      sync.RWMutex // guards content, bytes, changed
	content content
	bytes   int
	changed bool

	writing sync.Mutex // held over a replacement of the file
}

func newCache(path string) *cache {
	return &cache{path: path, content: emptyContent()}
}

func emptyContent() content {
	return content{IDs: map[string]map[string]int{}, Schemas: map[int]string{}}
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func (c *cache) id(subject, schema string) (int, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	id, ok := c.content.IDs[subject][digest(schema)]
	return id, ok
}

func (c *cache) schema(id int) (string, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	text, ok := c.content.Schemas[id]
	return text, ok
}

func (c *cache) len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.content.Schemas)
}

// putID remembers the id of a schema under a subject, and the schema.
func (c *cache) putID(subject, schema string, id int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	by := c.content.IDs[subject]
	if by == nil {
		by = map[string]int{}
		c.content.IDs[subject] = by
	}
	if old, ok := by[digest(schema)]; !ok || old != id {
		by[digest(schema)] = id
		c.changed = true
	}
	c.putSchemaLocked(id, schema)
}

// putSchema remembers a schema; false when it was known or there is no room.
func (c *cache) putSchema(id int, schema string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.putSchemaLocked(id, schema)
}

func (c *cache) putSchemaLocked(id int, schema string) bool {
	// Half of the file's bound: JSON may double the text.
	if _, ok := c.content.Schemas[id]; ok || len(c.content.Schemas) >= maxCached || c.bytes+len(schema) > maxCacheFile/2 {
		return false
	}
	c.content.Schemas[id] = schema
	c.bytes += len(schema)
	c.changed = true
	return true
}

// forget drops everything.
func (c *cache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.content, c.bytes, c.changed = emptyContent(), 0, true
}

// load reads the file; one that isn't there is an empty cache.
func (c *cache) load() error {
	if c.path == "" {
		return nil
	}
	f, err := os.Open(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening schema cache: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxCacheFile+1))
	if err != nil {
		return fmt.Errorf("reading schema cache: %w", err)
	}
	got, err := parseCache(b)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.content, c.bytes = got, 0
	for _, s := range got.Schemas {
		c.bytes += len(s)
	}
	return nil
}

// parseCache reads a cache file; it never gives half of one.
func parseCache(b []byte) (content, error) {
	if len(b) > maxCacheFile {
		return content{}, fmt.Errorf("parsing schema cache: larger than %d bytes", maxCacheFile)
	}
	var env envelope
	if err := json.Unmarshal(b, &env); err != nil {
		return content{}, fmt.Errorf("parsing schema cache: %w", err)
	}
	if env.Format != cacheFormat {
		return content{}, fmt.Errorf("parsing schema cache: format %d, want %d", env.Format, cacheFormat)
	}
	if digest(string(env.Content)) != env.SHA256 {
		return content{}, errors.New("parsing schema cache: checksum does not match")
	}
	got := emptyContent()
	if err := json.Unmarshal(env.Content, &got); err != nil {
		return content{}, fmt.Errorf("parsing schema cache: %w", err)
	}
	if got.IDs == nil || got.Schemas == nil || len(got.Schemas) > maxCached {
		return content{}, errors.New("parsing schema cache: content out of bounds")
	}
	return got, nil
}

// save replaces the file in one step where something changed: a crash leaves
// the old one or the new one.
func (c *cache) save() (written bool, err error) {
	if c.path == "" {
		return false, nil
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	if !c.changed {
		c.mu.Unlock()
		return false, nil
	}
	body, err := json.Marshal(c.content)
	c.changed = err != nil
	c.mu.Unlock()
	if err == nil {
		err = c.replace(body)
	}
	if err != nil {
		c.mu.Lock()
		c.changed = true // tried again with the next thing learnt
		c.mu.Unlock()
		return false, err
	}
	return true, nil
}

func (c *cache) replace(body []byte) error {
	whole, err := json.Marshal(envelope{Format: cacheFormat, SHA256: digest(string(body)), Content: body})
	if err != nil {
		return fmt.Errorf("encoding schema cache: %w", err)
	}
	dir := filepath.Dir(c.path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making folder of schema cache: %w", err)
	}
	tmp, err := os.CreateTemp(dir, filepath.Base(c.path)+".*")
	if err != nil {
		return fmt.Errorf("writing schema cache: %w", err)
	}
	defer os.Remove(tmp.Name()) // after the rename there is nothing left to remove
	_, err = io.Copy(tmp, bytes.NewReader(whole))
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return fmt.Errorf("writing schema cache: %w", err)
	}
	if err := os.Rename(tmp.Name(), c.path); err != nil {
		return fmt.Errorf("replacing schema cache: %w", err)
	}
	return syncDir(dir)
}

// syncDir makes the rename itself survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("opening folder of schema cache: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("syncing folder of schema cache: %w", err)
	}
	return nil
}
