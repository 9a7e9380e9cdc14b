package embedded

import (
	"fmt"
	"io"
	"os"
)

// spoolMemory is how much of an answer that waits for its statement's end stays
// in memory; the rest goes to a file, as with a server.
const spoolMemory = 4 << 20

// spool holds the part of an answer that waits.
type spool struct {
	size int64
	mem  []byte
	file *os.File
}

// Write takes more.
func (s *spool) Write(b []byte) (int, error) {
	s.size += int64(len(b))
	if s.file == nil && s.size <= spoolMemory {
		s.mem = append(s.mem, b...)
		return len(b), nil
	}
	if s.file == nil {
		f, err := os.CreateTemp("", "foodflow-answer-")
		if err != nil {
			return 0, fmt.Errorf("making a file for an answer that waits: %w", err)
		}
		s.file = f
		_ = os.Remove(f.Name()) // it lives as long as it is open; a name left behind is the system's to clean
	}
	return s.file.Write(b)
}

// drain gives everything to w.
func (s *spool) drain(w io.Writer) error {
	if _, err := w.Write(s.mem); err != nil {
		return err
	}
	s.mem = nil
	if s.file == nil {
		return nil
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading an answer that waited: %w", err)
	}
	_, err := io.Copy(w, s.file)
	return err
}

func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
	}
}
