package doctor

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"syscall"
	"time"
)

// leastFiles is how many files a role may need: thousands of connections of
// producers, segments, sockets to brokers.
const leastFiles = 16_384

// OpenFiles looks at the limit of open files of this process.
func OpenFiles() Check {
	return Check{"machine.open_files", func(context.Context) []Finding {
		var l syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
			return []Finding{{Severity: Warning, What: "the limit can't be read: " + err.Error()}}
		}
		return openFiles(l.Cur)
	}}
}

func openFiles(limit uint64) []Finding {
	if limit < leastFiles {
		return []Finding{{Severity: Warning, What: fmt.Sprintf("at most %d files may be open", limit), Means: "each producer's connection is one: ingest refuses more", Mend: fmt.Sprintf("raise it to %d or more (ulimit -n, LimitNOFILE=, ulimits in compose)", leastFiles)}}
	}
	return Fine("%d files may be open", limit)
}

// Disk looks at the room left where dir is.
func Disk(name, dir string) Check {
	return Check{name, func(context.Context) []Finding {
		var s syscall.Statfs_t
		if err := syscall.Statfs(dir, &s); err != nil {
			return []Finding{{Severity: Error, What: fmt.Sprintf("%s can't be looked at: %v", dir, err), Mend: "make the folder, or name another"}}
		}
		return Room(dir, s.Bavail*uint64(s.Bsize), s.Blocks*uint64(s.Bsize))
	}}
}

// Room judges free of total bytes.
func Room(where string, free, total uint64) []Finding {
	share := float64(free) / max(float64(total), 1)
	what := fmt.Sprintf("%s has %.1f GiB free of %.1f (%.0f %%)", where, float64(free)/(1<<30), float64(total)/(1<<30), 100*share)
	severity := OK
	switch {
	case free < 1<<30 || share < 0.02:
		severity = Error
	case free < 5<<30 || share < 0.10:
		severity = Warning
	}
	return []Finding{{Severity: severity, What: what, Means: "a store on a full disk takes nothing more; what is acknowledged stays", Mend: "make room, or shorten what is kept"}}
}

// PrivateFile looks at who may read a file that holds a secret.
func PrivateFile(name, path string) Check {
	return Check{name, func(context.Context) []Finding {
		info, err := os.Stat(path)
		if err != nil {
			return []Finding{{Severity: Error, What: err.Error(), Means: "what needs the secret does not start", Mend: "put the file there, or mend the setting"}}
		}
		if mode := info.Mode().Perm(); mode&0o027 != 0 {
			return []Finding{{Severity: Warning, What: fmt.Sprintf("%s has mode %04o", path, mode), Means: "other users of this machine can read or change a secret", Mend: "chmod 0600 " + path}}
		}
		return Fine("%s is private", path)
	}}
}

// The time before a certificate's end at which it is spoken of.
const (
	soon   = 30 * 24 * time.Hour
	urgent = 7 * 24 * time.Hour
)

// Certificates looks at when the certificates of a PEM file end.
func Certificates(name, path string, now time.Time) Check {
	return Check{name, func(context.Context) []Finding {
		body, err := os.ReadFile(path)
		if err != nil {
			return []Finding{{Severity: Error, What: err.Error(), Means: "TLS can't be spoken with it", Mend: "put the file there, or mend the setting"}}
		}
		var first *x509.Certificate // to end
		for len(body) > 0 {
			var block *pem.Block
			if block, body = pem.Decode(body); block == nil {
				break
			}
			c, err := x509.ParseCertificate(block.Bytes)
			if err == nil && block.Type == "CERTIFICATE" && (first == nil || c.NotAfter.Before(first.NotAfter)) {
				first = c
			}
		}
		if first == nil {
			return []Finding{{Severity: Error, What: path + " holds no certificate", Means: "TLS can't be spoken with it", Mend: "put a PEM file there"}}
		}
		f := Finding{What: fmt.Sprintf("%s ends %s", path, first.NotAfter.UTC().Format(time.DateOnly)), Means: "from then on connections are refused", Mend: "renew it; a listener takes the new file by itself"}
		switch left := first.NotAfter.Sub(now); {
		case left < urgent:
			f.Severity = Error
		case left < soon:
			f.Severity = Warning
		}
		return []Finding{f}
	}}
}

// The difference of clocks at which it is spoken of: readings more than ten
// minutes ahead of the server are refused, tokens live for half an hour.
const (
	skewed = 2 * time.Second
	apart  = 30 * time.Second
)

// Skew judges the clock of a store, which said it was there between asked and
// answered.
func Skew(there, asked, answered time.Time) []Finding {
	var by time.Duration
	switch {
	case there.Before(asked):
		by = there.Sub(asked)
	case there.After(answered):
		by = there.Sub(answered)
	}
	f := Finding{
		What: fmt.Sprintf("its clock differs from this machine's by %s", by.Abs().Round(time.Millisecond)), Means: "retention, lag in seconds and log-ins go by several clocks",
		Mend: "run an NTP client on both machines",
	}
	switch {
	case by.Abs() > apart:
		f.Severity = Error
	case by.Abs() > skewed:
		f.Severity = Warning
	}
	return []Finding{f}
}
