package chdb

import (
	"fmt"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Library is the C interface of libchdb 26.7 that is used here. Handles are
// opaque pointers; strings are passed with their length.
type Library struct {
	connect       func(argc int32, argv **byte) *uintptr
	closeConn     func(conn *uintptr)
	signals       func(enabled int32)
	query         func(conn uintptr, q *byte, ql uintptr, f *byte, fl uintptr, names **byte, nl *uintptr, values **byte, vl *uintptr, n uintptr) uintptr
	insert        func(conn uintptr, q *byte, ql uintptr, f *byte, fl uintptr, names **byte, nl *uintptr, values **byte, vl *uintptr, n uintptr) uintptr
	insertAppend  func(stream uintptr, data *byte, n uintptr) int32
	insertDone    func(stream uintptr) uintptr
	insertCancel  func(stream uintptr)
	insertError   func(stream uintptr) string
	insertDestroy func(stream uintptr)
	buffer        func(result uintptr) unsafe.Pointer
	length        func(result uintptr) uintptr
	errorText     func(result uintptr) string
	rowsRead      func(result uintptr) uint64
	bytesRead     func(result uintptr) uint64
	storageRows   func(result uintptr) uint64
	storageBytes  func(result uintptr) uint64
	rowsWritten   func(result uintptr) uint64
	bytesWritten  func(result uintptr) uint64
	destroy       func(result uintptr)
}

// Open loads the library and binds its functions.
func Open(path string) (*Library, error) {
	h, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, fmt.Errorf("loading the ClickHouse engine: %w", err)
	}
	l := &Library{}
	for name, fn := range map[string]any{
		"chdb_connect":                     &l.connect,
		"chdb_close_conn":                  &l.closeConn,
		"chdb_set_signal_handlers_enabled": &l.signals,
		"chdb_query_with_params_n":         &l.query,
		"chdb_stream_insert_with_params_n": &l.insert,
		"chdb_stream_append":               &l.insertAppend,
		"chdb_stream_done":                 &l.insertDone,
		"chdb_stream_cancel_insert":        &l.insertCancel,
		"chdb_stream_insert_error":         &l.insertError,
		"chdb_destroy_insert_stream":       &l.insertDestroy,
		"chdb_result_buffer":               &l.buffer,
		"chdb_result_length":               &l.length,
		"chdb_result_error":                &l.errorText,
		"chdb_result_rows_read":            &l.rowsRead,
		"chdb_result_bytes_read":           &l.bytesRead,
		"chdb_result_storage_rows_read":    &l.storageRows,
		"chdb_result_storage_bytes_read":   &l.storageBytes,
		"chdb_result_rows_written":         &l.rowsWritten,
		"chdb_result_bytes_written":        &l.bytesWritten,
		"chdb_destroy_query_result":        &l.destroy,
	} {
		if _, err := purego.Dlsym(h, name); err != nil {
			return nil, fmt.Errorf("the ClickHouse engine lacks %s: want version 26.7 or later: %w", name, err)
		}
		purego.RegisterLibFunc(fn, h, name)
	}
	l.signals(0)
	return l, nil
}

// Stats are what the engine counted for a statement.
type Stats struct {
	ReadRows, ReadBytes, WrittenRows, WrittenBytes, ResultRows, ResultBytes uint64
}

func (l *Library) stats(r uintptr) Stats {
	return Stats{
		ReadRows: l.storageRows(r), ReadBytes: l.storageBytes(r), WrittenRows: l.rowsWritten(r),
		WrittenBytes: l.bytesWritten(r), ResultRows: l.rowsRead(r), ResultBytes: l.bytesRead(r),
	}
}

// params are the named parameters of a statement in the form C wants them; the
// slices keep what the pointers point at.
type params struct {
	names, values []*byte
	nlens, vlens  []uintptr
}

func newParams(m map[string]string) *params {
	p := &params{}
	for k, v := range m {
		p.names, p.nlens = append(p.names, bytesOf(k)), append(p.nlens, uintptr(len(k)))
		p.values, p.vlens = append(p.values, bytesOf(v)), append(p.vlens, uintptr(len(v)))
	}
	return p
}

// bytesOf points at a copy of s that ends in a zero byte, so that it is valid
// for an empty string too.
func bytesOf(s string) *byte { return &append([]byte(s), 0)[0] }

func first[T any](s []T) *T {
	if len(s) == 0 {
		return nil
	}
	return &s[0]
}
